"""A source's subscription: whether its platform sends webhooks to the source's address. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

SubscriptionState = Literal["active", "failing", "elsewhere", "absent", "unknown"]
EVERY = timedelta(hours=23)
"""The age at which a subscription is checked again: the sweep runs each hour, so each is checked once a day."""
REFUSALS = frozenset({"credentials", "denied", "not_found", "invalid", "too_large", "forbidden_address"})
"""Codes of calls by which the platform refuses to answer: the next try is refused as well."""


@dataclass(frozen=True)
class FoundSubscription:
    """The answer of a platform.

    Args:
        state: ``active``: webhooks come here. ``failing``: they should, but the platform reports errors. ``elsewhere``: they
            go to another address. ``absent``: there is no subscription. ``unknown``: the platform refuses to say.
        error: the platform's last error, as a code of ours; never its words.
    """

    state: SubscriptionState
    error: str | None = None


@dataclass(frozen=True)
class Subscription:
    """The last known subscription of a source. ``kept``: it can be checked without its tenant."""

    state: SubscriptionState
    checked_at: datetime
    error: str | None = None
    kept: bool = False

    def is_due(self, now: datetime) -> bool:
        """Say whether it must be checked."""
        return self.kept and now - self.checked_at >= EVERY


def answered(before: Subscription, found: FoundSubscription, now: datetime) -> Subscription:
    """Return the subscription after a check that the platform answered."""
    return replace(before, state=found.state, error=found.error, checked_at=now)


def unanswered(before: Subscription, code: str, now: datetime) -> Subscription:
    """Return the subscription after a check that failed with a code.

    A refusal ends the day's check. After another failure the state stays, and the next hour tries again.
    """
    if code in REFUSALS:
        return replace(before, state="unknown", error=code, checked_at=now)
    return replace(before, error=code)


def is_loss(before: Subscription, after: Subscription) -> bool:
    """Say whether a tenant must be told of a change."""
    return after.state not in ("active", before.state)

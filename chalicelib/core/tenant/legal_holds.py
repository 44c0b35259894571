"""Legal holds: content that may be neither erased nor let expire, because an authority or a claim needs it. Pure.

A legal hold keeps content that is alive when it is placed, and content received under it. It prolongs no delivery, and does
not show content whose life is over: that content is kept, and deleted with its last legal hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Discriminator, Tag, ValidationInfo, field_validator

from .. import ids
from ..errors import Conflict
from ..event.event import Time
from .dates import Instant
from .records import Label, Record

HOLDS_MAX = 100
"""Of one tenant and not released: each erasure and each expiry is held against all of them."""
_PREFIXES = {"conversation": "cnv", "subject": "sub"}


class HoldActive(Conflict):
    """A legal hold keeps content that a request wanted erased."""

    code = "hold_active"


class HoldPeriod(Record):
    """Events received from ``after`` (inclusive) to ``before`` (exclusive)."""

    after: Instant
    before: Instant


def _form(value: object) -> str:
    return "period" if isinstance(value, (dict, HoldPeriod)) else "ref"


class LegalHoldSettings(Record):
    """The content to keep, and the authority: a court's file number, an order, a claim.

    ``value`` is a conversation's or a subject's ref, or a period of receipt. A subject's hold covers the events that this
    person sent; a hold on the conversation covers the whole dialogue.
    """

    scope: Literal["conversation", "subject", "period"]
    value: Annotated[Annotated[str, Tag("ref")] | Annotated[HoldPeriod, Tag("period")], Discriminator(_form)]
    authority_ref: Label

    @field_validator("value")
    @classmethod
    def _fits(cls, value: str | HoldPeriod, told: ValidationInfo) -> str | HoldPeriod:
        scope = told.data.get("scope")  # None where it is refused itself
        if scope == "period" and not isinstance(value, HoldPeriod):
            raise ValueError("a period has after and before")
        if isinstance(value, HoldPeriod) and value.before <= value.after:
            raise ValueError("before must be later than after")
        if scope in _PREFIXES and not ids.is_id(value, _PREFIXES[scope]):
            raise ValueError(f"a {scope} is named by its ref, {_PREFIXES[scope]}_…")
        return value


class ShownLegalHold(LegalHoldSettings):
    """A legal hold; it stands until it is released, and its record for good.

    ``secured_at`` is when everything that it covers was taken out of the tables' own expiry; null until then.
    """

    id: str
    placed_by: str
    placed_at: Time
    secured_at: Time | None = None
    released_by: str | None = None
    released_at: Time | None = None


class LegalHold(ShownLegalHold):
    """A legal hold as it is stored. ``person`` is the key in ``people`` of the subject that it is on."""

    person: str | None = None

    def covers(self, conversation: str, owner: str | None, received_at: datetime) -> bool:
        """Return whether the hold keeps an event.

        Args:
            conversation: its ref, or ``-``; ``owner``: the sender's key in ``people``, if there is one.
        """
        if isinstance(self.value, HoldPeriod):
            return self.value.after <= received_at < self.value.before
        return self.value == conversation if self.scope == "conversation" else self.person == owner


def covering(
    holds: Iterable[LegalHold], conversation: str, owner: str | None, received_at: datetime
) -> LegalHold | None:
    """Return the first of the holds that keeps an event; None where none does."""
    return next((hold for hold in holds if hold.covers(conversation, owner, received_at)), None)

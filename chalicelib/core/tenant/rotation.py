"""Secrets that overlap while they change: the current one first, then those still in their grace. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from .. import times

GRACE = timedelta(hours=24)
KEPT_MAX = 5
"""Secrets at once: a source that is rotated in a hurry never grows without bound."""

Kept = list[dict[str, Any]]


def first(secret: Any) -> Kept:
    """Return the stored form of a new secret."""
    return [{"secret": secret, "until": None}]


def rotate(kept: Sequence[dict[str, Any]], secret: Any, now: datetime) -> Kept:
    """Put a new secret in front; the one before it still counts for ``GRACE``, older ones as long as they already did."""
    until = times.text(now + GRACE)
    older = [{**k, "until": k["until"] or until} for k in kept]
    return [*first(secret), *(k for k in older if times.parse(k["until"]) > now)][:KEPT_MAX]


def live(kept: Sequence[dict[str, Any]], now: datetime) -> list[Any]:
    """Return the secrets that count now, the current one first."""
    return [k["secret"] for k in kept if k["until"] is None or times.parse(k["until"]) > now]

"""When a conversation is off the record: intervals ``[since, until)``, of which only the last may be open. Pure.

An interval never changes once it has begun and ended. A change counts from ``EFFECT`` after its request. By then every
process knows it, so that all processes agree which instants are on and off the record.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from ..event.event import Time

EFFECT = timedelta(seconds=10)
"""How long hooks may cache a source (``store.source_cache``)."""


LIFE = timedelta(minutes=10)
"""How long an event off the record is processed: after this its one attempt is made or lost."""


class Change(BaseModel):
    """The actor that turned an interval on or off, in which request; ``at`` is the time of the request."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    at: Time
    actor: tuple[str, str]
    request: str


class Interval(BaseModel):
    """One stretch of a conversation that is off the record; open where ``until`` is null."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    since: Time
    until: Time | None = None
    on: Change
    off: Change | None = None

    def covers(self, at: datetime) -> bool:
        """Return whether an event received ``at`` is off the record."""
        return self.since <= at and (self.until is None or at < self.until)


Intervals = tuple[Interval, ...]


def is_off_record(intervals: Iterable[Interval], at: datetime) -> bool:
    """Return whether an event received ``at`` is off the record."""
    return any(interval.covers(at) for interval in intervals)


def is_open(intervals: Intervals) -> bool:
    """Return whether the last request asked for off the record."""
    return bool(intervals) and intervals[-1].until is None


def turned(intervals: Intervals, off_record: bool, change: Change) -> Intervals:
    """Return the intervals after a change; the same ones where it changes nothing."""
    if off_record == is_open(intervals):
        return intervals
    counts_from = change.at + EFFECT
    if off_record:
        return (*intervals, Interval(since=counts_from, on=change))
    last = intervals[-1]
    # Requests finish in no order: an earlier one may arrive later.
    until = max(counts_from, last.since)
    return (*intervals[:-1], last.model_copy(update={"until": until, "off": change}))

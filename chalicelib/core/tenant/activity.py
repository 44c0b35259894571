"""The activity of a source: what it sent lately, and whether it is silent against its own habit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

HOUR = timedelta(hours=1)
SHOWN = timedelta(hours=24)
"""The time whose counts are shown."""
HABIT = timedelta(days=7)
"""The time from which a source's habit is learnt."""
ACTIVE_HOURS_MIN = 5
"""With fewer hours in which events came, a source has no habit."""
WORDS = ("accepted", "ignored", "handshake", "rejected", "malformed", "unrouted")
"""What is counted: accepted events, webhooks by their verdict, and events that no route takes."""


@dataclass(frozen=True)
class HourActivity:
    """The counts of one hour."""

    hour: datetime
    counts: Mapping[str, int]
    last: datetime | None = None
    """When the newest event of the hour came."""


@dataclass(frozen=True)
class Activity:
    """What a source sent. ``usual_silence_h`` is the longest pause of the last week, None without a habit."""

    last_received_at: datetime | None
    counts: Mapping[str, int]
    usual_silence_h: int | None
    silent: bool


def activity(hours: Iterable[HourActivity], now: datetime) -> Activity:
    """Sum up the hours of a source.

    A source is silent if its last event is more than twice as long ago as its longest pause of the week, and two hours at least.
    """
    known = sorted((h for h in hours if h.hour > now - HABIT - HOUR), key=lambda h: h.hour)
    lately = [h for h in known if h.hour > now - SHOWN]
    counts = {word: sum(h.counts.get(word, 0) for h in lately) for word in WORDS}
    active = [h for h in known if h.counts.get("accepted", 0)]
    last = max((h.last or h.hour for h in active), default=None)
    usual = None
    if len(active) >= ACTIVE_HOURS_MIN:
        usual = max((b.hour - a.hour) // HOUR for a, b in pairwise(active))
    silent = usual is not None and last is not None and now - last > max(2 * usual, 2) * HOUR
    return Activity(last, counts, usual, silent)

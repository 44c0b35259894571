"""Times as text: RFC 3339, UTC, milliseconds; and ISO dates.

``day`` and ``instant`` are the one reader of what a decision reads: records at the API's door, and facts.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
KEPT = 256
"""How many parsed and written times stay cached: an event's times occur several times while it is processed."""

YEARS = range(1900, 2201)
"""The years of a date or an instant that a decision reads."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


def day(value: object) -> date:
    """Read a date of a record or of facts.

    Raises:
        ValueError: not ``YYYY-MM-DD``, no day of the calendar, or not between 1900 and 2200.
    """
    if not isinstance(value, str) or not _DAY.match(value):
        raise ValueError("must be a date, YYYY-MM-DD")
    try:
        read = date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date that exists") from None  # the calendar's own words may quote the value
    if read.year not in YEARS:
        raise ValueError("must be a date between 1900 and 2200")
    return read


def instant(value: object) -> datetime:
    """Read an instant of a record or of facts.

    Raises:
        ValueError: not RFC 3339 with an offset, or not between 1900 and 2200.
    """
    if not isinstance(value, str):
        raise ValueError("must be an instant, RFC 3339 in UTC")
    return _instant(value)


@lru_cache(KEPT)
def _instant(value: str) -> datetime:
    if not _INSTANT.match(value):
        raise ValueError("must be an instant, RFC 3339 in UTC")
    if int(value[:4]) not in YEARS:
        raise ValueError("must be an instant between 1900 and 2200")
    return parse(value.upper())


@lru_cache(KEPT)
def text(at: datetime) -> str:
    """Write an aware time as exactly ``YYYY-MM-DDTHH:MM:SS.mmmZ`` (digits finer than a millisecond are cut)."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


@lru_cache(KEPT)
def parse(value: str) -> datetime:
    """Read RFC 3339.

    Raises:
        ValueError: not RFC 3339, or without an offset.
    """
    try:
        at = datetime.fromisoformat(value)
        utc = at.astimezone(UTC) if at.tzinfo is not None and len(value) >= 20 else None
    except (ValueError, OverflowError):
        utc = None  # their text would show the value
    if utc is None:
        raise ValueError("not a time of RFC 3339: it needs a date, a time of day and an offset from UTC")
    return utc


def from_millis(millis: int) -> datetime:
    """Read milliseconds since 1970.

    Raises:
        ValueError: outside 1970 to 2100.
    """
    if not 0 <= millis < 4_102_444_800_000:
        raise ValueError("time outside 1970 to 2100")
    seconds, rest = divmod(millis, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def millis(at: datetime) -> int:
    """Return whole milliseconds since 1970."""
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def minute(at: datetime) -> int:
    """Return whole minutes since 1970."""
    return int(at.timestamp()) // 60

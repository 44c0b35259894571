"""How the law counts time: civil days, working days, periods.

A day count starts on the day after the event and ends at the local midnight after its last day; hours are exact. Months
clip to the last day of a shorter month.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_PERIOD = re.compile(r"P(?:T(?P<H>\d{1,4})H|(?P<WD>\d{1,3})WD|(?P<D>\d{1,4})D|(?P<M>\d{1,3})M|(?P<Y>\d{1,2})Y)\Z")
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time in one unit: ``H`` hours, ``D`` days, ``WD`` working days, ``M`` months, ``Y`` years."""

    text: str
    unit: str
    count: int


def period(text: object) -> Period:
    """Read ``PT24H``, ``P30D``, ``P5WD``, ``P1M`` or ``P3Y``.

    Raises:
        ValueError: anything else.
    """
    match = _PERIOD.match(text) if isinstance(text, str) else None
    if match is None or not isinstance(text, str):
        raise ValueError("not a period: PT24H, P30D, P5WD, P1M or P3Y")
    unit, count = next((u, n) for u, n in match.groupdict().items() if n is not None)
    return Period(text, unit, int(count))


@dataclass(frozen=True, slots=True)
class Calendar:
    """A law's days: its time zone, its days of rest, and the years for which its holidays are known."""

    zone: ZoneInfo
    weekend: frozenset[int] = frozenset({6, 7})
    holidays: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()
    working_weekends: frozenset[date] = field(default_factory=frozenset)

    def day(self, at: datetime) -> date:
        """Return the civil day of an instant."""
        return at.astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """Return the instant at which a civil day begins (of two midnights the earlier), in UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def works(self, day: date) -> bool:
        """Say whether a day is a working day, as far as the calendar knows."""
        if day in self.working_weekends:
            return True
        return day.isoweekday() not in self.weekend and day not in self.holidays

    def working_day(self, after: date, count: int) -> tuple[date, frozenset[int]]:
        """Return the n-th working day after a day, and the years on the way for which no holidays are known."""
        day, years = after, set()
        for _ in range(count):
            day += ONE_DAY
            years.add(day.year)
            while not self.works(day):
                day += ONE_DAY
                years.add(day.year)
        return day, frozenset(years - self.years)

    def due(self, at: datetime, length: Period) -> datetime:
        """Return when a duty that arose at an instant is due."""
        if length.unit == "H":
            return at + timedelta(hours=length.count)
        return self.midnight(self.last_day(self.day(at), length) + ONE_DAY)

    def last_day(self, start: date, length: Period) -> date:
        """Return the last day of a period of days or longer; where holidays are unknown, weekends alone are free."""
        if length.unit == "WD":
            return self.working_day(start, length.count)[0]
        if length.unit == "D":
            return start + length.count * ONE_DAY
        return months_later(start, length.count * (12 if length.unit == "Y" else 1))


def months_later(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def days(texts: Iterable[str]) -> frozenset[date]:
    """Read ISO dates.

    Raises:
        ValueError: one of them is not a date.
    """
    return frozenset(date.fromisoformat(text) for text in texts)

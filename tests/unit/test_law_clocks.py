"""How the law counts: both sides of midnights, months that are too short, holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.core.law.clocks import Calendar, months_later, period
from chalicelib.law import installed

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
AT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "due"),
    [
        ("PT0H", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("PT72H", datetime(2026, 2, 3, 10, tzinfo=UTC)),
        ("P1D", datetime(2026, 2, 1, 23, tzinfo=UTC)),
        ("P30D", datetime(2026, 3, 2, 23, tzinfo=UTC)),
        ("P1M", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("P2M", datetime(2026, 3, 31, 22, tzinfo=UTC)),
        ("P3Y", datetime(2029, 1, 31, 23, tzinfo=UTC)),
        ("P5WD", datetime(2026, 2, 6, 23, tzinfo=UTC)),
    ],
)
def test_duty_is_due_at_the_midnight_after_its_last_day_when_counted(length: Any, due: Any) -> None:
    assert BERLIN.due(AT, period(length)) == due


@pytest.mark.parametrize("text", ["", "P", "P1W", "PT1M", "P-1D", "P1DT1H", "5", None, 5])
def test_period_is_refused_when_not_one_unit(text: Any) -> None:
    with pytest.raises(ValueError, match="not a period"):
        period(text)


def test_month_clips_when_the_next_is_shorter() -> None:
    assert months_later(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert months_later(date(2025, 12, 31), 2) == date(2026, 2, 28)


def test_working_day_skips_holidays_and_takes_working_weekends_when_known() -> None:
    russia = next(f.calendar for f in installed().files if f.code == "RU")

    assert russia.working_day(date(2025, 10, 31), 1) == (date(2025, 11, 1), frozenset())
    assert russia.working_day(date(2025, 10, 31), 2) == (date(2025, 11, 5), frozenset())


def test_unknown_years_are_named_when_a_count_runs_into_them() -> None:
    russia = next(f.calendar for f in installed().files if f.code == "RU")

    day, unknown = russia.working_day(date(2026, 12, 30), 1)

    assert (day, unknown) == (date(2027, 1, 1), frozenset({2027}))

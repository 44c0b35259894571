"""The activity of a source: counts of a day, and silence against its own habit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core.tenant.activity import HourActivity, activity

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(*ago: int) -> list[HourActivity]:
    """Return hours in which one event came."""
    full = NOW.replace(minute=0)
    return [HourActivity(full - n * HOUR, {"accepted": 1}, full - n * HOUR + HOUR / 4) for n in ago]


@pytest.mark.parametrize(
    ("ago", "usual", "silent"),
    [
        ((), None, False),
        ((1, 30), None, False),
        ((100, 99, 98, 97, 96), 1, True),
        ((4, 5, 6, 7, 8), 1, True),
        ((1, 2, 3, 4, 5), 1, False),
        ((20, 44, 68, 92, 116), 24, False),
        ((50, 74, 98, 122, 146), 24, True),
        ((200, 201, 202, 203, 204), None, False),
    ],
)
def test_a_source_is_silent_when_its_pause_is_twice_its_longest_one(
    ago: tuple[int, ...], usual: int | None, silent: bool
) -> None:
    found = activity(hours(*ago), NOW)

    assert (found.usual_silence_h, found.silent) == (usual, silent)


def test_only_the_last_day_is_counted_when_hours_are_older() -> None:
    older = HourActivity(NOW.replace(minute=0) - 30 * HOUR, {"rejected": 7}, None)
    recent = HourActivity(NOW.replace(minute=0), {"rejected": 2, "unrouted": 1, "accepted": 3}, NOW)

    found = activity([older, recent], NOW)

    assert found.counts == {
        "accepted": 3, "ignored": 0, "handshake": 0, "rejected": 2, "malformed": 0, "unrouted": 1,
    }  # fmt: skip
    assert found.last_received_at == NOW

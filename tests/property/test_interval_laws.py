"""Laws of intervals off the record, for every sequence of changes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.tenant.intervals import EFFECT, Change, Interval, Intervals, is_off_record, is_open, turned

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CHANGES = st.lists(st.tuples(st.integers(0, 40_000), st.booleans()), max_size=12)
INSTANTS = st.lists(st.integers(-60_000, 600_000), min_size=1, max_size=30)


def change(at: datetime) -> Change:
    return Change(at=at, actor=("key", "key_1"), request="req_1")


def run(changes: list[tuple[int, bool]]) -> list[tuple[datetime, bool, Intervals, Intervals]]:
    """Each change with the states before and after it, in order of time."""
    at, found = NOW, list[tuple[datetime, bool, Intervals, Intervals]]()
    intervals: Intervals = ()
    for wait_ms, off_record in changes:
        at += timedelta(milliseconds=wait_ms)
        before = intervals
        intervals = turned(before, off_record, change(at))
        found.append((at, off_record, before, intervals))
    return found


@given(CHANGES, INSTANTS)
def test_a_change_says_nothing_of_what_was_received_before_it_counts(
    changes: list[tuple[int, bool]], instants: list[int]
) -> None:
    times = [NOW + timedelta(milliseconds=ms) for ms in instants]
    for at, off_record, before, after in run(changes):
        for instant in times:
            if instant < at + EFFECT:
                assert is_off_record(after, instant) == is_off_record(before, instant)
            else:
                assert is_off_record(after, instant) == off_record
        assert is_open(after) == off_record


@given(CHANGES)
def test_intervals_follow_each_other_and_those_that_ended_never_change(changes: list[tuple[int, bool]]) -> None:
    for _, _, before, after in run(changes):
        ended = [interval for interval in before if interval.until is not None]
        assert list(after[: len(ended)]) == ended
        for one, next_one in itertools.pairwise(after):
            assert one.until is not None and one.since <= one.until <= next_one.since


@given(CHANGES)
def test_asking_for_what_is_so_changes_nothing(changes: list[tuple[int, bool]]) -> None:
    for at, off_record, _, after in run(changes):
        assert turned(after, off_record, change(at + timedelta(seconds=1))) is after


def test_an_interval_that_was_never_to_count_is_empty_when_changes_are_told_out_of_order() -> None:
    began = turned((), True, change(NOW))

    (ended,) = turned(began, False, change(NOW - timedelta(seconds=3)))

    assert ended == Interval(
        since=NOW + EFFECT, until=NOW + EFFECT, on=change(NOW), off=change(NOW - timedelta(seconds=3))
    )
    assert not is_off_record((ended,), NOW + EFFECT)

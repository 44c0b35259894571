"""Laws of the breaker, for every sequence of answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.breaker import AttemptResult, BreakerState, Permission, after, may_send

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["taken", "failed", "failed", "failed", "nothing", "backed_off", "wait_listed", "checked", "paused"]
        ),
        st.integers(0, 3),
        st.sampled_from([0, 1, 20, 90, 1200, 40_000]),
    ),
    max_size=60,
)


def run(steps: list[tuple[str, int, int]]) -> list[tuple[datetime, str, BreakerState, BreakerState]]:
    """Each step with the state before and after; attempts are made only when they are allowed."""
    state, now, found = BreakerState(), NOW, []
    for what, lane, wait_s in steps:
        now += timedelta(seconds=wait_s)
        before = state
        if what in ("taken", "failed", "nothing"):
            permission = may_send(state, now)
            probe = permission is Permission.PROBE
            if permission is Permission.NO:
                continue
            before = state = breaker.leased(state, now) if probe else state
            state = after(state, AttemptResult(what), f"lane {lane}", now, probe=probe)
        elif what == "backed_off":
            state = breaker.backed_off(state, now + timedelta(seconds=90 * lane), now)
        elif what == "checked":
            state = breaker.checked(state, lane > 1, now) if breaker.wakes(state, now)[0] else state
        else:
            step: Any = getattr(breaker, what)
            state = step(state, now)
        found.append((now, what, before, state))
    return found


@settings(max_examples=150)
@given(STEPS)
def test_a_state_is_read_as_it_was_written(steps: list[tuple[str, int, int]]) -> None:
    for _, _, _, state in run(steps):
        assert breaker.from_document(breaker.document(state)) == state


@settings(max_examples=150)
@given(STEPS)
def test_a_destination_may_always_be_tried_again_within_a_day(steps: list[tuple[str, int, int]]) -> None:
    for now, _, _, state in run(steps):
        assert may_send(state, now + timedelta(hours=24, minutes=1)) is not Permission.NO


@settings(max_examples=150)
@given(STEPS)
def test_what_is_taken_ends_every_run_and_closes_the_breaker(steps: list[tuple[str, int, int]]) -> None:
    for now, what, before, state in run(steps):
        if what == "taken":
            assert (state.failures, state.probe_at, state.leased_until) == (0, None, None)
            assert before.probe_at is None or breaker.wakes(state, now)[0] > 0


@settings(max_examples=150)
@given(STEPS)
def test_an_open_breaker_is_looked_at_again_unless_nobody_is_to_look(steps: list[tuple[str, int, int]]) -> None:
    for _, what, before, state in run(steps):
        if state.probe_at is not None and (before.probe_at is None or before.wake_at is not None) and what != "paused":
            assert state.wake_at is not None


@settings(max_examples=150)
@given(STEPS)
def test_it_opens_only_by_ten_failures_in_a_row_on_two_lanes(steps: list[tuple[str, int, int]]) -> None:
    for _, what, before, state in run(steps):
        if before.probe_at is None and state.probe_at is not None:
            assert what == "failed"
            assert state.failures >= breaker.FAILURES
            assert len({lane for _, lane in state.recent}) >= breaker.LANES

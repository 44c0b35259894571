"""The breaker's states, one step at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.breaker import AttemptResult, BreakerState, Permission, after, may_send

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def failed(times: int, lanes: int = 2, every: timedelta = SECOND, state: BreakerState | None = None) -> BreakerState:
    state = state or BreakerState()
    for number in range(times):
        state = after(state, AttemptResult.FAILED, f"lane {number % lanes}", NOW + every * number)
    return state


def types(state: BreakerState) -> list[str]:
    return [notice.type for notice in state.notices]


def test_opens_when_ten_attempts_on_two_lanes_fail_within_five_minutes() -> None:
    state = failed(10)

    assert state.opened_at == NOW + 9 * SECOND
    assert state.probe_at == state.opened_at + MINUTE
    assert state.failing_since == NOW
    assert types(state) == ["destination.opened"]


@pytest.mark.parametrize(
    ("times", "lanes", "every"),
    [(9, 2, SECOND), (10, 1, SECOND), (40, 2, 34 * SECOND)],
    ids=["nine", "one lane", "slowly"],
)
def test_stays_closed_when_too_few_fail_on_too_few_lanes_or_too_slowly(
    times: int, lanes: int, every: timedelta
) -> None:
    state = failed(times, lanes, every)

    assert state.failures == times
    assert may_send(state, NOW + DAY) is Permission.YES
    assert types(state) == []


def test_starts_anew_when_one_is_taken_in_between() -> None:
    state = after(failed(9), AttemptResult.TAKEN, "lane 0", NOW)
    assert state == BreakerState()

    assert may_send(failed(9, state=state), NOW) is Permission.YES


def test_nothing_is_told_when_an_attempt_says_nothing_of_a_destination() -> None:
    state = failed(5)

    assert after(state, AttemptResult.NOTHING, "lane 0", NOW) is state
    assert after(BreakerState(), AttemptResult.TAKEN, "lane 0", NOW) == BreakerState()


def test_one_may_probe_at_a_time_when_the_breaker_is_open() -> None:
    state = failed(10)
    assert state.probe_at is not None
    before, at = state.probe_at - SECOND, state.probe_at

    assert may_send(state, before) is Permission.NO
    assert may_send(state, at) is Permission.PROBE
    taken = breaker.leased(state, at)
    assert may_send(taken, at + SECOND) is Permission.NO
    assert may_send(taken, at + breaker.LEASE) is Permission.PROBE


def test_probes_come_after_1_2_4_8_16_30_minutes_when_each_fails() -> None:
    state = failed(10)
    waits = []

    for _ in range(7):
        now = state.probe_at
        assert now is not None
        state = after(breaker.leased(state, now), AttemptResult.FAILED, "lane 0", now, probe=True)
        assert state.probe_at is not None
        waits.append((state.probe_at - now) / MINUTE)

    assert waits == [2, 4, 8, 16, 30, 30, 30]
    assert state.leased_until is None


def test_unmoved_when_what_was_on_its_way_fails_after_the_breaker_has_opened() -> None:
    state = failed(10)

    assert after(state, AttemptResult.FAILED, "lane 3", NOW + 20 * SECOND) is state


def test_closes_and_wakes_what_waits_when_a_probe_is_taken() -> None:
    state = failed(10)
    now = NOW + 2 * MINUTE

    state = after(breaker.leased(state, now), AttemptResult.TAKEN, "lane 0", now, probe=True)

    assert may_send(state, now) is Permission.YES
    assert (state.failures, state.opened_at, state.failing_since) == (0, None, None)
    assert breaker.wakes(state, now) == (breaker.WAKES_PER_S, True)
    assert types(state) == ["destination.opened", "destination.closed"]


def test_another_may_probe_at_once_when_a_probe_says_nothing() -> None:
    state = failed(10)
    now = NOW + 2 * MINUTE

    state = after(breaker.leased(state, now), AttemptResult.NOTHING, "lane 0", now, probe=True)

    assert may_send(state, now) is Permission.PROBE


def test_stays_open_and_wakes_nothing_when_a_probe_is_refused() -> None:
    state = failed(10)
    now = NOW + 2 * MINUTE

    state = after(breaker.leased(state, now), AttemptResult.REFUSED, "lane 0", now, probe=True)

    assert may_send(state, now + SECOND) is Permission.NO
    assert state.probe_at == now + 2 * MINUTE
    assert breaker.wakes(state, now + SECOND) == (0, False)
    assert types(state) == ["destination.opened"]


def test_a_refusal_neither_ends_nor_lengthens_a_run_of_failures() -> None:
    state = failed(9)

    assert after(state, AttemptResult.REFUSED, "lane 0", NOW) is state


def test_opens_at_once_and_probes_ever_less_often_when_access_is_lost() -> None:
    state = after(BreakerState(), AttemptResult.LOST_ACCESS, "lane 0", NOW)
    assert types(state) == ["destination.opened"]
    waits = []

    while not breaker.is_given_up(state):
        now = state.probe_at
        assert now is not None
        state = after(breaker.leased(state, now), AttemptResult.LOST_ACCESS, "lane 0", now, probe=True)
        assert state.probe_at is not None
        waits.append((state.probe_at - now) / MINUTE)

    assert waits[:9] == [2, 4, 8, 16, 32, 64, 128, 240, 240]
    assert len(waits) < 40  # far fewer than a delivery's attempts


def test_told_at_each_step_once_when_failure_goes_on_for_five_days() -> None:
    state = BreakerState()
    told: list[Any] = []

    for hour in range(122):
        state = after(state, AttemptResult.FAILED, "lane 0", NOW + timedelta(hours=hour))
        told.extend((hour, n.type, n.percent) for n in state.notices)
        state = BreakerState(**{**vars(state), "notices": ()})
        assert breaker.is_given_up(state) == (hour >= 120)

    assert told == [
        (60, "destination.failing", 50),
        (84, "destination.failing", 70),
        (108, "destination.failing", 90),
        (120, "destination.disabled", 100),
    ]


def test_another_run_begins_when_nothing_was_tried_for_long() -> None:
    state = after(BreakerState(), AttemptResult.FAILED, "lane 0", NOW)

    later = after(state, AttemptResult.FAILED, "lane 0", NOW + 6 * DAY)

    assert (later.failures, later.failing_since, later.told) == (1, NOW + 6 * DAY, 0)


def test_recovery_is_told_when_failing_was() -> None:
    state = failed(3, every=DAY)
    assert types(state) == []
    state = after(state, AttemptResult.FAILED, "lane 0", NOW + 3 * DAY)

    state = after(state, AttemptResult.TAKEN, "lane 0", NOW + 4 * DAY)

    assert types(state) == ["destination.failing", "destination.recovered"]


def test_nothing_may_be_sent_before_when_a_destination_asks_for_time() -> None:
    state = breaker.backed_off(BreakerState(), NOW + 10 * MINUTE, NOW)

    assert may_send(state, NOW + 9 * MINUTE) is Permission.NO
    assert may_send(state, NOW + 10 * MINUTE) is Permission.YES
    assert breaker.wakes(state, NOW + 10 * MINUTE) == (breaker.WAKES_PER_S, True)
    assert breaker.backed_off(state, NOW + 5 * MINUTE, NOW) is state
    assert breaker.backed_off(BreakerState(), NOW + 3 * DAY, NOW).not_before == NOW + DAY


def test_probe_waits_too_when_an_open_destination_asks_for_time() -> None:
    state = failed(10)
    assert state.probe_at is not None

    state = breaker.backed_off(state, state.probe_at + MINUTE, NOW)

    assert state.probe_at is not None
    assert may_send(state, state.probe_at) is Permission.NO
    assert may_send(state, state.probe_at + MINUTE) is Permission.PROBE
    assert state.wake_at == state.probe_at + MINUTE


def test_woken_at_the_rate_of_the_limit_when_lanes_wait_for_their_turn() -> None:
    state = breaker.wait_listed(BreakerState(), NOW, per_s=7)

    assert breaker.wakes(state, NOW) == (7, True)
    assert breaker.wait_listed(state, NOW + MINUTE, per_s=7) is state
    assert breaker.wakes(breaker.wait_listed(BreakerState(), NOW, per_s=1000), NOW)[0] == breaker.WAKES_PER_S_MAX


def test_nobody_looks_any_more_when_nothing_is_listed_for_five_minutes() -> None:
    state = breaker.wait_listed(BreakerState(), NOW, per_s=7)

    once = breaker.checked(state, False, NOW)
    assert breaker.wakes(once, NOW + MINUTE) == (0, False)
    assert breaker.wakes(once, NOW + breaker.EMPTY_FOR) == (7, True)
    assert breaker.checked(once, True, NOW + breaker.EMPTY_FOR).emptied is False
    assert breaker.checked(once, False, NOW + breaker.EMPTY_FOR).wake_at is None
    assert breaker.wait_listed(once, NOW + MINUTE, per_s=7).wake_at == NOW + MINUTE


def test_left_alone_when_a_destination_is_disabled_but_not_when_it_was_just_enabled() -> None:
    state = breaker.enabled(NOW)

    assert breaker.paused(state, NOW + MINUTE) is state
    assert breaker.paused(state, NOW + 5 * MINUTE).wake_at is None


def test_told_once_when_several_hear_that_a_destination_is_gone() -> None:
    state = breaker.gone(BreakerState(), NOW)

    assert breaker.gone(state, NOW + MINUTE) is state
    assert types(state) == ["destination.gone"]


def test_read_as_written_when_a_state_is_stored() -> None:
    state = breaker.backed_off(breaker.leased(failed(10), NOW), NOW + MINUTE, NOW)

    assert breaker.from_document(breaker.document(state)) == state
    assert breaker.document(BreakerState()) == {}

"""The refusals of a destination: what is counted, and when its tenant must be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core.delivery import breaker, refusals
from chalicelib.core.delivery.breaker import BreakerState
from chalicelib.core.delivery.refusals import Refusals
from chalicelib.core.delivery.retry import CODES, LOST_ACCESS, Outcome, is_refusal

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def played(answers: str, every: timedelta = SECOND, state: BreakerState | None = None, at: datetime = NOW) -> list[int]:
    """Count answers: x is a refusal, anything else a delivery. Return the numbers of those after which one is told."""
    state, told = state or BreakerState(), []
    for number, answer in enumerate(answers, 1):
        before = len(state.notices)
        code = {"x": "http_422", "k": "credentials"}.get(answer, "http_204")
        state = breaker.counted(state, code, f"trf_{number}", at + every * number)
        told += [number] * (len(state.notices) - before)
    return told


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("xxxx", []),
        ("xxxxx", [5]),
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", [5]),
        ("xxxx.xxxx.", []),
        ("xxxx.xxxx.x", [11]),
        ("x.x.x.x.x", []),
        ("x.x.x.x.x.x", [11]),
        ("x..x..x..x..x..x..x..x..x..x", []),
        ("k", [1]),
        ("kkkkkkxxxxx", [1, 7]),
        (".", []),
    ],
)
def test_the_tenant_is_told_at_five_in_a_row_and_at_half_of_ten(answers: str, told: list[int]) -> None:
    assert played(answers) == told


def test_told_of_five_in_a_row_however_slowly_they_come_and_of_no_share_of_few() -> None:
    assert played("xxxxx", every=timedelta(hours=20)) == [5]
    assert played("x." * 40, every=2 * MINUTE) == []


def test_told_again_after_a_day_or_once_deliveries_had_succeeded_in_between() -> None:
    hour = timedelta(hours=1)
    assert played("x" * 31, every=hour) == [5, 29]
    assert played("xxxxx.xxxxx", every=6 * MINUTE) == [5]
    assert played("xxxxx.xxxxx", every=11 * MINUTE) == [5, 11]


def test_a_destination_that_refuses_nothing_has_no_record() -> None:
    state = BreakerState()

    assert all(breaker.counted(state, "http_204", f"trf_{n}", NOW) is state for n in range(1000))
    assert breaker.counted(state, "http_503", "trf_1", NOW) is state


def test_a_busy_destinations_row_is_written_some_hundred_times_in_ten_minutes() -> None:
    state, writes, number = BreakerState(), 0, 40_000
    for n in range(number):
        code = "http_400" if n % 4 == 0 else "http_204"
        after = breaker.counted(state, code, f"trf_{n}", NOW + n * timedelta(milliseconds=14))
        writes, state = writes + (after is not state), after

    assert writes < 1000
    refused, taken = state.refusals.lately(NOW + 9 * MINUTE)
    assert number / 2 < refused + taken < number * 2
    assert state.notices == ()
    assert 0.15 < refused / (refused + taken) < 0.35


def test_every_code_is_a_refusal_an_outage_or_a_delivery() -> None:
    outages = {code for code, outcome in CODES.items() if outcome is Outcome.FAILED and not is_refusal(code)}

    assert outages == {
        *(f"http_{status}" for status in (408, 425, 429, *range(500, 600)) if status != 501),
        *("timeout", "dns", "connect", "tls", "broken", "protocol", "throttled", "unavailable", "contended"),
    }
    assert {code for code in CODES if CODES[code] is Outcome.REJECTED or code in LOST_ACCESS} < set(
        filter(is_refusal, CODES)
    )
    assert not any(is_refusal(code) for code, outcome in CODES.items() if outcome is Outcome.DELIVERED)


def test_the_record_is_read_as_it_was_stored_with_fields_of_a_later_release_dropped() -> None:
    seen = Refusals()
    for n in range(7):
        seen, _ = refusals.refused(seen, "http_400", f"trf_{n}", NOW + n * SECOND, 1)
    state = BreakerState(refusals=seen)

    stored = breaker.document(state)

    assert breaker.from_document(stored) == state
    stored["refusals"]["later"] = [1]
    assert breaker.from_document(stored) == state
    assert breaker.from_document(breaker.document(BreakerState())) == BreakerState()

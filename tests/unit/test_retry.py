"""The schedule of attempts, and the outcome of each attempt code."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core.delivery.retry import (
    ATTEMPTS_MAX,
    CODES,
    DEFAULT_DELAYS_S,
    LOST_ACCESS_WAIT_S,
    Outcome,
    http_code,
    next_attempt,
    outcome_of,
    retry_after,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def waits(key: str, delays_s: tuple[int, ...] = DEFAULT_DELAYS_S) -> list[float]:
    due = [next_attempt(made, delays_s, Outcome.FAILED, NOW, key) for made in range(1, len(delays_s) + 1)]
    return [(at - NOW).total_seconds() for at in due if at is not None]


def test_ten_attempts_are_made_in_about_three_days_when_every_one_fails() -> None:
    made = waits("dlv_a")

    assert len(made) == 9
    assert all(0.8 * base <= wait <= 1.2 * base for wait, base in zip(made, DEFAULT_DELAYS_S, strict=True))
    assert next_attempt(10, DEFAULT_DELAYS_S, Outcome.FAILED, NOW, "dlv_a") is None
    assert timedelta(days=2) < timedelta(seconds=sum(DEFAULT_DELAYS_S)) < timedelta(days=4)


def test_wait_is_the_same_when_it_is_worked_out_again() -> None:
    assert waits("dlv_a") == waits("dlv_a")


def test_waits_are_spread_when_deliveries_differ() -> None:
    spread = {waits(f"dlv_{n}", (1000,))[0] for n in range(200)}

    assert len(spread) > 190
    assert min(spread) < 830
    assert max(spread) > 1170


def test_own_schedule_is_followed_when_the_destination_has_one() -> None:
    assert len(waits("dlv_a", (10, 20))) == 2
    assert next_attempt(1, (), Outcome.FAILED, NOW, "dlv_a") is None


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.REJECTED, Outcome.GAVE_UP])
def test_nothing_follows_when_an_attempt_did_not_fail_for_now(outcome: Outcome) -> None:
    assert next_attempt(1, DEFAULT_DELAYS_S, outcome, NOW, "dlv_a") is None


@pytest.mark.parametrize("delays_s", [(), (5,), DEFAULT_DELAYS_S])
def test_a_delivery_waits_for_access_whatever_its_schedule_is(delays_s: tuple[int, ...]) -> None:
    made = range(1, ATTEMPTS_MAX)

    assert {outcome_of("credentials", n, delays_s, counted=0) for n in made} == {Outcome.FAILED}
    assert outcome_of("credentials", ATTEMPTS_MAX, delays_s, counted=0) is Outcome.GAVE_UP
    due = [next_attempt(n, delays_s, Outcome.FAILED, NOW, "dlv_a", counted=0, lost_access=True) for n in made]
    assert all(at is not None and at - NOW <= timedelta(seconds=LOST_ACCESS_WAIT_S * 1.2) for at in due)


def test_the_schedule_goes_on_where_it_was_when_access_is_back() -> None:
    assert outcome_of("http_503", 30, DEFAULT_DELAYS_S, counted=9) is Outcome.FAILED
    assert outcome_of("http_503", 30, DEFAULT_DELAYS_S, counted=10) is Outcome.GAVE_UP
    due = next_attempt(30, (1000, 5), Outcome.FAILED, NOW, "dlv_a", counted=1)
    assert due is not None and due - NOW >= timedelta(seconds=800)


def test_nothing_waits_for_access_off_the_record() -> None:
    assert outcome_of("credentials", 1, ()) is Outcome.GAVE_UP


def test_retry_after_lengthens_the_wait_up_to_a_day_when_a_destination_asks() -> None:
    def wait_s(asked: float) -> float:
        due = next_attempt(1, DEFAULT_DELAYS_S, Outcome.FAILED, NOW, "dlv_a", retry_after_s=asked)
        assert due is not None
        return (due - NOW).total_seconds()

    assert wait_s(0) == waits("dlv_a")[0]
    assert wait_s(120) == 120
    assert wait_s(1e9) == 86_400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ("1.", None),
        (".5", None),
        ("1.5.1", None),
        ("1e3", None),
        ("٣", None),
        ("0", 0),
        (" 120 ", 120),
        ("9" * 400, 9_999_999_999),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 12:02:00 -0000", 120),
        ("Sun, 99 Mar 2026 12:02:00 GMT", None),
        ("Sun, 01 Mar 999999999999 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_read_when_it_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, "http_200", Outcome.DELIVERED),
        (204, "http_204", Outcome.DELIVERED),
        (299, "http_299", Outcome.DELIVERED),
        (301, "redirect", Outcome.FAILED),
        (304, "redirect", Outcome.FAILED),
        (400, "http_400", Outcome.REJECTED),
        (401, "http_401", Outcome.FAILED),
        (403, "http_403", Outcome.FAILED),
        (404, "http_404", Outcome.FAILED),
        (408, "http_408", Outcome.FAILED),
        (410, "http_410", Outcome.FAILED),
        (413, "http_413", Outcome.REJECTED),
        (422, "http_422", Outcome.REJECTED),
        (425, "http_425", Outcome.FAILED),
        (429, "http_429", Outcome.FAILED),
        (500, "http_500", Outcome.FAILED),
        (501, "http_501", Outcome.REJECTED),
        (503, "http_503", Outcome.FAILED),
        (599, "http_599", Outcome.FAILED),
        (101, "protocol", Outcome.FAILED),
        (600, "protocol", Outcome.FAILED),
        (999, "protocol", Outcome.FAILED),
    ],
)
def test_outcome_is_the_tables_when_a_destination_answers(status: int, code: str, outcome: Outcome) -> None:
    assert http_code(status) == code
    assert CODES[code] is outcome


def test_every_status_has_a_code_when_anything_is_answered() -> None:
    assert all(http_code(status) in CODES for status in range(1000))
    assert all(re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", code) for code in CODES)


def test_delivery_is_given_up_when_the_last_attempt_fails() -> None:
    assert outcome_of("http_503", 9, DEFAULT_DELAYS_S) is Outcome.FAILED
    assert outcome_of("http_503", 10, DEFAULT_DELAYS_S) is Outcome.GAVE_UP
    assert outcome_of("http_400", 10, DEFAULT_DELAYS_S) is Outcome.REJECTED
    assert outcome_of("http_200", 10, DEFAULT_DELAYS_S) is Outcome.DELIVERED
    assert outcome_of("timeout", 1, ()) is Outcome.GAVE_UP
    assert outcome_of("dead_letter", 3, DEFAULT_DELAYS_S) is Outcome.GAVE_UP

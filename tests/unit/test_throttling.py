"""How long an account rests after its vendor asked for less, and what a kind's page says of its limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chalicelib.core.delivery import throttling
from chalicelib.core.delivery.throttling import Throttle
from chalicelib.destinations import KINDS, of_kind
from chalicelib.destinations.limits import VendorLimit

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
PAGES = Path(__file__).parents[2] / "docs" / "destinations"


def pauses(times: int, *, block: bool = False) -> list[float]:
    """The pauses of an account that is throttled each time that it is used again."""
    state, now, found = Throttle(at=NOW), NOW, []
    for _ in range(times):
        state = throttling.blocked(state, now) if block else throttling.throttled(state, now, None)
        assert state.until is not None
        found.append((state.until - now).total_seconds())
        now = state.until
    return found


def test_pause_doubles_from_a_second_to_a_minute_when_no_time_is_named() -> None:
    assert pauses(8) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_pause_lasts_minutes_when_the_account_is_blocked() -> None:
    found = pauses(14, block=True)

    assert found[0] == 60 and found[-1] == 600 and found == sorted(found)


def test_pause_is_one_when_several_calls_were_under_way() -> None:
    first = throttling.throttled(Throttle(), NOW, None)
    again = throttling.throttled(first, NOW + timedelta(seconds=0.5), None)

    assert again.number == first.number == 1


@pytest.mark.parametrize(("asked_s", "waited_s"), [(0.0, 1), (0.2, 1), (90.0, 90), (1e12, 86_400)])
def test_pause_is_what_the_vendor_names_between_a_second_and_a_day(asked_s: float, waited_s: float) -> None:
    assert throttling.throttled(Throttle(), NOW, asked_s).until == NOW + timedelta(seconds=waited_s)


def test_pauses_begin_again_and_calls_are_as_many_as_before_when_nothing_was_throttled_for_minutes() -> None:
    state = throttling.throttled(throttling.throttled(Throttle(), NOW, None), NOW + timedelta(seconds=1), None)
    assert (state.number, throttling.slower(state, NOW)) == (2, 3)

    later = NOW + timedelta(minutes=6)

    assert throttling.slower(state, later) == 1
    assert throttling.throttled(state, later, None).number == 1


def test_refusal_is_a_block_for_an_hour_after_a_throttle() -> None:
    state = throttling.throttled(Throttle(), NOW, None)

    assert not throttling.is_block(Throttle(), NOW)
    assert throttling.is_block(state, NOW + timedelta(minutes=59))
    assert not throttling.is_block(throttling.blocked(state, NOW + timedelta(minutes=59)), NOW + timedelta(minutes=61))


def row_of(limit: VendorLimit) -> str:
    """The row of a limit in its page's table."""
    what = f"{limit.by}, searches" if limit.method else limit.by
    rate = f"{limit.per_s:g} a second" if limit.per_s >= 0.5 else f"{limit.per_s * 60:g} a minute"
    return f"| {what} | {limit.vendor} | {rate} |"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if of_kind(kind).CAPABILITIES.limits])
def test_page_of_a_kind_shows_the_limits_of_its_vendor(kind: str) -> None:
    page = (PAGES / f"{kind}.md").read_text("utf-8")
    section = re.search(r"^## Limits\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)

    assert section is not None
    rows = [line for line in section[1].splitlines() if line.startswith("| ")][1:]
    assert rows == [row_of(limit) for limit in of_kind(kind).CAPABILITIES.limits]


def test_only_kinds_of_other_vendors_have_no_limits() -> None:
    without = {kind for kind in KINDS if not of_kind(kind).CAPABILITIES.limits}

    assert without == {"http", "sqs", "sns", "kinesis", "eventbridge", "firehose", "s3"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if of_kind(kind).CAPABILITIES.limits])
def test_rate_of_a_limit_is_below_that_of_the_vendor(kind: str) -> None:
    for limit in of_kind(kind).CAPABILITIES.limits:
        said = re.fullmatch(r"([0-9,]+) [a-z]+ (?:a (second|minute)|in (10) seconds)", limit.vendor)
        if said is None:
            assert limit.vendor == "not published"
            continue
        seconds = 10 if said[3] else {"second": 1, "minute": 60}[said[2]]
        assert limit.per_s < int(said[1].replace(",", "")) / seconds

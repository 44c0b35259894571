"""Until when the law demands content, worked out from the facts of storing it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import law
from chalicelib.core import times
from chalicelib.core.law.minima import Minima
from chalicelib.core.law.residency import Decider

LAW = law.installed()
DECIDER = Decider(LAW)
MINIMA = Minima(LAW, DECIDER.decide)
AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def facts(
    tenant_class: str | None = "ori", country: str = "RU", subject: str | None = "RU", **more: Any
) -> dict[str, Any]:
    return {
        "now": times.text(AT), "op": "store", "channel": "telegram", "router_role": "processor", "purpose": "support",
        "subject": {"country": subject, "signal": "none", "confidence": "unknown"},
        "data": {"classes": ["content", "identifier"], "special": []},
        "collector": {"country": country, "tenant_class": tenant_class},
        "store": {"country": country, "provider": "dynamodb", "copies": [country]},
        "first_write": {"country": country, "at": times.text(AT)}, "bases": [], "volumes": {}, **more,
    }  # fmt: skip


def test_the_minimum_ends_at_the_midnight_that_the_law_counts_to() -> None:
    minimum = MINIMA.of(facts(), AT)

    assert minimum is not None
    assert minimum.until == datetime(2027, 5, 19, 21, 0, tzinfo=UTC)  # in Moscow 20 May begins
    assert minimum.rules == ({"id": "RU.ORI.content", "verdict": "refused", "ref": "149-FZ art. 10.1(3) p. 2"},)


@pytest.mark.parametrize(
    "ordinary",
    [
        facts("general"),
        facts(country="DE", subject="DE"),
        facts(country="US", subject="IN"),
        facts("general", "CN", "CN"),
    ],
)
def test_there_is_none_when_no_rule_demands_content(ordinary: dict[str, Any]) -> None:
    assert MINIMA.of(ordinary, AT) is None


def test_content_is_kept_when_it_is_unknown_whether_it_must_be() -> None:
    assert MINIMA.of(facts(None), AT) == MINIMA.of(facts(), AT)


def test_there_is_none_yet_when_the_rule_is_not_in_force() -> None:
    assert MINIMA.of({**facts(), "now": "2018-06-30T12:00:00.000Z"}, AT) is None


@given(created=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_erasing_is_refused_until_the_minimum_is_over_and_not_from_then_on(created: datetime) -> None:
    minimum = MINIMA.of(facts(), created)
    assert minimum is not None

    def verdict(now: datetime) -> str:
        item = {"layer": "content", "created_at": times.text(created), "legal_hold": False}
        return DECIDER.decide({**facts(), "now": times.text(now), "op": "erase", "item": item}).verdict

    assert verdict(minimum.until - MILLISECOND) == "refused"
    assert verdict(minimum.until) != "refused"

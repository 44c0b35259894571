"""Laws of consents and switches: fewer consents, or more switches, never loosen; an entry's stored consents decide the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import find, given
from hypothesis import strategies as st

from chalicelib.core.log.entry import VERDICTS
from chalicelib.core.log.leaf import canonical
from chalicelib.core.tenant.configuration import Configuration
from chalicelib.core.tenant.consents import Consent, Withdrawal, grounds_of, kept, kept_grounds, none_given
from chalicelib.core.tenant.switches import Switch
from tests.support.grounds import (
    AT,
    COUNTRIES,
    PROFILE,
    UNTIL_FOUND,
    decided,
    id_of,
    situations,
)


def strictness(configuration: Configuration, given: list[Consent], now: datetime = AT) -> int:
    _, judgement = decided(configuration, grounds_of(given, configuration.shared_notices), now)
    return VERDICTS.index(judgement.verdict)


HELD = VERDICTS.index("held")


@PROFILE
@given(situations(), st.data())
def test_decision_never_loosens_when_a_consent_is_removed_or_withdrawn(situation: Any, data: Any) -> None:
    configuration, given_ones = situation
    before = strictness(configuration, given_ones)
    ended = data.draw(st.sampled_from(given_ones))
    rest = [c for c in given_ones if c.id != ended.id]
    end = Withdrawal(id=id_of("cns", 50), withdraws=ended.id, at=AT, method="app")

    removed = strictness(configuration, rest)
    withdrawn = strictness(configuration, [*rest, ended.model_copy(update={"withdrawal": end})])

    assert withdrawn == removed
    assert not before >= HELD > removed


@PROFILE
@given(situations(), st.sampled_from(["channel", "country", "recipient", "destination"]), st.sampled_from(COUNTRIES))
def test_decision_never_loosens_when_a_switch_is_thrown(situation: Any, scope: Any, country: str) -> None:
    configuration, given_ones = situation
    value = {"channel": "telegram", "country": country, "recipient": id_of("rcp"), "destination": id_of("dst")}[scope]
    switch = Switch(id=id_of("swi"), created_at=AT, scope=scope, value=value, reason="x", until=AT + timedelta(hours=1))
    before = strictness(configuration, given_ones)
    stopped = replace(configuration, switches={switch.id: switch})

    assert strictness(stopped, given_ones) >= before
    assert strictness(stopped, given_ones, AT + timedelta(hours=1)) == strictness(
        configuration, given_ones, AT + timedelta(hours=1)
    )


@PROFILE
@given(situations())
def test_decision_is_the_same_when_it_is_made_from_what_an_entry_keeps(situation: Any) -> None:
    configuration, given_ones = situation
    base, judgement = decided(configuration, grounds_of(given_ones, configuration.shared_notices))
    lines = kept(tuple(b for b in base["bases"] if b["id"].startswith("cns_")), [judgement.grounds])

    _, again = decided(configuration, kept_grounds(lines, 0))

    assert (again.verdict, again.rules, again.missing, again.basis) == (
        judgement.verdict, judgement.rules, judgement.missing, judgement.basis,
    )  # fmt: skip
    assert all(len(canonical({"line": line})) <= 120 for line in lines)


def test_some_consent_allows_what_nothing_else_does() -> None:
    """The laws above are not about nothing."""

    def allows(situation: Any) -> bool:
        configuration, given_ones = situation
        without = VERDICTS.index(decided(configuration, none_given)[1].verdict)
        return bool(without >= HELD > strictness(configuration, given_ones))

    assert allows(find(situations(), allows, settings=UNTIL_FOUND))

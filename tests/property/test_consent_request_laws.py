"""Laws of asking for consents: a person who gives exactly the requested consents helps the transfer on; none is useless."""

from __future__ import annotations

from typing import Any

from hypothesis import find, given

from chalicelib.core.decide.consent_request import ConsentRequest, wanted
from chalicelib.core.decide.plan import Cell, source_facts
from chalicelib.core.tenant.consents import Consent, grounds_of, none_given
from tests.support.grounds import AT, CLASSES, DECIDE, PROFILE, UNTIL_FOUND, decided, id_of, situations


def asked(configuration: Any, given_ones: list[Consent]) -> ConsentRequest | None:
    (source,), (route,) = configuration.sources.values(), configuration.routes.values()
    cell = Cell("x", configuration.tenant.controller.country)
    base = source_facts(configuration, source, cell, op="store", classes=CLASSES, now=AT, received_at=AT)
    return wanted(configuration, route, base, DECIDE, grounds_of(given_ones, configuration.shared_notices))


def as_asked(one: ConsentRequest) -> Consent:
    values = one.document()
    named = {name: values[name] for name in ("recipient", "purposes", "classes", "countries", *one.form)}
    return Consent.model_validate(
        {**named, "id": id_of("cns", 40), "subject": id_of("sub"), "given_at": AT, "created_at": AT, "method": "app",
         "notice_sha256": "ef" * 32}
    )  # fmt: skip


@PROFILE
@given(situations())
def test_the_consent_that_was_asked_for_helps_when_it_is_given(situation: Any) -> None:
    configuration, given_ones = situation
    one = asked(configuration, given_ones)
    _, before = decided(configuration, grounds_of(given_ones, configuration.shared_notices))
    if one is None:
        return

    _, after = decided(configuration, grounds_of([*given_ones, as_asked(one)], configuration.shared_notices))

    assert before.verdict == "held"
    assert after.verdict in ("allowed", "redacted") or set(before.missing) - set(after.missing)
    assert {id for id, _ in one.rules} <= {r["id"] for r in before.rules}


@PROFILE
@given(situations())
def test_nothing_is_asked_when_nothing_is_held(situation: Any) -> None:
    configuration, given_ones = situation
    _, before = decided(configuration, grounds_of(given_ones, configuration.shared_notices))

    assert before.verdict == "held" or asked(configuration, given_ones) is None


def test_some_consent_is_asked_for_in_each_of_several_forms() -> None:
    """The laws above are not about nothing."""
    forms: set[tuple[Any, ...]] = set()
    stores: set[bool] = set()

    def several(situation: Any) -> bool:
        configuration, _ = situation
        one = asked(configuration, [])
        if one is not None and decided(configuration, none_given)[1].verdict == "held":
            forms.add(tuple(one.form.values()))
            stores.add("message_routing" in one.purposes)
        return len(forms) > 1 and stores == {True, False}

    find(situations(), several, settings=UNTIL_FOUND)

    assert len(forms) > 1
    assert stores == {True, False}

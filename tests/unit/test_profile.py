"""Profiles as pure values: the declarations that their answers make, and the law's verdict at each profile's home."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from chalicelib.core.decide.plan import Cell
from chalicelib.core.errors import Invalid
from chalicelib.core.event.event import DataClass
from chalicelib.core.explain.profile import checked, digest, resolved, spell, unanswered
from chalicelib.core.explain.readiness import readiness
from chalicelib.core.law.residency import Decider
from chalicelib.core.tenant.configuration import Configuration
from chalicelib.core.tenant.records import Basis, Destination, Recipient, Route, Source, Tenant, TenantClass
from chalicelib.law import installed, profiles, texts

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
HOMES = {"eu-own-crm": ("eu-central-1", "DE"), "ru-in-country": ("none", "RU")}
BY_TYPE: dict[str, Any] = {
    "text": "Nord", "date": "2026-01-01", "digest": "ab" * 32, "url": "https://crm.example/in", "yes_or_no": True,
    "classes": [c.value for c in DataClass], "parties": [], "purpose": "customer_support", "source": "src_" + "0" * 26,
    "tenant_class": "general",
}  # fmt: skip
TENANT_CLASSES: tuple[str, ...] = get_args(TenantClass)
RECORDS: dict[str, Any] = {"bases": Basis, "recipients": Recipient, "destinations": Destination, "routes": Route}


def answers(name: Any, **changes: Any) -> Any:
    country = HOMES[name][1]
    given = {**BY_TYPE, "country": country, "countries": [country], "choice": "contract"}
    return {q.name: given[q.type] for q in profiles()[name].question} | changes


def ready(name: Any, given: Any) -> Any:
    profile = profiles()[name]
    region, country = HOMES[name]
    since = {"created_at": NOW}
    tenant = Tenant.model_validate(
        {
            "id": "t", **since, "name": "Nord", "edition": "enterprise", "tenant_class": "general",
            "controller": {"legal_name": "Nord", "country": country, "contact": "c"}, "retention": {"default_days": 30},
        }
    )  # fmt: skip
    source = Source(id=given["source"], channel="vk", name="s", subject_country=country, special=(), **since)
    made: Any = {kind: {} for kind in RECORDS}
    ids = {}
    for each in spell(profile, checked(profile, given)):
        kind = each.call.removeprefix("POST /v1/")
        ids[each.name] = each.name
        body = {k: v for k, v in resolved(each.body, ids).items() if k != "config"}
        made[kind][each.name] = RECORDS[kind].model_validate({**body, "id": each.name, **since})
    configuration = Configuration(tenant, 0, sources={source.id: source}, **made)
    return readiness(
        configuration,
        source,
        made["routes"]["route"],
        Cell(region, country),
        classes=BY_TYPE["classes"],
        now=NOW,
        law=installed(),
        decide=Decider(installed()).decide,
    )


@pytest.mark.parametrize("name", sorted(HOMES))
def test_flow_may_run_when_a_profile_is_answered_as_it_is_meant(name: Any) -> None:
    assert set(HOMES) == set(profiles())

    found = ready(name, answers(name))

    assert (found["decision"], found["missing"], found["days_needed"]) == ("allowed", [], 0)


@pytest.mark.parametrize("name", sorted(HOMES))
def test_flow_is_refused_when_the_tenant_does_not_grant(name: Any) -> None:
    assert ready(name, answers(name, granted=False))["decision"] == "refused"


def test_flow_is_held_when_the_recipient_is_abroad() -> None:
    found = ready("ru-in-country", answers("ru-in-country", recipient_country="US"))

    assert found["decision"] == "held"
    assert found["days_needed"] > 0


def test_every_question_is_used_when_a_profile_is_spelled_out() -> None:
    for name, profile in profiles().items():
        for question in profile.question:
            text = " ".join(str(d.body) + d.you_declare for d in profile.declare)
            assert f"{{{question.name}}}" in text, (name, question.name)


def test_digest_stands_for_every_answer_and_the_tenant_when_it_is_made() -> None:
    profile = profiles()["eu-own-crm"]
    decision = {"decision": "allow", "deciding": [], "missing": [], "rules_hash": "sha256:00"}
    other = {
        "text": "Other", "date": "2026-02-01", "digest": "cd" * 32, "url": "https://crm.example/other", "yes_or_no": False,
        "classes": ["name"], "parties": [{"id": "sub"}], "purpose": "billing", "source": "src_" + "1" * 26, "country": "FR",
        "countries": ["FR"], "choice": "consent",
    }  # fmt: skip

    def of(given: Any, tenant: Any = "t", decided: Any = decision) -> Any:
        return digest(profile, tenant, spell(profile, checked(profile, given)), decided)

    made = answers("eu-own-crm")
    found = [of({**made, q.name: other[q.type]}) for q in profile.question]
    assert len({of(made), of(made, "u"), of(made, "t", {**decision, "decision": "hold"}), *found}) == len(found) + 3
    assert of(dict(reversed(made.items()))) == of(made)


def test_answers_are_missing_or_refused_when_they_are_not_given_or_not_asked_for() -> None:
    profile = profiles()["eu-own-crm"]

    assert [q.name for q in unanswered(profile, {})] == [q.name for q in profile.question]
    with pytest.raises(Invalid) as refused:
        checked(profile, {"granted": 1, "other": 2})
    assert [e["loc"] for e in refused.value.errors] == ["body.answers.other", "body.answers.granted"]


@pytest.mark.parametrize("name", sorted(HOMES))
def test_class_of_the_tenant_is_asked_with_titles_where_the_law_of_the_home_reads_it(name: Any) -> None:
    code = HOMES[name][1]
    files = [f for f in installed().files if code in f.countries and f.code != "ANY"]
    named = {word for file in files for word in TENANT_CLASSES if f'"{word}"' in texts()[f"{file.code.lower()}.toml"]}
    asked = next((q for q in profiles()[name].question if q.type == "tenant_class"), None)

    assert files
    assert (asked is not None) == bool(named)
    if asked is not None:
        assert set(asked.choices) == named | {"general"}
        assert len(asked.choices) == len(asked.titles) == len(asked.titles_ru)

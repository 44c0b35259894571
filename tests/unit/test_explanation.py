"""The explanation of a decision: it follows the decision's own steps, in values without personal data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.commands.explain import explained
from chalicelib.core.explain.explanation import explain
from chalicelib.core.law.residency import decide
from chalicelib.law import installed
from tests.fixtures.residency.building import VECTORS, facts_of, put

LAW = installed()
FACTS = {v["id"]: facts_of(v) for v in VECTORS}


def why(shown: Any, rule: Any) -> Any:
    return next(w for w in shown["why"] if w["rule"] == rule)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_explanation_is_of_the_same_decision_when_facts_are_explained(name: Any) -> None:
    shown = explain(FACTS[name], LAW)

    decision = decide(FACTS[name], LAW).document()
    assert {key: shown[key] for key in decision} == decision
    assert [(w["rule"], w["effect"], w["hop"]) for w in shown["why"]] == [
        (r["id"], r["effect"], r["hop"]) for r in decision["rules"]
    ]
    assert all(w["because"] for w in shown["why"] if decision["error"] is None)
    assert (
        sorted([*shown["laws"], *(silent["law"] for silent in shown["not_applicable"])])
        == sorted(file.code for file in LAW.files)
        or decision["error"]
    )


def test_gate_names_the_country_and_what_would_open_it_when_nothing_permits() -> None:
    shown = why(explain(FACTS["eu-us-nothing"], LAW), "EU.44")

    assert shown["because"] == [{"path": "destination", "is": "US", "wanted": "a transfer that a permit lets pass"}]
    assert shown["fix"].startswith("declare a record of the kind scc or ")
    assert shown["fix"].endswith("for rcp (GDPR art. 44)")


def test_unmet_demand_shows_what_is_and_what_is_wanted_when_it_refuses() -> None:
    facts = json.loads(json.dumps(FACTS["eu-inside"]))
    put(facts, "recipient.granted", False)

    shown = why(explain(facts, LAW), "ANY.grant")

    assert {"path": "recipient.granted", "is": False, "wanted": True} in shown["because"]
    assert shown["fix"] == "declare recipient.granted (GDPR art. 6(1), 28(3)(a); 152-FZ art. 7, 9)"


def test_wait_is_told_with_its_end_when_a_filing_is_too_young() -> None:
    name = next(n for n, f in FACTS.items() if decide(f, LAW).retry_at and decide(f, LAW).decision == "hold")

    shown = explain(FACTS[name], LAW)

    assert f"wait until {shown['retry_at']} (152-FZ art. 12(9)-(11))" in [w["fix"] for w in shown["why"]]


def test_no_free_text_is_shown_when_facts_hold_it() -> None:
    facts = json.loads(json.dumps(FACTS["eu-us-nothing"]))
    put(facts, "purpose", "canary_purpose")
    put(facts, "store.provider", "canary provider")

    shown = explain(facts, LAW)

    assert "canary" not in json.dumps(shown)


def test_rule_is_marked_when_its_reading_is_not_settled_or_not_verified() -> None:
    name = next(
        n
        for n, f in FACTS.items()
        if any(not r["settled"] or r["confidence"] != "verified" for r in decide(f, LAW).document()["rules"])
    )

    shown = explain(FACTS[name], LAW)

    marked = {r["id"] for r in shown["rules"] if not r["settled"] or r["confidence"] != "verified"}
    assert marked and marked <= set(shown["unsettled"])
    assert explain(FACTS["eu-us-nothing"], LAW)["unsettled"] == []


def test_foreign_processor_answers_beside_the_operator_when_russian_law_applies() -> None:
    facts = next(
        f
        for f in FACTS.values()
        if "RU" in decide(f, LAW).laws
        and f.get("op") == "deliver"
        and f["collector"]["country"] == "RU"
        and f["recipient"]["entity_country"] == "US"
        and f["recipient"]["role"] == "processor"
    )

    answers = explain(facts, LAW)["answers"]

    assert answers["to_authority"] == [{"party": "collector", "country": "RU"}]
    assert answers["to_subject"] == [*answers["to_authority"], {"party": "recipient", "country": "US"}]


def test_law_is_silent_for_its_reasons_when_no_limb_meets_it() -> None:
    silent = {s["law"]: s["because"] for s in explain(FACTS["eu-inside"], LAW)["not_applicable"]}

    assert {"path": "collector.country", "is": "DE", "wanted": ["RU"]} in silent["RU"]
    assert {"path": "subject.countries", "is": ["DE"], "wanted": ["TR"]} in silent["TR"]


@pytest.mark.parametrize("line", ["{", "[]", '{"op": "store", "op": "store"}', '{"now": 1}'])
def test_line_is_denied_and_explained_when_not_a_facts_object(line: Any) -> None:
    shown = explained(line, LAW)

    assert (shown["decision"], shown["deciding"], shown["not_applicable"]) == ("deny", ["ANY.facts"], [])
    assert shown["error"]


def test_unsure_permit_is_what_waits_when_strict() -> None:
    shown = explain(FACTS["ae-contract"], LAW, strict=True)

    assert shown["deciding"] == ["ANY.unsettled"]
    assert why(shown, "ANY.unsettled")["because"]
    assert set(shown["unsettled"]) >= {r["id"] for r in shown["rules"] if r["confidence"] == "unsure"}

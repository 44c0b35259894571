"""The evaluator: malformed facts, what decisions show, what kept answers are worth."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import rfc8785

from chalicelib.core.law.bases import BasisDocuments, RecipientDocument
from chalicelib.core.law.loader import load_law
from chalicelib.core.law.raised import RAISED
from chalicelib.core.law.residency import Decider, decide
from chalicelib.law import installed, texts
from tests.fixtures.residency.building import VECTORS, facts_of, put

BY_ID = {v["id"]: v for v in VECTORS}


def facts_named(id: Any, **edits: Any) -> Any:
    facts = facts_of(BY_ID[id])
    for path, value in edits.items():
        put(facts, path.replace("__", "."), value)
    return facts


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("surprise", 1, "surprise: unknown key"),
        ("subject.language", "de", "subject.language: unknown key"),
        ("op", "teleport", "op: must be one of"),
        ("collector.country", "UK", "collector.country: must be a country"),
        ("collector.country", "de", "collector.country: must be a country"),
        ("store.copies", ["DE", "XX"], "store.copies: must be a country"),
        ("store.copies", "DE", "store.copies: must be a list"),
        ("data", [], "data: must be an object"),
        ("data.classes", ["secrets"], "data.classes: must be one of"),
        ("recipient.granted", "yes", "recipient.granted: must be true or false"),
        ("recipient.granted", 1, "recipient.granted: must be true or false"),
        ("volumes", {"CN": {"subjects_ytd": 1.5}}, "volumes.CN.subjects_ytd: must be a whole number"),
        ("volumes", {"CN": {"subjects_ytd": True}}, "volumes.CN.subjects_ytd: must be a whole number"),
        ("now", None, "now: must be an instant"),
        ("now", "2026-11-16", "now: must be an instant"),
        ("now", "2026-13-16T10:00:00.000Z", "now: must be"),
        ("now", "9999-12-31T23:59:59.000Z", "now: must be an instant between"),
        ("purpose", "", "purpose: must be a text"),
        ("purpose", "\ud800", "purpose: is not valid Unicode"),
        ("bases", [{"kind": "consent"}], "bases[0].id: must be given"),
        ("bases", [{"id": "b", "kind": "wish"}], "bases[0].kind: must be one of"),
        ("bases", [{"id": "b", "kind": "consent", "valid_from": "20260101"}], "bases[0].valid_from: must be a date"),
        ("bases", [7], "bases[0]: must be an object"),
        ("route.redactions", [{"action": "drop"}], "route.redactions[0].class: must be given"),
        ("route.redactions", [{"class": "technical", "action": "drop"}], "route.redactions[0].class: technical"),
        ("route.redactions", [{"path": "$..x", "action": "drop"}], "route.redactions[0].path: must be made of"),
    ],
)
def test_facts_are_denied_when_malformed(path: Any, value: Any, place: Any) -> None:
    facts = facts_named("eu-inside")
    put(facts, path, value)

    shown = decide(facts, installed()).document()

    assert shown["decision"] == "deny"
    assert shown["deciding"] == ["ANY.facts"]
    assert shown["error"].startswith(place)
    assert shown["id"] == "eu-inside"


@pytest.mark.parametrize("facts", [None, [], "facts", 7, {}])
def test_answer_is_denied_when_there_are_no_facts(facts: Any) -> None:
    shown = decide(facts, installed()).document()

    assert (shown["decision"], shown["deciding"]) == ("deny", ["ANY.facts"])
    assert shown["error"]


def test_error_holds_no_value_when_facts_are_malformed() -> None:
    facts = facts_named("eu-inside", channel={"name": "Mustermann"}, purpose=["+49 170 1234567"])
    facts["Mustermann, Erika"] = 1

    error = decide(facts, installed()).error

    assert error is not None
    assert "Mustermann" not in error
    assert "170" not in error


def test_decision_has_every_field_when_shown() -> None:
    shown = decide(facts_named("eu-scc-no-tia"), installed()).document()

    assert list(shown) == [
        "id", "decision", "deciding", "laws", "missing", "redact", "retry_at", "bases", "obligations", "rules",
        "rules_version", "rules_hash", "facts_hash", "error",
    ]  # fmt: skip
    (held,) = [r for r in shown["rules"] if r["effect"] == "hold"]
    assert held == {
        "id": "EU.46.tia", "title": "Safeguards need an assessment of the transfer",
        "ref": "GDPR art. 46(1); C-311/18 (Schrems II)", "law": "EU", "effect": "hold", "hop": "rcp",
        "code": None, "instead": None, "fine": None, "confidence": "verified", "settled": True, "version": "2020-07-16",
    }  # fmt: skip
    assert shown["bases"] == ["contract", "instruction", "processor-contract", "scc"]
    assert shown["rules_hash"] == installed().hash


def test_first_flow_rests_on_three_rules_when_recipient_is_in_the_union() -> None:
    decision = decide(facts_named("eu-inside"), installed())

    assert decision.verdict == "allowed"
    assert [(r["id"], r["verdict"]) for r in decision.selected_rules()] == [
        ("ANY.basis", "allowed"), ("ANY.contract", "allowed"), ("ANY.instruction", "allowed"),
    ]  # fmt: skip
    assert decision.classes_out == ("content", "identifier", "name")


def test_first_flow_is_held_by_the_gate_when_recipient_is_in_the_us() -> None:
    decision = decide(facts_named("eu-us-nothing"), installed())

    assert decision.selected_rules() == [{"id": "EU.44", "verdict": "held", "ref": "GDPR art. 44"}]
    assert decision.missing == ("basis:EU.44:rcp",)
    assert decision.classes_out == ()


def test_fine_and_code_are_named_when_rule_refuses() -> None:
    shown = decide(facts_named("ru-store-abroad-new"), installed()).document()

    (denied,) = [r for r in shown["rules"] if r["effect"] == "deny"]
    assert (denied["code"], denied["fine"]) == ("localisation", "RU.KoAP.13.11.8")


def test_redacting_rules_and_grounds_are_selected_when_recipient_gets_less() -> None:
    decision = decide(facts_named("any-classes-permitted"), installed())

    verdicts = {r["id"]: r["verdict"] for r in decision.selected_rules()}
    assert verdicts["ANY.classes"] == "redacted"
    assert verdicts["ANY.basis"] == "allowed"
    assert decision.classes_out == ("identifier",)


def test_unsure_permit_holds_when_strict() -> None:
    facts = facts_named("ae-contract")

    decision = decide(facts, installed(), strict=True)

    assert decision.decision == "hold"
    assert decision.deciding == ["ANY.unsettled"]
    assert decide(facts_named("eu-brazil-first-day"), installed(), strict=True).decision == "allow"


def test_banned_notice_is_not_named_as_evidence_when_it_forbids() -> None:
    shown = decide(facts_named("ru-ban"), installed()).document()

    assert "notification-filed" not in shown["bases"]


def test_nothing_is_allowed_when_no_rule_is_in_force_yet() -> None:
    shown = decide(facts_named("any-no-legal-hold", now="1999-12-31T10:00:00.000Z"), installed()).document()

    assert (shown["decision"], shown["deciding"]) == ("hold", ["ANY.law-unknown"])


def test_facts_hash_is_of_rfc_8785_form_when_facts_differ_only_by_id() -> None:
    facts = facts_named("eu-inside")
    other = {**facts, "id": "x", "purpose": "caf\u00e9 \u007f\n"}

    assert decide(facts, installed()).facts_hash == decide({**facts, "id": "x"}, installed()).facts_hash
    plain = {k: v for k, v in other.items() if k != "id"}
    assert decide(other, installed()).facts_hash == "sha256:" + hashlib.sha256(rfc8785.dumps(plain)).hexdigest()


def test_every_named_id_is_in_the_law_document_when_vectors_are_decided() -> None:
    known = {r["id"] for r in installed().document()["rules"]}

    named = {r["id"] for v in VECTORS for r in decide(facts_of(v), installed()).document()["rules"]}

    assert named <= known
    assert {p.id for p in RAISED} <= known


def test_kept_answer_is_forgotten_when_the_day_ends() -> None:
    decider = Decider(installed())
    before = facts_named("ru-midnight-before")
    after = {**before, "now": "2025-06-30T21:00:00.000Z"}

    first, second = decider.decide(before), decider.decide(after)

    assert "RU.18.5@2015-09-01" in first.deciding
    assert "RU.18.5@2025-07-01" in second.deciding


def test_kept_answer_is_forgotten_when_a_record_is_withdrawn() -> None:
    decider = Decider(installed())
    facts = facts_named("any-ground-not-yet-withdrawn")

    first = decider.decide(facts)
    second = decider.decide({**facts, "now": "2026-11-16T10:00:01.000Z"})

    assert (first.decision, second.decision) == ("allow", "hold")


def test_kept_answer_is_that_of_the_same_records_when_declared_ones_differ() -> None:
    decider = Decider(installed())
    facts = facts_named("eu-scc-tia")
    declared = {**facts, "bases": BasisDocuments(facts["bases"])}
    fewer = {**facts, "bases": BasisDocuments(facts["bases"][:0])}

    kept = [decider.decide(asked) for asked in (declared, fewer, declared, facts)]

    assert [d.document() for d in kept] == [
        decide(asked, installed()).document() for asked in (declared, fewer, declared, facts)
    ]
    assert (kept[0].decision, kept[1].decision) == ("allow", "deny")
    assert kept[2].findings is kept[0].findings


def test_kept_answer_is_that_of_the_same_recipient_when_declared_ones_differ() -> None:
    decider = Decider(installed())
    facts = facts_named("eu-inside")
    declared = {**facts, "recipient": RecipientDocument(facts["recipient"])}
    abroad = {**facts, "recipient": RecipientDocument({**facts["recipient"], "processing_countries": ["US"]})}

    kept = [decider.decide(asked) for asked in (declared, abroad, declared, facts)]

    assert [d.document() for d in kept] == [
        decide(asked, installed()).document() for asked in (declared, abroad, declared, facts)
    ]
    assert kept[0].decision != kept[1].decision
    assert kept[2].findings is kept[0].findings


def test_kept_answer_carries_own_id_and_hash_when_facts_differ_in_what_does_not_matter() -> None:
    decider = Decider(installed(), size=2)
    facts = facts_named("eu-inside")
    later = {**facts, "id": "other", "now": "2026-11-16T10:00:07.000Z"}
    later["first_write"] = {**facts["first_write"], "at": "2026-11-16T10:00:06.000Z"}

    decider.decide(facts)
    kept = decider.decide(later)

    assert kept.document() == decide(later, installed()).document()


def test_least_lately_used_answer_goes_when_the_decider_is_full() -> None:
    law = load_law(texts())
    decider = Decider(law, size=2)
    a, b, c = (facts_named(i) for i in ("eu-inside", "eu-us-nothing", "eu-scc-tia"))

    of_a, of_b = decider.decide(a), decider.decide(b)
    decider.decide(a)
    decider.decide(c)

    # A kept answer is the very same findings.
    assert decider.decide(a).findings is of_a.findings
    assert decider.decide(b).findings is not of_b.findings


def test_nothing_decides_when_only_an_incident_is_asked_about() -> None:
    shown = decide(facts_named("eu-breach-controller"), installed()).document()

    assert (shown["decision"], shown["deciding"]) == ("none", [])
    assert shown["obligations"] != []


def test_refusal_has_no_time_to_try_again_when_a_wait_runs_beside_it() -> None:
    waiting = facts_named("ru-other-waits")

    refused = decide({**waiting, "held_since": "2026-11-01T00:00:00.000Z"}, installed())

    assert decide(waiting, installed()).retry_at == "2026-11-30T21:00:00.000Z"
    assert (refused.decision, refused.retry_at) == ("deny", None)

"""Decisions on both sides of every boundary: ``tests/fixtures/residency``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.core.law.residency import decide
from chalicelib.law import installed
from tests.fixtures.residency.building import VECTORS, facts_of


@pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])
def test_decision_is_as_written_when_vector_is_asked(vector: Any) -> None:
    facts, expect = facts_of(vector), vector["expect"]

    decision = decide(facts, installed())
    shown = decision.document()

    assert shown["decision"] == expect["decision"], shown["deciding"]
    assert shown["missing"] == expect["missing"]
    if expect["decision"] in ("hold", "deny"):
        assert shown["deciding"] == expect["deciding"]
    else:
        of_effect = {r["id"] for r in shown["rules"] if r["effect"] in ("allow", expect["decision"])}
        assert set(expect.get("deciding", ())) <= of_effect
    assert {"retry_at": shown["retry_at"]} == {"retry_at": expect.get("retry_at")}
    assert shown["laws"] == expect.get("laws", shown["laws"])
    assert set(expect.get("obligations", ())) <= {o["code"] for o in shown["obligations"]}
    due = {o["rule"]: o["due_at"] for o in shown["obligations"]}
    assert {rule: due.get(rule) for rule in expect.get("due", {})} == expect.get("due", {})
    if "redact" in expect:
        assert [[r["class"], r["path"], r["action"], r["rule"]] for r in shown["redact"]] == expect["redact"]
    if "instead" in expect:
        assert {r["instead"] for r in shown["rules"] if r["effect"] == "deny"} == {expect["instead"]}
    if "selected" in expect:
        assert [r["id"] for r in decision.selected_rules()] == expect["selected"]


def test_every_rule_is_named_by_a_vector_when_law_is_any_eu_or_ru() -> None:
    law = installed()
    rules = {r.id for f in (law.any, *law.files) if f.code in ("ANY", "EU", "RU") for r in (*f.permits, *f.rules)}

    named = set()
    for vector in VECTORS:
        shown = decide(facts_of(vector), law).document()
        wanted = {*vector["expect"].get("deciding", ()), *vector["expect"].get("due", ())}
        codes = set(vector["expect"].get("obligations", ()))
        named |= wanted | {o["rule"] for o in shown["obligations"] if o["code"] in codes}

    assert rules - named == set()


def test_vectors_are_distinct_when_read() -> None:
    assert len({v["id"] for v in VECTORS}) == len(VECTORS) >= 80
    assert len({json.dumps(facts_of(v), sort_keys=True) for v in VECTORS}) == len(VECTORS)

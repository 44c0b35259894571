"""What rules read of basis records: a record counts for the recipient that it names, and an unstated field is no answer."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import rfc8785

from chalicelib.core.explain.preflight import examine
from chalicelib.core.law.fact_fields import BASIS_FIELDS
from chalicelib.core.law.loader import load_pack
from chalicelib.core.law.residency import decide
from chalicelib.law import installed
from tests.fixtures.residency.building import VECTORS, facts_of

LAW = installed()
FACTS = [facts_of(vector) for vector in VECTORS]
PASSES = ("allow", "redact")
VALUES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("unmodified", "separate_document", "written", "special", "occasional"), (True, False)),
    **dict.fromkeys(("signed_on", "notified_on", "filed_on", "given_on"), ("2001-01-01", "2026-11-13", "2026-11-16")),
    "status": ("approved", "banned", "filed"),
    "scheme": ("EU-US-DPF", "IDTA", "Swiss-US-DPF", "UK-Addendum", "UK-US-bridge", "none"),
}
SUPPLY = re.compile(r"POST /v1/bases (\{.*?\})")


def read_fields() -> set[tuple[str, str, str]]:
    """Return each (law, kind, field) that a rule reads of a record."""
    found = set()
    for file in (LAW.any, *LAW.files):
        for rule in file.table.get("rule", ()):
            for basis in tables([rule.get("when", {}), rule.get("require", {})]):
                kinds = basis["kind"] if isinstance(basis["kind"], list) else [basis["kind"]]
                found |= {(file.code, kind, name) for kind in kinds for name in basis if name in BASIS_FIELDS}
            for wait in tables([rule.get("when", {}), rule.get("require", {})], "waited", "within"):
                found.add((file.code, wait["kind"], wait["field"]))
    return found


def tables(value: Any, *names: str) -> Iterator[dict[str, Any]]:
    """Yield every ``basis`` of conditions, or every condition of other names."""
    if isinstance(value, dict):
        yield from (value[name] for name in names or ("basis",) if name in value)
        for inner in value.values():
            yield from tables(inner, *names)
    elif isinstance(value, list):
        for inner in value:
            yield from tables(inner, *names)


def with_field(facts: dict[str, Any], position: int, name: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(facts)
    changed["bases"][position][name] = value
    return changed


def situations() -> list[dict[str, Any]]:
    """Return the vectors' facts, and for each field that a rule reads of a kind a delivery on a record that lacks it."""
    whole = list(FACTS)
    home = {f.code: min(f.countries) for f in LAW.files if f.countries}
    deliver = next(vector for vector in VECTORS if vector["base"] == "deliver")
    for law, kind, _ in sorted(read_fields()):
        country = home.get(law, "DE")
        for to in ("US", country):
            record = {"kind": kind, "law": law if law != "ANY" else None, "recipient": "rcp"}
            record |= {name: values[0] for name, values in VALUES.items()}
            vector = {**deliver, "id": f"{law}-{kind}-{to}", "home": country, "to": to, "with": [record], "set": {}}
            facts = facts_of(vector)
            if law in ("DIFC", "ADGM"):
                facts["collector"]["zone"] = law
            facts["data"]["special"] = ["health"] if to == country else []
            whole.append(facts)
    return whole


def test_unstated_field_never_lets_pass_what_one_of_its_values_would_not() -> None:
    named: set[str] = set()
    read = {(kind, name) for _, kind, name in read_fields()}

    for facts in situations():
        for position, record in enumerate(facts["bases"] if isinstance(facts.get("bases"), list) else ()):
            for name, values in VALUES.items():
                if (record["kind"], name) not in read:
                    continue
                unstated = decide(with_field(facts, position, name, None), LAW)
                named |= {p.rpartition(".")[2] for p in unstated.missing if p.startswith(f"bases.{record['id']}.")}
                if unstated.decision in PASSES:
                    stated = [decide(with_field(facts, position, name, value), LAW).decision for value in values]
                    assert set(stated) <= set(PASSES), (facts["id"], record["kind"], name, stated)

    # Of a date that a rule only wants to be there, the absence is an answer; the rule's own gap names it.
    assert named & set(BASIS_FIELDS) == {name for _, name in read} - {"notified_on"}


@pytest.mark.parametrize("named", ["rcp_other", "store"])
def test_record_counts_for_no_other_recipient_when_it_names_one(named: str) -> None:
    for facts in FACTS:
        if facts.get("op") not in ("deliver", "view", "export") or not isinstance(facts.get("bases"), list):
            continue
        hops = {facts.get("recipient", {}).get("id"), *(o["id"] for o in facts["recipient"].get("onward") or ())}
        if named in hops:
            continue
        for position, record in enumerate(facts["bases"]):
            elsewhere = with_field(with_field(facts, position, "recipient", named), position, "id", "elsewhere")

            assert "elsewhere" not in decide(elsewhere, LAW).bases, (facts["id"], record["kind"])


@pytest.mark.parametrize(("recipient", "decision"), [("rcp", "allow"), ("rcp_other", "hold"), (None, "hold")])
def test_consent_is_ground_for_its_recipient_only_when_nothing_else_is_one(
    recipient: str | None, decision: str
) -> None:
    record = {"kind": "consent", "recipient": recipient}
    vector = {"id": "a", "base": "deliver", "home": "DE", "to": "DE", "with": [record], "without": ["contract"]}

    found = decide(facts_of(vector), LAW)

    assert found.decision == decision
    assert ("basis:ANY.processing-ground" in found.missing) is (decision == "hold")


def test_russian_consent_is_held_when_its_separateness_is_unstated() -> None:
    vector = next(v for v in VECTORS if v["id"] == "ru-adequate")
    facts = facts_of(vector)
    consent = next(n for n, b in enumerate(facts["bases"]) if b["kind"] == "consent")
    del facts["bases"][consent]["separate_document"], facts["bases"][consent]["given_on"]

    decision = decide(facts, LAW)

    assert decision.decision == "hold"
    assert decision.missing == ("bases.consent.given_on", "bases.consent.separate_document")


def test_supply_states_every_field_that_a_rule_reads() -> None:
    asked = 0
    for facts in FACTS:
        if not isinstance(facts.get("bases"), list):
            continue
        for gap in examine(facts, lambda f: decide(f, LAW), LAW).gaps:
            call = SUPPLY.match(gap.supply or "")
            if call is None:
                continue
            asked += 1
            body = json.loads(call[1])
            dates = {name: "2026-09-01" for name, value in body.items() if value == "…" and name.endswith("_on")}
            record = {"recipient": None, "law": None, **body, **dates, "id": "new", "valid_from": "2020-01-01"}
            record |= {"valid_until": None, "evidence": "sha256:ab"}

            after = decide({**facts, "bases": [*facts["bases"], record]}, LAW)

            assert not [path for path in after.missing if path.startswith("bases.new.")], (facts["id"], gap)
    assert asked > 30


def test_pack_of_the_first_rule_language_decides_as_it_did() -> None:
    pack = json.loads(LAW.canonical)
    for table in pack["laws"]:
        for name in ("language", "gate_title", "gate_title_ru", "links"):
            table.pop(name, None)
        for row in table["rule"]:
            del row["title"], row["title_ru"]
    old = load_pack(rfc8785.dumps(pack), LAW.bulk)
    record = {"kind": "consent", "recipient": "rcp_other"}
    facts = facts_of(
        {"id": "a", "base": "deliver", "home": "DE", "to": "DE", "with": [record], "without": ["contract"]}
    )

    assert old.language == 1
    assert (decide(facts, old).decision, decide(facts, LAW).decision) == ("allow", "hold")

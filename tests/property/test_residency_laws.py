"""Laws of the evaluator: for any facts, unknown is never yes, and more law or less evidence never loosens."""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from chalicelib.core.law.bases import BasisDocuments, BasisKind
from chalicelib.core.law.decision import STRICTNESS
from chalicelib.core.law.loader import load_law
from chalicelib.core.law.residency import Decider, decide
from chalicelib.law import installed, texts
from tests.fixtures.residency.building import BASES, VECTORS, facts_of, put, record

LAW = installed()
COUNTRIES = ["DE", "FR", "RU", "US", "GB", "CH", "KZ", "TR", "AE", "CN", "IN", "BR"]
REQUIRED = [
    "op", "channel", "router_role", "purpose", "subject.country", "data.classes", "data.special", "collector.country",
    "collector.tenant_class", "store.country", "store.copies", "first_write.country", "first_write.at",
    "recipient.id", "recipient.entity_country", "recipient.processing_countries", "recipient.role",
    "recipient.granted", "recipient.classes", "recipient.onward", "route.mode", "subject", "data", "collector",
    "store", "first_write", "recipient", "route", "volumes",
]  # fmt: skip
CLASSES = ["identifier", "contact", "name", "content", "media", "location", "behaviour", "technical"]
PROFILE = settings(max_examples=150)


def looser(before: Any, after: Any) -> Any:
    return STRICTNESS[before] >= STRICTNESS["hold"] > STRICTNESS[after]


@st.composite
def records(draw: Any, position: Any) -> Any:
    edits = {
        "id": f"b{position}",
        "kind": draw(st.sampled_from([k.value for k in BasisKind])),
        "recipient": draw(st.sampled_from([None, "rcp", "rcp", "rcp", "store", "rcp_sub"])),
        "law": draw(st.sampled_from([None, "EU", "RU", "TR", "UK", "CH", "CN", "BR", "KZ"])),
        "valid_until": draw(st.sampled_from([None, None, "2025-01-01", "2026-11-17"])),
        "evidence": draw(st.sampled_from(["sha256:ab", "sha256:ab", "sha256:ab", None])),
    }
    for name in ("separate_document", "written", "special", "occasional", "unmodified"):
        edits[name] = draw(st.sampled_from([True, True, False, None]))
    for name in ("given_on", "filed_on", "signed_on", "notified_on"):
        edits[name] = draw(st.sampled_from([None, "2024-03-01", "2026-11-09", "2026-11-12"]))
    edits["status"] = draw(st.sampled_from([None, "approved", "filed", "banned"]))
    edits["scheme"] = draw(st.sampled_from([None, "EU-US-DPF", "IDTA"]))
    return record(edits)


@st.composite
def situations(draw: Any) -> Any:
    """Facts near those of the vectors: enough is in order for a decision to hang on the rest."""
    if draw(st.booleans()):
        facts = facts_of(draw(st.sampled_from(VECTORS)))
    else:
        vector = {
            "id": "x",
            "base": draw(st.sampled_from(["deliver", "deliver", "deliver", "store", "erase"])),
            "home": draw(st.sampled_from(COUNTRIES)),
        }
        if "recipient" in BASES[vector["base"]]:
            vector["to"] = draw(st.lists(st.sampled_from(COUNTRIES), min_size=1, max_size=2, unique=True))
        facts = facts_of(vector)
        put(facts, "data.classes", draw(st.lists(st.sampled_from(CLASSES), min_size=1, unique=True)))
        put(facts, "data.special", draw(st.sampled_from([[], [], ["health"], ["convictions"]])))
        put(facts, "subject.country", draw(st.sampled_from([facts["collector"]["country"], *COUNTRIES])))
        put(facts, "collector.tenant_class", draw(st.sampled_from(["general", "general", "bank", "ori", "ciio"])))
        put(facts, "volumes", {"CN": {"subjects_ytd": 5, "sensitive_ytd": 0}, "US": {"identifiers_12m": 100001}})
        facts["now"] = draw(st.sampled_from(["2026-11-16T10:00:00.000Z", "2024-07-01T21:30:00.000Z"]))
        if "route" in facts:
            put(facts, "route.mode", draw(st.sampled_from(["replicate", "redact", "restrict"])))
            if draw(st.booleans()):
                sub = {"id": "rcp_sub", "entity_country": "US", "processing_countries": ["US"], "role": "controller"}
                put(facts, "recipient.onward", [{**sub, "granted": draw(st.booleans())}])
    for position in range(draw(st.integers(0, 4))):
        facts["bases"].append(draw(records(position)))
    return facts


@PROFILE
@given(situations())
def test_every_decision_cites_when_facts_are_any(facts: Any) -> None:
    shown = decide(facts, LAW).document()

    assert shown["rules"] or shown["decision"] == "none"
    assert all(r["id"] and r["ref"] for r in shown["rules"])
    assert shown["deciding"] or shown["decision"] == "none"
    assert shown["decision"] in ("hold", "deny") or shown["missing"] == []


def named(id: Any, **edits: Any) -> Any:
    facts = facts_of(next(v for v in VECTORS if v["id"] == id))
    for path, value in edits.items():
        put(facts, path.replace("__", "."), value)
    return facts


@PROFILE
@given(situations(), st.sampled_from(REQUIRED))
# Nothing personal goes to a further recipient without a grant: not to know of it must not help.
@example(facts=named("eu-onward-no-grant", data__classes=["technical"]), path="recipient.onward")
def test_decision_never_loosens_when_a_required_fact_becomes_unknown(facts: Any, path: Any) -> None:
    before = decide(facts, LAW).decision
    edited = copy.deepcopy(facts)
    put(edited, path, None)

    after = decide(edited, LAW).decision

    assert not looser(before, after), (path, before, after)


@PROFILE
@given(situations())
# Without the clauses, the derogation would be relied on, which wants no assessment.
@example(facts=named("eu-first-permit-counts"))
# Without the banned notice, the other would be relied on.
@example(
    facts=named(
        "ru-ban",
        bases=[
            *named("ru-ban")["bases"],
            record(
                {"id": "b2", "kind": "notification-filed", "law": "RU", "recipient": "rcp", "filed_on": "2026-11-02"}
            ),
        ],
    )
)
def test_decision_never_loosens_when_named_evidence_is_removed(facts: Any) -> None:
    before = decide(facts, LAW)
    assume(before.bases)

    for name in before.bases:
        rest = [b for b in facts["bases"] if b["id"] != name]
        after = decide({**facts, "bases": rest}, LAW).decision
        assert not looser(before.decision, after), (name, before.deciding)


@PROFILE
@given(situations(), st.sampled_from(["eu", "ru", "us", "tr", "cn", "in", "kz", "br", "uk", "ch", "ae"]))
def test_decision_never_loosens_when_a_law_is_added(facts: Any, name: Any) -> None:
    whole = decide(facts, LAW).decision
    fewer = decide(facts, WITHOUT[name])
    # A law that was missing altogether is itself a hold; that one may end.
    assume("ANY.law-unknown" not in fewer.deciding)

    assert STRICTNESS[whole] >= STRICTNESS[fewer.decision]


WITHOUT = {
    name: load_law({n: t for n, t in texts().items() if n != f"{name}.toml"})
    for name in ("eu", "ru", "us", "tr", "cn", "in", "kz", "br", "uk", "ch", "ae")
}


@PROFILE
@given(situations(), st.integers(0, 2**32))
def test_decision_stays_when_order_changes(facts: Any, seed: Any) -> None:
    chance = random.Random(seed)
    before = decide(facts, LAW).document()
    shuffled = _shuffled(facts, chance)

    after = decide(shuffled, LAW).document()

    del before["facts_hash"], after["facts_hash"]
    assert after == before


def _shuffled(value: Any, chance: Any) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {k: _shuffled(v, chance) for k, v in items}
    if isinstance(value, list):
        return chance.sample([_shuffled(v, chance) for v in value], len(value))
    return value


@PROFILE
@given(situations())
def test_decision_stays_when_files_come_in_another_order(facts: Any) -> None:
    assert decide(facts, BACKWARDS).document() == decide(facts, LAW).document()


BACKWARDS = load_law(dict(reversed(list(texts().items()))))
SHARED = Decider(LAW, size=64)
TIMES = ["2026-11-16T10:00:00.000Z", "2026-11-16T20:59:59.999Z", "2026-11-16T21:00:00.000Z", "2026-11-30T23:00:00.000Z"]


@PROFILE
@given(situations(), st.sampled_from(TIMES), st.sampled_from([None, *TIMES]), st.booleans())
def test_kept_answer_equals_fresh_one_when_only_time_passes(facts: Any, now: Any, withdrawn: Any, strict: Any) -> None:
    if withdrawn is not None:
        facts["bases"][0:1] = [{**b, "withdrawn_at": withdrawn} for b in facts["bases"][0:1]]
    for at in (facts["now"], now):
        asked = {**facts, "now": at, "id": at}
        if "first_write" in asked and asked["first_write"].get("at"):
            asked["first_write"] = {**asked["first_write"], "at": at}

        fresh = decide(asked, LAW, strict=strict).document()

        assert SHARED.decide(asked, strict=strict).document() == fresh
        declared = {**asked, "bases": BasisDocuments(asked["bases"])} if "bases" in asked else asked
        assert SHARED.decide(declared, strict=strict).document() == fresh

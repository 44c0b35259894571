"""The pure parts of the API: cursors, bodies, merge patches, secrets in rotation, gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import law as laws
from chalicelib.api import bodies, cursors
from chalicelib.core.errors import Invalid
from chalicelib.core.explain.preflight import SUPPLIES, examine
from chalicelib.core.law.residency import Decider
from chalicelib.core.tenant import rotation

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = b"k" * 32


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=200),
    st.dictionaries(st.text("abc", min_size=1), st.text("xyz")),
)
def test_cursor_leads_back_to_its_position(position: str, query: dict[str, str]) -> None:
    written = cursors.write(KEY, "tnt_a", "/v1/x", query, position)

    assert cursors.read((KEY,), "tnt_a", "/v1/x", {**query, "cursor": written, "limit": "7"}) == position


@given(st.binary(max_size=80))
def test_cursor_is_refused_when_we_have_not_made_it(data: bytes) -> None:
    import base64

    with pytest.raises(Invalid):
        cursors.read((KEY,), "tnt_a", "/v1/x", {"cursor": base64.urlsafe_b64encode(data).decode()})


def test_cursor_is_bound_to_key_tenant_path_and_filters() -> None:
    written = cursors.write(KEY, "tnt_a", "/v1/x", {"kind": "a"}, "p")

    for arguments in (
        (b"o" * 32, "tnt_a", "/v1/x", {"kind": "a"}),
        (KEY, "tnt_b", "/v1/x", {"kind": "a"}),
        (KEY, "tnt_a", "/v1/y", {"kind": "a"}),
        (KEY, "tnt_a", "/v1/x", {"kind": "b"}),
        (KEY, "tnt_a", "/v1/x", {}),
    ):
        key, tenant, path, query = arguments
        with pytest.raises(Invalid):
            cursors.read((key,), tenant, path, {**query, "cursor": written})


@given(st.binary(max_size=300))
def test_body_is_an_object_or_refused_whatever_its_bytes(raw: bytes) -> None:
    try:
        value = bodies.parse(raw)
    except bodies.NotJson:
        return
    assert isinstance(value, dict)


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_does_what_its_standard_says(target: Any, patch: Any, merged: Any) -> None:
    # Cases of the kinds in RFC 7396, appendix A.
    assert bodies.merge(target, patch) == merged


def test_secret_in_its_grace_counts_until_its_time() -> None:
    kept = rotation.rotate(rotation.first("a"), "b", NOW)
    later = NOW + timedelta(hours=1)
    again = rotation.rotate(kept, "c", later)

    assert rotation.live(kept, NOW) == ["b", "a"]
    assert rotation.live(again, later) == ["c", "b", "a"]
    assert rotation.live(again, NOW + rotation.GRACE) == ["c", "b"]
    assert rotation.live(again, later + rotation.GRACE) == ["c"]


def test_secrets_never_grow_without_bound() -> None:
    kept = rotation.first(0)
    for number in range(1, 50):
        kept = rotation.rotate(kept, number, NOW)

    assert len(kept) == rotation.KEPT_MAX
    assert kept[0]["secret"] == 49


def facts(**changes: Any) -> dict[str, Any]:
    """The facts of a delivery that name only its start and its end."""
    return {
        "now": "2026-11-22T10:00:00.000Z",
        "op": "deliver",
        "channel": "telegram",
        "router_role": "processor",
        "purpose": "customer_support",
        "subject": {"country": "DE", "signal": "tenant_declared", "confidence": "declared"},
        "data": {"classes": ["content", "technical"], "special": []},
        "collector": {"country": "DE", "tenant_class": "general"},
        "store": {"country": "DE", "provider": "dynamodb", "copies": ["DE"]},
        "first_write": {"country": "DE", "at": "2026-11-22T10:00:00.000Z"},
        "recipient": {
            "id": "rcp_a", "entity_country": "DE", "processing_countries": ["DE"], "role": "processor", "granted": True,
            "classes": ["content", "technical"], "onward": [],
        },
        "route": {"mode": "replicate"},
        "bases": [],
        "volumes": {},
        **changes,
    }  # fmt: skip


def decide(of: Any) -> Any:
    return Decider(laws.installed()).decide(of)


def test_gaps_are_filled_until_nothing_is_missing() -> None:
    abroad = {**facts()["recipient"], "entity_country": "US", "processing_countries": ["US"], "granted": False}

    found = examine(facts(recipient=abroad), decide, laws.installed())

    paths = [g.path for g in found.gaps]
    assert paths == sorted(paths)
    assert {"recipient.granted", "basis:ANY.instruction", "basis:ANY.processing-ground", "basis:EU.44:rcp_a"} <= set(
        paths
    )
    assert "basis:EU.transfer-impact-assessment:rcp_a" in paths
    assert found.decision.verdict == "refused" and found.refused == ()


def test_rules_that_no_record_lifts_are_named() -> None:
    of = facts(collector={"country": "RU", "tenant_class": "general"}, subject={**facts()["subject"], "country": "RU"})

    found = examine({**of, "op": "store"}, decide, laws.installed())

    assert any(rule["id"].startswith("RU.") for rule in found.refused)


@pytest.mark.parametrize("path", sorted(SUPPLIES))
def test_every_fact_that_a_call_supplies_is_found_when_it_is_unknown(path: str) -> None:
    # Only the law of Russia asks for the messenger, and only of some.
    bank = {"channel": "freshchat", "messenger": "sms", "collector": {"country": "RU", "tenant_class": "bank"}}
    of = facts(**bank) if path == "messenger" else facts()
    head, _, tail = path.partition(".")
    changed: dict[str, Any] = {**of, head: {**of[head], tail: None} if tail else None}

    found = {g.path: g for g in examine(changed, decide, laws.installed()).gaps}

    assert path in found
    assert found[path].supply is not None and found[path].rule and found[path].ref


def test_what_no_call_supplies_is_named_without_one() -> None:
    far = {**facts()["recipient"], "entity_country": "PG", "processing_countries": ["PG"]}

    found = {
        g.path: g
        for g in examine(
            facts(recipient=far, subject={**facts()["subject"], "country": "PG"}), decide, laws.installed()
        ).gaps
    }

    assert str(found["law:PG"].supply).startswith("no declaration helps: there is no law file for PG yet")

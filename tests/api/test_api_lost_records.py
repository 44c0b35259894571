"""Stored records that are not of their form: each counts as absent and is named, allows nothing, and stops no one else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.tenant.configuration import WHOLE
from chalicelib.core.verify.redecide import configuration_of, redecide
from chalicelib.flow.retention import warnings
from tests.support.api_cell import DIGEST, RECIPIENT, SOURCE, Api
from tests.support.consents import consent, person

Damage = Callable[[dict[str, Any]], str]
DAMAGE: dict[str, Damage] = {
    "no JSON": lambda document: json.dumps(document)[:-1],
    "a field that is missing": lambda document: json.dumps({n: v for n, v in document.items() if n != "id"}),
    "a word of a later version": lambda document: json.dumps({n: ["x", 1] for n in document}),
}
LIFTED = {
    "dst": "destination",
    "rcp": "recipient",
    "rte": "route",
    "src": "source",
    "swi": "switch",
    "bas": "instruction",
}


def _spoil(tenant: Api, record: str, damage: Damage, place: str = "") -> None:
    """Write a record as no release of today reads it."""
    key = {"pk": tenant.made["tenant"], "sk": f"{record[:3]}#{record}{place}"}
    table = tenant.runtime.config._table
    item = table.get(key)
    assert item is not None
    table.update(key, "SET doc = :d", {":d": damage(json.loads(item["doc"]))})
    tenant.runtime.config.count_again(tenant.made["tenant"])


@pytest.fixture
def connected(tenant: Api) -> Api:
    tenant.connect()
    switch = {"scope": "channel", "value": "slack", "reason": "under review"}
    tenant.made["switch"] = tenant.made_by("/v1/switches", switch)["id"]
    return tenant


def _transfers(tenant: Api) -> list[dict[str, Any]]:
    tenant.hook(number=len(tenant.get("/v1/transfers").json["data"]) + 1)
    return list(tenant.get("/v1/transfers").json["data"])


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("kind", ["bas", "rcp", "dst", "rte", "swi"])
def test_nothing_is_allowed_and_all_else_is_answered_when_a_record_cannot_be_read(
    connected: Api, kind: str, damage: Damage
) -> None:
    record = connected.made[LIFTED[kind]]
    _spoil(connected, record, damage)

    found = _transfers(connected)

    assert [t["decision"] for t in found] == {"rte": [], "swi": ["refused"]}.get(kind, ["held"])
    path = {"bas": "bases", "rcp": "recipients", "dst": "destinations", "rte": "routes", "swi": "switches"}[kind]
    shown = connected.get(f"/v1/{path}/{record}")
    assert (shown.status, shown.json["code"]) == (404, "not_found")
    assert "cannot be read" in shown.json["detail"]
    assert record not in [r["id"] for r in connected.get(f"/v1/{path}").json["data"]]
    flows = connected.get("/v1/preflight").json["data"]
    named = {u["record"]: u for flow in flows for u in flow["unreadable"]}
    assert kind == "rte" or named[record]["field"] == WHOLE
    if kind in ("bas", "rcp", "dst"):
        assert any(record in missing for missing in found[0]["missing"])
    assert _decided_again(connected) == [t["decision"] for t in found]
    warnings.tell(connected.runtime, connected.made["tenant"], connected.clock())
    told = [e for e in _system(connected) if e["native_kind"] == "record.unreadable"]
    assert [e["raw"]["record"] for e in told] == [record]


def _decided_again(tenant: Api) -> list[str | None]:
    """Decide again, from the log and the document of the configuration, as a verifier does."""
    configuration = configuration_of(tenant.runtime.config.snapshot(tenant.made["tenant"]).configuration.document)
    entries = [e["entry"] for e in tenant.get("/v1/audit/entries", kind="decided").json["data"]]
    decide = tenant.runtime.decider.decide
    again = [redecide(e, route, configuration, decide) for e in entries for route in e["routes"]]
    return [one.verdict if one is not None else None for one in again]


def _system(tenant: Api) -> list[dict[str, Any]]:
    import app

    tenant.feed("inbox", app.route)
    return [e for e in tenant.get("/v1/events").json["data"] if e["channel"] == "waybill"]


@pytest.mark.parametrize("kind", ["bas", "rcp", "rte", "swi"])
def test_messages_pass_again_when_the_named_call_was_made(connected: Api, kind: str) -> None:
    record = connected.made[LIFTED[kind]]
    _spoil(connected, record, DAMAGE["no JSON"])

    if kind == "bas":
        basis = {"kind": "instruction", "valid_from": "2026-01-01", "evidence": DIGEST}
        assert connected.post("/v1/bases", basis).status == 201
    elif kind == "rcp":
        replaced = connected.call("PUT", f"/v1/recipients/{record}", RECIPIENT)
        assert (replaced.status, replaced.json["version"]) == (200, 2)
    elif kind == "rte":
        assert connected.call("DELETE", f"/v1/routes/{record}").status == 204
        route = {"name": "m", "pattern": {"kind": ["message"]}, "purpose": "customer_support", "mode": "replicate"}
        connected.made_by("/v1/routes", {**route, "destination": connected.made["destination"]})
    else:
        assert connected.call("DELETE", f"/v1/switches/{record}").status == 204

    assert [t["decision"] for t in _transfers(connected)] == ["allowed"]


def test_a_basis_is_no_ground_when_its_withdrawal_cannot_be_read(connected: Api) -> None:
    record = connected.made["instruction"]
    assert connected.post(f"/v1/bases/{record}/withdrawal", {}).status == 201
    _spoil(connected, record, DAMAGE["no JSON"], "#withdrawal")

    (one,) = _transfers(connected)

    assert one["decision"] == "held"
    assert f"bases.{record}.{WHOLE}" in one["missing"]
    assert connected.get(f"/v1/bases/{record}").status == 404
    assert record not in {basis["id"] for basis in connected.get("/v1/bases").json["data"]}


def test_other_sources_go_on_when_one_cannot_be_read(connected: Api) -> None:
    other = connected.made_by("/v1/sources", {**SOURCE, "name": "other"})["id"]
    _spoil(connected, connected.made["source"], DAMAGE["no JSON"])
    connected.made["source"] = other

    assert [t["decision"] for t in _transfers(connected)] == ["allowed"]
    assert [s["id"] for s in connected.get("/v1/sources").json["data"] if s["channel"] == "telegram"] == [other]


def test_a_key_opens_nothing_and_can_be_deleted_when_it_cannot_be_read(connected: Api) -> None:
    other = connected.with_key(scopes=["read"])
    _spoil(connected, other.made["key"], DAMAGE["no JSON"])

    assert other.get("/v1/tenant").status == 401
    assert connected.call("DELETE", f"/v1/keys/{other.made['key']}").status == 204
    assert connected.get("/v1/keys").status == 200


def test_a_delivery_waits_when_its_destination_cannot_be_read(connected: Api) -> None:
    (one,) = _transfers(connected)
    _spoil(connected, connected.made["destination"], DAMAGE["no JSON"])

    connected.deliver()

    shown = connected.get(f"/v1/transfers/{one['id']}").json
    assert (shown["outcome"], shown["attempts"]) == ("pending", [])


def test_other_consents_are_read_when_one_cannot_be(tenant: Api) -> None:
    given = consent(tenant, person(tenant))
    made = [tenant.made_by("/v1/consents", {**given, "purposes": [p]})["id"] for p in ("billing", "marketing", "x")]
    assert tenant.post(f"/v1/consents/{made[2]}/withdrawal", {"method": "message"}).status == 201
    table, pk = tenant.runtime.consents.table, f"{tenant.made['tenant']}#consents"
    for sk in (made[0], f"{made[2]}#withdrawal"):
        table.update({"pk": pk, "sk": sk}, "SET doc = :d", {":d": "{"})

    assert [c["id"] for c in tenant.get("/v1/consents").json["data"]] == [made[1]]
    assert tenant.get(f"/v1/consents/{made[0]}").status == tenant.get(f"/v1/consents/{made[2]}").status == 404
    assert tenant.runtime.consents.read({"doc": json.dumps([{"id": "cns_x"}])}) == ()

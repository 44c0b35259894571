"""The first flow, as a tenant walks through it."""

from __future__ import annotations

from tests.support.api_cell import RECIPIENT, TENANT, Api


def test_tenant_and_key_are_made_when_operator_asks(cell: Api) -> None:
    answer = cell.as_operator("POST", "/v1/tenants", TENANT)

    assert answer.status == 201
    assert answer.json["tenant"]["id"].startswith("tnt_")
    assert answer.json["key"]["secret"].startswith("wb_")
    assert answer.json["key"]["scopes"] == ["admin"]


def test_message_is_shown_with_its_transfer_when_flow_is_declared(tenant: Api) -> None:
    ids = tenant.connect()

    tenant.hook("grüße")

    (event,) = tenant.get("/v1/events", limit=10).json["data"]
    assert (event["kind"], event["channel"], event["message"]["text"]) == ("message", "telegram", "grüße")
    answer = tenant.get("/v1/transfers", event=event["id"]).json
    (transfer,) = answer["data"]
    assert answer["next"] is None
    assert (transfer["event"], transfer["route"], transfer["destination"]) == (
        event["id"],
        ids["route"],
        ids["destination"],
    )
    assert (transfer["decision"], transfer["outcome"], transfer["missing"]) == ("allowed", "pending", [])
    assert {r["id"] for r in transfer["rules"]} == {"ANY.basis", "ANY.contract", "ANY.instruction"}
    kinds = [e["entry"]["kind"] for e in tenant.get("/v1/audit/entries", event=event["id"]).json["data"]]
    assert kinds == ["decided"]


def test_transfer_is_held_when_recipient_is_abroad_without_a_basis(tenant: Api) -> None:
    ids = tenant.connect({**RECIPIENT, "entity_country": "US", "processing_countries": ["US"]})

    tenant.hook()

    (transfer,) = tenant.get("/v1/transfers").json["data"]
    assert (transfer["decision"], transfer["outcome"]) == ("held", "held")
    standing = {"settled": True, "confidence": "verified"}
    (rule,) = transfer["rules"]
    titles = {rule.pop("title"), rule.pop("title_ru")}
    assert rule == {"id": "EU.44", "ref": "GDPR art. 44", "verdict": "held", **standing}
    assert "Transfers out of the EU need a ground of chapter V" in titles
    assert transfer["missing"] == [f"basis:EU.44:{ids['recipient']}"]

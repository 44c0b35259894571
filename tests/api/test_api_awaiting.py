"""What the API shows of messages that are not stored as usual: holds, transfers, preflight, and no content."""

from __future__ import annotations

from datetime import timedelta

import pytest

import app
from chalicelib.flow.retention import sweep
from tests.support.api_cell import DIGEST, Api

CERTIFICATE = {"kind": "crypto-certificate", "valid_from": "2026-01-01", "evidence": DIGEST}


def stop(tenant: Api, kind: str) -> None:
    """Take away what the tenant's messages need for being stored."""
    if kind == "crypto-certificate":
        tenant.made_by("/v1/bases", {**CERTIFICATE, "valid_until": "2026-02-01"})
        tenant.call("PATCH", "/v1/tenant", {"requires": [kind]})
    else:
        tenant.post(f"/v1/bases/{tenant.made[kind]}/withdrawal", {})


def cure(tenant: Api, kind: str) -> None:
    tenant.made_by("/v1/bases", {**CERTIFICATE, "kind": kind})


@pytest.mark.parametrize("kind", ["instruction", "contract", "crypto-certificate"])
@pytest.mark.parametrize("routed", [True, False])
def test_a_message_is_listed_sealed_and_readable_once_the_record_is_there(tenant: Api, kind: str, routed: bool) -> None:
    tenant.connect()
    if not routed:
        tenant.call("DELETE", f"/v1/routes/{tenant.made['route']}")
    stop(tenant, kind)
    tenant.hook("a secret of Ada")
    tenant.deliver()

    assert [e for e in tenant.get("/v1/events").json["data"] if e["channel"] != "waybill"] == []
    (hold,) = [
        h for h in tenant.get("/v1/holds").json["data"] if h["route"] == (tenant.made["route"] if routed else None)
    ]
    assert (hold["transfer"] is not None, hold["destination"] is not None) == (routed, routed)
    assert any(kind in path or "processing-ground" in path for path in hold["missing"])
    assert hold["rules"]
    shown = tenant.get(f"/v1/events/{hold['event']}")
    assert (shown.status, shown.json["code"]) == (451, "refused_by_law")
    assert "Ada" not in shown.text
    stopped = [e for e in tenant.get("/v1/events").json["data"] if e["native_kind"] == "flow.stopped"]
    assert [e["raw"]["source"] for e in stopped] == [tenant.made["source"]]
    if routed:
        (one,) = tenant.get(f"/v1/transfers?event={hold['event']}").json["data"]
        assert (one["outcome"], one["missing"]) == ("held", hold["missing"])

    cure(tenant, kind)
    tenant.deliver()

    assert tenant.get(f"/v1/events/{hold['event']}").json["message"]["text"] == "a secret of Ada"
    assert [h for h in tenant.get("/v1/holds").json["data"] if h["event"] == hold["event"] and not routed] == []


def told(tenant: Api) -> dict[str, dict[str, object]]:
    """Sweep as each hour does, and return what the cell has told the tenant, by kind."""
    sweep.handle(tenant.runtime)
    tenant.feed("inbox", app.route)
    return {e["native_kind"]: e["raw"] for e in tenant.get("/v1/events").json["data"] if e["channel"] == "waybill"}


def test_the_hourly_sweep_tells_of_a_record_that_ends_and_of_content_that_it_destroys(tenant: Api) -> None:
    tenant.connect()
    end = (tenant.clock.at + timedelta(days=2)).date().isoformat()
    short = tenant.made_by("/v1/bases", {**CERTIFICATE, "kind": "instruction", "valid_until": end})["id"]
    stop(tenant, "instruction")

    assert told(tenant)["record.expiring"] == {"record": short, "kind": "instruction", "valid_until": end, "days": 7}

    tenant.clock.at += timedelta(days=4)
    tenant.hook("a secret of Ada")
    assert {"record.expired", "flow.stopped"} <= set(told(tenant))

    tenant.clock.at += timedelta(hours=73)
    destroyed = told(tenant)["content.destroyed"]
    assert (destroyed["source"], destroyed["missing"]) == (tenant.made["source"], ["basis:ANY.instruction"])
    assert destroyed["rules"]


def test_a_refused_transfer_is_listed_with_its_rules_when_its_content_was_never_stored(tenant: Api) -> None:
    tenant.connect()
    # No record lifts this: Russian law wants Russians' data in Russia first.
    tenant.call("PATCH", f"/v1/sources/{tenant.made['source']}", {"subject_country": "RU"})
    row = tenant.runtime.config.get(tenant.made["tenant"], tenant.made["source"])
    changed = row.record.model_copy(update={"subject_country": "RU"})
    tenant.runtime.config.replace(tenant.made["tenant"], changed, row.version)
    tenant.hook("a secret of Ada")

    (one,) = tenant.get("/v1/transfers?outcome=refused").json["data"]

    assert (one["decision"], one["route"]) == ("refused", tenant.made["route"])
    assert "RU.18.5@2025-07-01" in [rule["id"] for rule in one["rules"]]
    assert tenant.get(f"/v1/transfers?event={one['event']}").json["data"] == [one]
    assert [e for e in tenant.get("/v1/events").json["data"] if e["channel"] != "waybill"] == []
    assert tenant.get(f"/v1/events/{one['event']}").status == 404
    table = tenant.runtime.data.table
    rows = list(table.query("pk = :p", {":p": f"{tenant.made['tenant']}#{one['event']}"}))
    assert [("body" in item, "owner" in item) for item in rows] == [(False, False)]


def test_preflight_names_the_call_when_a_certificate_has_expired(tenant: Api) -> None:
    tenant.connect()
    stop(tenant, "crypto-certificate")

    flow = next(f for f in tenant.get("/v1/preflight").json["data"] if f["source"] == tenant.made["source"])

    assert (flow["decision"], flow["refused"]) == ("held", [])
    (gap,) = flow["missing"]
    assert (gap["path"], gap["rule"]) == ("basis:ANY.crypto-certificate", "ANY.evidence")
    assert gap["supply"].startswith('POST /v1/bases {"kind": "crypto-certificate"')
    cure(tenant, "crypto-certificate")
    assert next(f for f in tenant.get("/v1/preflight").json["data"] if f["source"] == tenant.made["source"])["ready"]


def test_a_sealed_event_without_a_route_is_no_transfer_to_decide_and_the_answer_says_so(tenant: Api) -> None:
    tenant.connect()
    tenant.call("DELETE", f"/v1/routes/{tenant.made['route']}")
    stop(tenant, "instruction")
    for number in range(2):
        tenant.hook("a secret of Ada", number)
    holds = tenant.get("/v1/holds").json["data"]

    answers = [tenant.post(f"/v1/holds/{hold['id']}/decision", {}) for hold in holds if hold["transfer"] is None]

    assert [(a.status, a.json["code"]) for a in answers] == [(409, "conflict")] * 2
    assert "no route takes this event" in answers[0].json["detail"]
    assert tenant.post(f"/v1/holds/hld_{'0' * 26}/decision", {}).status == 404
    cure(tenant, "instruction")
    assert tenant.post(f"/v1/holds/{holds[0]['id']}/decision", {}).status == 404

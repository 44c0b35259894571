"""Asking before the flow runs: decisions on facts, previews of routes, and all gaps of a planned flow."""

from __future__ import annotations

import json

import pytest

from tests.support.api_cell import ALL_CLASSES, DIGEST, RECIPIENT, SOURCE, US_RECIPIENT, Api


def test_decision_is_explained_on_facts_and_on_an_event_and_a_route(tenant: Api) -> None:
    ids = tenant.connect()
    tenant.hook()
    (event,) = tenant.get("/v1/events").json["data"]

    on_event = tenant.post("/v1/decisions", {"event": event["id"], "route": ids["route"]})
    on_facts = tenant.post("/v1/decisions", {"now": "2026-11-22T10:00:00.000Z", "op": "store", "canary": 1})

    assert (on_event.status, on_event.json["decision"], on_event.json["laws"]) == (200, "allow", ["EU"])
    assert (on_facts.status, on_facts.json["decision"], on_facts.json["deciding"]) == (200, "deny", ["ANY.facts"])
    for wrong in ({"event": event["id"]}, {"event": event["id"], "route": "x"}, {"event": 1, "route": ids["route"]}):
        assert tenant.post("/v1/decisions", wrong).status == 422


def test_preview_says_whether_and_why_and_what_would_leave(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("hello")
    (event,) = tenant.get("/v1/events").json["data"]
    route = {
        "name": "draft",
        "pattern": {"kind": ["message"], "message": {"text": [{"prefix": "hel"}]}},
        "destination": tenant.made["destination"],
        "purpose": "customer_support",
        "mode": "redact",
        "transform": {"redact": [{"class": "name", "action": "drop"}]},
    }

    shown = tenant.post("/v1/routes/preview", {"event_id": event["id"], "route": route}).json
    inline = tenant.post(
        "/v1/routes/preview", {"event": event, "route": {**route, "pattern": {"kind": ["typing"]}}}
    ).json

    assert (shown["matched"], shown["decision"]) == (True, "redacted")
    assert (shown["body"]["type"], shown["fault"]) == ("waybill.message", None)
    content = shown["body"]["data"]
    assert content["sender"]["name"] is None and content["message"]["text"] == "hello"
    assert {e["path"]: e["matched"] for e in shown["explanation"]} and all(e["matched"] for e in shown["explanation"])
    assert inline["matched"] is False and inline["explanation"][0]["wanted"]
    assert len(tenant.get("/v1/routes").json["data"]) == 1
    for wrong in (
        {"route": route},
        {"event": event, "event_id": event["id"], "route": route},
        {"event": {}, "route": route},
    ):
        assert tenant.post("/v1/routes/preview", wrong).status == 422


def test_preflight_names_every_gap_at_once_each_with_article_and_call(tenant: Api) -> None:
    flow = {
        "source": {"channel": "telegram", "name": "bot"},
        "recipient": {
            "legal_name": "Far Inc",
            "contact": "x@far.example",
            "processing_countries": ["US"],
            "entity_country": "US",
        },
        "purpose": "customer_support",
    }

    answer = tenant.post("/v1/preflight", flow)

    assert answer.status == 200, answer.text
    gaps = {g["path"]: g for g in answer.json["missing"]}
    assert answer.json["ready"] is False
    wanted = {"basis:ANY.instruction", "basis:ANY.processing-ground", "subject.country", "data.special"}
    assert wanted <= set(gaps)
    assert {"recipient.role", "recipient.granted", "recipient.classes", "recipient.onward"} <= set(gaps)
    assert any(path.startswith("basis:EU.44:rcp_") for path in gaps)
    assert any(path.startswith("basis:EU.transfer-impact-assessment") for path in gaps), sorted(gaps)
    assert gaps["basis:ANY.instruction"]["rule"] == "ANY.instruction"
    assert "GDPR art. 28(3)" in gaps["basis:ANY.instruction"]["ref"]
    assert all(g["rule"] and g["ref"] and g["supply"] for g in gaps.values()), gaps
    assert '"kind": "scc"' in next(g["supply"] for p, g in gaps.items() if p.startswith("basis:EU.44:"))
    assert [s["channel"] for s in tenant.get("/v1/sources").json["data"]] == ["waybill"]
    assert tenant.get("/v1/bases").json["data"] == []


def test_preflight_names_the_place_when_a_part_of_a_plan_is_wrong(tenant: Api) -> None:
    whole = {"source": {"channel": "telegram", "name": "bot"}, "recipient": "rcp_x", "purpose": "customer_support"}

    by_id = tenant.post("/v1/preflight", whole)
    declared = tenant.post("/v1/preflight", {**whole, "recipient": {"legal_name": "Far Inc", "entity_country": "Mars"}})

    assert (by_id.status, [e["loc"] for e in by_id.json["errors"]]) == (422, ["body.recipient"])
    assert declared.status == 422
    assert {e["loc"] for e in declared.json["errors"]} == {"body.recipient.contact", "body.recipient.entity_country"}


def test_preflight_pairs_a_route_with_the_sources_that_its_pattern_can_match(tenant: Api) -> None:
    ids = tenant.connect()
    own = next(s["id"] for s in tenant.get("/v1/sources").json["data"] if s["channel"] == "waybill")
    made = {"name": "r", "destination": ids["destination"], "purpose": "operations"}
    patterns = {
        ("telegram",): {"channel": [{"prefix": "tele"}], "message": {"text": [{"exists": True}]}},
        ("waybill",): {"channel": ["waybill"]},
        ("telegram", "waybill"): {"$or": [{"source": [own]}, {"kind": ["message"]}]},
        (): {"kind": ["message"], "channel": ["viber"]},
    }

    for channels, pattern in patterns.items():
        route = tenant.made_by("/v1/routes", {**made, "pattern": pattern})
        pairs = tenant.get("/v1/preflight", route=route["id"]).json["data"]
        assert {p["source"] for p in pairs} == {{"telegram": ids["source"], "waybill": own}[c] for c in channels}
        assert all(p["ready"] for p in pairs)


def test_preflight_has_the_route_name_what_is_there_when_it_rests_on_other_bases(tenant: Api) -> None:
    ids = tenant.connect()
    bases = {b["kind"]: b["id"] for b in tenant.get("/v1/bases").json["data"]}
    path = f"/v1/routes/{ids['route']}"
    tenant.call("PATCH", path, {"bases": [bases["contract"]]})

    (gap,) = tenant.get("/v1/preflight", route=ids["route"]).json["data"][0]["missing"]

    assert gap["path"] == "basis:ANY.instruction"
    assert gap["supply"] == f'PATCH {path} {{"bases": ["…", "{bases["instruction"]}"]}}'
    tenant.call("PATCH", path, {"bases": [bases["contract"], bases["instruction"]]})
    assert tenant.get("/v1/preflight", route=ids["route"]).json["data"][0]["ready"] is True


def test_preflight_has_the_route_name_a_new_record_when_it_names_its_bases(tenant: Api) -> None:
    ids = tenant.connect(US_RECIPIENT)
    bases = [b["id"] for b in tenant.get("/v1/bases").json["data"]]
    path = f"/v1/routes/{ids['route']}"
    tenant.call("PATCH", path, {"bases": bases})

    gaps = tenant.get("/v1/preflight", route=ids["route"]).json["data"][0]["missing"]

    assert gaps and all(g["supply"].endswith(f', and name it: PATCH {path} {{"bases": ["…", "bas_…"]}}') for g in gaps)
    tenant.call("PATCH", path, {"bases": None})
    gaps = tenant.get("/v1/preflight", route=ids["route"]).json["data"][0]["missing"]
    assert gaps and not any("name it" in g["supply"] for g in gaps)


def test_preflight_finds_nothing_when_everything_is_declared(tenant: Api) -> None:
    ids = tenant.connect()

    (one,) = tenant.get("/v1/preflight", route=ids["route"]).json["data"]

    assert (one["route"], one["source"], one["decision"], one["ready"]) == (
        ids["route"],
        ids["source"],
        "allowed",
        True,
    )
    assert one["missing"] == one["refused"] == []
    assert tenant.get("/v1/preflight").json["data"] == [one]
    assert tenant.get("/v1/preflight", route="rte_" + "0" * 26).status == 404
    planned = tenant.post(
        "/v1/preflight",
        {"source": ids["source"], "recipient": ids["recipient"], "purpose": "x", "bases": [{"kind": "consent"}]},
    )
    assert planned.json["ready"] is True, planned.text


@pytest.mark.parametrize("number", range(2))
def test_supplying_each_gap_makes_the_flow_ready(tenant: Api, number: int) -> None:
    source = tenant.made_by(
        "/v1/sources", {n: v for n, v in SOURCE.items() if n not in ("subject_country", "special")}
    )["id"]
    bare = {"legal_name": "Far Inc", "contact": "x@far.example", "processing_countries": [], "granted": False}
    recipient = tenant.made_by("/v1/recipients", bare)["id"]
    flow = {"source": source, "recipient": recipient, "purpose": "customer_support"}
    gaps = {g["path"]: g["supply"] for g in tenant.post("/v1/preflight", flow).json["missing"]}
    assert {f"PUT /v1/recipients/{recipient}", f"PATCH /v1/sources/{source}"} <= {
        s.split(" {")[0] for s in gaps.values()
    }

    tenant.call("PATCH", f"/v1/sources/{source}", {"subject_country": "DE", "special": []})
    country = ("DE", "US")[number]
    described = {**RECIPIENT, "entity_country": country, "processing_countries": [country], "classes": ALL_CLASSES}
    tenant.call("PUT", f"/v1/recipients/{recipient}", described)
    for gap in tenant.post("/v1/preflight", flow).json["missing"]:
        call, body = gap["supply"].split(" or another")[0].split(" {", 1)
        assert call == "POST /v1/bases", gap
        record = json.loads("{" + body.replace("sha256:…", DIGEST).replace("…", "2026-01-01"))
        tenant.made_by("/v1/bases", record)

    assert tenant.post("/v1/preflight", flow).json["ready"] is True

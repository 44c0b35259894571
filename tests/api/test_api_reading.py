"""Events, transfers, holds and audit entries, and asking the law."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from tests.support.api_cell import ALL_CLASSES, DIGEST, RECIPIENT, SOURCE, US_RECIPIENT, Api


def entries(tenant: Api, **query: Any) -> list[dict[str, Any]]:
    found, answer = [], {"next": ""}
    while answer["next"] is not None:
        more = {"cursor": answer["next"]} if answer["next"] else {}
        answer = tenant.get("/v1/audit/entries", **query, **more).json
        found += [e["entry"] for e in answer["data"]]
    return found


def texts(answer: Any) -> list[str]:
    return [e["message"]["text"] for e in answer.json["data"]]


def test_events_are_listed_newest_first_over_days_and_pages(tenant: Api) -> None:
    tenant.connect()
    for number in range(5):
        tenant.hook(f"m{number}", number + 1)
        tenant.clock.at += timedelta(hours=17)

    seen, query = [], {"limit": 2}
    while True:
        page = tenant.get("/v1/events", **query)
        seen += texts(page)
        if page.json["next"] is None:
            break
        query["cursor"] = page.json["next"]

    assert seen == ["m4", "m3", "m2", "m1", "m0"]


def test_events_are_narrowed_by_source_conversation_kind_and_time(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("first", 1, chat=1)
    middle = times.text(tenant.clock.at)
    tenant.hook("second", 2, chat=2)
    (second, first) = tenant.get("/v1/events").json["data"]
    decided = entries(tenant, event=first["id"], kind="decided")[0]["receipt"]

    assert texts(tenant.get("/v1/events", after=middle)) == ["second"]
    assert texts(tenant.get("/v1/events", before=middle)) == ["first"]
    assert texts(tenant.get("/v1/events", after=middle, before=second["received_at"])) == []
    assert texts(tenant.get("/v1/events", conversation=decided["conversation"])) == ["first"]
    assert texts(tenant.get("/v1/events", kind="message")) == ["second", "first"]
    assert texts(tenant.get("/v1/events", kind="reaction")) == []
    assert texts(tenant.get("/v1/events", source=tenant.made["source"])) == ["second", "first"]
    assert texts(tenant.get("/v1/events", source="src_" + "0" * 26)) == []
    for wrong in (
        {"kind": "x"},
        {"source": "x"},
        {"after": "x"},
        {"after": middle, "before": middle},
        {"before": "2026-01-01"},
    ):
        assert tenant.get("/v1/events", **wrong).status == 422, wrong


def test_looking_at_content_is_written_before_it_is_shown(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("hello")
    after = times.text(tenant.clock.at - timedelta(days=1))

    (event,) = tenant.get("/v1/events", after=after).json["data"]
    tenant.get(f"/v1/events/{event['id']}")

    listed, single = entries(tenant, kind="viewed")
    if listed["event"] is not None:
        listed, single = single, listed
    assert (listed["event"], listed["range"]) == (None, {"after": after, "before": None, "count": 1})
    assert (single["event"], single["range"]) == (event["id"], None)
    assert {listed["actor"]["id"], single["actor"]["id"]} == {tenant.made["key"]}
    assert single["id"][:18] == entries(tenant, event=event["id"])[0]["id"][:18]


def test_content_is_not_shown_when_the_look_cannot_be_written(tenant: Api) -> None:
    from chalicelib.core.errors import AuditUnavailable

    tenant.connect()
    tenant.hook("canary")
    (event,) = tenant.get("/v1/events").json["data"]
    real = tenant.runtime.audit

    class Down:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def append_many(self, entries: Any) -> list[Exception]:
            return [AuditUnavailable("down") for _ in entries]

    tenant.runtime.__dict__["audit"] = Down()
    answers = [tenant.get("/v1/events"), tenant.get(f"/v1/events/{event['id']}")]
    tenant.runtime.__dict__["audit"] = real

    for answer in answers:
        assert (answer.status, answer.json["code"]) == (503, "audit_unavailable")
        assert "canary" not in answer.text


def test_content_is_gone_and_what_waits_has_ended_when_it_is_erased(tenant: Api) -> None:
    tenant.connect(US_RECIPIENT)
    tenant.hook("canary")
    (event,) = tenant.get("/v1/events").json["data"]
    path = f"/v1/events/{event['id']}"

    without_ground = tenant.call("DELETE", f"{path}/content")
    wrong_ground = tenant.call("DELETE", f"{path}/content?ground=because")
    erased = tenant.call("DELETE", f"{path}/content?ground=subject_request")
    again = tenant.call("DELETE", f"{path}/content?ground=subject_request")

    assert (without_ground.status, wrong_ground.status, erased.status, again.status) == (422, 422, 204, 204)
    assert tenant.get(path).status == 404
    assert tenant.get("/v1/events").json["data"] == []
    (transfer,) = tenant.get("/v1/transfers", event=event["id"]).json["data"]
    assert transfer["outcome"] == "erased"
    act = entries(tenant, event=event["id"], kind="erased")[0]
    assert (act["reason"], act["object"]) == ("subject_request", None)


def test_content_is_shown_abroad_only_when_the_law_lets_it(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("canary")
    (event,) = tenant.get("/v1/events").json["data"]
    at_home = tenant.with_key(scopes=["read"], country="DE")
    in_france = tenant.with_key(scopes=["read"], country="FR")
    in_the_us = tenant.with_key(scopes=["read"], country="US")

    for key in (at_home, in_france):
        assert key.get(f"/v1/events/{event['id']}").status == 200
        assert texts(key.get("/v1/events")) == ["canary"]
    for path in ("/v1/events", f"/v1/events/{event['id']}"):
        answer = in_the_us.get(path)
        assert (answer.status, answer.json["code"]) == (451, "refused_by_law")
        assert [r["id"] for r in answer.json["rules"]] == ["EU.44"]
        assert answer.json["missing"] == [f"basis:EU.44:{in_the_us.made['key']}"]
        assert "canary" not in answer.text


def test_event_is_gone_when_its_life_is_over(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("old")
    (event,) = tenant.get("/v1/events").json["data"]
    (transfer,) = tenant.get("/v1/transfers").json["data"]
    at = tenant.clock.at

    tenant.clock.at = at + timedelta(days=31)
    event_answer, listed = tenant.get(f"/v1/events/{event['id']}"), tenant.get("/v1/events")
    shown = tenant.get(f"/v1/transfers/{transfer['id']}")
    unplaced = tenant.get("/v1/audit/entries", event=event["id"])
    placed = tenant.get(
        "/v1/audit/entries", event=event["id"], after=times.text(at - timedelta(days=1)), before=times.text(at)
    )
    tenant.clock.at = at

    assert event_answer.status == 404 and listed.json["data"] == []
    assert (shown.status, shown.json["outcome"]) == (200, "expired")
    assert unplaced.status == 422
    assert {e["entry"]["event"] for e in placed.json["data"]} == {event["id"]}


def test_list_stops_early_with_a_cursor_when_it_has_looked_long_enough(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("old")
    at = tenant.clock.at

    tenant.call("PATCH", "/v1/tenant", {"retention": {"default_days": 3000}})
    tenant.hook("kept", 2)
    tenant.clock.at = at + timedelta(days=250)
    pages, seen = 0, []
    query: dict[str, Any] = {}
    while pages < 10:
        page = tenant.get("/v1/events", **query)
        pages += 1
        seen += texts(page)
        if page.json["next"] is None:
            break
        query = {"cursor": page.json["next"]}
    tenant.clock.at = at

    assert seen == ["kept"]
    assert 2 <= pages <= 5


def test_transfers_go_on_within_an_event_when_pages_are_short(tenant: Api) -> None:
    tenant.connect()
    route = {"pattern": {"kind": ["message"]}, "destination": tenant.made["destination"], "purpose": "support"}
    for number in range(3):
        tenant.made_by("/v1/routes", {**route, "name": f"r{number}"})
    tenant.hook("a", 1)
    tenant.hook("b", 2)
    whole = [t["id"] for t in tenant.get("/v1/transfers").json["data"]]
    subject = entries(tenant, kind="decided")[0]["receipt"]["subjects"][0]

    for filters in ({}, {"subject": subject}):
        seen, query = [], {"limit": 3, **filters}
        while True:
            page = tenant.get("/v1/transfers", **query).json
            seen += [t["id"] for t in page["data"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert len(seen) == len(set(seen)) == 8
        assert set(seen) == set(whole)


def test_transfer_is_found_by_its_id_alone_and_narrowed_by_filters(tenant: Api) -> None:
    tenant.connect()
    tenant.hook()
    (transfer,) = tenant.get("/v1/transfers").json["data"]

    assert tenant.get(f"/v1/transfers/{transfer['id']}").json == transfer
    last = "0" if transfer["id"][-1] != "0" else "1"
    assert tenant.get(f"/v1/transfers/{transfer['id'][:-1]}{last}").status == 404
    for query, number in (
        ({"destination": transfer["destination"]}, 1),
        ({"destination": "dst_" + "0" * 26}, 0),
        ({"outcome": "pending"}, 1),
        ({"outcome": "held"}, 0),
        ({"event": transfer["event"], "outcome": "delivered"}, 0),
        ({"before": transfer["created_at"][:10] + "T00:00:00Z"}, 0),
    ):
        assert len(tenant.get("/v1/transfers", **query).json["data"]) == number, query
    assert tenant.get("/v1/transfers", outcome="lost").status == 422
    assert tenant.get("/v1/transfers", event="evt_" + "0" * 26).status == 404


def test_failed_attempt_is_shown_in_its_transfer(tenant: Api) -> None:
    tenant.connect()
    tenant.hook()

    tenant.deliver()

    (transfer,) = tenant.get("/v1/transfers").json["data"]
    (attempt,) = transfer["attempts"]
    assert (attempt["attempt"], attempt["outcome"], attempt["code"]) == (1, "failed", "connect")
    assert transfer["outcome"] == "pending"


def test_hold_is_listed_and_decided_again_when_its_basis_is_there(tenant: Api) -> None:
    ids = tenant.connect(US_RECIPIENT)
    tenant.hook()
    tenant.deliver()

    (hold,) = tenant.get("/v1/holds").json["data"]
    assert hold["missing"] == [f"basis:EU.44:{ids['recipient']}"]
    assert hold["id"][4:] == hold["transfer"][4:]
    (lane, _) = next(iter(tenant.runtime.data.held(tenant.made["tenant"])))
    assert lane not in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]

    decided = tenant.post(f"/v1/holds/{hold['id']}/decision")

    assert (decided.status, decided.json["id"]) == (201, hold["transfer"])
    assert lane in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]
    assert tenant.post("/v1/holds/hld_" + "0" * 26 + "/decision").status == 404


def test_held_transfers_are_woken_when_evidence_arrives(tenant: Api) -> None:
    tenant.connect(US_RECIPIENT)
    tenant.hook()
    tenant.deliver()
    (lane, _) = next(iter(tenant.runtime.data.held(tenant.made["tenant"])))

    tenant.made_by("/v1/bases", {"kind": "scc", "law": "EU", "recipient": tenant.made["recipient"], "evidence": DIGEST})

    assert lane in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]


def test_entry_is_shown_with_the_hash_of_its_leaf(tenant: Api) -> None:
    tenant.connect()
    (first, *_) = tenant.get("/v1/audit/entries").json["data"]

    answer = tenant.get(f"/v1/audit/entries/{first['entry']['id']}")

    assert answer.json == first and first["index"] is None and first["log"] == "2026"
    assert len(answer.headers["ETag"].strip('"')) == 64


# Asking the law


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

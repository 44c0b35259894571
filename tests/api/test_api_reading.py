"""Reading events, transfers, holds and audit entries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chalicelib.core import times
from tests.support.api_cell import DIGEST, US_RECIPIENT, Api


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

    shown = tenant.get(f"/v1/transfers/{transfer['id']}").json
    assert shown["obligations"] != []
    assert shown == transfer
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

"""Replays and jobs as the API shows them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.flow.jobs import requests, worker
from tests.support.api_cell import RECIPIENT, Api

NOBODY = "trf_" + "0" * 26


def refused(tenant: Api, number: int = 1) -> list[dict[str, Any]]:
    """Return transfers that were refused for want of a granted recipient, newest first; it is granted by now."""
    tenant.connect({**RECIPIENT, "granted": False})
    for n in range(number):
        tenant.hook(f"m{n}", n + 1, chat=n)
    found: list[dict[str, Any]] = tenant.get("/v1/transfers").json["data"]
    assert [t["outcome"] for t in found] == ["refused"] * number
    answer = tenant.call("PUT", f"/v1/recipients/{tenant.made['recipient']}", RECIPIENT)
    assert answer.status == 200
    return found


def entries(tenant: Api, **query: Any) -> list[dict[str, Any]]:
    return [e["entry"] for e in tenant.get("/v1/audit/entries", **query).json["data"]]


def queued(tenant: Api) -> int:
    """How many messages of the tenant wait in the outbox, taking them away with those that other tests left."""
    queue = "waybill-local-outbox.fifo"
    sqs = tenant.runtime.clients.get("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    bodies = set()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            bodies.add(message["Body"])
            sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}])
    return sum(json.loads(body)["tenant"] == tenant.made["tenant"] for body in bodies)


# One transfer


def test_new_transfer_names_the_old_one_when_it_is_replayed(tenant: Api) -> None:
    (old,) = refused(tenant)

    answer = tenant.post(f"/v1/transfers/{old['id']}/replay")

    new = answer.json
    assert answer.status == 201
    assert (new["replays"], new["replayed_by"], new["outcome"]) == (old["id"], None, "pending")
    assert new["rules"] == tenant.get(f"/v1/transfers/{new['id']}").json["rules"]
    assert all(rule["settled"] is True and rule["confidence"] for rule in new["rules"])
    assert {k: new[k] for k in ("event", "route", "destination")} == {
        k: old[k] for k in ("event", "route", "destination")
    }
    both = tenant.get("/v1/transfers", event=old["event"]).json["data"]
    assert {t["id"]: (t["replays"], t["replayed_by"]) for t in both} == {
        old["id"]: (None, new["id"]),
        new["id"]: (old["id"], None),
    }
    (act,) = entries(tenant, kind="replayed")
    (decided,) = [e for e in entries(tenant, kind="decided") if e["cause"] == "replayed"]
    assert act["object"] == {"kind": "transfer", "id": old["id"]}
    assert (act["actor"]["id"], act["event"], act["reason"]) == (tenant.made["key"], old["event"], "controller_request")
    assert (decided["by"], decided["supersedes"]) == (act["id"], None)
    assert queued(tenant) == 1


def test_one_transfer_is_made_when_it_is_asked_again_and_again(tenant: Api) -> None:
    (old,) = refused(tenant)
    path = f"/v1/transfers/{old['id']}/replay"

    answers = [
        tenant.post(path),
        tenant.post(path),
        tenant.post(path, Idempotency_Key="a"),
        tenant.post(path, Idempotency_Key="a"),
        tenant.with_key(scopes=["write"]).post(path),
    ]

    assert {(a.status, a.json["id"]) for a in answers} == {(201, answers[0].json["id"])}
    assert len(entries(tenant, kind="replayed")) == 1
    assert queued(tenant) == 1


def test_refused_and_told_which_when_the_replay_has_ended(tenant: Api) -> None:
    (old,) = refused(tenant)
    tenant.call("PUT", f"/v1/recipients/{tenant.made['recipient']}", {**RECIPIENT, "granted": False})
    first = tenant.post(f"/v1/transfers/{old['id']}/replay", Idempotency_Key="first")

    again = tenant.post(f"/v1/transfers/{old['id']}/replay")
    the_replay = tenant.post(f"/v1/transfers/{first.json['id']}/replay")

    assert (first.status, first.json["outcome"]) == (201, "refused")
    assert tenant.post(f"/v1/transfers/{old['id']}/replay", Idempotency_Key="first").json == first.json
    assert (again.status, again.json["code"]) == (409, "conflict")
    assert first.json["id"] in again.json["detail"]
    assert (the_replay.status, the_replay.json["replays"]) == (201, first.json["id"])
    assert queued(tenant) == 0


def test_refused_when_the_transfer_has_not_ended(tenant: Api) -> None:
    tenant.connect()
    tenant.hook()
    (pending,) = tenant.get("/v1/transfers").json["data"]

    answer = tenant.post(f"/v1/transfers/{pending['id']}/replay")

    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert "pending" in answer.json["detail"]
    assert entries(tenant, kind="replayed") == []


def test_refused_when_the_content_is_gone(tenant: Api) -> None:
    (old,) = refused(tenant)
    path = f"/v1/transfers/{old['id']}/replay"
    tenant.call("DELETE", f"/v1/events/{old['event']}/content?ground=subject_request")

    erased = tenant.post(path)
    tenant.clock.at += timedelta(days=31)
    expired = tenant.post(path)

    for answer in (erased, expired):
        assert (answer.status, "gone" in answer.json["detail"]) == (409, True)
    assert entries(tenant, kind="replayed") == []


def test_refused_when_the_way_is_gone(tenant: Api) -> None:
    (old,) = refused(tenant)
    path, route = f"/v1/transfers/{old['id']}/replay", f"/v1/routes/{tenant.made['route']}"

    tenant.call("PATCH", route, {"enabled": False})
    disabled = tenant.post(path)
    tenant.call("DELETE", route)
    deleted = tenant.post(path)

    assert [(a.status, a.json["code"]) for a in (disabled, deleted)] == [(409, "conflict")] * 2
    assert "route" in deleted.json["detail"]


def test_nothing_is_told_when_it_is_another_tenants_or_nothing(tenant: Api, cell: Api) -> None:
    (old,) = refused(tenant)
    other = cell.new_tenant()
    job = tenant.post(f"/v1/destinations/{old['destination']}/replay", {"outcome": "any"}).json["id"]

    for path in (
        f"/v1/transfers/{old['id']}/replay",
        f"/v1/destinations/{old['destination']}/replay",
        f"/v1/transfers/{NOBODY}/replay",
        "/v1/transfers/dst_x/replay",
        "/v1/destinations/%2e%2e/replay",
    ):
        assert other.post(path, {"outcome": "any"} if "dest" in path else None).status == 404, path
    assert other.get(f"/v1/jobs/{job}").status == 404
    assert other.get("/v1/jobs").json["data"] == []
    assert tenant.with_key(scopes=["read"]).post(f"/v1/transfers/{old['id']}/replay").status == 403


# A destination


def test_job_is_answered_and_shows_how_far_it_is(tenant: Api) -> None:
    old = refused(tenant, number=3)

    made = tenant.post(f"/v1/destinations/{old[0]['destination']}/replay", {"outcome": "refused"})
    path = f"/v1/jobs/{made.json['id']}"
    worker.handle(tenant.runtime)
    done = tenant.get(path)

    assert made.status == 202
    assert (made.json["kind"], made.json["state"], made.json["url"], made.json["error"]) == (
        "replay",
        "queued",
        None,
        None,
    )
    assert made.json["progress"] == {"done": 0, "total": None}
    # It counts the events of the time: the messages, and the cell's own event, which says that their flow stopped.
    assert (done.json["state"], done.json["progress"]) == ("done", {"done": 4, "total": 4})
    assert done.json["summary"] == {
        "destination": old[0]["destination"],
        "replayed": 3,
        "held": 0,
        "refused": 0,
        "skipped": {"gone": 0, "no_route": 0},
    }
    assert [j["id"] for j in tenant.get("/v1/jobs").json["data"]] == [made.json["id"]]
    assert queued(tenant) == 3
    (act,) = entries(tenant, kind="replayed")
    decided = [e for e in entries(tenant, kind="decided") if e["cause"] == "replayed"]
    assert {e["by"] for e in decided} == {act["id"]}
    assert act["object"] == {"kind": "destination", "id": old[0]["destination"]}
    assert act["range"]["count"] is None
    shown = tenant.get("/v1/transfers").json["data"]
    assert {t["replays"] for t in shown if t["replays"]} == {t["id"] for t in old}


def test_one_job_and_one_act_when_the_request_is_tried_again(tenant: Api) -> None:
    (old,) = refused(tenant)
    path, body = f"/v1/destinations/{old['destination']}/replay", {"outcome": "refused"}

    first = tenant.post(path, body, Idempotency_Key="k")
    again = tenant.post(path, body, Idempotency_Key="k")
    other = tenant.post(path, body, Idempotency_Key="l")

    assert (first.status, again.json) == (202, first.json)
    assert (other.status, first.json["id"] in other.json["detail"]) == (409, True)
    assert len(entries(tenant, kind="replayed")) == 1


HOSTILE: list[tuple[Any, str]] = [
    ({}, "body.outcome"),
    ({"outcome": "pending"}, "body.outcome"),
    ({"outcome": ["any"]}, "body.outcome"),
    ({"outcome": "any", "transfers": []}, "body.transfers"),
    ({"outcome": "any", "after": "yesterday"}, "body.after"),
    ({"outcome": "any", "after": 0}, "body.after"),
    ({"outcome": "any", "after": "2026-11-20T00:00:00Z", "before": "2026-11-20T00:00:00Z"}, "body.before"),
    ({"outcome": "any", "after": "2026-01-01T00:00:00Z", "before": "2026-03-01T00:00:00Z"}, "body.after"),
    ({"outcome": "any", "after": "2099-01-01T00:00:00Z"}, "body.before"),
    ({"outcome": "any", "after": "0001-01-01T00:00:00+14:00"}, "body.after"),
    ({"outcome": "any", "before": "0001-01-01T00:00:00Z"}, "body.before"),
    ({"outcome": "any", "before": "1969-12-31T23:59:59Z"}, "body.before"),
]


@pytest.mark.parametrize(("body", "loc"), HOSTILE)
def test_refused_at_its_place_when_a_range_makes_no_sense(tenant: Api, body: Any, loc: str) -> None:
    tenant.connect()

    answer = tenant.post(f"/v1/destinations/{tenant.made['destination']}/replay", body)

    assert (answer.status, [e["loc"] for e in answer.json["errors"]]) == (422, [loc])
    assert tenant.get("/v1/jobs").json["data"] == []


def test_refused_when_there_are_too_many_open_jobs(tenant: Api) -> None:
    ids = tenant.connect()
    made = []
    for number in range(requests.OPEN_MAX + 1):
        settings = {"name": f"n{number}", "kind": "http", "config": {"url": "http://127.0.0.1:9000/in"}}
        made.append(tenant.made_by("/v1/destinations", {**settings, "recipient": ids["recipient"]})["id"])

    answers = [tenant.post(f"/v1/destinations/{one}/replay", {"outcome": "any"}) for one in made]

    assert [a.status for a in answers] == [202] * requests.OPEN_MAX + [429]
    assert answers[-1].headers["Retry-After"] == "60"


def test_jobs_are_listed_by_pages_and_by_what_the_key_may_see(tenant: Api) -> None:
    tenant.connect()
    made = []
    for _ in range(3):
        tenant.clock.at += timedelta(seconds=1)
        path = f"/v1/destinations/{tenant.made['destination']}/replay"
        made.append(tenant.post(path, {"outcome": "any"}).json["id"])
        worker.handle(tenant.runtime)

    first = tenant.get("/v1/jobs", limit=2).json
    second = tenant.get("/v1/jobs", limit=2, cursor=first["next"]).json

    assert [j["id"] for j in first["data"] + second["data"]] == made[::-1]
    assert second["next"] is None
    auditor = tenant.with_key(scopes=["audit"])
    assert auditor.get("/v1/jobs").json["data"] == []
    assert auditor.get(f"/v1/jobs/{made[0]}").status == 404
    assert tenant.with_key(scopes=["read"]).get(f"/v1/jobs/{made[0]}").status == 200
    tenant.clock.at += timedelta(days=8)
    assert tenant.get(f"/v1/jobs/{made[0]}").status == 404
    assert tenant.get("/v1/jobs").json["data"] == []


def test_nothing_is_left_out_when_the_range_is_told(tenant: Api) -> None:
    old = refused(tenant, number=2)
    middle = tenant.get(f"/v1/events/{old[0]['event']}").json["received_at"]
    path = f"/v1/destinations/{old[0]['destination']}/replay"

    tenant.post(path, {"outcome": "any", "before": middle})
    worker.handle(tenant.runtime)
    first = [t["replays"] for t in tenant.get("/v1/transfers").json["data"] if t["replays"]]
    tenant.post(path, {"outcome": "any", "after": middle, "before": times.text(tenant.clock.at + timedelta(days=400))})
    worker.handle(tenant.runtime)
    both = [t["replays"] for t in tenant.get("/v1/transfers").json["data"] if t["replays"]]

    assert first == [old[1]["id"]]
    assert sorted(both) == sorted(t["id"] for t in old)

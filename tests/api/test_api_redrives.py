"""Dead letters are listed, and sent again by one call of the operator, for all tenants or for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.flow.jobs import redrive, replay, worker
from chalicelib.store import jobs
from tests.support.api_cell import Api
from tests.support.dead_letters import dead_letter

NOBODY = "tnt_" + "0" * 26


def work(tenant: Api) -> None:
    """Do every job, and route the events that it has sent back."""
    import app

    tenant.clock.at = tenant.clock.at.replace(microsecond=0)
    worker.handle(tenant.runtime)
    tenant.feed("inbox", app.route)


def letters(tenant: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tenant.get("/v1/dead-letters").json["data"]
    return found


def part(answer: Any, tenant: Api) -> dict[str, Any]:
    (found,) = [one for one in answer["tenants"] if one["tenant"] == tenant.made["tenant"]]
    return dict(found)


def test_tenant_and_operator_see_the_letter_without_its_content(tenant: Api) -> None:
    tenant.connect()
    event = dead_letter(tenant)

    (letter,) = letters(tenant)

    assert (letter["queue"], letter["event"], letter["transfer"]) == ("inbox", event, None)
    assert letter["source"] == tenant.made["source"]
    assert "sealed" not in json.dumps(letter)
    path = f"/v1/tenants/{tenant.made['tenant']}/dead-letters"
    assert tenant.as_operator("GET", path).json["data"] == [letter]
    assert tenant.get(path).status == 401
    assert letters(tenant.new_tenant()) == []


def test_letters_of_all_tenants_are_sent_again_by_one_call(tenant: Api) -> None:
    others = [tenant, tenant.new_tenant(), tenant.new_tenant()]
    for one in others:
        one.connect()
    events = [[dead_letter(one, number) for number in (1, 2)] for one in others[:2]]

    answer = tenant.as_operator("POST", "/v1/redrives", {})
    work(tenant)
    after = tenant.as_operator("GET", f"/v1/redrives/{answer.json['id']}").json

    assert (answer.status, after["state"]) == (202, "done")
    for one, ids in zip(others[:2], events, strict=True):
        own = part(after, one)
        assert (own["state"], own["sent"], own["stays"]) == ("done", 2, 0)
        assert letters(one) == []
        assert [one.get(f"/v1/events/{event}").status for event in ids] == [200, 200]
        acts = [e["entry"] for e in one.get("/v1/audit/entries", kind="replayed").json["data"]]
        assert [(act["actor"], act["reason"]) for act in acts] == [
            ({"kind": "operator", "id": "operator"}, "dead_letter")
        ] * 2
        job = one.get(f"/v1/jobs/{own['job']}").json
        assert (job["kind"], job["progress"], job["summary"]) == (
            "redrive",
            {"done": 2, "total": 2},
            {"sent": 2, "stays": 0},
        )
    assert others[2].made["tenant"] not in json.dumps(after)


def test_only_the_named_letter_is_sent_again_under_the_given_name(tenant: Api) -> None:
    tenant.connect()
    first, second = dead_letter(tenant, 1), dead_letter(tenant, 2)
    body = {"tenant": tenant.made["tenant"], "thing": first, "operator": "duty"}

    tenant.as_operator("POST", "/v1/redrives", body)
    work(tenant)

    assert [letter["event"] for letter in letters(tenant)] == [second]
    (act,) = [e["entry"] for e in tenant.get("/v1/audit/entries", kind="replayed").json["data"]]
    assert (act["event"], act["actor"]["id"]) == (first, "duty")


def test_a_letter_is_sent_once_when_it_is_asked_again_and_again(tenant: Api) -> None:
    tenant.connect()
    dead_letter(tenant)
    body = {"tenant": tenant.made["tenant"]}

    first = tenant.as_operator("POST", "/v1/redrives", body, Idempotency_Key="once")
    again = tenant.as_operator("POST", "/v1/redrives", body, Idempotency_Key="once")
    other = tenant.as_operator("POST", "/v1/redrives", body)
    work(tenant)
    late = tenant.as_operator("POST", "/v1/redrives", body, Idempotency_Key="once").json

    assert first.json == again.json
    assert late["id"] == first.json["id"] != other.json["id"]
    found = [tenant.as_operator("GET", f"/v1/redrives/{one.json['id']}").json for one in (first, other)]
    assert [one["state"] for one in found] == ["done", "done"]
    assert sum(one["sent"] for one in found) == 1
    assert len(tenant.get("/v1/audit/entries", kind="replayed").json["data"]) == 1
    assert (
        tenant.as_operator("POST", "/v1/redrives", {}, Idempotency_Key="once").json["errors"][0]["code"] == "key_reused"
    )


def test_a_letter_stays_when_its_event_was_erased(tenant: Api) -> None:
    tenant.connect()
    event = dead_letter(tenant)
    body = {"tenant": tenant.made["tenant"]}
    tenant.runtime.data.insert_dead(
        tenant.made["tenant"], "inbox", "evt_broken",
        {"message": "{}", "group": "g", "minute": 1, "parked_at": "2026-11-30T00:00:00.000Z"}, tenant.clock.at,
    )  # fmt: skip

    made = tenant.as_operator("POST", "/v1/redrives", body).json
    work(tenant)

    own = part(tenant.as_operator("GET", f"/v1/redrives/{made['id']}").json, tenant)
    assert (own["state"], own["sent"], own["stays"]) == ("done", 1, 1)
    assert tenant.get(f"/v1/events/{event}").status == 200


def test_no_letter_is_counted_twice_when_a_service_fails_between_two(
    tenant: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.connect()
    for number in (1, 2, 3):
        dead_letter(tenant, number)
    real, calls = replay.redrive, iter(range(9))

    def failing(*arguments: Any) -> None:
        if next(calls) == 1:
            raise Unavailable("down")
        real(*arguments)

    monkeypatch.setattr(redrive, "redrive", failing)
    made = tenant.as_operator("POST", "/v1/redrives", {"tenant": tenant.made["tenant"]}).json
    work(tenant)

    own = part(tenant.as_operator("GET", f"/v1/redrives/{made['id']}").json, tenant)
    assert (own["sent"], own["stays"], letters(tenant)) == (3, 0, [])


@pytest.mark.parametrize(
    "body",
    [
        {"tenant": "tnt_x"}, {"tenant": 1}, {"thing": "evt_"}, {"thing": NOBODY}, {"operator": ""}, {"operator": "a b"},
        {"operator": "a" * 65}, {"operator": "\n"}, {"other": 1}, {"tenant": NOBODY + "\n"},
    ],
)  # fmt: skip
def test_a_malformed_redrive_is_refused(tenant: Api, body: Any) -> None:
    assert tenant.as_operator("POST", "/v1/redrives", body).status == 422


def test_what_does_not_exist_is_not_found(tenant: Api) -> None:
    assert tenant.as_operator("POST", "/v1/redrives", {"tenant": NOBODY}).status == 404
    assert tenant.as_operator("GET", "/v1/redrives/job_" + "z" * 26).status == 404
    assert tenant.as_operator("GET", "/v1/redrives/x").status == 404
    assert tenant.as_operator("GET", f"/v1/tenants/{NOBODY}/dead-letters").status == 404
    assert tenant.post("/v1/redrives", {}).status == 401
    nothing = tenant.as_operator("POST", "/v1/redrives", {"tenant": tenant.made["tenant"]})
    assert (nothing.status, nothing.json["state"], nothing.json["tenants"]) == (202, "done", [])


def _calls_to_show(tenant: Api, redrive_id: str) -> int:
    calls: list[str] = []
    client = tenant.runtime.clients.get("dynamodb")
    real = client._make_api_call

    def counted(operation: str, arguments: Any) -> Any:
        calls.append(operation)
        return real(operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_make_api_call", counted)
        tenant.as_operator("GET", f"/v1/redrives/{redrive_id}")
    assert calls
    return len(calls)


def test_the_progress_of_a_redrive_costs_as_many_calls_with_twice_the_tenants(tenant: Api) -> None:
    tenant.connect()
    dead_letter(tenant)
    table = f"waybill-{tenant.runtime.settings.cell}-config"
    made = tenant.as_operator("POST", "/v1/redrives", {}).json
    found, costs = [], []
    for first in (0, 1_000):
        rows = [
            {"pk": {"S": "tenants"}, "sk": {"S": f"tnt_{number:026d}"}, "region": {"S": tenant.runtime.settings.region}}
            for number in range(first, first + 1_000)
        ]
        for start in range(0, len(rows), 25):
            requests = [{"PutRequest": {"Item": row}} for row in rows[start : start + 25]]
            tenant.runtime.clients.get("dynamodb").batch_write_item(RequestItems={table: requests})
        costs.append(_calls_to_show(tenant, made["id"]))
        found.append(tenant.as_operator("GET", f"/v1/redrives/{made['id']}").json)

    assert costs[0] == costs[1]
    assert found == [made, made]


def test_a_redrive_of_the_release_before_is_found_in_all_tenants(tenant: Api) -> None:
    tenant.connect()
    dead_letter(tenant)
    made = tenant.as_operator("POST", "/v1/redrives", {}).json
    table = tenant.runtime.data.table
    for one in (jobs.ITSELF, *(part["tenant"] for part in made["tenants"])):
        table.delete({"pk": f"redrive#{made['id']}", "sk": one})

    found = tenant.as_operator("GET", f"/v1/redrives/{made['id']}")

    assert (found.status, found.json) == (200, made)

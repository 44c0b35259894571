"""The whole way of an event: what was decided and tried, where it waits, and where its entries are in the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.log import audit
from chalicelib.flow import dead
from chalicelib.flow.sealing import seal
from infra.client import trace as command
from tests.support.api_cell import RECIPIENT, US_RECIPIENT, Api
from tests.support.dead_letters import dead_letter

NOBODY = "0" * 26


def traced(tenant: Api, **query: str) -> dict[str, Any]:
    answer = tenant.get("/v1/trace", **query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def sent(tenant: Api, text: str = "hello", changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Post one message; return its transfer."""
    tenant.connect({**RECIPIENT, **(changes or {})})
    tenant.hook(text)
    (found,) = tenant.get("/v1/transfers").json["data"]
    return dict(found)


def test_the_same_way_is_found_by_event_transfer_and_platform_id(tenant: Api) -> None:
    transfer = sent(tenant, "CANARY text")

    found = traced(tenant, event=transfer["event"])

    assert found == traced(tenant, transfer=transfer["id"])
    assert found == traced(tenant, source=tenant.made["source"], message="1")
    path = f"/v1/tenants/{tenant.made['tenant']}/trace?transfer={transfer['id']}"
    assert tenant.as_operator("GET", path).json == found
    assert (found["stored"], found["ended"], found["dead_letter"]) == ("stored", False, False)
    assert (found["source"], found["channel"], found["kind"]) == (tenant.made["source"], "telegram", "message")
    received, decided = found["steps"]
    assert (received["what"], received["at"]) == ("received", found["received_at"])
    assert (decided["what"], decided["decision"], decided["reason"]) == ("decided", "allowed", "received")
    (one,) = found["transfers"]
    assert (one["outcome"], one["waits"], one["attempts"]) == ("pending", "queue", 0)
    assert "CANARY" not in json.dumps(found)
    assert "\n".join(command.lines(found)).count(transfer["id"]) == 2


def test_the_place_in_the_lane_is_shown_with_the_next_look(tenant: Api) -> None:
    transfer = sent(tenant)
    tenant.clock.at += timedelta(minutes=5)  # it has waited too long in its queue
    tenant.deliver()
    tenant.hook("second", 2)
    tenant.deliver()
    second = next(t for t in tenant.get("/v1/transfers").json["data"] if t["id"] != transfer["id"])

    (first,) = traced(tenant, event=transfer["event"])["transfers"]
    (behind,) = traced(tenant, transfer=second["id"])["transfers"]

    assert [(one["waits"], one["behind"]) for one in (first, behind)] == [("lane", 0), ("lane", 1)]
    assert first["due_at"] is not None


def test_an_attempt_is_a_step_with_its_code(tenant: Api) -> None:
    transfer = sent(tenant)
    tenant.deliver()

    found = traced(tenant, event=transfer["event"])

    tried = [step for step in found["steps"] if step["what"] == "attempted"]
    assert [(step["attempt"], step["outcome"], step["transfer"]) for step in tried] == [(1, "failed", transfer["id"])]
    assert tried[0]["code"] and tried[0]["took_ms"] is not None
    assert found["transfers"][0]["attempts"] == 1


def test_a_held_transfer_says_when_it_is_decided_again(tenant: Api) -> None:
    transfer = sent(tenant, changes=US_RECIPIENT)
    tenant.deliver()

    (one,) = traced(tenant, event=transfer["event"])["transfers"]

    assert (one["outcome"], one["waits"], one["behind"]) == ("held", "held", 0)
    assert one["due_at"] is not None


def test_a_refused_transfer_has_ended(tenant: Api) -> None:
    transfer = sent(tenant, changes={"granted": False})

    found = traced(tenant, event=transfer["event"])

    assert found["ended"] is True
    assert [(one["outcome"], one["waits"]) for one in found["transfers"]] == [("refused", None)]


def test_entries_show_their_place_in_the_log_once_they_are_sealed(tenant: Api) -> None:
    transfer = sent(tenant)
    assert traced(tenant, event=transfer["event"])["sealed"] is False
    (entry,) = {step["entry"] for step in traced(tenant, event=transfer["event"])["steps"]} - {None}
    tenant.clock.at += timedelta(minutes=10)
    log = tenant.get(f"/v1/audit/entries/{entry}").json["log"]
    day = tenant.runtime.audit.between(
        tenant.made["tenant"], tenant.clock.at - timedelta(days=1), tenant.clock.at, now=tenant.clock.at
    )
    buckets = {audit.partition_of(tenant.made["tenant"], e["id"]).partition("#")[2] for e in day.entries}
    seal.seal_log(tenant.runtime, tenant.made["tenant"], log, buckets)

    found = traced(tenant, event=transfer["event"])

    assert found["sealed"] is True
    assert all(step["index"] is not None for step in found["steps"] if step["entry"])


def test_a_dead_letter_of_the_inbox_is_traced_before_it_is_decided(tenant: Api) -> None:
    tenant.connect()
    event = dead_letter(tenant)

    found = traced(tenant, event=event)

    assert (found["dead_letter"], found["stored"], found["source"]) == (True, "no", None)
    assert [(step["what"], step["reason"]) for step in found["steps"]] in (
        [("expired", "dead_letter"), ("dead_letter", None)],
        [("dead_letter", None), ("expired", "dead_letter")],
    )


def test_a_dead_letter_of_a_delivery_is_shown_at_its_transfer(tenant: Api) -> None:
    transfer = sent(tenant)
    sqs = tenant.runtime.clients.get("sqs")
    for message in sqs.receive_message(QueueUrl="waybill-local-outbox.fifo", MaxNumberOfMessages=10)["Messages"]:
        if json.loads(message["Body"]).get("transfer") == transfer["id"]:
            dead.end_delivery(tenant.runtime, json.loads(message["Body"]), "g")

    found = traced(tenant, transfer=transfer["id"])

    (one,) = found["transfers"]
    assert (one["outcome"], one["dead_letter"], found["ended"]) == ("gave_up", True, True)
    assert {"attempted", "dead_letter"} <= {step["what"] for step in found["steps"]}


def test_a_transfer_leads_to_its_event_after_its_life(tenant: Api) -> None:
    transfer = sent(tenant)
    tenant.clock.at += timedelta(days=40)

    found = traced(tenant, transfer=transfer["id"])

    assert (found["stored"], found["transfers"][0]["outcome"]) == ("no", "expired")
    assert tenant.get("/v1/trace", event=transfer["event"]).status == 404


def test_what_is_another_tenant_s_is_not_found(tenant: Api) -> None:
    transfer = sent(tenant)
    other = tenant.new_tenant()

    for query in (
        {"event": transfer["event"]},
        {"transfer": transfer["id"]},
        {"source": tenant.made["source"], "message": "1"},
        {"event": f"evt_{NOBODY}"},
        {"transfer": f"trf_{NOBODY}"},
    ):
        assert other.get("/v1/trace", **query).status == 404, query
        path = f"/v1/tenants/{other.made['tenant']}/trace"
        assert tenant.as_operator("GET", f"{path}?{'&'.join(f'{n}={v}' for n, v in query.items())}").status == 404
    assert tenant.get(f"/v1/tenants/{tenant.made['tenant']}/trace", event=transfer["event"]).status == 401
    assert tenant.with_key(scopes=["audit"]).get("/v1/trace", event=transfer["event"]).status == 403


@pytest.mark.parametrize(
    "query",
    [
        {}, {"message": "1"}, {"source": f"src_{NOBODY}"}, {"event": "x"}, {"transfer": "trf_"}, {"message": ""},
        {"event": f"evt_{NOBODY}", "transfer": f"trf_{NOBODY}"}, {"other": "1"}, {"source": "src_x", "message": "1"},
        {"source": f"src_{NOBODY}", "message": "m" * 513}, {"event": f"evt_{NOBODY}", "message": "1"},
    ],
)  # fmt: skip
def test_a_malformed_question_is_refused(tenant: Api, query: dict[str, str]) -> None:
    assert tenant.get("/v1/trace", **query).status == 422

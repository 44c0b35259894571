"""Throwing and releasing kill switches over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import ids, times
from chalicelib.core.tenant.switches import Switch
from tests.support.api_cell import RECIPIENT, Api, acts


def switch(**changes: Any) -> dict[str, Any]:
    return {"scope": "channel", "value": "telegram", "reason": "under review", **changes}


def test_what_matches_is_refused_until_the_switch_is_gone(tenant: Api) -> None:
    tenant.connect()
    made = tenant.made_by("/v1/switches", switch())
    path = f"/v1/switches/{made['id']}"
    tenant.hook("one", number=1)
    assert tenant.get(path).json == made
    assert tenant.get("/v1/switches").json["data"] == [made]

    assert tenant.call("DELETE", path).status == 204
    tenant.hook("two", number=2)

    newest, oldest = tenant.get("/v1/transfers").json["data"]
    assert (oldest["outcome"], [r["id"] for r in oldest["rules"]]) == ("refused", ["TENANT.switch"])
    assert newest["decision"] == "allowed"
    assert tenant.get(path).status == 404
    on, off = [a for a in acts(tenant) if a["object"]["kind"] == "switch"]
    assert (on["reason"], off["reason"]) == ("created", "removed")
    assert on["before"] == off["after"] != on["after"] == off["before"]
    assert "under review" not in str(acts(tenant))


def test_preflight_says_that_a_flow_is_stopped_while_the_switch_stands(tenant: Api) -> None:
    tenant.connect()
    (before,) = tenant.get("/v1/preflight").json["data"]
    made = tenant.made_by("/v1/switches", switch())

    (stopped,) = tenant.get("/v1/preflight").json["data"]
    tenant.call("DELETE", f"/v1/switches/{made['id']}")

    assert before["ready"] is True
    assert (stopped["decision"], stopped["ready"]) == ("refused", False)
    assert [r["id"] for r in stopped["rules"]] == [r["id"] for r in stopped["refused"]] == ["TENANT.switch"]
    assert tenant.get("/v1/preflight").json["data"] == [before]


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"value": "pigeon"}, "body.value"),
        ({"scope": "country"}, "body.value"),
        ({"scope": "recipient", "value": "rcp_" + "0" * 26}, "body.value"),
        ({"scope": "destination", "value": "crm"}, "body.value"),
        ({"scope": "planet"}, "body.scope"),
        ({"until": "2020-01-01T00:00:00Z"}, "body.until"),
        ({"reason": ""}, "body.reason"),
        ({"reason": None}, "body.reason"),
    ],
)
def test_switch_is_refused_when_it_could_stop_nothing(tenant: Api, change: dict[str, Any], loc: str) -> None:
    answer = tenant.post("/v1/switches", switch(**change))

    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["loc"] == loc
    assert tenant.get("/v1/switches").json["data"] == []


def test_recipients_behind_recipients_can_be_stopped(tenant: Api) -> None:
    ids = tenant.connect()
    path = f"/v1/recipients/{ids['recipient']}"
    sub = {"id": "sub-1", "entity_country": "DE", "processing_countries": ["DE"], "role": "sub_processor"}
    assert tenant.call("PUT", path, {**RECIPIENT, "onward": [{**sub, "granted": True}]}).status == 200

    tenant.made_by("/v1/switches", switch(scope="recipient", value="sub-1"))
    tenant.hook()

    assert tenant.get("/v1/transfers").json["data"][0]["outcome"] == "refused"


def test_same_switch_is_made_once_when_its_request_is_sent_again(tenant: Api) -> None:
    body = switch(until=times.text(tenant.clock.at + timedelta(days=1)))

    answers = [tenant.post("/v1/switches", body, Idempotency_Key="k1") for _ in range(2)]

    assert [a.status for a in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    assert len(tenant.get("/v1/switches").json["data"]) == 1


def test_switches_are_bounded_when_a_tenant_throws_many(tenant: Api) -> None:
    first = tenant.made_by("/v1/switches", switch())
    for number in range(98):  # as the store keeps them: a request for each reads all that stand
        made = {**switch(), "id": ids.derived("swi", str(number)), "created_at": first["created_at"]}
        tenant.runtime.config.insert(tenant.made["tenant"], Switch.model_validate(made))
    tenant.made_by("/v1/switches", switch())

    assert len(list(tenant.runtime.config.snapshot(tenant.made["tenant"]).configuration.switches)) == 100
    assert tenant.post("/v1/switches", switch()).json["errors"][0]["code"] == "too_many"

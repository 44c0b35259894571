"""``POST /v1/tenants/{id}/key/rotate``: the operator gives a tenant another version of its master key."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.core import times
from chalicelib.core.job import KEPT
from chalicelib.flow.jobs import worker
from chalicelib.store.keys import ROTATION
from tests.support.api_cell import RECIPIENT, Api


def test_secrets_stay_readable_when_the_key_is_rotated(tenant: Api) -> None:
    body = {"name": "k", "scopes": ["read"]}
    first = tenant.post("/v1/keys", body, Idempotency_Key="before")
    ids = tenant.connect()
    cursor = [tenant.made_by("/v1/recipients", RECIPIENT)["id"] for _ in range(2)] and tenant.get(
        "/v1/recipients", limit=1
    ).json["next"]

    answer = tenant.as_operator("POST", f"/v1/tenants/{tenant.made['tenant']}/key/rotate")

    assert (answer.status, answer.json["version"]) == (200, 2)
    assert timedelta() <= times.parse(answer.json["active_at"]) - tenant.clock.at + timedelta(seconds=5) <= ROTATION * 2
    tenant.clock.at += ROTATION + timedelta(minutes=10)
    again = tenant.post("/v1/keys", body, Idempotency_Key="before")
    assert again.json == first.json
    keys = tenant.runtime.config.keys_of(tenant.made["tenant"])
    assert keys.current == 2
    assert tenant.runtime.config.snapshot(tenant.made["tenant"]).secrets(ids["destination"]) is not None
    assert tenant.get("/v1/recipients", limit=1, cursor=cursor).status == 200
    noted = tenant.get("/v1/audit/entries").json["data"]
    assert ("tenant", "rotated") in {(e["entry"]["object"]["kind"], e["entry"]["reason"]) for e in noted}


def test_only_the_operator_rotates(tenant: Api) -> None:
    path = f"/v1/tenants/{tenant.made['tenant']}/key/rotate"

    assert tenant.post(path).status == 401
    assert tenant.as_operator("POST", path.replace(tenant.made["tenant"], "tnt_" + "0" * 26)).status == 404


def test_the_operator_and_the_tenant_see_how_far_a_rotation_is(tenant: Api) -> None:
    tenant.connect()
    tenant.hook()
    path = f"/v1/tenants/{tenant.made['tenant']}/key"
    before = tenant.as_operator("GET", path)

    made = tenant.as_operator("POST", f"{path}/rotate").json

    created = tenant.get("/v1/tenant").json["created_at"]
    assert before.json == {"version": 1, "active_at": created, "wraps_from": 1, "job": None}
    assert (made["version"], made["wraps_from"], made["job"]["kind"]) == (2, 1, "key_rotation")
    assert tenant.as_operator("GET", path).json == made
    assert tenant.get(f"/v1/jobs/{made['job']['id']}").json == made["job"]
    assert tenant.with_key(scopes=["read", "write", "audit"]).get(f"/v1/jobs/{made['job']['id']}").status == 404
    assert tenant.get(path).status == 401
    for _ in range(3):
        tenant.clock.at += ROTATION
        worker.handle(tenant.runtime)

    after = tenant.as_operator("GET", path).json
    assert (after["wraps_from"], after["job"]["state"]) == (2, "done")
    summary = after["job"]["summary"]
    assert summary == {"version": 2, "secrets": 2, "data_keys": 2}
    assert after["job"]["progress"] == {"done": 4, "total": 4}
    tenant.clock.at += KEPT + timedelta(minutes=1)
    assert tenant.as_operator("GET", path).json == {**after, "job": None}


def test_a_repeated_request_starts_no_second_rotation(tenant: Api) -> None:
    path = f"/v1/tenants/{tenant.made['tenant']}/key/rotate"
    first = tenant.as_operator("POST", path, Idempotency_Key="once").json

    assert tenant.as_operator("POST", path).json == first
    tenant.clock.at += ROTATION * 2
    assert tenant.as_operator("POST", path, Idempotency_Key="once").json == first
    assert len(tenant.get("/v1/jobs").json["data"]) == 1

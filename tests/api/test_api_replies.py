"""Idempotency keys: a repeated request, after any fate of the first try."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import replies
from chalicelib.core import times
from chalicelib.core.errors import Unavailable
from tests.support.api_cell import RECIPIENT, SOURCE, TENANT, Api


def test_stored_answer_is_given_when_the_request_comes_again(tenant: Api) -> None:
    first = tenant.post("/v1/recipients", RECIPIENT, Idempotency_Key="one")
    again = tenant.post("/v1/recipients", RECIPIENT, Idempotency_Key="one")

    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert len(tenant.get("/v1/recipients").json["data"]) == 1


def test_secret_comes_again_from_a_sealed_answer(tenant: Api) -> None:
    body = {"name": "k", "scopes": ["read"]}

    first = tenant.post("/v1/keys", body, Idempotency_Key="key-1")
    again = tenant.post("/v1/keys", body, Idempotency_Key="key-1")

    assert again.json["secret"] == first.json["secret"]
    hashed = replies.hash_of("key-1", tenant.made["key"])
    row = tenant.runtime.data.reply(tenant.made["tenant"], hashed)
    assert row is not None and first.json["secret"].encode() not in row["body"]


def test_key_is_refused_when_it_was_used_for_another_request(tenant: Api) -> None:
    tenant.post("/v1/recipients", RECIPIENT, Idempotency_Key="one")

    other_body = tenant.post("/v1/recipients", {**RECIPIENT, "legal_name": "Other"}, Idempotency_Key="one")
    other_path = tenant.post("/v1/sources", RECIPIENT | SOURCE, Idempotency_Key="two")
    other_path_again = tenant.post("/v1/bases", {"kind": "contract"}, Idempotency_Key="one")

    assert other_body.json["errors"][0]["code"] == "key_reused"
    assert other_path.status == 422 and other_path_again.json["errors"][0]["code"] == "key_reused"


def test_key_is_free_again_when_the_request_was_refused_or_a_day_is_over(tenant: Api) -> None:
    wrong = tenant.post("/v1/bases", {"kind": "contract", "recipient": "rcp_" + "0" * 26}, Idempotency_Key="one")
    right = tenant.post("/v1/bases", {"kind": "contract"}, Idempotency_Key="one")
    at = tenant.clock.at
    tenant.clock.at = at + timedelta(hours=25)
    later = tenant.post("/v1/bases", {"kind": "instruction"}, Idempotency_Key="one")
    tenant.clock.at = at

    assert (wrong.status, right.status, later.status) == (422, 201, 201)
    assert later.json["id"] != right.json["id"]


def test_keys_of_different_api_keys_do_not_meet(tenant: Api) -> None:
    other = tenant.with_key(scopes=["write"])

    first = tenant.post("/v1/bases", {"kind": "contract"}, Idempotency_Key="one")
    second = other.post("/v1/bases", {"kind": "contract"}, Idempotency_Key="one")

    assert first.json["id"] != second.json["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "\x00", "é"])
def test_key_is_refused_when_it_is_malformed(tenant: Api, key: str) -> None:
    answer = tenant.post("/v1/recipients", RECIPIENT, Idempotency_Key=key)

    assert answer.json["errors"][0]["loc"] == "header.idempotency-key"


def test_second_request_waits_when_the_first_still_runs_and_takes_over_when_it_died(tenant: Api) -> None:
    hashed = replies.hash_of("one", tenant.made["key"])
    keys = tenant.runtime.config.keys_of(tenant.made["tenant"])
    import json

    raw = json.dumps(RECIPIENT).encode()
    fingerprint = replies.fingerprint_of(keys.fingerprints, "POST", "/v1/recipients", raw)
    replies.claim(tenant.runtime, tenant.made["tenant"], hashed, fingerprint)

    running = tenant.post("/v1/recipients", RECIPIENT, Idempotency_Key="one")
    tenant.clock.at += timedelta(seconds=61)
    taken_over = tenant.post("/v1/recipients", RECIPIENT, Idempotency_Key="one")

    assert (running.status, running.json["code"], running.headers["Retry-After"]) == (409, "still_running", "1")
    assert taken_over.status == 201


class Stops:
    """Stands before a part of the shell and fails its n-th call from then on."""

    def __init__(self, part: Any, method: str) -> None:
        self._part, self._method, self.left = part, method, 0

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self.left > 0:
            self.left -= 1
            if self.left == 0:
                raise Unavailable("stopped by the test")
        return getattr(self._part, name)


@pytest.mark.parametrize(
    "effect", ["audit.append_many", "config.insert_lookup", "data.finish_reply", "config.snapshot"]
)
@pytest.mark.parametrize("what", ["keys", "sources", "destinations"])
def test_second_try_completes_the_first_when_it_stopped_half_way(tenant: Api, effect: str, what: str) -> None:
    part, method = effect.split(".")
    recipient = tenant.made_by("/v1/recipients", RECIPIENT)["id"]
    body = {
        "keys": {"name": "k", "scopes": ["read"]},
        "sources": SOURCE,
        "destinations": {"name": "d", "kind": "http", "config": {"url": "http://127.0.0.1:9/"}, "recipient": recipient},
    }[what]
    real = getattr(tenant.runtime, part)
    calls = 2 if effect == "config.snapshot" else 1
    stops = Stops(real, method)
    tenant.runtime.__dict__[part] = stops
    before = len(tenant.get(f"/v1/{what}").json["data"])

    stops.left = calls
    first = tenant.post(f"/v1/{what}", body, Idempotency_Key="once")
    stops.left = 0
    second = tenant.post(f"/v1/{what}", body, Idempotency_Key="once")
    third = tenant.post(f"/v1/{what}", body, Idempotency_Key="once")
    tenant.runtime.__dict__[part] = real

    reached = not (effect == "config.insert_lookup" and what == "destinations")
    assert first.status == (503 if reached else 201), first.text
    assert second.status == 201 and third.json == second.json
    assert len(tenant.get(f"/v1/{what}").json["data"]) == before + 1
    if what == "keys":
        assert tenant.call("GET", "/v1/tenant", key=second.json["secret"]).status == 200
    if what == "sources":
        assert tenant.runtime.config.lookup(second.json["id"]) is not None


def test_tenant_is_made_once_when_the_operator_tries_again(cell: Api) -> None:
    real = cell.runtime.config
    stops = Stops(real, "insert_lookup")
    cell.runtime.__dict__["config"] = stops

    stops.left = 1
    first = cell.as_operator("POST", "/v1/tenants", TENANT, Idempotency_Key="nord")
    second = cell.as_operator("POST", "/v1/tenants", TENANT, Idempotency_Key="nord")
    third = cell.as_operator("POST", "/v1/tenants", TENANT, Idempotency_Key="nord")
    other = cell.as_operator("POST", "/v1/tenants", {**TENANT, "name": "Other"}, Idempotency_Key="nord")
    cell.runtime.__dict__["config"] = real

    assert (first.status, second.status, other.status) == (503, 201, 422)
    assert third.json == second.json
    assert cell.call("GET", "/v1/tenant", key=second.json["key"]["secret"]).json["id"] == second.json["tenant"]["id"]
    made = times.parse(second.json["tenant"]["created_at"])
    assert abs((cell.clock.at - made).total_seconds()) < 60
    assert len(list(real.list(second.json["tenant"]["id"], "key"))) == 1

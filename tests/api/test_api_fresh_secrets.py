"""An idempotency key that is used again after a day makes another secret, for every kind of secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import replies
from chalicelib.core import times
from tests.support.api_cell import RECIPIENT, SOURCE, TENANT, Answer, Api

KEY = {"Idempotency_Key": "one"}
SHOWN = frozenset({"secret", "signing_secret", "public_keys", "url"})
"""The fields of answers that hold a secret which the cell makes, or are made of one."""


def _recipient(api: Api) -> str:
    made: str = api.made_by("/v1/recipients", RECIPIENT)["id"]
    return made


def _destination(api: Api, recipient: str, signature: str) -> dict[str, Any]:
    return {
        "name": "d",
        "kind": "http",
        "recipient": recipient,
        "config": {"url": "http://127.0.0.1:9/", "signature": signature},
    }


def _tenants(api: Api) -> Callable[[], Answer]:
    return lambda: api.as_operator("POST", "/v1/tenants", TENANT, **KEY)


def _keys(api: Api) -> Callable[[], Answer]:
    return lambda: api.post("/v1/keys", {"name": "ci", "scopes": ["read"]}, **KEY)


def _sources(api: Api) -> Callable[[], Answer]:
    return lambda: api.post("/v1/sources", {**SOURCE, "channel": "ok", "secret": {}}, **KEY)


def _rotated_sources(api: Api) -> Callable[[], Answer]:
    source = api.made_by("/v1/sources", {**SOURCE, "channel": "ok", "secret": {}})["id"]
    return lambda: api.post(f"/v1/sources/{source}/secret", {"secret": {}}, **KEY)


def _destinations(api: Api) -> Callable[[], Answer]:
    body = _destination(api, _recipient(api), "both")
    return lambda: api.post("/v1/destinations", body, **KEY)


def _rotated_destinations(api: Api) -> Callable[[], Answer]:
    made = api.made_by("/v1/destinations", _destination(api, _recipient(api), "both"))["id"]
    return lambda: api.post(f"/v1/destinations/{made}/secret/rotate", **KEY)


REQUESTS = (_tenants, _keys, _sources, _rotated_sources, _destinations, _rotated_destinations)


def shown(value: Any, name: str = "") -> Iterator[str]:
    """Yield every secret in an answer."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from shown(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from shown(item, name)
    elif name in SHOWN and value is not None:
        yield value.rpartition("token=")[2]


@pytest.mark.parametrize("made_by", REQUESTS)
def test_repeat_gives_the_same_secrets_within_a_day_and_others_after_it(
    tenant: Api, made_by: Callable[[Api], Callable[[], Answer]]
) -> None:
    request = made_by(tenant)
    first, again = request(), request()
    tenant.clock.at += timedelta(hours=25)
    later = request()

    assert first.status in (200, 201) and again.json == first.json, first.text
    assert later.status == first.status
    before, after = list(shown(first.json)), list(shown(later.json))
    assert before and len(before) == len(after)
    assert not set(before[:1]) & set(after)


def test_deleted_key_stays_deleted_when_its_idempotency_key_is_used_again(tenant: Api) -> None:
    leaked = tenant.post("/v1/keys", {"name": "ci", "scopes": ["read"]}, **KEY).json
    assert tenant.call("DELETE", f"/v1/keys/{leaked['id']}").status == 204
    tenant.clock.at += timedelta(hours=25)

    made = tenant.post("/v1/keys", {"name": "ci", "scopes": ["admin"]}, **KEY)

    assert made.status == 201
    assert tenant.call("GET", "/v1/tenant", key=leaked["secret"]).status == 401


def test_unfinished_claim_of_the_release_before_is_taken_over(tenant: Api) -> None:
    body = b'{"name": "ci", "scopes": ["read"]}'
    hashed = replies.hash_of("one", tenant.made["key"])
    secret = tenant.runtime.config.keys_of(tenant.made["tenant"]).fingerprints
    began = times.millis(tenant.clock.at - timedelta(minutes=2))
    row = {
        "fingerprint": replies.fingerprint_of(secret, "POST", "/v1/keys", body),
        "began_at": began,
        "claimed_at": began,
    }
    assert tenant.runtime.data.insert_reply(tenant.made["tenant"], hashed, row, tenant.clock.at + replies.KEPT)

    first, again = (tenant.call("POST", "/v1/keys", raw=body, **KEY) for _ in range(2))

    assert first.status == 201 and again.json == first.json
    assert tenant.call("GET", "/v1/tenant", key=first.json["secret"]).status == 200

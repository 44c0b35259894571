"""Sources of platforms that prove nothing: the cell makes the token of their address, and shows it once."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import UrlTokenSecret
from chalicelib.core.tenant import rotation
from infra.cell import local_server
from tests.support.api_cell import SOURCE, Api

OK_SOURCE = {**SOURCE, "channel": "ok", "secret": {}}
AVITO_SOURCE = {**SOURCE, "channel": "avito", "secret": {"account_id": "9009"}}
MESSAGE = {
    "webhookType": "MESSAGE_CREATED",
    "sender": {"user_id": "user:1"},
    "recipient": {"chat_id": "chat:1"},
    "timestamp": 1772443800000,
    "message": {"mid": "mid:1", "text": "груша"},
}


def token_of(url: str) -> str:
    (token,) = parse_qs(urlsplit(url).query)["token"]
    return token


def kept(tenant: Api, source: str) -> list[dict[str, Any]]:
    row = tenant.runtime.config.get(tenant.made["tenant"], source)
    result: list[dict[str, Any]] = tenant.runtime.config.secrets(tenant.made["tenant"], source, row.sealed)
    return result


def posted(source: str, query: str) -> int:
    import app

    headers = [("content-type", "application/json")]
    event = local_server.http_api_event("POST", f"/hooks/{source}", query, headers, json.dumps(MESSAGE).encode())
    return int(app.hooks(event, None)["statusCode"])


def test_address_ends_in_a_new_token_when_the_platform_proves_nothing(tenant: Api) -> None:
    first, second = (tenant.made_by("/v1/sources", OK_SOURCE) for _ in range(2))

    token = token_of(first["url"])
    assert first["url"] == f"https://hooks.example/hooks/{first['id']}?token={token}"
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert token != token_of(second["url"])


def test_token_is_sealed_and_shown_nowhere_else(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", OK_SOURCE)
    token, path = token_of(made["url"]), f"/v1/sources/{made['id']}"

    shown = [tenant.get(path), tenant.get("/v1/sources"), tenant.call("PATCH", path, {"name": "renamed"})]

    assert all(token not in answer.text for answer in shown)
    assert shown[0].json["url"] == f"https://hooks.example/hooks/{made['id']}"
    row = tenant.runtime.config.get(tenant.made["tenant"], made["id"])
    assert token not in row.record.model_dump_json() and token.encode() not in (row.sealed or b"")
    assert kept(tenant, made["id"]) == [{"secret": {"url_token": token}, "until": None}]


def test_hook_takes_only_requests_to_the_whole_address(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", OK_SOURCE)

    assert posted(made["id"], "") == 401
    assert posted(made["id"], "token=") == 401
    assert posted(made["id"], urlsplit(made["url"]).query[:-1]) == 401
    assert posted(made["id"], urlsplit(made["url"]).query) == 200


def test_both_addresses_count_for_a_day_when_the_token_is_rotated(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", AVITO_SOURCE)

    answer = tenant.post(f"/v1/sources/{made['id']}/secret", {"secret": {"account_id": "9010"}})

    old, new = token_of(made["url"]), token_of(answer.json["url"])
    assert answer.status == 200 and old != new
    now, before = tenant.clock.at, {"account_id": "9009", "url_token": old}
    after = {"account_id": "9010", "url_token": new}
    assert rotation.live(kept(tenant, made["id"]), now) == [after, before]
    assert rotation.live(kept(tenant, made["id"]), now + rotation.GRACE * 1.01) == [after]


def test_same_token_is_shown_when_a_request_is_repeated(tenant: Api) -> None:
    first = tenant.post("/v1/sources", OK_SOURCE, Idempotency_Key="an-orchard")
    again = tenant.post("/v1/sources", OK_SOURCE, Idempotency_Key="an-orchard")

    assert first.status == again.status == 201
    assert first.json == again.json
    rotated = [
        tenant.post(f"/v1/sources/{first.json['id']}/secret", {"secret": {}}, Idempotency_Key="a-rotation").json["url"]
        for _ in range(2)
    ]
    assert rotated[0] == rotated[1] != first.json["url"]


@pytest.mark.parametrize(
    ("channel", "secret", "loc"),
    [
        ("ok", {"url_token": "pear-pear-pear"}, "body.secret.url_token"),
        ("ok", {"account_id": "9009"}, "body.secret.account_id"),
        ("avito", {"account_id": ""}, "body.secret.account_id"),
        ("avito", {"account_id": "9009", "url_token": "pear-pear-pear"}, "body.secret.url_token"),
        ("telegram", {}, "body.secret.secret_token"),
    ],
)
def test_source_is_refused_when_the_secret_is_not_the_channels(
    tenant: Api, channel: str, secret: dict[str, str], loc: str
) -> None:
    answer = tenant.post("/v1/sources", {**SOURCE, "channel": channel, "secret": secret})

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, loc)
    assert "pear" not in answer.text


def test_address_has_no_token_when_the_platform_proves_itself(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", SOURCE)
    rotated = tenant.post(f"/v1/sources/{made['id']}/secret", {"secret": {"secret_token": "n3w"}}).json

    assert "?" not in made["url"] + rotated["url"]


def test_channel_has_a_token_exactly_when_it_says_so() -> None:
    said = {kind for kind in CHANNELS if CHANNELS[kind].CAPABILITIES.url_token}

    assert {kind for kind in CHANNELS if issubclass(CHANNELS[kind].Secret, UrlTokenSecret)} == said
    assert said >= {"ok", "avito"}

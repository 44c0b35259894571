"""A key that may change a destination cannot make the cell tell it the destination's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.destinations import of_kind
from chalicelib.destinations.base import secrets_in
from tests.fixtures.destinations.vendor import Reply, Request, Vendor, running
from tests.support.api_cell import RECIPIENT, Api

APP = {"client_id": "id", "client_secret": "a-p-p-secret", "refresh_token": "r-e-f-r-e-s-h"}
CONFIGS: dict[str, dict[str, Any]] = {
    "amocrm": {"host": "nord.amocrm.ru", "token": "l-o-n-g-token", "field_id": 1},
    "bitrix24": {"url": "https://nord.bitrix24.ru", "app": APP},
    "chatwoot": {"token": "c-h-a-t-w-o-o-t", "account_id": 1, "inbox_id": 2},
    "discord": {"token": "d" * 24 + "." + "e" * 6 + "." + "f" * 27, "channel": "100000000000000000"},
    "http": {"headers": {"Authorization": 'Bearer "CRM-SECRET"', "X-Key": "s-e-c-o-n-d"}},
    "hubspot": {"token": "p-r-i-v-a-t-e-app"},
    "slack": {"token": "xoxb-1-2-s3cr3t0000000000000000", "channel": "C0123456789"},
    "telegram": {"token": "123456789:t-e-l-e-g-r-a-m-token-0000000000", "chat_id": 1},
}
BY_URL = frozenset({"chatwoot", "http"})
"""Kinds whose own URL is any host; the others reach a stand-in of their vendor at ``api_url``."""
kinds = pytest.mark.parametrize("kind", sorted(CONFIGS))


class Echo(Vendor):
    """Answers with all that it got."""

    def answer(self, request: Request) -> Reply:
        return Reply(200, {"path": request.path, "query": request.query, "headers": request.headers})


@pytest.fixture
def echo() -> Iterator[Vendor]:
    with running(Echo()) as vendor:
        yield vendor


def address(kind: str, url: str) -> dict[str, str]:
    return {"url" if kind in BY_URL else "api_url": url}


def made(tenant: Api, kind: str, url: str) -> str:
    recipient = tenant.made_by("/v1/recipients", RECIPIENT)["id"]
    config = {**CONFIGS[kind], **address(kind, url)}
    body = {"name": "d", "kind": kind, "config": config, "recipient": recipient}
    destination: str = tenant.made_by("/v1/destinations", body)["id"]
    return destination


def secrets(kind: str, url: str) -> list[str]:
    config = of_kind(kind).Config.model_validate({**CONFIGS[kind], **address(kind, url)})
    return [secret.get_secret_value() for secret in secrets_in(config).values()]


@kinds
def test_moving_a_destination_is_refused_without_its_secrets_and_sends_none(
    tenant: Api, echo: Vendor, kind: str
) -> None:
    writer, destination = tenant.with_key(scopes=["write", "read"]), made(tenant, kind, "http://127.0.0.1:9")

    refused = writer.call("PATCH", f"/v1/destinations/{destination}", {"config": address(kind, echo.url)})
    writer.post(f"/v1/destinations/{destination}/test")

    assert refused.status == 422, refused.text
    assert {error["code"] for error in refused.json["errors"]} == {"secret_needed"}
    assert len(refused.json["errors"]) == len([s for s in secrets(kind, echo.url) if s not in echo.url])
    assert echo.requests == []


@kinds
def test_destination_is_moved_when_its_secrets_are_given_again(tenant: Api, echo: Vendor, kind: str) -> None:
    destination = made(tenant, kind, "http://127.0.0.1:9")

    moved = tenant.call(
        "PATCH", f"/v1/destinations/{destination}", {"config": {**CONFIGS[kind], **address(kind, echo.url)}}
    )
    tenant.post(f"/v1/destinations/{destination}/test")

    assert moved.status == 200, moved.text
    assert echo.requests or kind == "bitrix24"  # which asks its own service for a token first


@kinds
def test_test_does_not_show_a_secret_that_the_destination_repeats(tenant: Api, echo: Vendor, kind: str) -> None:
    destination = made(tenant, kind, echo.url)

    shown = tenant.post(f"/v1/destinations/{destination}/test")

    assert shown.status == 200 and echo.requests
    for secret in secrets(kind, echo.url):
        assert secret not in shown.text and secret not in shown.json["response"]
        assert secret.replace('"', '\\"') not in shown.json["response"]

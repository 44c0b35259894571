"""Odnoklassniki: a group has subscriptions, each with an address; messages go to all of them.

Source: https://apiok.ru/dev/graph_api/methods/graph.user/graph.user.subscribe/post,
https://apiok.ru/dev/graph_api/methods/graph.user/graph.user.subscriptions/get and https://apiok.ru/dev/errors
(read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.tenant.subscription import FoundSubscription
from .base import (
    PlatformApi,
    PlatformCapabilities,
    PlatformCredentials,
    Token,
    Webhook,
    code_in,
    listed,
    refused,
    urls_in,
)

KIND = "ok"
CAPABILITIES = PlatformCapabilities("https://api.ok.ru")
JSON_TYPE = {"Content-Type": "application/json;charset=utf-8"}
_CODES: Mapping[Any, str] = {
    8: "throttled", 10: "denied", 11: "throttled", 100: "invalid", 101: "credentials", 102: "credentials",
    103: "credentials", 104: "credentials", 200: "denied", 300: "not_found", 455: "denied",
}  # fmt: skip
"""OK's ``error_code`` → code. It comes with a success status, too."""


class Credentials(PlatformCredentials):
    """The group's access key."""

    access_token: Token


def _answer(api: PlatformApi, credentials: Credentials, method: str, path: str, body: Any = None) -> Mapping[str, Any]:
    # The key goes into the query: the API takes it nowhere else.
    query = {"access_token": credentials.access_token.get_secret_value()}
    found = api.json(method, f"/graph/me/{path}", body, query=query, headers=JSON_TYPE if body else None)
    if "error_code" in found:
        raise refused(code_in(_CODES, found["error_code"], "unavailable"))
    return found


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Look for the address among the group's subscriptions."""
    return listed(urls_in(_answer(api, credentials, "GET", "subscriptions").get("subscriptions")), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Subscribe the address."""
    if _answer(api, credentials, "POST", "subscribe", {"url": webhook.url}).get("success") is not True:
        raise refused("invalid")

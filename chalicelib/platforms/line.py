"""LINE: a channel has one webhook endpoint, which the API sets, reads and tests. Only the console switches it on.

Source: https://developers.line.biz/en/reference/messaging-api/#set-webhook-endpoint-url,
#get-webhook-endpoint-information and #test-webhook-endpoint (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.tenant.subscription import FoundSubscription
from ..destinations import calls
from .base import (
    PlatformApi,
    PlatformCapabilities,
    PlatformCredentials,
    Token,
    Webhook,
    bearer,
    code_in,
    refused,
    single,
)

KIND = "line"
CAPABILITIES = PlatformCapabilities("https://api.line.me")
ENDPOINT = "/v2/bot/channel/webhook/endpoint"
TEST = "/v2/bot/channel/webhook/test"
_REASONS: Mapping[Any, str] = {"COULD_NOT_CONNECT": "connect", "REQUEST_TIMEOUT": "timeout"}


class Credentials(PlatformCredentials):
    """A channel access token."""

    channel_access_token: Token


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the endpoint, and let LINE test it."""
    headers = bearer(credentials.channel_access_token)
    answer = api.call("GET", ENDPOINT, headers=headers)
    if answer.status == 404:  # no endpoint was ever set
        return FoundSubscription("absent")
    if not answer.ok:
        raise calls.fault_of(answer)
    info = answer.object()
    if "endpoint" not in info:
        raise refused("protocol")
    found = single(info["endpoint"], webhook)
    if found.state != "active":
        return found
    if info.get("active") is not True:
        return FoundSubscription("failing", "switched_off")
    return _tested(api.json("POST", TEST, {"endpoint": webhook.url}, headers=headers))


def _tested(result: Mapping[str, Any]) -> FoundSubscription:
    if result.get("success") is True:
        return FoundSubscription("active")
    status = result.get("statusCode")
    if isinstance(status, int) and 300 <= status <= 599:
        return FoundSubscription("failing", f"http_{status}")
    return FoundSubscription("failing", code_in(_REASONS, result.get("reason"), "unavailable"))


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the endpoint."""
    answer = api.call("PUT", ENDPOINT, {"endpoint": webhook.url}, headers=bearer(credentials.channel_access_token))
    if not answer.ok:
        raise calls.fault_of(answer)

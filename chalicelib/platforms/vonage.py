"""Vonage: an application has one address for incoming messages, and one for statuses.

Source: https://developer.vonage.com/en/api/application.v2 and
https://developer.vonage.com/en/application/code-snippets/application/update-application (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.tenant.subscription import FoundSubscription
from .base import (
    PlatformApi,
    PlatformCapabilities,
    PlatformCredentials,
    PublicId,
    Token,
    Webhook,
    basic,
    refused,
    single,
)

KIND = "vonage"
CAPABILITIES = PlatformCapabilities("https://api.nexmo.com")
READ_ONLY = ("id", "_links", "_embedded")
"""Fields of an answer that an update does not take."""


class Credentials(PlatformCredentials):
    """The account's API key and secret, and the application's id."""

    api_key: PublicId
    api_secret: Token
    application_id: PublicId


def _application(
    api: PlatformApi, credentials: Credentials, method: str, body: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    headers = basic(credentials.api_key, credentials.api_secret)
    return api.json(method, f"/v2/applications/{credentials.application_id}", body, headers=headers)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the application's address for incoming messages."""
    found = _application(api, credentials, "GET")
    if found.get("id") != credentials.application_id:
        raise refused("protocol")
    hooks = _object(_object(_object(found.get("capabilities")).get("messages")).get("webhooks"))
    return single(_object(hooks.get("inbound_url")).get("address"), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set both addresses. An update replaces the application, so it is sent with all that it had."""
    found = _application(api, credentials, "GET")
    capabilities = _object(found.get("capabilities"))
    messages = _object(capabilities.get("messages"))
    address = {"address": webhook.url, "http_method": "POST"}
    hooks = {**_object(messages.get("webhooks")), "inbound_url": address, "status_url": address}
    body = {name: value for name, value in found.items() if name not in READ_ONLY}
    body["capabilities"] = {**capabilities, "messages": {**messages, "webhooks": hooks}}
    _application(api, credentials, "PUT", body)

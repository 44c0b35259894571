"""Avito: an account has webhooks of the messenger API, version 3; messages go to all of them.

Source: https://developers.avito.ru/api-catalog/messenger/documentation and
https://developers.avito.ru/api-catalog/auth/documentation (read 2026-12-01).
"""

from __future__ import annotations

from pydantic import SecretStr

from ..core.tenant.subscription import FoundSubscription
from .base import (
    PlatformApi,
    PlatformCapabilities,
    PlatformCredentials,
    Token,
    Webhook,
    bearer,
    listed,
    refused,
    urls_in,
)

KIND = "avito"
CAPABILITIES = PlatformCapabilities("https://api.avito.ru")


class Credentials(PlatformCredentials):
    """The application's client id and secret, from which each call gets a token of a day."""

    client_id: Token
    client_secret: Token


def _headers(api: PlatformApi, credentials: Credentials) -> dict[str, str]:
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id.get_secret_value(),
        "client_secret": credentials.client_secret.get_secret_value(),
    }
    found = api.json("POST", "/token", form=form, statuses={400: "credentials"})
    token = found.get("access_token")
    if not isinstance(token, str) or not token:
        raise refused("credentials" if "error" in found else "protocol")
    return bearer(SecretStr(token))


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Look for the address among the account's webhooks."""
    found = api.json("POST", "/messenger/v1/subscriptions", {}, headers=_headers(api, credentials))
    return listed(urls_in(found.get("subscriptions")), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the webhook. Avito calls it at once."""
    body = {"url": webhook.url}
    if api.json("POST", "/messenger/v3/webhook", body, headers=_headers(api, credentials)).get("ok") is not True:
        raise refused("invalid")

"""Postmark: a server has one address for incoming e-mail. The source's name and password stand in it.

Source: https://postmarkapp.com/developer/api/server-api (read 2026-12-01).
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlsplit

from ..core.tenant.subscription import FoundSubscription
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Token, Webhook, refused, single

KIND = "email_postmark"
CAPABILITIES = PlatformCapabilities("https://api.postmarkapp.com")
FIELD = "InboundHookUrl"


class Credentials(PlatformCredentials):
    """The token of the server."""

    server_token: Token


def _headers(credentials: Credentials) -> dict[str, str]:
    return {"X-Postmark-Server-Token": credentials.server_token.get_secret_value()}


def _with_password(webhook: Webhook) -> Webhook:
    parts = urlsplit(webhook.url)
    name, password = (quote(webhook.secret[part], safe="") for part in ("username", "password"))
    return replace(webhook, url=f"{parts.scheme}://{name}:{password}@{parts.netloc}{parts.path}")


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the address for incoming e-mail."""
    found = api.json("GET", "/server", headers=_headers(credentials))
    if "ID" not in found:
        raise refused("protocol")
    return single(found.get(FIELD), _with_password(webhook))


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the address."""
    api.json("PUT", "/server", {FIELD: _with_password(webhook).url}, headers=_headers(credentials))

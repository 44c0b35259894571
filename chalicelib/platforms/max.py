"""MAX: a bot has subscriptions, each with an address; updates go to all of them.

Source: https://dev.max.ru/docs-api/methods/POST/subscriptions and GET/subscriptions (read 2026-12-01).
"""

from __future__ import annotations

from ..core.tenant.subscription import FoundSubscription
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Token, Webhook, listed, refused, urls_in

KIND = "max"
CAPABILITIES = PlatformCapabilities("https://platform-api2.max.ru")
UPDATE_TYPES = (
    "message_created", "message_edited", "message_removed", "message_callback", "bot_started", "bot_stopped", "bot_added",
    "bot_removed", "user_added", "user_removed", "chat_title_changed", "dialog_muted", "dialog_unmuted", "dialog_cleared",
    "dialog_removed",
)  # fmt: skip
"""The updates that become events."""


class Credentials(PlatformCredentials):
    """The bot's token."""

    bot_token: Token


def _headers(credentials: Credentials) -> dict[str, str]:
    return {"Authorization": credentials.bot_token.get_secret_value()}


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Look for the address among the bot's subscriptions."""
    found = api.json("GET", "/subscriptions", headers=_headers(credentials))
    return listed(urls_in(found.get("subscriptions")), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Subscribe the address. A repeated call replaces the types and the secret."""
    body = {"url": webhook.url, "secret": webhook.secret["secret"], "update_types": list(UPDATE_TYPES)}
    if api.json("POST", "/subscriptions", body, headers=_headers(credentials)).get("success") is not True:
        raise refused("invalid")

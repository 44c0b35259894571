"""Discord: an application has one endpoint for interactions, which Discord tries before it takes it.

Source: https://docs.discord.com/developers/resources/application#edit-current-application and
https://docs.discord.com/developers/reference#user-agent (read 2026-12-01).
"""

from __future__ import annotations

from ..core.tenant.subscription import FoundSubscription
from ..destinations.discord import USER_AGENT
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Token, Webhook, refused, single

KIND = "discord"
CAPABILITIES = PlatformCapabilities("https://discord.com")
PATH = "/api/v10/applications/@me"


class Credentials(PlatformCredentials):
    """The token of the application's bot."""

    bot_token: Token


def _headers(credentials: Credentials) -> dict[str, str]:
    return {"Authorization": f"Bot {credentials.bot_token.get_secret_value()}", "User-Agent": USER_AGENT}


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the endpoint."""
    found = api.json("GET", PATH, headers=_headers(credentials))
    if "id" not in found:
        raise refused("protocol")
    return single(found.get("interactions_endpoint_url"), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the endpoint. Discord posts a ping and requests with bad signatures to it at once."""
    api.json("PATCH", PATH, {"interactions_endpoint_url": webhook.url}, headers=_headers(credentials))

"""WhatsApp: a business account subscribes to an app, with an address of its own in place of the app's.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override and
https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/subscribed_apps (read 2026-12-01).
"""

from __future__ import annotations

from typing import Any

from ..core.tenant.subscription import FoundSubscription
from . import graph
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, PublicId, Token, Webhook, single

KIND = "whatsapp"
CAPABILITIES = PlatformCapabilities(graph.API)


class Credentials(PlatformCredentials):
    """The app's id, the id of the WhatsApp business account, and a token with ``whatsapp_business_management``."""

    app_id: PublicId
    waba_id: PublicId
    access_token: Token


def _path(credentials: Credentials) -> str:
    return f"/{credentials.waba_id}/subscribed_apps"


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the account's own address. Without one, its webhooks go where the app says, which is not known here."""
    for item in graph.listing(graph.answered(api, "GET", _path(credentials), credentials.access_token)):
        app: Any = item.get("whatsapp_business_api_data")
        if isinstance(app, dict) and str(app.get("id")) == credentials.app_id:
            return single(item.get("override_callback_uri"), webhook)
    return FoundSubscription("absent")


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Subscribe the account with the address. Meta calls it at once. The fields stay those that the app is subscribed to."""
    body = {"override_callback_uri": webhook.url, "verify_token": webhook.secret["verify_token"]}
    graph.succeeded(graph.answered(api, "POST", _path(credentials), credentials.access_token, body=body))

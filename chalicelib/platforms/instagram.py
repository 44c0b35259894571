"""Instagram through a Facebook page: the app's callback address for Instagram, and the page's subscription to the app.

Source: https://developers.facebook.com/documentation/business-messaging/instagram-messaging/webhooks (read 2026-12-01).
"""

from __future__ import annotations

from ..core.tenant.subscription import FoundSubscription
from . import graph
from .base import PlatformApi, PlatformCapabilities, Webhook

KIND = "instagram"
CAPABILITIES = PlatformCapabilities(graph.API)
OBJECT = "instagram"
FIELDS = ("messages", "messaging_postbacks", "message_reactions", "messaging_seen", "messaging_referral")
PAGE_FIELDS = ("messages",)
"""A page must subscribe to something, so that the webhooks of its Instagram account are sent."""


class Credentials(graph.PageCredentials):
    """The app's id, the id of the page that the account is connected to, and an access token of the page."""


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the app's callback address, and the page's subscription."""
    return graph.find_page(api, OBJECT, credentials, webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the app's callback address, and subscribe the page."""
    graph.register_page(api, OBJECT, credentials, webhook, FIELDS, PAGE_FIELDS)

"""Messenger: the app's callback address for pages, and the page's subscription to the app.

Source: https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks (read 2026-12-01).
"""

from __future__ import annotations

from ..core.tenant.subscription import FoundSubscription
from . import graph
from .base import PlatformApi, PlatformCapabilities, Webhook

KIND = "messenger"
CAPABILITIES = PlatformCapabilities(graph.API)
OBJECT = "page"
FIELDS = (
    "messages", "messaging_postbacks", "message_edits", "message_reactions", "message_deliveries", "message_reads",
    "messaging_referrals", "messaging_optins",
)  # fmt: skip


class Credentials(graph.PageCredentials):
    """The app's id, the page's id, and an access token of the page."""


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the app's callback address, and the page's subscription."""
    return graph.find_page(api, OBJECT, credentials, webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the app's callback address, and subscribe the page."""
    graph.register_page(api, OBJECT, credentials, webhook, FIELDS, FIELDS)

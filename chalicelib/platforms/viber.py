"""Viber: ``set_webhook`` sets the one webhook of a bot, ``get_account_info`` reads it. The source's secret is the bot's token.

Source: https://developers.viber.com/docs/api/rest-bot-api/#webhooks, #get-account-info and #error-codes (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.tenant.subscription import FoundSubscription
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Webhook, code_in, refused, single

KIND = "viber"
CAPABILITIES = PlatformCapabilities("https://chatapi.viber.com")
EVENT_TYPES = ("delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started")
"""Messages come in any case."""
_STATUSES: Mapping[Any, str] = {
    1: "invalid",
    2: "credentials",
    3: "invalid",
    4: "invalid",
    10: "invalid",
    12: "throttled",
}
"""Viber's status → code: invalidUrl, invalidAuthToken, badData, missingData, webhookNotSet, tooManyRequests."""


class Credentials(PlatformCredentials):
    """None: the source's ``auth_token`` opens the API."""


def _answer(api: PlatformApi, webhook: Webhook, method: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    found = api.json("POST", f"/pa/{method}", body, headers={"X-Viber-Auth-Token": webhook.secret["auth_token"]})
    status = found.get("status")
    if status != 0 or isinstance(status, bool):
        raise refused(code_in(_STATUSES, status, "unavailable") if isinstance(status, int) else "protocol")
    return found


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the webhook of the account."""
    return single(_answer(api, webhook, "get_account_info", {}).get("webhook"), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the webhook. Viber calls it at once, and sets it only after a 200."""
    body = {"url": webhook.url, "event_types": list(EVENT_TYPES), "send_name": True, "send_photo": True}
    _answer(api, webhook, "set_webhook", body)

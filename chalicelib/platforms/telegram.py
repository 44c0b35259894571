"""Telegram: ``setWebhook`` sets the one webhook of a bot, ``getWebhookInfo`` reads it.

Source: https://core.telegram.org/bots/api#setwebhook, #getwebhookinfo and #making-requests (read 2026-12-01).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

from ..channels.telegram import UPDATES
from ..core.tenant.subscription import FoundSubscription, SubscriptionState
from ..destinations import calls
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Webhook, refused, single

KIND = "telegram"
CAPABILITIES = PlatformCapabilities("https://api.telegram.org")
RECENT = timedelta(hours=24)
_TOKEN = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{20,100}\Z")
_HTTP = re.compile(r"wrong response from the webhook: ([45][0-9]{2})\b")
_WORDS: Mapping[str, str] = {
    "timed out": "timeout",
    "timeout": "timeout",
    "ssl": "tls",
    "certificate": "tls",
    "resolve host": "dns",
    "connection refused": "connect",
    "connection reset": "broken",
}
"""What ``last_error_message`` may say → code; the texts are not promised to stay, so that any other is ``unavailable``."""


def _token(token: SecretStr) -> SecretStr:
    if not _TOKEN.match(token.get_secret_value()):
        raise ValueError("use a bot's token as BotFather gives it: 123456789:…")
    return token


class Credentials(PlatformCredentials):
    """The bot's token."""

    bot_token: Annotated[SecretStr, AfterValidator(_token)]


def _result(api: PlatformApi, credentials: Credentials, method: str, body: Mapping[str, Any] | None = None) -> Any:
    path = f"/bot{credentials.bot_token.get_secret_value()}/{method}"
    answer = api.call("POST", path, body or {})
    if not answer.ok:
        # A path of an unknown token is not found.
        raise calls.fault_of(answer, {404: "credentials"})
    content = answer.object()
    if content.get("ok") is not True:
        raise refused("protocol")
    return content.get("result")


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the webhook. It fails if updates wait, and the last error is of the last 24 hours."""
    info = _result(api, credentials, "getWebhookInfo")
    if not isinstance(info, dict):
        raise refused("protocol")
    found = single(info.get("url"), webhook)
    at, waiting = info.get("last_error_date"), info.get("pending_update_count")
    if found.state != "active" or not isinstance(at, int) or isinstance(at, bool):
        return found
    recent = webhook.now.timestamp() - at < RECENT.total_seconds()
    if not recent:
        return found
    state: SubscriptionState = "failing" if isinstance(waiting, int) and waiting > 0 else "active"
    return FoundSubscription(state, _code(str(info.get("last_error_message", ""))))


def _code(words: str) -> str:
    words = words.lower()
    status = _HTTP.search(words)
    if status is not None:
        return f"http_{status[1]}"
    return next((code for part, code in _WORDS.items() if part in words), "unavailable")


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the webhook. Updates that wait are kept."""
    body = {
        "url": webhook.url,
        "secret_token": webhook.secret["secret_token"],
        "allowed_updates": list(UPDATES),  # without a list Telegram omits reactions and chat_member
    }
    _result(api, credentials, "setWebhook", body)

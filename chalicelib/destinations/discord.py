"""Destination kind ``discord``: a text in a channel, by a channel's webhook or as a bot.

Sources (read 2026-11-22): https://docs.discord.com/developers/resources/webhook#execute-webhook,
https://docs.discord.com/developers/resources/message#create-message, https://docs.discord.com/developers/reference,
https://docs.discord.com/developers/topics/rate-limits, https://github.com/discord/discord-api-docs/issues/1315 (how length is counted).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from ..core.delivery import retry
from . import calls, chat, text
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .limits import VendorLimit
from .operators import countries_of

KIND = "discord"


def _place(config: Config) -> str:
    return config.post_to if config.token is None else f"{config.token.get_secret_value()}/{config.channel}"


# Source: https://docs.discord.com/developers/topics/rate-limits (read 2026-11-30): a bot may make 50 requests a second. The limit
# of a channel or webhook is not published; answers tell it.
CAPABILITIES = DestinationCapabilities(
    address_fields=("url", "api_url"),
    limits=(
        VendorLimit("webhook, or bot in a channel", "not published", 1.0, _place),
        VendorLimit(
            "bot", "50 calls a second", 40.0, lambda config: config.token.get_secret_value() if config.token else None
        ),
    ),
)
API = "https://discord.com/api/v10"
USER_AGENT = "DiscordBot (https://waybill.example, 1)"
"""The form that Discord asks for: what has another may be blocked."""
FORM = text.TextLimit(2000, len, text.discord)  # counted in code points
SUPPRESS_EMBEDS = 1 << 2

_WEBHOOK = re.compile(
    r"https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com/api(?:/v[0-9]{1,2})?/webhooks/"
    r"(?P<id>[0-9]{5,20})/(?P<token>[A-Za-z0-9_-]{20,100})(?:\?thread_id=(?P<thread>[0-9]{5,20}))?\Z"
)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{10,100}\.[A-Za-z0-9_-]{4,20}\.[A-Za-z0-9_-]{20,100}\Z")
_TOO_LARGE = 40005
"""Discord's code of a 400 that means: too much."""


def _webhook(url: SecretStr) -> SecretStr:
    if not _WEBHOOK.match(url.get_secret_value()):
        raise ValueError("use a channel's webhook URL: https://discord.com/api/webhooks/…/…")
    return url


def _token(token: SecretStr) -> SecretStr:
    if not _TOKEN.match(token.get_secret_value()):
        raise ValueError("use a bot's token")
    return token


class Config(chat.Config):
    """A channel's webhook URL, which is a secret, or a bot's token and a channel's id."""

    url: Annotated[SecretStr, AfterValidator(_webhook)] | None = None
    token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    channel: str | None = Field(default=None, pattern=r"^[0-9]{5,20}$")

    @property
    def post_to(self) -> str:
        """The URL that is posted to; of a webhook it is a secret."""
        webhook = _WEBHOOK.match(self.url.get_secret_value()) if self.url is not None else None
        if webhook is None:
            return f"{API}/channels/{self.channel}/messages"
        thread = f"&thread_id={webhook['thread']}" if webhook["thread"] else ""
        # Without wait=true a message that is not kept is answered like one that is.
        return f"{API}/webhooks/{webhook['id']}/{webhook['token']}?wait=true{thread}"


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a stand-in that the operator has not opened.

    Raises:
        ForbiddenAddress: (an ``Invalid``) as every attempt would.
    """
    calls.check(config.post_to, config.api_url, clients)


def place(config: Config) -> Countries | None:
    """Return the countries of Discord's operator."""
    return countries_of(KIND)


def render(document: Mapping[str, Any], delivery: Delivery) -> calls.ApiRequest:
    """Make the message. Nothing in it mentions anybody or is fetched for a preview.

    A bot's message has a nonce, the same at each attempt: for some minutes Discord makes no second message of one.

    Raises:
        DeliveryError: ``render``.
    """
    config: Config = delivery.config
    content: dict[str, Any] = {
        "content": text.fitted(text.of_event(document, delivery), FORM),
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
    }
    headers = {"User-Agent": USER_AGENT}
    if config.token is not None:
        # At most 25 characters, which a delivery's id is not.
        nonce = hashlib.blake2s(delivery.delivery_id.encode(), digest_size=12).hexdigest()
        content |= {"nonce": nonce, "enforce_nonce": True}
        headers["Authorization"] = f"Bot {config.token.get_secret_value()}"
    return calls.ApiRequest(config.post_to, config.api_url, headers, calls.encode(content), delivery.now)


def send(request: calls.ApiRequest, clients: SendingClients) -> DeliveryReceipt:
    """Post the message once.

    Raises:
        DeliveryError: anything but the message that Discord made of it.
    """
    answer = calls.post(request, clients)
    if answer.ok:
        if not isinstance(answer.object().get("id"), str):
            raise calls.failure("protocol", answer)
        return calls.receipt(answer)
    told = answer.told()
    if answer.status == 429:
        raise calls.failure("throttled", answer, _seconds(told.get("retry_after")))
    raise calls.fault_of(answer, {400: "too_large"} if told.get("code") == _TOO_LARGE else None)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= retry.RETRY_AFTER_MAX_S:
        return None
    return float(value)

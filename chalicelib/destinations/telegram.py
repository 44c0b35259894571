"""Destination kind ``telegram``: a text in a chat, sent by a bot.

Source: https://core.telegram.org/bots/api (read 2026-11-22): "Making requests", ``sendMessage``, ``ResponseParameters``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from . import base, calls, text
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .limits import VendorLimit
from .operators import countries_of

KIND = "telegram"


def _bot(config: Config) -> str:
    return config.token.get_secret_value().partition(":")[0]


def _chat(config: Config) -> str:
    return f"{_bot(config)}/{config.chat_id}"


def _is_group(config: Config) -> bool:
    return isinstance(config.chat_id, str) or config.chat_id < 0


# Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this (read 2026-11-30).
CAPABILITIES = DestinationCapabilities(
    address_fields=("api_url",),
    limits=(
        VendorLimit("group", "20 messages a minute", 0.3, lambda config: _chat(config) if _is_group(config) else None),
        VendorLimit("chat", "1 message a second", 0.9, lambda config: None if _is_group(config) else _chat(config)),
        VendorLimit("bot", "30 messages a second", 25.0, _bot),
    ),
)
API = "https://api.telegram.org"
# "1-4096 characters after entities parsing". Entities are counted in UTF-16 units, the limit of a text by some accounts in
# code points: the narrower of the two is never refused.
FORM = text.TextLimit(4096, text.utf16, text.plain)

_TOKEN = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{20,100}\Z")
_STATUSES: Mapping[int, str] = {404: "credentials"}
"""A path of an unknown token is not found; a chat that is not there is a 400."""
_DESCRIPTIONS: Mapping[str, str] = {
    "chat not found": "not_found",
    "group is deactivated": "not_found",
    "message thread not found": "not_found",
    "message is too long": "too_large",
    "not enough rights": "denied",
    "have no rights to send a message": "denied",
    "chat_write_forbidden": "denied",
    "need administrator rights": "denied",
}
"""What a 400 may say → attempt code; the texts are not promised to stay, so that any other is just ``invalid``."""


def _token(token: SecretStr) -> SecretStr:
    if not _TOKEN.match(token.get_secret_value()):
        raise ValueError("use a bot's token as BotFather gives it: 123456789:…")
    return token


class Config(base.Config):
    """A bot's token, and the chat: its number, or the @name of a public channel or group."""

    token: Annotated[SecretStr, AfterValidator(_token)]
    chat_id: Annotated[int, Field(ge=-(2**52), le=2**52)] | Annotated[str, Field(pattern=r"^@[A-Za-z0-9_]{4,40}$")]
    api_url: calls.ApiUrl = None

    @property
    def post_to(self) -> str:
        """The URL that is posted to; it holds the token."""
        return f"{API}/bot{self.token.get_secret_value()}/sendMessage"


@dataclass(frozen=True, slots=True)
class ChatRequest(calls.ApiRequest):
    """A message to a chat; ``content`` is the body without the chat, which may have got another number since."""

    content: Mapping[str, Any] = field(repr=False)


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a stand-in that the operator has not opened.

    Raises:
        ForbiddenAddress: (an ``Invalid``) as every attempt would.
    """
    calls.check(config.post_to, config.api_url, clients)


def place(config: Config) -> Countries | None:
    """Return the countries of Telegram's operator."""
    return countries_of(KIND)


def render(document: Mapping[str, Any], delivery: Delivery) -> ChatRequest:
    """Make the message. Without a ``parse_mode`` nothing in it is mark-up; no preview of any address in it is fetched.

    Raises:
        DeliveryError: ``render``.
    """
    config: Config = delivery.config
    content = {
        "text": text.fitted(text.of_event(document, delivery), FORM),
        "link_preview_options": {"is_disabled": True},
    }
    body = calls.encode({"chat_id": config.chat_id, **content})
    return ChatRequest(config.post_to, config.api_url, {}, body, delivery.now, content)


def send(request: ChatRequest, clients: SendingClients) -> DeliveryReceipt:
    """Send the message once; to a group that has become a supergroup, under its new number.

    Raises:
        DeliveryError: anything but Telegram's word that it was sent.
    """
    service = calls.Service(clients, request.url, request.headers, request.at, request.api_url)
    answer = service.call("POST", "", request.body)
    moved_to = _parameter(answer, "migrate_to_chat_id") if answer.status == 400 else None
    if moved_to is not None:
        answer = service.call("POST", "", {"chat_id": moved_to, **request.content})
    if answer.ok and answer.object().get("ok") is True:
        return calls.receipt(answer)
    if answer.status == 429:
        raise calls.failure("throttled", answer, _parameter(answer, "retry_after"))
    raise calls.fault_of(answer, {**_STATUSES, 400: _described(answer)})


def _parameter(answer: calls.ApiResponse, name: str) -> int | None:
    parameters = answer.told().get("parameters")
    value = parameters.get(name) if isinstance(parameters, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**52 else None


def _described(answer: calls.ApiResponse) -> str:
    description = str(answer.told().get("description", "")).lower()
    return next((code for words, code in _DESCRIPTIONS.items() if words in description), "invalid")

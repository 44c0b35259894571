"""Destination kind ``slack``: a text in a channel, by an incoming webhook or as a bot.

Sources (read 2026-11-22): https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/reference/methods/chat.postMessage, https://docs.slack.dev/apis/web-api/rate-limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from . import calls, chat, text
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .limits import VendorLimit
from .operators import countries_of

KIND = "slack"


def _place(config: Config) -> str:
    if config.token is None:
        return config.post_to
    return f"{config.token.get_secret_value()}/{config.channel}"


# Source: https://docs.slack.dev/apis/web-api/rate-limits (read 2026-11-30): posting messages, 1 a second for each channel.
CAPABILITIES = DestinationCapabilities(
    address_fields=("url", "api_url"),
    limits=(VendorLimit("app in a channel", "1 message a second", 0.9, _place),),
)
POST_MESSAGE = "https://slack.com/api/chat.postMessage"
# Slack cuts a text after 40,000 characters; what it counts as one is not said, so the smallest unit is counted, escaped.
FORM = text.TextLimit(40_000, text.utf16, text.slack)

_WEBHOOK = re.compile(r"https://hooks\.slack(?:-gov)?\.com/services/[A-Za-z0-9/_-]{1,200}\Z")
_TOKEN = re.compile(r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9._-]{10,500}\Z")
_CHANNEL = r"^(?:[CGDU][A-Z0-9]{5,30}|#?[a-z0-9_\-.]{1,80})$"

WORDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive", "invalid_token"),
        "credentials",
    ),
    **dict.fromkeys(
        (
            "missing_scope", "not_in_channel", "restricted_action", "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "ekm_access_denied",
            "access_denied", "accesslimited", "team_access_not_granted", "action_prohibited", "no_permission",
            "posting_to_general_channel_denied", "not_allowed_token_type", "messages_tab_disabled",
            "two_factor_setup_required", "org_login_required", "enterprise_is_restricted",
        ),
        "denied",
    ),
    **dict.fromkeys(
        (
            "channel_not_found", "is_archived", "channel_is_archived", "no_service", "no_service_id", "no_active_hooks",
            "no_team", "team_disabled", "team_not_found", "user_not_found",
        ),
        "not_found",
    ),
    **dict.fromkeys(("msg_too_long", "msg_blocks_too_long", "metadata_too_large"), "too_large"),
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), "throttled"),
    **dict.fromkeys(
        ("fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org", "rollup_error"),
        "unavailable",
    ),
}  # fmt: skip
"""Slack's error word → attempt code, the same for both ways in. Any other word is ``invalid``."""


def _webhook(url: SecretStr) -> SecretStr:
    if not _WEBHOOK.match(url.get_secret_value()):
        raise ValueError("use an incoming webhook's URL: https://hooks.slack.com/services/…")
    return url


def _token(token: SecretStr) -> SecretStr:
    if not _TOKEN.match(token.get_secret_value()):
        raise ValueError("use a bot token: xoxb-…")
    return token


class Config(chat.Config):
    """An incoming webhook's URL, which is a secret, or a bot's token and a channel."""

    url: Annotated[SecretStr, AfterValidator(_webhook)] | None = None
    token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    channel: str | None = Field(default=None, pattern=_CHANNEL)

    @property
    def post_to(self) -> str:
        """The URL that is posted to; of a webhook it is a secret."""
        return self.url.get_secret_value() if self.url is not None else POST_MESSAGE


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a stand-in that the operator has not opened.

    Raises:
        ForbiddenAddress: (an ``Invalid``) as every attempt would.
    """
    calls.check(config.post_to, config.api_url, clients)


def place(config: Config) -> Countries | None:
    """Return the countries of Slack's operator, wherever the workspace is."""
    return countries_of(KIND)


def render(document: Mapping[str, Any], delivery: Delivery) -> calls.ApiRequest:
    """Make the message. Nothing in it mentions anybody, is a link of ours, or is fetched for a preview.

    Raises:
        DeliveryError: ``render``.
    """
    config: Config = delivery.config
    content: dict[str, Any] = {
        "text": text.fitted(text.of_event(document, delivery), FORM),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        # Slack drops no duplicates; this tells apps in the channel which delivery a message was.
        "metadata": {"event_type": "waybill_delivery", "event_payload": {"delivery": delivery.delivery_id}},
    }
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if config.token is not None:
        content |= {"channel": config.channel, "parse": "none"}
        headers["Authorization"] = f"Bearer {config.token.get_secret_value()}"
    return calls.ApiRequest(config.post_to, config.api_url, headers, calls.encode(content), delivery.now)


def send(request: calls.ApiRequest, clients: SendingClients) -> DeliveryReceipt:
    """Post the message once.

    Raises:
        DeliveryError: anything but Slack's word that it was taken.
    """
    answer = calls.post(request, clients)
    if request.url == POST_MESSAGE:
        return _posted(answer)
    word = answer.body[:100].decode("ascii", "replace").strip()
    if answer.status == 200 and word == "ok":
        return calls.receipt(answer)
    raise calls.failure(WORDS[word], answer) if word in WORDS else calls.fault_of(answer)


def _posted(answer: calls.ApiResponse) -> DeliveryReceipt:
    """Read the answer of a method, whose faults come with status 200."""
    if not answer.ok:
        raise calls.fault_of(answer)
    content = answer.object()
    if content.get("ok") is True:
        return calls.receipt(answer)
    word = content.get("error")
    if content.get("ok") is not False or not isinstance(word, str):
        raise calls.failure("protocol", answer)
    raise calls.failure(WORDS.get(word, "invalid"), answer)

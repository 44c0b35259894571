"""The channels: one module a platform, imported when a source first needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import cast

from .base import Channel, ChannelCapabilities

KINDS: tuple[str, ...] = (
    "avito",
    "bitrix24_openlines",
    "discord",
    "email_mailgun",
    "email_postmark",
    "email_ses",
    "freshchat",
    "google_chat",
    "instagram",
    "intercom",
    "kakaotalk",
    "line",
    "livechat",
    "matrix",
    "mattermost",
    "max",
    "messenger",
    "ok",
    "rocketchat",
    "signal",
    "slack",
    "standard_webhooks",
    "teams",
    "telegram",
    "twilio",
    "viber",
    "vk",
    "vonage",
    "wechat",
    "whatsapp",
    "zalo",
)
"""Every channel's kind, which is also the name of its module."""

NUMBER_PREFIXES: Mapping[str, str] = {"signal": "+", "twilio": "+", "vonage": "", "whatsapp": ""}
"""How a number is written that is a person's id, by channel. Said here, as route needs nothing else of a channel."""
IDS_ARE_NUMBERS = frozenset(NUMBER_PREFIXES)
"""Channels on which a person's id is a telephone number, or may be one."""


@cache  # asked several times for each webhook, and the import system takes its time
def _module(kind: str) -> Channel:
    if kind not in KINDS:
        raise KeyError(kind)
    return cast("Channel", import_module(f"{__name__}.{kind}"))


class _Channels(Mapping[str, Channel]):
    # A cell's sources use a few of the channels: the others' models must not cost a cold start anything.

    def __getitem__(self, kind: str) -> Channel:
        return _module(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


CHANNELS: Mapping[str, Channel] = _Channels()
"""From a kind to its module."""


def capabilities_of(kind: str) -> ChannelCapabilities:
    """Return what sets a channel apart; the usual for the cell's own source, and for a channel that is gone."""
    channel = CHANNELS.get(kind)
    return channel.CAPABILITIES if channel is not None else ChannelCapabilities()

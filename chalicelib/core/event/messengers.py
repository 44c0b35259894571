"""The messenger of a message: the platform whose network carried it. A broker's channel carries the messages of several.

Rules on messengers read this, never the adapter that a message came through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

BROKERS = frozenset({"bitrix24_openlines", "freshchat", "intercom", "livechat", "twilio", "vonage"})
"""Channels of vendors that pass on messages of other networks."""
CARRIERS = BROKERS | {"matrix", "standard_webhooks"}
"""Channels whose sources may declare the messengers that they carry: brokers, bridges and relays."""
_NATIVE_KINDS = frozenset({"twilio", "vonage"})
"""Brokers whose native kinds begin with the messenger. Events of before the field ``messenger`` are read by it."""

_SPELLINGS: Mapping[str, str] = {
    "email_mailgun": "email",
    "email_postmark": "email",
    "email_ses": "email",
    "facebook": "messenger",
    "fb": "messenger",
    "viber_service": "viber",
    "viber_service_msg": "viber",
    "whatsapp-cloud": "whatsapp",
}
Messenger = Literal[
    "app", "avito", "discord", "email", "google_chat", "imessage", "instagram", "kakaotalk", "line", "matrix", "mattermost",
    "max", "messenger", "mms", "ok", "rcs", "rocketchat", "signal", "skype", "slack", "sms", "snapchat", "teams",
    "telegram", "threema", "viber", "vk", "voice", "web", "wechat", "whatsapp", "zalo",
]  # fmt: skip
"""A messenger, as sources declare it and laws list it. ``app`` and ``web`` are a vendor's own chat window."""
MESSENGERS: frozenset[str] = frozenset(get_args(Messenger))


def messenger_named(name: str) -> str | None:
    """Return the messenger that a platform or a broker calls by a name; None where it is not known."""
    known = _SPELLINGS.get(name.lower(), name.lower())
    return known if known in MESSENGERS else None


def own_messenger(channel: str) -> str | None:
    """Return the messenger of a channel that carries no other; None for a broker's."""
    return None if channel in BROKERS else _SPELLINGS.get(channel, channel)


def messenger_in(document: Mapping[str, Any]) -> str | None:
    """Return the messenger that an event names; None where its payload did not say it."""
    named = document.get("messenger")
    if named is None and document.get("channel") in _NATIVE_KINDS:
        return messenger_named(str(document["native_kind"]).partition(".")[0])
    return str(named) if named is not None else None


def messenger_facts(channel: str, declared: tuple[str, ...], named: str | None) -> dict[str, Any]:
    """Return the facts on the messenger of a source's event; none for a channel that is its own messenger.

    Args:
        declared: the messengers that the source declares.
        named: the one that the payload names.
    """
    if channel not in CARRIERS:
        return {}
    if named is None and (declared or channel in BROKERS):
        return {"messenger": declared[0] if len(declared) == 1 else None}
    messenger = named or own_messenger(channel)
    undeclared = named is not None and named not in declared
    return {"messenger": messenger, **({"messenger_undeclared": True} if undeclared else {})}

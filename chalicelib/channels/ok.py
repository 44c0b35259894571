"""Odnoklassniki (OK) groups, through the Bot API: one event a request. OK proves nothing: the address is the secret.

Source: https://apiok.ru/en/dev/graph_api/methods/graph.user/graph.user.subscribe/post and
https://apiok.ru/dev/methods/botapi (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import Json, id_, listing, mapping, millis, optional_id, parse_json, phone, text, word

KIND = "ok"
CAPABILITIES = ChannelCapabilities(answer_within_s=5, unsubscribes_after_h=8, url_token=True)
"""Source: https://apiok.ru/en/dev/graph_api/methods/graph.user/graph.user.subscribe/post (read 2026-11-22)."""
Secret = UrlTokenSecret
verify = verify_url_token

Item = Draft | Ignored


def challenge(request: Inbound, secret: UrlTokenSecret) -> Reply | None:
    """Return None: a subscription is made without a handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. A message's ``mid``, or what was done to it and when, names the occurrence."""
    event = parse_json(request.body)
    native = word(event.get("webhookType", MESSAGE))  # older subscriptions send messages only, and do not say so
    if native in EVENTS:
        yield EVENTS[native](native, event)
    else:
        yield Ignored(native, "not about a conversation")


def _draft(kind: EventKind, native: str, event: Json, occurrence: str | None, message: Message | None) -> Draft:
    chat, author = id_(mapping(event.get("recipient")).get("chat_id")), mapping(event.get("sender"))
    when = f"{native}:{chat}:{id_(event.get('timestamp'))}"
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence or when,
        occurred_at=millis(event.get("timestamp")),
        conversation=Conversation(id=chat),  # whether two people talk or more is not told
        sender=Sender(id=id_(author.get("user_id")), name=text(author.get("name"))) if author else None,
        message=message,
        raw=event,
    )


def _message(native: str, event: Json) -> Item:
    content = mapping(event.get("message"))
    about = id_(content.get("mid"))
    message = Message(
        id=about,
        text=text(content.get("text")),
        attachments=tuple(map(_attachment, listing(content.get("attachments")))),
        reply_to=optional_id(content.get("reply_to")),
    )
    return _draft(EventKind.MESSAGE, native, event, about, message)


def _attachment(value: Any) -> Attachment:
    item = mapping(value)
    payload = mapping(item.get("payload"))
    kind = ATTACHMENTS.get(word(item.get("type")), "unsupported")
    return Attachment(
        type=kind,
        url=text(payload.get("url")),
        name=text(payload.get("name")),
        phone=phone(payload.get("phone"), international=True) if kind == "contact" else None,
    )


ATTACHMENTS: Mapping[str, AttachmentType] = {
    "IMAGE": "image",
    "VIDEO": "video",
    "AUDIO": "audio",
    "FILE": "file",
    "SHARE": "link",
    "CONTACT": "contact",
}


def _callback(native: str, event: Json) -> Item:
    # The mid is that of the message with the button, which can be pressed again: the time tells presses apart.
    about = optional_id(mapping(event.get("message")).get("mid"))
    occurrence = f"{about}:callback:{id_(event.get('timestamp'))}" if about else None
    return _draft(EventKind.POSTBACK, native, event, occurrence, Message(id=about, payload=text(event.get("payload"))))


def _system(native: str, event: Json) -> Item:
    content = mapping(event.get("message"))
    about, said = optional_id(content.get("mid")), text(content.get("text"))
    message = Message(id=about, text=said) if about or said else None
    return _draft(EventKind.CONVERSATION_UPDATED, native, event, about, message)


MESSAGE = "MESSAGE_CREATED"

EVENTS: Mapping[str, Callable[[str, Json], Item]] = {
    MESSAGE: _message,
    "MESSAGE_CALLBACK": _callback,
    "CHAT_SYSTEM": _system,
}
"""From the platform's word for an event to its reader. What people and pictures changed in a chat is one word."""

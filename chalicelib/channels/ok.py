"""Odnoklassniki (OK) groups, through the Bot API: one event a request. OK proves nothing: the address is the secret.

Source: https://apiok.ru/en/dev/graph_api/methods/graph.user/graph.user.subscribe/post and
https://apiok.ru/dev/methods/botapi (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import Json, items, mapping, millis, optional_id, parse_json, phone, text, word

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
    """Yield the event. A message's ``mid`` names it; a press, and a change without one, its content."""
    event = parse_json(request.body)
    native = word(event.get("webhookType") or MESSAGE)  # older subscriptions send messages only, and do not say so
    is_about_a_chat = any(mapping(event.get(name)) for name in ("sender", "recipient", "message"))
    if native in EVENTS and (is_about_a_chat or "webhookType" in event):
        yield EVENTS[native](native, event)
    elif native not in IGNORED and is_about_a_chat:
        yield _draft(EventKind.SYSTEM, native, event, None, _said(event))
    else:
        yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=event)


def _draft(kind: EventKind, native: str, event: Json, occurrence: str | None, message: Message | None) -> Draft:
    author = mapping(event.get("sender"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence or "",
        occurred_at=millis(event.get("timestamp")),
        # Whether two people talk or more is not told.
        conversation=Conversation(id=optional_id(mapping(event.get("recipient")).get("chat_id"))),
        sender=Sender(id=optional_id(author.get("user_id")), name=text(author.get("name"))) if author else None,
        message=message,
        raw=event,
    )


def _message(native: str, event: Json) -> Item:
    content = mapping(event.get("message"))
    about = optional_id(content.get("mid"))
    message = Message(
        id=about,
        text=text(content.get("text")),
        attachments=tuple(map(_attachment, items(content.get("attachments")))),
        reply_to=optional_id(content.get("reply_to")),
    )
    return _draft(EventKind.MESSAGE, native, event, about, message)


def _attachment(item: Json) -> Attachment:
    payload, native = mapping(item.get("payload")), word(item.get("type"))
    kind = ATTACHMENTS.get(native, "unsupported")
    return Attachment(
        type=kind,
        native_type=native if kind == "unsupported" else None,
        ref=optional_id(payload.get("id") or payload.get("token")),
        url=text(payload.get("url")),
        name=text(payload.get("name")) or text(payload.get("title")),
        phone=phone(payload.get("phone"), international=True) if kind == "contact" else None,
        caption=text(payload.get("description")),
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
    # The mid is that of the message with the button, which several people can press, and again.
    about = optional_id(mapping(event.get("message")).get("mid"))
    return _draft(EventKind.POSTBACK, native, event, None, Message(id=about, payload=text(event.get("payload"))))


def _system(native: str, event: Json) -> Item:
    about = optional_id(mapping(event.get("message")).get("mid"))
    return _draft(EventKind.CONVERSATION_UPDATED, native, event, about, _said(event))


def _said(event: Json) -> Message | None:
    content = mapping(event.get("message"))
    about = Message(id=optional_id(content.get("mid")), text=text(content.get("text")))
    return None if about == Message() else about


MESSAGE = "MESSAGE_CREATED"

EVENTS: Mapping[str, Callable[[str, Json], Item]] = {
    MESSAGE: _message,
    "MESSAGE_CALLBACK": _callback,
    "CHAT_SYSTEM": _system,
}
"""From the platform's word for an event to its reader. What people and pictures changed in a chat is one word."""
IGNORED: Mapping[str, str] = {"CONFIRMATION": "a subscription of an app, which is another feature"}

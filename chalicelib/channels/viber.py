"""Viber bot callbacks: one signed event a request.

Source: https://developers.viber.com/docs/api/rest-bot-api/#callbacks and
https://creators.viber.com/docs/bots-api/getting-started/web-hooks (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.errors import NotGenuine
from ..core.event.event import Attachment, Conversation, Draft, EventKind, Member, Message, Sender, Status, StatusError
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    hmac_sha256,
    id_,
    integer,
    mapping,
    millis,
    number,
    optional_id,
    parse_json,
    phone,
    same,
    text,
    word,
)

KIND = "viber"
CAPABILITIES = ChannelCapabilities()
HEADER = "x-viber-content-signature"

Item = Draft | Ignored


class Secret(base.Secret):
    """The bot's authentication token ("app key"), with which Viber also signs."""

    auth_token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over the raw bytes.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    if not same(request.headers.get(HEADER), hmac_sha256(secret.auth_token, request.body)):
        raise NotGenuine("the signature is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer the ``webhook`` event that ``set_webhook`` waits for."""
    if b'"webhook"' in request.body and parse_json(request.body).get("event") == "webhook":
        return Reply()
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: a body would be sent to the person as the welcome message."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. ``message_token`` names a message, ``message_token:event`` what became of it."""
    callback = parse_json(request.body)
    native = word(callback.get("event"))
    if native in EVENTS:
        yield EVENTS[native](native, callback)
    else:
        yield Ignored(native, "not about a conversation")


def _draft(kind: EventKind, native: str, callback: Json, person: Any, suffix: str = "", **rest: Any) -> Draft:
    chat = optional_id(callback.get("chat_id"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=id_(callback.get("message_token")) + suffix,  # an integer above 2^53
        occurred_at=millis(callback.get("timestamp")),
        conversation=Conversation(id=chat or id_(person), direct=chat is None),
        raw=callback,
        **rest,
    )


def _sender(user: Json) -> Sender:
    return Sender(id=id_(user.get("id")), name=text(user.get("name")))


def _message(native: str, callback: Json) -> Item:
    content = mapping(callback.get("message"))
    kind = word(content.get("type"))
    if kind not in TYPES:
        return Ignored(f"{native}.{kind}", "a type of message that is not known")
    sender = _sender(mapping(callback.get("sender")))
    about = Message(
        id=id_(callback.get("message_token")),
        text=text(content.get("text")),
        attachments=TYPES[kind](content),
        payload=text(content.get("tracking_data")),  # what the bot attached to the message that is answered
    )
    return _draft(EventKind.MESSAGE, f"{native}.{kind}", callback, sender.id, sender=sender, message=about)


def _attachment(kind: Any, content: Json) -> tuple[Attachment, ...]:
    return (
        Attachment(
            type=kind,
            ref=optional_id(content.get("sticker_id")),
            url=text(content.get("media")),
            name=text(content.get("file_name")),
            size_bytes=integer(content.get("size")),
            duration_s=number(content.get("duration")),
        ),
    )


def _contact(content: Json) -> tuple[Attachment, ...]:
    card = mapping(content.get("contact"))
    number_ = phone(card.get("phone_number"), international=True)
    return (Attachment(type="contact", name=text(card.get("name")), phone=number_),)


def _location(content: Json) -> tuple[Attachment, ...]:
    place = mapping(content.get("location"))
    latitude, longitude = number(place.get("lat")), number(place.get("lon"))
    return (Attachment(type="location", latitude=latitude, longitude=longitude, address=text(place.get("address"))),)


def _nothing(content: Json) -> tuple[Attachment, ...]:
    return ()


TYPES: Mapping[str, Callable[[Json], tuple[Attachment, ...]]] = {
    "text": _nothing,
    "picture": partial(_attachment, "image"),
    "video": partial(_attachment, "video"),
    "file": partial(_attachment, "file"),
    "sticker": partial(_attachment, "sticker"),
    "url": partial(_attachment, "link"),
    "contact": _contact,
    "location": _location,
}


def _status(status: Status, native: str, callback: Json) -> Item:
    title = text(callback.get("desc"))
    about = Message(
        id=id_(callback.get("message_token")),
        status=status,
        error=StatusError(title=title) if status == "failed" else None,
    )
    return _draft(EventKind.STATUS, native, callback, callback.get("user_id"), f":{native}", message=about)


def _came(native: str, callback: Json) -> Item:
    sender = _sender(mapping(callback.get("user")))
    context = text(callback.get("context"))  # of the deep link that led here
    return _draft(
        EventKind.MEMBER_JOINED,
        native,
        callback,
        sender.id,
        sender=sender,
        message=Message(payload=context) if context else None,
        members=(Member(id=sender.id, name=sender.name),),
    )


def _went(native: str, callback: Json) -> Item:
    person = id_(callback.get("user_id"))
    return _draft(
        EventKind.MEMBER_LEFT, native, callback, person, sender=Sender(id=person), members=(Member(id=person),)
    )


EVENTS: Mapping[str, Callable[[str, Json], Item]] = {
    "message": _message,
    "delivered": partial(_status, "delivered"),
    "seen": partial(_status, "read"),
    "failed": partial(_status, "failed"),
    "subscribed": _came,
    "conversation_started": _came,
    "unsubscribed": _went,
}
"""From the platform's word for an event to its reader."""

"""Viber bot callbacks: one signed event a request.

Source: https://developers.viber.com/docs/api/rest-bot-api/#callbacks and
https://creators.viber.com/docs/bots-api/getting-started/web-hooks (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.errors import NotGenuine
from ..core.event.event import (
    Attachment,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    Member,
    Message,
    Sender,
    Status,
    StatusError,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    hmac_sha256,
    integer,
    items,
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
        return
    person = _person_of(callback)
    if person is not None and mapping(callback.get("message")):
        yield _message(native, callback)
    elif person is None or native in PRESENCE:
        yield Ignored(native, "not about a conversation", callback)
    else:
        yield _draft(EventKind.SYSTEM, native, callback, person, f":{native}", sender=Sender(id=person))


PRESENCE = frozenset({"client_status"})
"""Whether a person's device is on: about no conversation."""


def _person_of(callback: Json) -> str | None:
    holders = (mapping(callback.get("sender")).get("id"), mapping(callback.get("user")).get("id"))
    return next(filter(None, map(optional_id, (*holders, callback.get("user_id")))), None)


def _draft(kind: EventKind, native: str, callback: Json, person: str | None, suffix: str = "", **rest: Any) -> Draft:
    chat, token = optional_id(callback.get("chat_id")), optional_id(callback.get("message_token"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=token + suffix if token else "",  # an integer above 2^53
        occurred_at=millis(callback.get("timestamp")),
        conversation=Conversation(id=chat or person, direct=chat is None),
        raw=callback,
        **rest,
    )


def _sender(user: Json) -> Sender:
    return Sender(id=optional_id(user.get("id")), name=text(user.get("name")))


def _message(native: str, callback: Json) -> Item:
    content = mapping(callback.get("message"))
    kind = word(content.get("type"))
    sender = _sender(mapping(callback.get("sender")))
    about = Message(
        id=optional_id(callback.get("message_token")),
        text=text(content.get("text")),
        attachments=TYPES[kind](content) if kind in TYPES else _unknown(kind, content),
        payload=text(content.get("tracking_data")),  # what the bot attached to the message that is answered
    )
    return _draft(EventKind.MESSAGE, f"{native}.{kind}", callback, sender.id, sender=sender, message=about)


def _unknown(kind: str, content: Json) -> tuple[Attachment, ...]:
    # The buttons of a keyboard or a rich message are the words it has.
    buttons = items(mapping(content.get("rich_media")).get("Buttons"))
    words = tuple(filter(None, (text(button.get("Text")) for button in buttons)))
    return (Attachment(type="unsupported", native_type=kind, url=text(content.get("media")), options=words),)


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
    numbers = (number_,) if number_ else ()
    return (Attachment(type="contact", name=text(card.get("name")), phone=number_, phones=numbers),)


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
        id=optional_id(callback.get("message_token")),
        status=status,
        error=StatusError(title=title) if status == "failed" else None,
    )
    return _draft(EventKind.STATUS, native, callback, optional_id(callback.get("user_id")), f":{native}", message=about)


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
        consent=EventConsent(state="given") if native == "subscribed" else None,
    )


def _went(native: str, callback: Json) -> Item:
    person = optional_id(callback.get("user_id"))
    return _draft(
        EventKind.MEMBER_LEFT,
        native,
        callback,
        person,
        sender=Sender(id=person),
        members=(Member(id=person),),
        consent=EventConsent(state="withdrawn"),
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

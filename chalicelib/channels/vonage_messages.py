"""The types of a message of Vonage's Messages API: a reader for each, of the type's own value and the message around it.

Source: https://developer.vonage.com/en/api/messages#inbound-message and
https://developer.vonage.com/en/messages/guides/handling-whatsapp-usernames-and-bsuids (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, AttachmentType, EventKind, Referral
from .fields import Json, compact, items, mapping, number, optional_id, phone, text, word
from .referrals import referral_from

Content = tuple[EventKind, dict[str, Any]]
"""The kind, and the message's fields."""


def kind_of(message: Json) -> str:
    """Return the word for a message's type. Where it is missing, the value that the message has tells it."""
    given = message.get("message_type")
    return word(given) if text(given) else next((name for name in TYPES if name in message), "unknown")


def read_type(kind: str, message: Json) -> Content:
    """Return what a message of a type says. One of an unknown type has an ``unsupported`` attachment."""
    content = message.get(kind)
    if kind in TYPES:
        return TYPES[kind](content if kind in NOT_OBJECTS else mapping(content), message)
    if isinstance(content, list):  # several parts in one message
        return _parts(content)
    words = text(message.get("text")) or text(content) or text(mapping(content).get("text"))
    return EventKind.MESSAGE, {"text": words, "attachments": (Attachment(type="unsupported", native_type=kind),)}


def party(value: Any) -> tuple[str | None, str | None]:
    """Return a party's id and number: a text, or in the first version of the API an object."""
    if isinstance(value, Mapping):
        value = value.get("number") or value.get("id")
    found = optional_id(value)
    digits = phone(found, international=True)
    return found, digits if digits and digits.startswith("+") else None


def user_ids(message: Json, role: str) -> tuple[str, ...]:
    """Return the business-scoped ids of a person on WhatsApp, the person's own first."""
    person = mapping(mapping(message.get("whatsapp")).get(role))
    found = (optional_id(person.get(name)) for name in ("user_id", "parent_user_id"))
    return tuple(one for one in found if one)


def referral_of(message: Json) -> Referral | None:
    """Return the advertisement or post that led to a message, or the product that it asks about."""
    found = mapping(mapping(message.get("whatsapp")).get("referral"))
    return referral_from(found, mapping(mapping(message.get("context")).get("whatsapp_referred_product")))


def _content(kind: AttachmentType, content: Json, message: Json) -> Content:
    found = Attachment(type=kind, url=text(content.get("url")), name=text(content.get("name")))
    return EventKind.MESSAGE, {"text": text(content.get("caption")), "attachments": (found,)}


def _text(content: Any, message: Json) -> Content:
    return EventKind.MESSAGE, {"text": text(content)}


def _location(content: Json, message: Json) -> Content:
    found = Attachment(
        type="location",
        latitude=number(content.get("lat", content.get("latitude"))),
        longitude=number(content.get("long", content.get("longitude"))),
        name=text(content.get("name")),
        address=text(content.get("address")),
    )
    return EventKind.MESSAGE, {"attachments": (found,)}


def _contacts(content: Any, message: Json) -> Content:
    return EventKind.MESSAGE, {"attachments": tuple(map(_card, items(content)))}


def _card(card: Json) -> Attachment:
    numbers = (
        phone(one.get("phone")) or phone(one.get("wa_id"), international=True) for one in items(card.get("phones"))
    )
    phones = tuple(filter(None, numbers))
    return Attachment(
        type="contact",
        name=text(mapping(card.get("name")).get("formatted_name")),
        phone=next(iter(phones), None),
        phones=phones,
        emails=tuple(filter(None, (text(one.get("email")) for one in items(card.get("emails"))))),
    )


def _press(content: Json, message: Json) -> Content:
    payload = text(content.get("id")) or text(content.get("payload"))
    title = text(content.get("title")) or text(content.get("text"))
    return EventKind.POSTBACK, {"text": title, "payload": payload or title}


def _reaction(content: Json, message: Json) -> Content:
    emoji = text(content.get("emoji"))
    removed = content.get("action") == "unreact" or emoji is None
    about = optional_id(mapping(message.get("context")).get("message_uuid"))
    return EventKind.REACTION, {"id": about, "emoji": () if removed else (emoji,), "emoji_action": "set"}


def _order(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"payload": compact(content)}


def _unsupported(content: Any, message: Json) -> Content:
    native = mapping(content).get("type")
    found = Attachment(type="unsupported", native_type=word(native) if text(native) else None)
    return EventKind.MESSAGE, {"text": text(message.get("text")), "attachments": (found,)}


TYPES: Mapping[str, Callable[[Any, Json], Content]] = {
    "text": _text,
    "image": partial(_content, "image"),
    "video": partial(_content, "video"),
    "audio": partial(_content, "audio"),
    "file": partial(_content, "file"),
    "sticker": partial(_content, "sticker"),
    "vcard": partial(_content, "contact"),
    "location": _location,
    "contact": _contacts,
    "contacts": _contacts,
    "reply": _press,
    "button": _press,
    "reaction": _reaction,
    "order": _order,
    "unsupported": _unsupported,
}
"""From the platform's word for a message to its reader."""
NOT_OBJECTS = frozenset({"text", "contact", "contacts", "unsupported"})


def _parts(content: list[Any]) -> Content:
    """Return several parts as one message: their texts in lines, and all of their attachments."""
    parts = []
    for part in items(content):
        kind = word(part.get("type"))
        # A part has its values in itself, or below its type as a message has them.
        parts.append(read_type(kind, {**part, kind: part.get(kind, part)})[1])
    words = [part["text"] for part in parts if part.get("text")]
    attachments = tuple(attachment for part in parts for attachment in part.get("attachments", ()))
    return EventKind.MESSAGE, {"text": "\n".join(words) or None, "attachments": attachments}

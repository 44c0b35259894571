"""The types of a WhatsApp message: a reader for each, of the type's own object and the message around it.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages and the pages
of each type below it (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, AttachmentType, EventKind, Referral, StatusError
from .fields import Json, compact, items, listing, mapping, number, optional_id, phone, seconds, text, word
from .forms import embedded, filled_in
from .referrals import referral_from

Content = tuple[EventKind, dict[str, Any]]
"""The kind, and the message's fields."""


def type_of(message: Json) -> str:
    """Return the word for a message's type. Where it is missing, the object that the message has tells it."""
    native = message.get("type")
    return word(native) if text(native) else next((name for name in TYPES if name in message), "unknown")


def read_type(kind: str, message: Json) -> Content:
    """Return what a message of a type says. One of an unknown type has an ``unsupported`` attachment."""
    if kind not in TYPES:
        return _unknown(kind, message)
    content = message.get(kind)
    return TYPES[kind](content if kind == "contacts" else mapping(content), message)


def fault_of(errors: Any) -> StatusError | None:
    """Return the first of a list of errors."""
    first = next(iter(items(errors)), None)
    return None if first is None else StatusError(code=optional_id(first.get("code")), title=text(first.get("title")))


def referral_of(message: Json) -> Referral | None:
    """Return the advertisement or post that led to a message, or the product that it asks about."""
    found = mapping(message.get("referral"))
    product = mapping(mapping(message.get("context")).get("referred_product"))
    return referral_from(found, product, text(found.get("ref")))


def _text(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"text": text(content.get("body"))}


def _media(kind: AttachmentType, content: Json, message: Json) -> Content:
    # "url" and "id" both need the business's token; the id lives longer.
    found = Attachment(
        type="voice" if kind == "audio" and content.get("voice") is True else kind,
        ref=optional_id(content.get("id")),
        mime=text(content.get("mime_type")),
        name=text(content.get("filename")),
    )
    return EventKind.MESSAGE, {"text": text(content.get("caption")), "attachments": (found,)}


def _location(content: Json, message: Json) -> Content:
    found = Attachment(
        type="location",
        url=text(content.get("url")),
        latitude=number(content.get("latitude")),
        longitude=number(content.get("longitude")),
        name=text(content.get("name")),
        address=text(content.get("address")),
    )
    return EventKind.MESSAGE, {"attachments": (found,)}


def _contacts(content: Any, message: Json) -> Content:
    return EventKind.MESSAGE, {"attachments": tuple(map(contact_card, items(content)))}


def contact_card(card: Json) -> Attachment:
    """Return a shared contact with all its numbers and addresses."""
    entries = items(card.get("phones"))
    numbers = [phone(one.get("phone")) or phone(one.get("wa_id"), international=True) for one in entries]
    phones = tuple(filter(None, numbers))
    return Attachment(
        type="contact",
        ref=next((found for one in entries if (found := optional_id(one.get("wa_id")))), None),
        name=text(mapping(card.get("name")).get("formatted_name")),
        phone=next(iter(phones), None),
        phones=phones,
        emails=tuple(filter(None, (text(one.get("email")) for one in items(card.get("emails"))))),
    )


def _button(content: Json, message: Json) -> Content:
    return EventKind.POSTBACK, {"text": text(content.get("text")), "payload": text(content.get("payload"))}


def _interactive(content: Json, message: Json) -> Content:
    kind = word(content.get("type"))
    reply = mapping(content.get(kind)) or next((one for one in content.values() if isinstance(one, dict)), {})
    title = text(reply.get("title")) or text(reply.get("body"))
    payload = text(reply.get(INTERACTIVE.get(kind, "id")))
    if payload is None and title is None and reply:  # a new kind of press has its values under other names
        payload = compact(reply)
    form = filled_in(embedded(payload)) if kind == "nfm_reply" else ()
    return EventKind.POSTBACK, {"text": title, "payload": payload, "fields": form}


INTERACTIVE: Mapping[str, str] = {
    "button_reply": "id",
    "list_reply": "id",
    "nfm_reply": "response_json",  # a filled-in flow: JSON as text
    "call_permission_reply": "response",
}


def _reaction(content: Json, message: Json) -> Content:
    emoji = text(content.get("emoji"))  # absent or empty: taken back. A person has one reaction to a message
    about = optional_id(content.get("message_id"))
    return EventKind.REACTION, {"id": about, "emoji": (emoji,) if emoji else (), "emoji_action": "set"}


def _order(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"text": text(content.get("text")), "payload": compact(content)}


def _system(content: Json, message: Json) -> Content:
    new = next((content[n] for n in ("wa_id", "new_wa_id", "user_id", "identity") if n in content), None)
    return EventKind.SYSTEM, {"text": text(content.get("body")), "payload": optional_id(new)}


def _edit(content: Json, message: Json) -> Content:
    inner = mapping(content.get("message"))
    kind = type_of(inner)
    said = {} if kind in ("edit", "revoke", "unknown") else read_type(kind, inner)[1]
    about = optional_id(content.get("original_message_id"))
    return EventKind.MESSAGE_EDITED, {**said, "id": about, "edited_at": seconds(message.get("timestamp"))}


def _revoke(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE_DELETED, {"id": optional_id(content.get("original_message_id"))}


def _unsupported(content: Json, message: Json) -> Content:
    native = text(content.get("type")) and word(content.get("type"))  # "poll_creation", or absent
    return EventKind.MESSAGE, {"attachments": (Attachment(type="unsupported", native_type=native),)}


def _unknown(kind: str, message: Json) -> Content:
    # A new type has its words in one of these places, if it has any.
    content = mapping(message.get(kind))
    options = [text(mapping(one).get("name")) or text(one) for one in listing(content.get("options"))]
    found = Attachment(
        type="unsupported",
        native_type=kind,
        ref=optional_id(content.get("id")),
        name=text(content.get("name")) or text(content.get("title")),
        options=tuple(filter(None, options)),
    )
    words = text(content.get("body")) or text(content.get("caption")) or text(content.get("text"))
    return EventKind.MESSAGE, {"text": words, "attachments": (found,)}


def _welcome(content: Json, message: Json) -> Content:
    return EventKind.MEMBER_JOINED, {}


TYPES: Mapping[str, Callable[[Any, Json], Content]] = {
    "text": _text,
    "image": partial(_media, "image"),
    "video": partial(_media, "video"),
    "audio": partial(_media, "audio"),
    "voice": partial(_media, "voice"),  # of older versions
    "document": partial(_media, "file"),
    "sticker": partial(_media, "sticker"),
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "reaction": _reaction,
    "order": _order,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
    "request_welcome": _welcome,
}
"""From the platform's word for a message to its reader."""

"""Zalo Official Account webhooks: one signed event a request.

Source: https://developers.zalo.me/docs/official-account/webhook/xac-thuc-nguon-goc-su-kien,
https://developers.zalo.me/docs/official-account/webhook/tin-nhan/su-kien-nguoi-dung-gui-tin-nhan and
https://developers.zalo.me/docs/official-account/webhook/quan-ly-nguoi-dung/su-kien-nguoi-dung-quan-tam
(read 2026-11-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Member,
    Message,
    Sender,
    Status,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    compact,
    id_,
    integer,
    joined,
    listing,
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

KIND = "zalo"
CAPABILITIES = ChannelCapabilities(answer_within_s=2)
HEADER = "x-zevent-signature"
PREFIX = "mac="

Item = Draft | Ignored


class Secret(base.Secret):
    """The app's id, and the secret key that the webhook page shows for the official account."""

    app_id: SecretText
    oa_secret_key: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the digest over app id, body, the body's time and the secret key: a SHA-256, no HMAC.

    Raises:
        NotGenuine: it is missing or wrong. An empty request, with which Zalo tries an address, proves nothing and holds
            nothing: it is let through to the handshake.
    """
    if not request.body and HEADER not in request.headers:
        return
    try:
        stamp = parse_json(request.body).get("timestamp")
    except MalformedPayload:
        stamp = None
    signed = secret.app_id.encode() + request.body + _text(stamp).encode() + secret.oa_secret_key.encode()
    if not same(request.headers.get(HEADER), PREFIX + hashlib.sha256(signed).hexdigest()):
        raise NotGenuine("the signature is missing or wrong")


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer the empty request with which the developer page tries an address."""
    return None if request.body else Reply()


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. ``msg_id`` names a message; what became of one, and what has no id, is named by kind and time."""
    event = parse_json(request.body)
    native = word(event.get("event_name"))
    if native in EVENTS:
        yield from EVENTS[native](native, event)
    else:
        yield Ignored(native, "not about a conversation")


def _party(event: Json, name: str) -> str | None:
    return optional_id(mapping(event.get(name)).get("id"))


def _draft(kind: EventKind, native: str, event: Json, person: str | None, dedupe_id: str, **rest: Any) -> Draft:
    group = optional_id(event.get("group_id")) or (_party(event, "recipient") if native.startswith(GROUP) else None)
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=millis(event.get("timestamp")),
        conversation=Conversation(id=group or id_(person), direct=group is None),
        raw=event,
        **rest,
    )


GROUP = ("user_send_group_", "oa_send_group_")


def _unnamed(native: str, event: Json, person: str | None) -> str:
    return ":".join(filter(None, (native, person, optional_id(event.get("timestamp")))))


# --- messages


def _message(kind: AttachmentType | None, native: str, event: Json) -> Iterator[Item]:
    own = native.startswith("oa_")
    content = mapping(event.get("message"))
    sid, sender = id_(content.get("msg_id")), id_(_party(event, "sender"))
    about = Message(
        id=sid,
        text=text(content.get("text")),
        attachments=tuple(_attachments(kind, content)),
        reply_to=optional_id(content.get("quote_msg_id")),
    )
    other = _party(event, "recipient") if own else sender
    # Strangers who have not followed the account are known by a conversation only.
    other = optional_id(content.get("conversation_id")) or other
    yield _draft(EventKind.MESSAGE, native, event, other, sid, sender=Sender(id=sender, is_self=own), message=about)


def _attachments(kind: AttachmentType | None, content: Json) -> Iterator[Attachment]:
    for item in map(mapping, listing(content.get("attachments"))):
        payload, native = mapping(item.get("payload")), word(item.get("type"))
        if native == "location":
            yield _location(payload)
        else:
            known = kind or ATTACHMENTS.get(native, "unsupported")
            yield Attachment(
                type=known,
                ref=optional_id(payload.get("id")) or optional_id(payload.get("token")),
                url=text(payload.get("url")),
                name=text(payload.get("name")) or text(payload.get("title")),
                size_bytes=integer(payload.get("size")),
                caption=text(payload.get("description")) if known in ("link", "contact") else None,
            )


def _location(payload: Json) -> Attachment:
    place = mapping(payload.get("coordinates"))
    latitude, longitude = number(place.get("latitude")), number(place.get("longitude"))
    return Attachment(type="location", latitude=latitude, longitude=longitude)


ATTACHMENTS: Mapping[str, AttachmentType] = {
    "image": "image",
    "gif": "video",
    "video": "video",
    "audio": "voice",
    "file": "file",
    "sticker": "sticker",
    "link": "link",
}
"""From Zalo's word for an attachment: the event's own name only tells what kind of message it is."""


# --- the other events


def _status(status: Status, native: str, event: Json) -> Iterator[Item]:
    content = mapping(event.get("message"))
    sender, recipient = _party(event, "sender"), _party(event, "recipient")
    # A receipt of a notification by phone number has the account as its sender; any other the person.
    person = recipient if "delivery_time" in content else sender
    ids = [id_(one) for one in listing(content.get("msg_ids"))] or [id_(content.get("msg_id"))]
    for sid in ids:
        yield _draft(
            EventKind.STATUS,
            native,
            event,
            person or sender,
            f"{sid}:{native}",
            sender=Sender(id=person) if person else None,
            message=Message(id=sid, status=status),
        )


def _reaction(native: str, event: Json) -> Iterator[Item]:
    content, own = mapping(event.get("message")), native.startswith("oa_")
    sid, sender = id_(content.get("msg_id")), id_(_party(event, "sender"))
    icon = text(content.get("react_icon"))
    removed = icon is None or icon == REMOVED
    yield _draft(
        EventKind.REACTION,
        native,
        event,
        _party(event, "recipient") if own else sender,
        f"{sid}:{_unnamed(native, event, sender)}",
        sender=Sender(id=sender, is_self=own),
        message=Message(id=sid, emoji=() if removed else (icon,), emoji_action="set"),
    )


REMOVED = "/-remove"  # what the SDK sends to take a reaction back


def _moved(kind: EventKind, native: str, event: Json) -> Iterator[Item]:
    person = id_(_party(event, "follower") or _party(event, "sender"))
    source = text(event.get("source"))  # where the person found the account
    yield _draft(
        kind,
        native,
        event,
        person,
        _unnamed(native, event, person),
        sender=Sender(id=person),
        members=(Member(id=person),),
        message=Message(payload=source) if source else None,
    )


def _press(native: str, event: Json) -> Iterator[Item]:
    person = id_(_party(event, "user") or _party(event, "sender") or event.get("user_id"))
    yield _draft(
        EventKind.POSTBACK,
        native,
        event,
        person,
        _unnamed(native, event, person),
        sender=Sender(id=person),
        message=Message(payload=native),
    )


def _submitted(native: str, event: Json) -> Iterator[Item]:
    info = mapping(event.get("info"))
    person, name = id_(_party(event, "sender")), text(info.get("name"))
    number = _phone(info.get("phone"))
    place = joined(*(info.get(part) for part in ("address", "ward", "district", "city")))
    card = Attachment(type="contact", name=name, phone=number, address=place)
    yield _draft(
        EventKind.POSTBACK,
        native,
        event,
        person,
        _unnamed(native, event, person),
        sender=Sender(id=person, name=name, phone=number),
        message=Message(payload=compact(info), attachments=(card,)),
    )


def _phone(value: Any) -> str | None:
    # A number here is an integer with the country's code, or text as the person typed it.
    return phone(optional_id(value), international=isinstance(value, int))


SENT = ("user_send_", "oa_send_", "anonymous_send_", "oa_send_anonymous_", "user_send_group_", "oa_send_group_")
"""Who sent a message, and where; then comes what it holds."""
CONTENTS = ("text", "image", "gif", "link", "audio", "video", "sticker", "location", "file", "list", "template")

EVENTS: Mapping[str, Callable[[str, Json], Iterator[Item]]] = {
    **{f"{prefix}{content}": partial(_message, None) for prefix in SENT for content in CONTENTS},
    "user_send_business_card": partial(_message, "contact"),
    "user_send_group_business_card": partial(_message, "contact"),
    "user_received_message": partial(_status, "delivered"),
    "user_seen_message": partial(_status, "read"),
    "user_reacted_message": _reaction,
    "oa_reacted_message": _reaction,
    "follow": partial(_moved, EventKind.MEMBER_JOINED),
    "unfollow": partial(_moved, EventKind.MEMBER_LEFT),
    "user_click_chatnow": _press,
    "user_submit_info": _submitted,
}
"""From the platform's word for an event to its reader. Tags, shops, calls and the managing of groups are ignored."""

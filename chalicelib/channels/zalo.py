"""Zalo Official Account webhooks: one signed event a request.

Source: https://developers.zalo.me/docs/official-account/webhook/xac-thuc-nguon-goc-su-kien,
https://developers.zalo.me/docs/official-account/webhook/tin-nhan/su-kien-nguoi-dung-gui-tin-nhan and
https://developers.zalo.me/docs/official-account/webhook/quan-ly-nguoi-dung/su-kien-nguoi-dung-quan-tam
(read 2026-12-01).
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
    EventConsent,
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
    integer,
    items,
    joined,
    listing,
    mapping,
    millis,
    number,
    occurrence,
    optional_id,
    parse_json,
    phone,
    same,
    text,
    word,
)
from .forms import filled_in

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
    sent = next((prefix for prefix in SENT if native.startswith(prefix)), None)
    if native in EVENTS:
        yield from EVENTS[native](native, event)
    elif sent is not None or (native == "unknown" and mapping(event.get("message"))):
        yield from _message(None, native, event)
    elif native.startswith("user_") and _person_of(event):
        yield _acted(EventKind.SYSTEM, native, event)
    else:
        yield Ignored(native, "not about a conversation", event)


def _party(event: Json, name: str) -> str | None:
    return optional_id(mapping(event.get(name)).get("id"))


def _person_of(event: Json) -> str | None:
    """Return who acted: in most events the sender, in some a follower, a user, or an id alone."""
    data = mapping(event.get("data"))
    holders = ("follower", "user", "sender")
    ids = (_party(event, holder) for holder in holders)
    return next(filter(None, ids), None) or optional_id(event.get("user_id")) or optional_id(data.get("user_id"))


def _draft(kind: EventKind, native: str, event: Json, person: str | None, dedupe_id: str, **rest: Any) -> Draft:
    group = optional_id(event.get("group_id")) or (_party(event, "recipient") if native.startswith(GROUP) else None)
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=millis(event.get("timestamp")),
        conversation=Conversation(id=group or person, direct=group is None),
        raw=event,
        **rest,
    )


GROUP = ("user_send_group_", "oa_send_group_")


def _unnamed(native: str, event: Json, person: str | None) -> str:
    # Without a person and a time, only the content tells an event from the next one.
    stamp = optional_id(event.get("timestamp"))
    return f"{native}:{person}:{stamp}" if person and stamp else ""


def _acted(kind: EventKind, native: str, event: Json, **rest: Any) -> Draft:
    """Return what a person did, named by kind, person and time."""
    person = _person_of(event)
    return _draft(kind, native, event, person, _unnamed(native, event, person), sender=Sender(id=person), **rest)


# --- messages


def _message(kind: AttachmentType | None, native: str, event: Json) -> Iterator[Item]:
    own = native.startswith("oa_")
    content = mapping(event.get("message"))
    sid, sender = optional_id(content.get("msg_id")), _party(event, "sender")
    about = Message(
        id=sid,
        text=text(content.get("text")),
        attachments=tuple(_attachments(kind, content)),
        reply_to=optional_id(content.get("quote_msg_id")),
    )
    if native not in EVENTS and native != "unknown" and all(one.type != "unsupported" for one in about.attachments):
        found = (*about.attachments, Attachment(type="unsupported", native_type=native))
        about = about.model_copy(update={"attachments": found})
    other = _party(event, "recipient") if own else sender
    # Strangers who have not followed the account are known by a conversation only.
    other = optional_id(content.get("conversation_id")) or other
    person = Sender(id=sender, is_self=own)
    yield _draft(EventKind.MESSAGE, native, event, other, sid or "", sender=person, message=about)


def _attachments(kind: AttachmentType | None, content: Json) -> Iterator[Attachment]:
    for item in items(content.get("attachments")):
        payload, native = mapping(item.get("payload")), word(item.get("type"))
        if native == "location":
            yield _location(payload)
        else:
            known = kind or ATTACHMENTS.get(native, "unsupported")
            yield Attachment(
                type=known,
                native_type=native if known == "unsupported" else None,
                ref=optional_id(payload.get("id")) or optional_id(payload.get("token")),
                url=text(payload.get("url")) or text(payload.get("link_url")),
                name=text(payload.get("name")) or text(payload.get("title")),
                size_bytes=integer(payload.get("size")),
                caption=_caption(known, payload),
            )


def _caption(known: AttachmentType, payload: Json) -> str | None:
    said = text(payload.get("description")) if known in ("link", "contact", "unsupported") else None
    return said or (text(payload.get("text")) if known == "unsupported" else None)  # a template's words


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
    listed = tuple(sid for sid in map(optional_id, listing(content.get("msg_ids"))) if sid)
    for sid in listed or (optional_id(content.get("msg_id")),):
        yield _draft(
            EventKind.STATUS,
            native,
            event,
            person or sender,
            occurrence(sid, native),
            sender=Sender(id=person) if person else None,
            message=Message(id=sid, status=status),
        )


def _reaction(native: str, event: Json) -> Iterator[Item]:
    content, own = mapping(event.get("message")), native.startswith("oa_")
    sid, sender = optional_id(content.get("msg_id")), _party(event, "sender")
    unnamed = _unnamed(native, event, sender)
    icon = text(content.get("react_icon"))
    removed = icon is None or icon == REMOVED
    yield _draft(
        EventKind.REACTION,
        native,
        event,
        _party(event, "recipient") if own else sender,
        occurrence(sid, unnamed) if unnamed else "",
        sender=Sender(id=sender, is_self=own),
        message=Message(id=sid, emoji=() if removed else (icon,), emoji_action="set"),
    )


REMOVED = "/-remove"  # what the SDK sends to take a reaction back


def _moved(kind: EventKind, native: str, event: Json) -> Iterator[Item]:
    source = text(event.get("source"))  # where the person found the account
    yield _acted(
        kind,
        native,
        event,
        members=(Member(id=_person_of(event)),),
        message=Message(payload=source) if source else None,
        consent=EventConsent(state="given" if kind is EventKind.MEMBER_JOINED else "withdrawn"),
    )


def _press(native: str, event: Json) -> Iterator[Item]:
    yield _acted(EventKind.POSTBACK, native, event, message=Message(payload=native))


def _withdrawn(native: str, event: Json) -> Iterator[Item]:
    # The person withdraws consent, or asks to erase or restrict their data: Zalo does not say which.
    yield _acted(EventKind.CONSENT_CHANGED, native, event, consent=EventConsent(state="withdrawn"))


def _submitted(native: str, event: Json) -> Iterator[Item]:
    info = mapping(event.get("info"))
    person, name = _party(event, "sender"), text(info.get("name"))
    number = _phone(info.get("phone"))
    place = joined(*(info.get(part) for part in ("address", "ward", "district", "city"))) or text(
        info.get("full_address")
    )
    card = Attachment(type="contact", name=name, phone=number, address=place, phones=(number,) if number else ())
    yield _draft(
        EventKind.POSTBACK,
        native,
        event,
        person,
        _unnamed(native, event, person),
        sender=Sender(id=person, name=name, phone=number),
        message=Message(payload=compact(info), attachments=(card,), fields=filled_in(info)),
    )


def _rated(native: str, event: Json) -> Iterator[Item]:
    content = mapping(event.get("message"))
    given = {name: content[name] for name in RATED if name in content}
    about = Message(id=optional_id(content.get("msg_id")), text=text(content.get("note")), fields=filled_in(given))
    yield _acted(EventKind.POSTBACK, native, event, message=about)


RATED = ("rate", "feedbacks", "note")


def _members(kind: EventKind, native: str, event: Json) -> Iterator[Item]:
    found = (optional_id(user.get("id")) for user in items(event.get("users")))
    members = tuple(Member(id=one) for one in found if one)
    yield _draft(kind if members else EventKind.CONVERSATION_UPDATED, native, event, None, "", members=members)


def _phone(value: Any) -> str | None:
    # A number here is an integer with the country's code, or text as the person typed it.
    return phone(optional_id(value), international=isinstance(value, int))


SENT = ("user_send_", "oa_send_", "anonymous_send_", "oa_send_anonymous_", "user_send_group_", "oa_send_group_")
"""Who sent a message, and where; then comes what it holds."""
CONTENTS = ("text", "image", "gif", "link", "audio", "video", "sticker", "location", "file", "list", "template")

GROUP_CHANGES = (
    *("create_group", "update_group_info", "delete_group", "add_group_admin", "remove_group_admin"),
    *("user_request_join_group", "reject_request_join_group"),
)

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
    "user_feedback": _rated,
    "user_withdraw": _withdrawn,
    "user_join_group": partial(_members, EventKind.MEMBER_JOINED),
    "accept_request_join_group": partial(_members, EventKind.MEMBER_JOINED),
    "user_out_group": partial(_members, EventKind.MEMBER_LEFT),
    **{name: partial(_members, EventKind.CONVERSATION_UPDATED) for name in GROUP_CHANGES},
}
"""From the platform's word for an event to its reader. A message of a new kind is ``unsupported``, and another act of a
person ``system``. Tags, shops, quotas and templates are ignored."""

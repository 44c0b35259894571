"""Vonage webhooks: the Messages API (JSON, signed by a token) and the older SMS API (fields, signed by ``sig``).

Source: https://developer.vonage.com/en/messages/concepts/signed-webhooks,
https://developer.vonage.com/en/api/messages#inbound-message, #message-status,
https://developer.vonage.com/en/messaging/sms/guides/inbound-sms, /delivery-receipts and
https://developer.vonage.com/en/concepts/guides/signing-messages (read 2026-11-22).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Message,
    Sender,
    Status,
    StatusError,
)
from ..core.event.messengers import messenger_named
from . import base, jwt
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    clean,
    compact,
    id_,
    instant,
    listing,
    mapping,
    number,
    optional_id,
    parse_form,
    parse_json,
    phone,
    same,
    text,
    word,
)

KIND = "vonage"
CAPABILITIES = ChannelCapabilities()
ISSUER = "Vonage"
WINDOW_S = 300

Item = Draft | Ignored
Content = tuple[EventKind, dict[str, Any]]  # the kind, and the message's fields

STATUSES: Mapping[str, Status] = {
    "submitted": "sent",
    "accepted": "sent",
    "buffered": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
    "rejected": "failed",
    "undeliverable": "failed",
    "expired": "failed",
    "deleted": "deleted",
}
"""From either API's word for an outbound message's state."""


class Secret(base.Secret):
    """The account's signature secret and, for the SMS API only, the method that the account has set."""

    signature_secret: SecretText
    signature_method: Literal["md5hash", "md5", "sha1", "sha256", "sha512"] = "sha256"


def verify(request: Inbound, secret: Secret) -> None:
    """Check the token and its digest of the body; without a token the ``sig`` among the fields and its time.

    Raises:
        NotGenuine: neither proves the origin. An empty GET, with which Vonage tries an address, proves nothing and
            holds nothing: it is let through to the handshake.
    """
    if _is_probe(request):
        return
    if "authorization" in request.headers and request.method != "GET" and request.body:  # it proves the body alone
        claims = jwt.hs256(
            jwt.bearer(request.headers), secret.signature_secret, issuer=ISSUER, now=request.now, max_age_s=WINDOW_S
        )
        if not same(claims.get("payload_hash"), hashlib.sha256(request.body).hexdigest()):
            raise NotGenuine("the body is not the one that was signed")
    else:
        _verify_fields(request, secret)


def _verify_fields(request: Inbound, secret: Secret) -> None:
    try:
        fields = _fields(request)
    except MalformedPayload:
        raise NotGenuine("the signature is missing") from None
    given = fields.pop("sig", None)
    expected = _signature(fields, secret)
    if not (same(given, expected) or same(given, expected.upper())):  # the documentation shows both
        raise NotGenuine("the signature is missing or wrong")
    stamp = str(fields.get("timestamp"))
    if not re.fullmatch(r"[0-9]{1,11}", stamp) or abs(request.now.timestamp() - int(stamp)) > WINDOW_S:
        raise NotGenuine("the request was signed at another time")


def _signature(fields: Json, secret: Secret) -> str:
    signed = "".join(f"&{name}={re.sub('[&=]', '_', str(fields[name]))}" for name in sorted(fields))
    key = secret.signature_secret.encode()
    if secret.signature_method == "md5hash":  # the oldest: no HMAC, the secret is appended
        return hashlib.md5(signed.encode() + key, usedforsecurity=False).hexdigest()
    return hmac.digest(key, signed.encode(), secret.signature_method).hex()


def _is_probe(request: Inbound) -> bool:
    return request.method == "GET" and not request.query and not request.body


def _is_json(request: Inbound) -> bool:
    return "json" in request.headers.get("content-type", "") or request.body.lstrip()[:1] == b"{"


def _fields(request: Inbound) -> Json:
    if request.method == "GET":
        return {clean(name): clean(value) for name, value in request.query.items()}
    return parse_json(request.body) if _is_json(request) else dict(parse_form(request.body))


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer the empty GET with which the dashboard tries an address."""
    return Reply() if _is_probe(request) else None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. ``message_uuid`` (``messageId``) names a message, with ``:status`` what became of it."""
    fields = _fields(request)
    if "message_uuid" in fields:
        yield _messages_status(fields) if "status" in fields else _messages_inbound(fields)
    elif "messageId" in fields:
        yield _sms_status(fields) if "status" in fields else _sms_inbound(fields)
    elif "authorization" in request.headers:
        yield Ignored("unknown", "another product's webhook")
    else:
        raise MalformedPayload("the request names no message")


# --- Messages API


def _party(value: Any) -> tuple[str, str | None]:
    """Return a party's id and number: a text, or in the first version of the API an object."""
    if isinstance(value, Mapping):
        value = value.get("number") or value.get("id")
    found = id_(value)
    number = phone(found, international=True)
    return found, number if number and number.startswith("+") else None


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
    found = []
    for card in map(mapping, listing(content)):
        first = next(map(mapping, listing(card.get("phones"))), {})
        name = mapping(card.get("name"))
        found.append(
            Attachment(
                type="contact",
                name=text(name.get("formatted_name")),
                phone=phone(first.get("phone") or first.get("wa_id")),
            )
        )
    return EventKind.MESSAGE, {"attachments": tuple(found)}


def _press(content: Json, message: Json) -> Content:
    payload = content.get("id", content.get("payload"))
    title = text(content.get("title")) or text(content.get("text"))
    return EventKind.POSTBACK, {"text": title, "payload": text(payload) or title}


def _reaction(content: Json, message: Json) -> Content:
    emoji = text(content.get("emoji"))
    removed = content.get("action") == "unreact" or emoji is None
    about = id_(mapping(message.get("context")).get("message_uuid"))
    return EventKind.REACTION, {"id": about, "emoji": () if removed else (emoji,), "emoji_action": "set"}


def _order(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"payload": compact(content)}


def _unsupported(content: Any, message: Json) -> Content:
    return EventKind.MESSAGE, {"attachments": (Attachment(type="unsupported"),)}


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


def _messages_inbound(message: Json) -> Item:
    channel, kind = word(message.get("channel")), word(message.get("message_type"))
    if kind not in TYPES:
        return Ignored(f"{channel}.{kind}", "a type of message that is not known")
    content = message.get(kind)
    event, about = TYPES[kind](content if kind in NOT_OBJECTS else mapping(content), message)
    uuid = id_(message.get("message_uuid"))
    person, number = _party(message.get("from"))
    context = mapping(message.get("context"))
    about = {"id": uuid, "reply_to": optional_id(context.get("message_uuid")), **about}
    if event is EventKind.REACTION:
        about["reply_to"] = None
    return Draft(
        kind=event,
        native_kind=f"{channel}.{kind}",
        dedupe_id=uuid,
        messenger=messenger_named(channel),
        occurred_at=instant(message.get("timestamp")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person, name=text(mapping(message.get("profile")).get("name")), phone=number),
        message=Message(**about),
        raw=message,
    )


def _messages_status(message: Json) -> Item:
    channel, native = word(message.get("channel")), word(message.get("status"))
    if native not in STATUSES:
        return Ignored(f"{channel}.{native}", "a status that is not known")
    uuid, fault = id_(message.get("message_uuid")), mapping(message.get("error"))
    return Draft(
        kind=EventKind.STATUS,
        native_kind=f"{channel}.{native}",
        dedupe_id=f"{uuid}:{native}",
        messenger=messenger_named(channel),
        occurred_at=instant(message.get("timestamp")),
        conversation=Conversation(id=_party(message.get("to"))[0], direct=True),
        message=Message(id=uuid, status=STATUSES[native], error=_fault(fault) if fault else None),
        raw=message,
    )


def _fault(fault: Json) -> StatusError:
    # Since version 1 the title is the code and "type" a page about it; before, "code" and "reason".
    code = optional_id(fault.get("title")) or optional_id(fault.get("code"))
    return StatusError(code=code, title=text(fault.get("detail")) or text(fault.get("reason")))


# --- SMS API


def _sms_inbound(fields: Json) -> Item:
    kind = word(fields.get("type"))
    person = id_(fields.get("msisdn"))
    sid = id_(fields.get("messageId"))
    data = text(fields.get("data"))  # a binary message, in hexadecimal
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=f"sms.{kind}",
        dedupe_id=sid,
        messenger="sms",
        occurred_at=instant(fields.get("message-timestamp")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person, phone=phone(person, international=True)),
        message=Message(
            id=sid,
            text=text(fields.get("text")),
            payload=data,
            attachments=(Attachment(type="unsupported"),) if kind == "binary" else (),
        ),
        raw=fields,
    )


def _sms_status(fields: Json) -> Item:
    native = word(fields.get("status"))
    if native not in STATUSES:
        return Ignored(f"sms.{native}", "a status that is not known")
    sid = id_(fields.get("messageId"))
    code = optional_id(fields.get("err-code"))
    return Draft(
        kind=EventKind.STATUS,
        native_kind=f"sms.{native}",
        dedupe_id=f"{sid}:{native}",
        messenger="sms",
        occurred_at=instant(fields.get("message-timestamp")),
        conversation=Conversation(id=id_(fields.get("msisdn")), direct=True),
        message=Message(
            id=sid,
            status=STATUSES[native],
            error=StatusError(code=code) if code not in (None, "0") else None,
        ),
        raw=fields,
    )

"""Vonage webhooks: the Messages API (JSON, signed by a token) and the older SMS API (fields, signed by ``sig``).

``vonage_messages`` reads the types of a message of the Messages API.

Source: https://developer.vonage.com/en/messages/concepts/signed-webhooks,
https://developer.vonage.com/en/api/messages#inbound-message, #message-status,
https://developer.vonage.com/en/messages/guides/handling-whatsapp-usernames-and-bsuids,
https://developer.vonage.com/en/messaging/sms/guides/inbound-sms, /delivery-receipts and
https://developer.vonage.com/en/concepts/guides/signing-messages (read 2026-12-01).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, Conversation, Draft, EventKind, Message, Sender, Status, StatusError
from ..core.event.messengers import messenger_named
from . import base, jwt
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    clean,
    instant,
    mapping,
    occurrence,
    optional_id,
    parse_form,
    parse_json,
    phone,
    same,
    text,
    word,
)
from .people import other_ids
from .vonage_messages import kind_of, party, read_type, referral_of, user_ids

KIND = "vonage"
CAPABILITIES = ChannelCapabilities()
ISSUER = "Vonage"
WINDOW_S = 300

Item = Draft | Ignored

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
    if any(name in fields for name in MESSAGES_API):
        yield _messages_status(fields) if "status" in fields else _messages_inbound(fields)
    elif any(name in fields for name in SMS_API):
        fields = {name: value for name, value in fields.items() if name not in PROOF}
        yield _sms_status(fields) if "status" in fields else _sms_inbound(fields)
    else:
        yield Ignored("unknown", "another product's webhook", fields)


MESSAGES_API = ("message_uuid", "channel", "message_type")
SMS_API = ("messageId", "msisdn", "message-timestamp")
"""Fields by which a request is one of an API."""
PROOF = frozenset({"sig", "nonce", "timestamp"})
"""Fields of the signature, which differ between the repeats of one message."""


# --- Messages API


def _messages_inbound(message: Json) -> Item:
    channel, kind = word(message.get("channel")), kind_of(message)
    event, about = read_type(kind, message)
    uuid, context = optional_id(message.get("message_uuid")), mapping(message.get("context"))
    profile, ids = mapping(message.get("profile")), user_ids(message, "sender")
    given, number = party(message.get("from"))
    person = given or next(iter(ids), None)
    about = {"id": uuid, "reply_to": optional_id(context.get("message_uuid")), **about}
    if event is EventKind.REACTION:
        about["reply_to"] = None
    return Draft(
        kind=event,
        native_kind=f"{channel}.{kind}",
        dedupe_id=uuid or "",
        messenger=messenger_named(channel),
        occurred_at=instant(message.get("timestamp")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(
            id=person,
            name=text(profile.get("name")),
            username=text(profile.get("username")),
            phone=number,
            alt_ids=other_ids(person, *ids),
        ),
        message=Message(**about, referral=referral_of(message)),
        raw=message,
    )


def _messages_status(message: Json) -> Item:
    channel, native = word(message.get("channel")), word(message.get("status"))
    status, uuid = STATUSES.get(native), optional_id(message.get("message_uuid"))
    fault, ids = mapping(message.get("error")), user_ids(message, "recipient")
    person = party(message.get("to"))[0] or next(iter(ids), None)
    return Draft(
        kind=EventKind.STATUS if status else EventKind.SYSTEM,
        native_kind=f"{channel}.{native}",
        dedupe_id=occurrence(uuid, native),
        messenger=messenger_named(channel),
        occurred_at=instant(message.get("timestamp")),
        conversation=Conversation(id=person, direct=True, alt_ids=other_ids(person, *ids)),
        message=Message(id=uuid, status=status, error=_fault(fault) if fault else None),
        raw=message,
    )


def _fault(fault: Json) -> StatusError:
    # Since version 1 the title is the code and "type" a page about it; before, "code" and "reason".
    code = optional_id(fault.get("title")) or optional_id(fault.get("code"))
    return StatusError(code=code, title=text(fault.get("detail")) or text(fault.get("reason")))


# --- SMS API


def _sms_inbound(fields: Json) -> Item:
    kind = word(fields.get("type"))
    person, sid = optional_id(fields.get("msisdn")), optional_id(fields.get("messageId"))
    data = text(fields.get("data"))  # a binary message, in hexadecimal
    number = phone(person, international=True)
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=f"sms.{kind}",
        dedupe_id=sid or "",
        messenger="sms",
        occurred_at=instant(fields.get("message-timestamp")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person, phone=number),
        message=Message(
            id=sid,
            text=text(fields.get("text")),
            payload=data,
            attachments=(Attachment(type="unsupported", native_type=kind),) if kind == "binary" else (),
            group_id=optional_id(fields.get("concat-ref")),  # a long text comes in parts
        ),
        raw=fields,
    )


def _sms_status(fields: Json) -> Item:
    native, sid = word(fields.get("status")), optional_id(fields.get("messageId"))
    status, code = STATUSES.get(native), optional_id(fields.get("err-code"))
    return Draft(
        kind=EventKind.STATUS if status else EventKind.SYSTEM,
        native_kind=f"sms.{native}",
        dedupe_id=occurrence(sid, native),
        messenger="sms",
        occurred_at=instant(fields.get("message-timestamp")),
        conversation=Conversation(id=optional_id(fields.get("msisdn")), direct=True),
        message=Message(
            id=sid,
            status=status,
            error=StatusError(code=code) if code not in (None, "0") else None,
        ),
        raw=fields,
    )

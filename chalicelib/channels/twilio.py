"""Twilio messaging webhooks (SMS, MMS, RCS, WhatsApp, Messenger): signed forms, of messages and of their statuses.

Source: https://www.twilio.com/docs/messaging/guides/webhook-request,
https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks and
https://www.twilio.com/docs/usage/webhooks/webhooks-security (read 2026-11-22).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, parse_qsl, urlsplit

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
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    MAX_FORM_FIELDS,
    clean,
    id_,
    integer,
    number,
    optional_id,
    parse_form,
    phone,
    same,
    text,
    word,
)

KIND = "twilio"
CAPABILITIES = ChannelCapabilities()
HEADER = "x-twilio-signature"
BODY_HASH = "bodySHA256"
MAX_MEDIA = 10
PORTS = {"https": 443, "http": 80}

Item = Draft | Ignored
Form = Mapping[str, str]

STATUSES: Mapping[str, Status] = {
    "accepted": "sent",
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
"""From Twilio's word for an outbound message's state."""

TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}
"""From the first half of a media type; every other one is a file."""


class Secret(base.Secret):
    """The auth token of the account, with which Twilio signs."""

    auth_token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over the address and the form's fields, or over the address and a digest of any other body.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    given = request.headers.get(HEADER)
    fields = _signed_fields(request)
    if not any(same(given, _signature(secret.auth_token, url + fields)) for url in _spellings(request.url)):
        raise NotGenuine("the signature is missing or wrong")
    if not fields:
        _check_body(request)


def _signed_fields(request: Inbound) -> str:
    """Join every field with each of its distinct values, both sorted."""
    if request.method == "GET" or "json" in request.headers.get("content-type", ""):
        return ""
    try:
        # Bytes that are no UTF-8 come through as they are: what was signed is what is compared.
        form = parse_qs(
            request.body.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise NotGenuine("the form has too many fields") from None
    return "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))


def _signature(key: str, signed: str) -> str:
    digest = hmac.digest(key.encode(), signed.encode("utf-8", "surrogatepass"), "sha1")
    return base64.b64encode(digest).decode()


def _spellings(url: str) -> Iterator[str]:
    # Twilio signs the address as it is configured: with the port or without, though they are the same place.
    yield url
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return
    standard = PORTS.get(parts.scheme)
    if port is None and standard and host:
        yield parts._replace(netloc=f"{parts.netloc}:{standard}").geturl()
    elif port is not None:
        yield parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()


def _check_body(request: Inbound) -> None:
    # A form that is signed has fields. Any other body is only signed through the digest in the address.
    if not request.body:
        return
    query = dict(parse_qsl(urlsplit(request.url).query))
    if not same(query.get(BODY_HASH), hashlib.sha256(request.body).hexdigest()):
        raise NotGenuine("the body is not the one that was signed")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: Twilio asks nothing before it sends."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return TwiML that says nothing: a text would be sent to the person."""
    return Reply(200, "<Response/>", {"Content-Type": "text/xml; charset=utf-8"})


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. ``MessageSid`` names a message, ``MessageSid:status`` what became of it."""
    form = (
        {clean(k): clean(v) for k, v in request.query.items()} if request.method == "GET" else parse_form(request.body)
    )
    sid = form.get("MessageSid") or form.get("SmsSid")
    if not sid:
        yield _elsewhere(form)
    elif form.get("MessageStatus") or ("SmsStatus" in form and form["SmsStatus"] != "received"):
        yield _status(id_(sid), form)
    else:
        yield _message(id_(sid), form)


def _elsewhere(form: Form) -> Item:
    for name in ("CallSid", "ConversationSid", "ServiceSid", "FaxSid"):
        if form.get(name):
            return Ignored(name, "another product's webhook")
    raise MalformedPayload("the form names no message")


def _address(form: Form, name: str) -> str:
    """Return an address without the prefix that tells its channel (``whatsapp:``)."""
    given = id_(form.get(name))
    return given.partition(":")[2] or given


def _channel(form: Form, name: str) -> str:
    prefix, colon, _ = form.get(name, "").partition(":")
    return word(prefix) if colon else "sms"


def _status(sid: str, form: Form) -> Item:
    native = word(form.get("MessageStatus") or form.get("SmsStatus"))
    if native not in STATUSES:
        return Ignored(f"status.{native}", "a status that is not known")
    code = optional_id(form.get("ErrorCode"))
    return Draft(
        kind=EventKind.STATUS,
        native_kind=f"{_channel(form, 'To')}.{native}",
        dedupe_id=f"{sid}:{native}",
        messenger=messenger_named(_channel(form, "To")),
        conversation=Conversation(id=_address(form, "To"), direct=True),
        message=Message(
            id=sid,
            status=STATUSES[native],
            error=StatusError(code=code, title=text(form.get("ErrorMessage"))) if code else None,
        ),
        raw=dict(form),
    )


def _message(sid: str, form: Form) -> Item:
    person = _address(form, "From")
    number = phone(person)
    payload = next((form[n] for n in PAYLOADS if form.get(n)), None)
    caption = next((form[n] for n in TITLES if form.get(n)), None) if payload else None
    return Draft(
        kind=EventKind.POSTBACK if payload else EventKind.MESSAGE,
        native_kind=f"{_channel(form, 'From')}.{word(form['MessageType']) if form.get('MessageType') else 'message'}",
        dedupe_id=sid,
        messenger=messenger_named(_channel(form, "From")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(
            id=person,
            name=text(form.get("ProfileName")),
            phone=number if number and number.startswith("+") else phone(form.get("WaId"), international=True),
        ),
        message=Message(
            id=sid,
            text=text(form.get("Body")) or caption,
            attachments=tuple(_attachments(form)),
            reply_to=optional_id(form.get("OriginalRepliedMessageSid")),
            forwarded="true" in (form.get("Forwarded"), form.get("FrequentlyForwarded")),
            payload=payload or text(form.get("ReferralSourceId")),
        ),
        raw=dict(form),
    )


PAYLOADS = ("ButtonPayload", "ListId", "InteractiveData", "FlowData")
TITLES = ("ButtonText", "ListTitle")


def _attachments(form: Form) -> Iterator[Attachment]:
    for index in range(min(integer(form.get("NumMedia")) or 0, MAX_MEDIA)):
        mime = text(form.get(f"MediaContentType{index}"))
        url = text(form.get(f"MediaUrl{index}"))
        kind = (mime or "").partition("/")[0]
        contact = mime is not None and mime.lower() in ("text/vcard", "text/x-vcard")
        yield Attachment(type="contact" if contact else TYPES.get(kind, "file"), url=url, mime=mime)
    if form.get("Latitude") or form.get("Longitude"):
        yield Attachment(
            type="location",
            latitude=number(form.get("Latitude")),
            longitude=number(form.get("Longitude")),
            name=text(form.get("Label")),
            address=text(form.get("Address")),
        )

"""Twilio messaging webhooks (SMS, MMS, RCS, WhatsApp, Messenger): signed forms, of messages and of their statuses.

Events of Conversations come to the same address: ``twilio_conversations`` reads them.

Source: https://www.twilio.com/docs/messaging/guides/webhook-request,
https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks,
https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out and
https://www.twilio.com/docs/usage/webhooks/webhooks-security (read 2026-12-01).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import parse_qs, parse_qsl, urlsplit

from ..core.errors import NotGenuine
from ..core.event.event import (
    Attachment,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    Message,
    Referral,
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
    integer,
    items,
    number,
    occurrence,
    optional_id,
    parse_form,
    parse_json,
    phone,
    same,
    text,
    word,
)
from .forms import embedded, filled_in
from .people import other_ids
from .twilio_conversations import TYPES, address_of, conversation_event, is_of_conversations

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

OPT_OUTS: Mapping[str, Literal["given", "withdrawn"]] = {"STOP": "withdrawn", "START": "given"}
"""From ``OptOutType``: what a keyword of the person did, whichever words the account chose for it. HELP does neither."""


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
    """Yield the event. ``MessageSid`` names a message, ``MessageSid:status`` what became of it.

    Raises:
        MalformedPayload: a body that says it is JSON and is not.
    """
    if request.method != "GET" and "json" in request.headers.get("content-type", ""):
        for item in items(parse_json(b'{"events":%b}' % request.body).get("events")):  # Event Streams sends a list
            yield Ignored(word(item.get("type")), "another product's webhook", item)
        return
    form = (
        {clean(k): clean(v) for k, v in request.query.items()} if request.method == "GET" else parse_form(request.body)
    )
    sid = optional_id(form.get("MessageSid")) or optional_id(form.get("SmsSid"))
    elsewhere = next((name for name in PRODUCTS if form.get(name)), None)
    if is_of_conversations(form):
        yield conversation_event(form)
    elif form.get("MessageStatus") or form.get("SmsStatus") not in (None, "", "received"):
        yield _status(sid, form)
    elif sid is None and (elsewhere or not any(form.get(name) for name in SAID)):
        yield Ignored(elsewhere or "unknown", "another product's webhook", dict(form))
    else:
        yield _message(sid, form)


PRODUCTS = ("CallSid", "ServiceSid", "FaxSid")
SAID = ("From", "Body", "MediaUrl0", "MessageType", "Latitude")
"""Fields by which a message without an id is one."""


def _channel(form: Form, name: str) -> str:
    """Return the network by the prefix of an address, of the other party's if need be. One without a prefix is SMS's."""
    address = form.get(name) or form.get("From") or form.get("To") or ""
    prefix, colon, _ = address.partition(":")
    if colon or form.get("ChannelPrefix"):
        return word(prefix if colon else form["ChannelPrefix"])
    return "sms" if address else "unknown"


def _user_ids(form: Form) -> tuple[str | None, ...]:
    """Return the business-scoped ids of a person on WhatsApp, the person's own first."""
    return tuple(address_of(form.get(name)) for name in ("ExternalUserId", "ParentExternalUserId"))


def _status(sid: str | None, form: Form) -> Item:
    native, code = word(form.get("MessageStatus") or form.get("SmsStatus")), optional_id(form.get("ErrorCode"))
    status, ids = STATUSES.get(native), _user_ids(form)
    person = address_of(form.get("To")) or ids[0]
    return Draft(
        kind=EventKind.STATUS if status else EventKind.SYSTEM,
        native_kind=f"{_channel(form, 'To')}.{native}",
        dedupe_id=occurrence(sid, native),
        messenger=messenger_named(_channel(form, "To")),
        conversation=Conversation(id=person, direct=True, alt_ids=other_ids(person, *ids)),
        message=Message(
            id=sid,
            status=status,
            error=StatusError(code=code, title=text(form.get("ErrorMessage"))) if code else None,
        ),
        raw=dict(form),
    )


def _message(sid: str | None, form: Form) -> Item:
    ids, number = _user_ids(form), phone(form.get("WaId"), international=True)
    person = address_of(form.get("From")) or number or ids[0]
    given = phone(person)
    native = word(form["MessageType"]) if form.get("MessageType") else "message"
    payload = next((form[n] for n in PAYLOADS if form.get(n)), None)
    caption = next((form[n] for n in TITLES if form.get(n)), None) if payload else None
    opt_out = OPT_OUTS.get(word(form.get("OptOutType")).upper())
    message = Message(
        id=sid,
        text=text(form.get("Body")) or caption,
        attachments=tuple(_attachments(form)),
        reply_to=optional_id(form.get("OriginalRepliedMessageSid")),
        forwarded="true" in (form.get("Forwarded"), form.get("FrequentlyForwarded")),
        payload=payload or text(form.get("ReferralSourceId")),
        fields=tuple(field for name in FORMS for field in filled_in(embedded(form.get(name)))),
        referral=_referral(form),
    )
    if message.is_empty and native not in ("message", "text"):
        found = (Attachment(type="unsupported", native_type=native),)
        message = message.model_copy(update={"attachments": found})
    return Draft(
        kind=EventKind.POSTBACK if payload else EventKind.MESSAGE,
        native_kind=f"{_channel(form, 'From')}.{native}",
        dedupe_id=sid or "",
        messenger=messenger_named(_channel(form, "From")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(
            id=person,
            name=text(form.get("ProfileName")),
            username=text(form.get("ProfileUsername")) or text(form.get("Username")),
            phone=given if given and given.startswith("+") else number,
            alt_ids=other_ids(person, *ids, number=number),
        ),
        message=message,
        consent=EventConsent(state=opt_out) if opt_out else None,
        raw=dict(form),
    )


def _referral(form: Form) -> Referral | None:
    found = {field: form[name] for name, field in REFERRALS.items() if form.get(name)}
    return Referral(**found) if found else None


REFERRALS: Mapping[str, str] = {
    "ReferralSourceType": "source",
    "ReferralSourceId": "id",
    "ReferralSourceUrl": "url",
    "ReferralHeadline": "title",
    "ReferralBody": "text",
    "ReferralCtwaClid": "click_id",
}


PAYLOADS = ("ButtonPayload", "ListId", "InteractiveData", "FlowData")
TITLES = ("ButtonText", "ListTitle")
FORMS = ("InteractiveData", "FlowData")


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

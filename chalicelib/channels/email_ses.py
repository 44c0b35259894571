"""E-mail through Amazon SES: what it receives, and what becomes of what it sends, published to an SNS topic.

Source: https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html,
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html and
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    Attachment,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    Message,
    Sender,
    Status,
    StatusError,
)
from . import base, mail, mailboxes, mime, sns
from .base import ChannelCapabilities, Ignored, Inbound, KeyRequest, Reply, SecretText
from .fields import Json, instant, items, listing, mapping, occurrence, optional_id, parse_json, same, text, word

KIND = "email_ses"

Item = Draft | Ignored
Pem = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class Secret(base.Secret):
    """The topic that SES publishes to. ``signing_cert`` pins the certificate that SNS signs with."""

    topic_arn: SecretText
    signing_cert: Pem | None = Field(default=None, repr=False)


def keys_needed(request: Inbound, secret: Secret) -> KeyRequest | None:
    """Name the certificate that verification needs; None where the secret holds it, or nothing could be genuine."""
    if secret.signing_cert is not None:
        return None
    try:
        url = sns.certificate_url(_envelope(request, secret))
        return KeyRequest("signing_cert", url, names=sns.signer_names(secret.topic_arn))
    except NotGenuine:
        return None


def secret_ends(secret: Secret) -> datetime | None:
    """Return when a pinned certificate ends: from then on no message is genuine."""
    return sns.ends_at(secret.signing_cert) if secret.signing_cert is not None else None


def verify(request: Inbound, secret: Secret) -> None:
    """Check the topic and the signature of SNS.

    Raises:
        NotGenuine: either is missing or wrong, or the body is no message of SNS.
    """
    sns.verify(_envelope(request, secret), secret.signing_cert, request.now)


def _envelope(request: Inbound, secret: Secret) -> Json:
    try:
        message = parse_json(request.body)
    except MalformedPayload:
        raise NotGenuine("the body is no message of SNS") from None
    # Everybody can have SNS sign something: only this topic's messages are SES's.
    if not same(message.get("TopicArn"), secret.topic_arn):
        raise NotGenuine("the message is of another topic")
    return message


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer the confirmation of a subscription; ``confirmation`` names the address that has to be called for it."""
    return None if confirmation(request) is None else Reply()


def confirmation(request: Inbound) -> str | None:
    """Return the address that confirms the subscription a verified request asks about, or None.

    Raises:
        MalformedPayload: the address is not one of SNS in the topic's region.
    """
    message = parse_json(request.body)
    if message.get("Type") != sns.SUBSCRIPTION:
        return None
    url = message.get("SubscribeURL")
    if not isinstance(url, str) or not sns.is_own(url, message.get("TopicArn")):
        raise MalformedPayload("the address of the confirmation is not one of SNS")
    return url


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the e-mail, or one status for each of its recipients. SES's ``messageId`` names an e-mail."""
    envelope = parse_json(request.body)
    if envelope.get("Type") != sns.NOTIFICATION:
        yield Ignored(word(envelope.get("Type")), "not a notification")
        return
    content = text(envelope.get("Message")) or ""
    try:
        notice = parse_json(content)
    except MalformedPayload:
        yield Ignored("text", "a notice of SES, not about an e-mail", {"Message": content})
        return
    native = word(notice.get("notificationType") or notice.get("eventType"))
    native = native if native != "unknown" else word(str(notice.get("eventType", "")).replace(" ", ""))
    if native in TYPES:
        yield from TYPES[native](native, notice, mapping(notice.get("mail")))
    else:
        yield Ignored(native, "not about a conversation", notice)


# --- received e-mail


def _received(native: str, notice: Json, about: Json) -> Iterator[Item]:
    action = mapping(mapping(notice.get("receipt")).get("action"))
    given, source = text(notice.get("content")), text(about.get("source"))
    whole = mail.parse(_content(given, action)) if given else mail.Mail({}, None, tuple(_stored(action)))
    common = mapping(about.get("commonHeaders"))
    found = {**_common_headers(common), **mail.headers(_headers(about)), **whole.headers}
    yield mail.draft(
        mail.Mail(found, whole.text, whole.attachments),
        native,
        dedupe_id=occurrence(optional_id(about.get("messageId"))),
        occurred_at=instant(about.get("timestamp")),
        envelope_sender=source,
        author=_author(whole.headers.get("from"), common, source),
        raw=notice,
    )


def _author(own: str | None, common: Json, source: str | None) -> mailboxes.Mailbox | None:
    if not common.get("from"):
        # Without them, SES vouches only for the envelope: the e-mail's own From gives no more than a name.
        return mailboxes.Mailbox(mailboxes.author(own).name, mailboxes.single(source).address)
    if own:  # as it was sent
        return None
    # SES has decoded the names: a comma may be part of one.
    found = map(mailboxes.single, filter(None, map(text, listing(common.get("from")))))
    return next((one for one in found if one.address), None)


def _content(given: str, action: Json) -> bytes:
    encoding = (text(action.get("encoding")) or "").upper()
    return mime.from_base64(given.encode("ascii", "ignore")) if encoding == "BASE64" else given.encode()


def _stored(action: Json) -> Iterator[Attachment]:
    bucket, key = text(action.get("bucketName")), text(action.get("objectKey"))
    if bucket and key:  # the e-mail itself is there, not here
        yield Attachment(type="file", ref=f"s3://{bucket}/{key}", mime="message/rfc822")


def _headers(about: Json) -> Iterator[tuple[str, str]]:
    for header in items(about.get("headers")):
        yield text(header.get("name")) or "", text(header.get("value")) or ""


def _common_headers(common: Json) -> dict[str, str]:
    names = {
        "to": "to",
        "cc": "cc",
        "replyTo": "reply-to",
        "subject": "subject",
        "messageId": "message-id",
        "sender": "sender",
    }
    pairs = []
    for name, header in names.items():
        value = common.get(name)
        joined = ", ".join(filter(None, map(text, value))) if isinstance(value, list) else text(value)
        if joined:
            pairs.append((header, joined))
    return mail.headers(pairs)


# --- what became of e-mail that was sent


def _each(status: Status, native: str, notice: Json, about: Json) -> Iterator[Item]:
    field, people, when = RESULTS[native]
    result = mapping(notice.get(field))
    at = result.get(when) or about.get("timestamp")
    for recipient in _recipients(result, people, about):
        error = _fault(result, recipient) if status == "failed" else None
        message = Message(id=optional_id(about.get("messageId")), status=status, error=error)
        yield _draft(EventKind.STATUS, native, about, at, _address(recipient), notice, message)


def _recipients(result: Json, people: str, about: Json) -> list[Json]:
    given = result.get(people)
    if not isinstance(given, list):
        given = listing(about.get("destination")) or [None]  # about an unknown person
    return [one if isinstance(one, dict) else {"emailAddress": one} for one in given]


def _address(recipient: Json) -> str | None:
    return optional_id(recipient.get("emailAddress"))


def _bounce(native: str, notice: Json, about: Json) -> Iterator[Item]:
    if mapping(notice.get("bounce")).get("bounceType") == TRANSIENT:
        yield Ignored(f"{native}.{TRANSIENT}", "a fault that passes, or an answer of a machine", notice)
    else:
        yield from _each("failed", native, notice, about)


TRANSIENT = "Transient"
"""SES's word for a full mailbox, a delay and the answer of a machine that the person is away."""

RESULTS: Mapping[str, tuple[str, str, str]] = {
    "Send": ("send", "", "timestamp"),
    "Delivery": ("delivery", "recipients", "timestamp"),
    "Bounce": ("bounce", "bouncedRecipients", "timestamp"),
    "Reject": ("reject", "", "timestamp"),
    "RenderingFailure": ("failure", "", "timestamp"),
    "Open": ("open", "", "timestamp"),
}
"""Of each result: its object, and there the recipients and the time. Without recipients it is about all of them."""


def _fault(result: Json, recipient: Json) -> StatusError:
    code = optional_id(recipient.get("status")) or optional_id(result.get("bounceType"))
    title = text(recipient.get("diagnosticCode")) or text(result.get("reason")) or text(result.get("errorMessage"))
    # The words of a foreign mail server repeat the address: its code is enough.
    return StatusError(code=code, title=text(result.get("bounceSubType")) if "bounceType" in result else title)


def _complaint(native: str, notice: Json, about: Json) -> Iterator[Item]:
    result = mapping(notice.get("complaint"))
    kind = text(result.get("complaintFeedbackType")) or "complaint"
    if kind in NO_COMPLAINTS or result.get("complaintSubType") == SUPPRESSED:
        yield Ignored(f"{native}.{word(kind)}", "not an act of the person", notice)
        return
    for recipient in _recipients(result, "complainedRecipients", about):
        message = Message(id=optional_id(about.get("messageId")), payload=kind)
        consent = EventConsent(state="withdrawn")
        at, address = result.get("timestamp"), _address(recipient)
        yield _draft(EventKind.CONSENT_CHANGED, native, about, at, address, notice, message, consent)


NO_COMPLAINTS = frozenset({"auth-failure", "not-spam", "virus"})
"""Feedback of a mail server, and of a person who says that it is no spam (RFC 5965, 6591)."""
SUPPRESSED = "OnAccountSuppressionList"
"""SES sent nothing, because the person complained before."""


def _preferences(native: str, notice: Json, about: Json) -> Iterator[Item]:
    result = mapping(notice.get("subscription"))
    new, old = mapping(result.get("newTopicPreferences")), mapping(result.get("oldTopicPreferences"))
    before, at = _topics(old), result.get("timestamp")
    states = {topic: state for topic, state in _topics(new).items() if state != before.get(topic)}
    if new.get("unsubscribeAll") is True:
        states = {None: "withdrawn"}
    elif old.get("unsubscribeAll") is True:
        states[None] = "given"
    for topic, state in states.items():
        message, consent = Message(id=optional_id(about.get("messageId"))), EventConsent(state=state, topic=topic)
        yield _draft(EventKind.CONSENT_CHANGED, native, about, at, _only(about), notice, message, consent)
    if not states:
        yield Ignored(native, "no preference changed", notice)


def _topics(preferences: Json) -> dict[str | None, _State]:
    found: dict[str | None, _State] = {}
    for one in items(preferences.get("topicSubscriptionStatus")):
        topic, state = optional_id(one.get("topicName")), text(one.get("subscriptionStatus")) or ""
        if topic is not None and state in STATES:
            found[topic] = STATES[state]
    return found


_State = Literal["given", "withdrawn"]
STATES: Mapping[str, _State] = {"OptIn": "given", "OptOut": "withdrawn"}


def _click(native: str, notice: Json, about: Json) -> Iterator[Item]:
    result = mapping(notice.get("click"))
    message = Message(id=optional_id(about.get("messageId")), payload=text(result.get("link")))
    yield _draft(EventKind.POSTBACK, native, about, result.get("timestamp"), _only(about), notice, message)


def _only(about: Json) -> str | None:
    people = listing(about.get("destination"))
    return optional_id(people[0]) if len(people) == 1 else None  # of several, it is unknown who it was


def _draft(
    kind: EventKind,
    native: str,
    about: Json,
    at: Any,
    address: str | None,
    notice: Json,
    message: Message,
    consent: EventConsent | None = None,
) -> Draft:
    # E-mail is opened and clicked at again and again, and preferences change: there the time is part of the occurrence.
    parts = (optional_id(at), consent and consent.topic) if native in REPEATED else ()
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(message.id, native, *parts, address),
        occurred_at=instant(at),
        conversation=Conversation(id=address, title=text(mapping(about.get("commonHeaders")).get("subject"))),
        sender=None if kind is EventKind.STATUS or address is None else Sender(id=address),
        message=message,
        consent=consent,
        raw=notice,
    )


REPEATED = frozenset({"Open", "Click", "Subscription"})

TYPES: Mapping[str, Callable[[str, Json, Json], Iterator[Item]]] = {
    "Received": _received,
    "Send": partial(_each, "sent"),
    "Delivery": partial(_each, "delivered"),
    "Bounce": _bounce,
    "Reject": partial(_each, "failed"),
    "RenderingFailure": partial(_each, "failed"),
    "Open": partial(_each, "read"),
    "Complaint": _complaint,
    "Click": _click,
    "Subscription": _preferences,
}
"""From the word of SES for a notice to its reader. Delays are ignored."""


CAPABILITIES = ChannelCapabilities(
    empty_messages=True, keys_needed=keys_needed, confirmation=confirmation, secret_ends=secret_ends
)

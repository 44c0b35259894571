"""E-mail through Amazon SES: what it receives, and what becomes of what it sends, published to an SNS topic.

Source: https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html,
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html and
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html (read 2026-11-22).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, Conversation, Draft, EventKind, Message, Sender, Status, StatusError
from . import base, mail, sns
from .base import ChannelCapabilities, Ignored, Inbound, KeyRequest, Reply, SecretText
from .fields import Json, id_, instant, listing, mapping, optional_id, parse_json, same, text, word

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
    if not content.lstrip().startswith("{"):
        yield Ignored("text", "a notice of SES, not about an e-mail")
        return
    notice = parse_json(content)
    native = word(notice.get("notificationType") or notice.get("eventType"))
    native = native if native != "unknown" else word(str(notice.get("eventType", "")).replace(" ", ""))
    if native in TYPES:
        yield from TYPES[native](native, notice, mapping(notice.get("mail")))
    else:
        yield Ignored(native, "not about a conversation")


# --- received e-mail


def _mailbox(name: str, address: str) -> str:
    # email.utils.formataddr refuses addresses beyond ASCII, which e-mail has had since RFC 6532.
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>' if name else address


def _received(native: str, notice: Json, about: Json) -> Iterator[Item]:
    action = mapping(mapping(notice.get("receipt")).get("action"))
    given = text(notice.get("content"))
    whole = mail.parse(_content(given, action)) if given else mail.Mail({}, None, tuple(_stored(action)))
    found = {**whole.headers, **_common_headers(mapping(about.get("commonHeaders")))}
    source = text(about.get("source"))
    if source and not mapping(about.get("commonHeaders")).get("from"):
        # What SES vouches for without them is the envelope; the e-mail's own From gives no more than a name.
        names = mail.addresses(found.get("from"))
        found["from"] = _mailbox(names[0][0] or "", source) if names else source
    yield mail.draft(
        mail.Mail(found, whole.text, whole.attachments),
        native,
        dedupe_id=id_(about.get("messageId")),
        occurred_at=instant(about.get("timestamp")),
        envelope_sender=source,
        raw=notice,
    )


def _content(given: str, action: Json) -> bytes:
    if action.get("encoding") != "BASE64":
        return given.encode()
    try:
        return base64.b64decode(given)
    except ValueError:  # binascii.Error, or letters that are not ASCII
        raise MalformedPayload("the e-mail is not base64") from None


def _stored(action: Json) -> Iterator[Attachment]:
    bucket, key = text(action.get("bucketName")), text(action.get("objectKey"))
    if bucket and key:  # the e-mail itself is there, not here
        yield Attachment(type="file", ref=f"s3://{bucket}/{key}", mime="message/rfc822")


def _common_headers(common: Json) -> dict[str, str]:
    names = {
        "from": "from",
        "to": "to",
        "cc": "cc",
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
    recipients = listing(result.get(people)) if people in result else listing(about.get("destination"))
    for recipient in recipients:
        one = recipient if isinstance(recipient, dict) else {"emailAddress": recipient}
        address = id_(one.get("emailAddress"))
        yield _draft(
            EventKind.STATUS,
            native,
            about,
            result.get(when) or about.get("timestamp"),
            address,
            notice,
            Message(
                id=id_(about.get("messageId")), status=status, error=_fault(result, one) if status == "failed" else None
            ),
        )


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
    payload = text(result.get("complaintFeedbackType")) or "complaint"
    for recipient in map(mapping, listing(result.get("complainedRecipients"))):
        address = id_(recipient.get("emailAddress"))
        message = Message(id=id_(about.get("messageId")), payload=payload)
        yield _draft(
            EventKind.POSTBACK, native, about, result.get("timestamp"), address, notice, message, Sender(id=address)
        )


def _click(native: str, notice: Json, about: Json) -> Iterator[Item]:
    result = mapping(notice.get("click"))
    people = listing(about.get("destination"))
    address = id_(people[0]) if len(people) == 1 else None  # of several nobody knows who it was
    message = Message(id=id_(about.get("messageId")), payload=text(result.get("link")))
    sender = Sender(id=address) if address else None
    yield _draft(EventKind.POSTBACK, native, about, result.get("timestamp"), address, notice, message, sender)


def _draft(
    kind: EventKind,
    native: str,
    about: Json,
    at: Any,
    address: str | None,
    notice: Json,
    message: Message,
    sender: Sender | None = None,
) -> Draft:
    # E-mail is opened and clicked at again and again: there the time is part of the occurrence.
    stamp = id_(at) if native in ("Open", "Click") else None
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=":".join(filter(None, (message.id, native, stamp, address))),
        occurred_at=instant(at),
        conversation=Conversation(id=address, title=text(mapping(about.get("commonHeaders")).get("subject"))),
        sender=sender,
        message=message,
        raw=notice,
    )


TYPES: Mapping[str, Callable[[str, Json, Json], Iterator[Item]]] = {
    "Received": _received,
    "Send": partial(_each, "sent"),
    "Delivery": partial(_each, "delivered"),
    "Bounce": partial(_each, "failed"),
    "Reject": partial(_each, "failed"),
    "RenderingFailure": partial(_each, "failed"),
    "Open": partial(_each, "read"),
    "Complaint": _complaint,
    "Click": _click,
}
"""From the word of SES for a notice to its reader. Delays and subscription preferences are ignored."""


CAPABILITIES = ChannelCapabilities(
    empty_messages=True, keys_needed=keys_needed, confirmation=confirmation, secret_ends=secret_ends
)

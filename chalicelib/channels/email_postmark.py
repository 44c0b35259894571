"""E-mail through Postmark: what came in, and what became of e-mails that were sent.

Source: https://postmarkapp.com/developer/webhooks/webhooks-overview and its pages on each webhook, and
https://postmarkapp.com/developer/user-guide/inbound/parse-an-email (read 2026-12-01).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal

from ..core.errors import NotGenuine
from ..core.event.event import (
    UNSUPPORTED,
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
from . import base, mail, mailboxes
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, instant, integer, items, mapping, occurrence, optional_id, parse_json, same, text, word

KIND = "email_postmark"
CAPABILITIES = ChannelCapabilities(empty_messages=True, body_limit_bytes=base.BODY_MAX_BYTES)
SCHEME = "basic"
INBOUND = "Inbound"

Item = Draft | Ignored


class Secret(base.Secret):
    """The user name and password that stand in the webhook's address."""

    username: SecretText
    password: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the basic authentication.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    expected = base64.b64encode(f"{secret.username}:{secret.password}".encode()).decode()
    if scheme.lower() != SCHEME or not same(given.strip(), expected):
        raise NotGenuine("the user name or the password is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: anything else but 403 is sent again."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the e-mail, named by ``MessageID``; or what became of one, named by it, the record and the recipient."""
    record = parse_json(request.body)
    native = word(record.get("RecordType") or INBOUND)  # an e-mail that came in is not said to be one
    if native == INBOUND:
        yield _received(request, record)
    elif native in RECORDS:
        yield RECORDS[native](native, record)
    else:
        yield Ignored(native, "not about a conversation", record)


# --- e-mails that came


def _received(request: Inbound, record: Json) -> Draft:
    given = mapping(record.get("FromFull"))
    author = mailboxes.single(text(given.get("Email")))
    found = mail.Mail(
        mail.headers(_headers(record)),
        mail.body(text(record.get("TextBody")), text(record.get("HtmlBody"))),
        tuple(map(_file, items(record.get("Attachments")))),
    )
    return mail.draft(
        found,
        INBOUND,
        dedupe_id=occurrence(optional_id(record.get("MessageID"))),
        occurred_at=mail.sent_at(text(record.get("Date")), request.now),
        raw=record,
        author=mailboxes.Mailbox(text(given.get("Name")) or author.name, author.address),
    )


def _headers(record: Json) -> Iterator[tuple[str, str]]:
    # Postmark takes these out of the headers and parses them.
    for name in ("To", "Cc"):
        everybody = [text(one.get("Email")) for one in items(record.get(f"{name}Full"))]
        yield name, ", ".join(filter(None, everybody)) or text(record.get(name)) or ""
    for name, key in (("From", "From"), ("Subject", "Subject"), ("Reply-To", "ReplyTo")):
        if given := text(record.get(key)):
            yield name, given
    for header in items(record.get("Headers")):
        yield text(header.get("Name")) or "", text(header.get("Value")) or ""


def _file(file: Json) -> Attachment:
    mime, name = text(file.get("ContentType")), text(file.get("Name"))
    if mime is None and name is None:
        return UNSUPPORTED
    return mail.attachment(mime, name, integer(file.get("ContentLength")), mail.content_id(file.get("ContentID")))


# --- e-mails that were sent


def _draft(
    kind: EventKind,
    native: str,
    record: Json,
    at: str,
    *,
    status: Status | None = None,
    error: StatusError | None = None,
    consent: EventConsent | None = None,
) -> Draft:
    person = (optional_id(record.get("Recipient")) or optional_id(record.get("Email")) or "").lower() or None
    about = optional_id(record.get("MessageID"))
    # The same person can leave and come back.
    stamp = text(record.get(at)) if native == "SubscriptionChange" else None
    return Draft(
        kind=kind,
        native_kind=native,
        # Bounces and complaints have ids of their own; of the others one message has one a recipient.
        dedupe_id=optional_id(record.get("ID")) or occurrence(about, native, person, stamp),
        occurred_at=instant(record.get(at)),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person) if consent and person else None,
        message=Message(id=about, status=status, error=error),
        consent=consent,
        raw=record,
    )


def _status(status: Status, at: str, native: str, record: Json) -> Item:
    return _draft(EventKind.STATUS, native, record, at, status=status)


def _bounce(native: str, record: Json) -> Item:
    kind = word(record.get("Type"))
    if kind in NO_FAILURES:
        return Ignored(f"{native}.{kind}", "a fault that passes, or an answer of a machine", record)
    if kind in WITHDRAWALS:
        return _complaint(native, record)
    error = StatusError(code=kind, title=text(record.get("Description")) or text(record.get("Name")))
    return _draft(EventKind.STATUS, native, record, "BouncedAt", status="failed", error=error)


NO_FAILURES = frozenset(
    {"Transient", "SoftBounce", "AutoResponder", "AddressChange", "ChallengeVerification", "Subscribe"}
)
"""Types of bounce: a delay, a fault that passes, and answers of machines to an e-mail that arrived."""
WITHDRAWALS = frozenset({"Unsubscribe", "SpamComplaint"})
"""Types of bounce that are the person's own request to get no more."""


def _complaint(native: str, record: Json) -> Item:
    consent = EventConsent(state="withdrawn")
    return _draft(EventKind.CONSENT_CHANGED, native, record, "BouncedAt", consent=consent)


def _subscription(native: str, record: Json) -> Item:
    if record.get("Origin") != RECIPIENT and record.get("SuppressionReason") != COMPLAINT:
        return Ignored(f"{native}.{word(record.get('Origin'))}", "not an act of the person", record)
    if record.get("SuppressionReason") == HARD_BOUNCE:
        return Ignored(f"{native}.{HARD_BOUNCE}", "its bounce is told by itself", record)
    state: Literal["given", "withdrawn"] = "given" if record.get("SuppressSending") is False else "withdrawn"
    consent = EventConsent(state=state, topic=text(record.get("MessageStream")))
    return _draft(EventKind.CONSENT_CHANGED, native, record, "ChangedAt", consent=consent)


RECIPIENT, COMPLAINT, HARD_BOUNCE = "Recipient", "SpamComplaint", "HardBounce"
"""Postmark's words for the origin and the reasons of a change."""

RECORDS: Mapping[str, Callable[[str, Json], Item]] = {
    "Delivery": partial(_status, "delivered", "DeliveredAt"),
    "Open": partial(_status, "read", "ReceivedAt"),
    "Bounce": _bounce,
    "SpamComplaint": _complaint,
    "SubscriptionChange": _subscription,
}
"""From Postmark's word for a record to its reader. Clicks are ignored."""

"""E-mail through Postmark: what came in, and what became of e-mails that were sent.

Source: https://postmarkapp.com/developer/webhooks/webhooks-overview and its pages on each webhook, and
https://postmarkapp.com/developer/user-guide/inbound/parse-an-email (read 2026-11-22).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.errors import NotGenuine
from ..core.event.event import Attachment, Conversation, Draft, EventKind, Member, Message, Sender, Status, StatusError
from . import base, mail, mail_html
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, id_, instant, integer, listing, mapping, optional_id, parse_json, same, text, word

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
    native = word(record.get("RecordType", INBOUND))  # an e-mail that came in is not said to be one
    if native == INBOUND:
        yield _received(request, record)
    elif native in RECORDS:
        yield RECORDS[native](native, record)
    else:
        yield Ignored(native, "not about a conversation")


# --- e-mails that came


def _received(request: Inbound, record: Json) -> Draft:
    author = mapping(record.get("FromFull"))
    address = mail.addresses(text(author.get("Email")) or text(record.get("From")))
    found = mail.Mail(
        mail.headers(_headers(record)),
        text(record.get("TextBody")) or mail_html.plain_text(text(record.get("HtmlBody")) or "") or None,
        tuple(_file(mapping(file)) for file in listing(record.get("Attachments"))),
    )
    return mail.draft(
        found,
        INBOUND,
        dedupe_id=id_(record.get("MessageID")),
        occurred_at=mail.sent_at(text(record.get("Date")), request.now),
        raw=record,
        author=(text(author.get("Name")) or address[0][0], address[0][1]) if address else None,
    )


def _headers(record: Json) -> Iterator[tuple[str, str]]:
    # Postmark takes these out of the headers and parses them.
    for name in ("To", "Cc"):
        everybody = [text(mapping(one).get("Email")) for one in listing(record.get(f"{name}Full"))]
        yield name, ", ".join(filter(None, everybody))
    yield "Subject", text(record.get("Subject")) or ""
    for header in map(mapping, listing(record.get("Headers"))):
        yield text(header.get("Name")) or "", text(header.get("Value")) or ""


def _file(file: Json) -> Attachment:
    mime, name = text(file.get("ContentType")), text(file.get("Name"))
    return mail.attachment(mime, name, integer(file.get("ContentLength")), mail.content_id(file.get("ContentID")))


# --- e-mails that were sent


def _draft(kind: EventKind, native: str, record: Json, at: str, **rest: Any) -> Draft:
    person = id_(record.get("Recipient") or record.get("Email")).lower()
    if kind is not EventKind.STATUS:
        rest["sender"], rest["members"] = Sender(id=person), (Member(id=person),)
    return Draft(
        kind=kind,
        native_kind=native,
        # Bounces and complaints have ids of their own; of the others one message has one a recipient.
        dedupe_id=optional_id(record.get("ID")) or ":".join((id_(record.get("MessageID")), native, person)),
        occurred_at=instant(record.get(at)),
        conversation=Conversation(id=person, direct=True),
        raw=record,
        **rest,
    )


def _status(status: Status, at: str, native: str, record: Json) -> Item:
    return _draft(EventKind.STATUS, native, record, at, message=Message(id=id_(record.get("MessageID")), status=status))


def _bounce(native: str, record: Json) -> Item:
    kind = word(record.get("Type"))
    if kind in NO_FAILURES:
        return Ignored(f"{native}.{kind}", "the e-mail did not fail, or not yet")
    title = text(record.get("Description")) or text(record.get("Name"))
    error = StatusError(code=kind, title=title)
    about = Message(id=id_(record.get("MessageID")), status="failed", error=error)
    return _draft(EventKind.STATUS, native, record, "BouncedAt", message=about)


NO_FAILURES = frozenset(
    {"Transient", "AutoResponder", "AddressChange", "ChallengeVerification", "Subscribe", "Unsubscribe"}
)


def _complaint(native: str, record: Json) -> Item:
    return _draft(EventKind.MEMBER_LEFT, native, record, "BouncedAt")


def _subscription(native: str, record: Json) -> Item:
    suppressed = record.get("SuppressSending") is True
    kind = EventKind.MEMBER_LEFT if suppressed else EventKind.MEMBER_JOINED
    found = _draft(kind, native, record, "ChangedAt")
    # The same person can leave and come back.
    return found.model_copy(update={"dedupe_id": f"{found.dedupe_id}:{id_(record.get('ChangedAt'))}"})


RECORDS: Mapping[str, Callable[[str, Json], Item]] = {
    "Delivery": partial(_status, "delivered", "DeliveredAt"),
    "Open": partial(_status, "read", "ReceivedAt"),
    "Bounce": _bounce,
    "SpamComplaint": _complaint,
    "SubscriptionChange": _subscription,
}
"""From Postmark's word for a record to its reader. Clicks are ignored."""

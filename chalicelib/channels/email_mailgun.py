"""E-mail through Mailgun: what a route forwards, and what became of e-mails that were sent.

Source: https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http,
/user-manual/webhooks/securing-webhooks and /user-manual/events/event-structure (read 2026-12-01).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
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
from . import base, mail, mime
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    clean,
    hmac_sha256,
    integer,
    items,
    mapping,
    occurrence,
    optional_id,
    parse_form,
    parse_json,
    same,
    seconds,
    text,
    word,
)

KIND = "email_mailgun"
CAPABILITIES = ChannelCapabilities(empty_messages=True, body_limit_bytes=base.BODY_MAX_BYTES)
PROOF = ("timestamp", "token", "signature")
SOURCE = "body-mime"
# A failed post is made again for 8 hours, and nothing says that its time is then a new one.
TOLERANCE_S = 12 * 3600
MAX_PART_HEADER_BYTES = 8192
MAX_PARTS = 5000
MAX_FIELDS = 5000
"""Each header of an e-mail is a field."""

# The proof is read out of a form before anything else is: its values need no escaping.
_PROOF = re.compile(rb"(?:\A|&)(timestamp|token|signature)=([A-Za-z0-9]{1,128})(?=&|\Z)")
_BOUNDARY = re.compile(r"multipart/form-data\s*;.*?boundary=\"?([^\";,\s]{1,70})", re.IGNORECASE)

Item = Draft | Ignored


class Secret(base.Secret):
    """The HTTP webhook signing key of the account."""

    signing_key: SecretText


@dataclass(frozen=True, slots=True)
class _Form:
    """A form. ``source`` is an e-mail as it was sent, of which the bytes count."""

    fields: Mapping[str, str]
    files: tuple[Attachment, ...] = field(default=())
    source: bytes | None = None


def _form(request: Inbound) -> _Form:
    boundary = _BOUNDARY.match(request.headers.get("content-type", ""))
    if boundary is None:
        given = parse_form(request.body, errors="surrogateescape", max_fields=MAX_FIELDS)
        source = given[SOURCE].encode("utf-8", "surrogateescape") if SOURCE in given else None
        return _Form({clean(name): clean(value) for name, value in given.items()}, source=source)
    fields: dict[str, bytes] = {}
    files: list[Attachment] = []
    pieces = (b"\r\n" + request.body).split(b"\r\n--" + boundary[1].encode(), MAX_PARTS + 1)
    for name, file_name, media_type, content in _parts(pieces[1 : MAX_PARTS + 1]):
        if file_name is None:
            fields.setdefault(name, content)
        elif len(files) < mail.MAX_PARTS:
            files.append(mail.attachment(media_type, mail.header(file_name) or None, len(content), name))
        elif files[-1] != UNSUPPORTED:
            files.append(UNSUPPORTED)
    texts = {name: content.decode("utf-8", "replace") for name, content in fields.items()}
    return _Form(texts, tuple(files), fields.get(SOURCE))


def _parts(pieces: list[bytes]) -> Iterator[tuple[str, str | None, str, bytes]]:
    # RFC 7578: no parts within parts, no encoding. Splitting costs what finding the boundary costs.
    for piece in pieces:
        head, found, content = piece.partition(b"\r\n\r\n")
        if piece[:2] == b"--" or not found or len(head) > MAX_PART_HEADER_BYTES:
            continue
        part = mime.entity(head.lstrip(b"\r\n"))
        if part.name:
            yield part.name, part.file_name, part.type, content


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over time and token. It does not cover the rest: who has seen one can use it for 12 hours.

    Raises:
        NotGenuine: it is missing or wrong, or stale.
    """
    try:
        stamp, token, signature = map(_proof(request).get, PROOF)
    except MalformedPayload:
        stamp = token = signature = None
    stamp = str(stamp) if isinstance(stamp, int) else stamp
    if not (isinstance(stamp, str) and stamp.isascii() and stamp.isdigit() and len(stamp) < 12 and token):
        raise NotGenuine("the time or the token of the request is missing or wrong")
    signed = f"{stamp}{token}".encode("utf-8", "surrogatepass")
    if not same(signature, hmac_sha256(secret.signing_key, signed)):
        raise NotGenuine("the signature is missing or wrong")
    if abs(request.now.timestamp() - int(stamp)) > TOLERANCE_S:
        raise NotGenuine("the request is stale")


def _proof(request: Inbound) -> Mapping[str, Any]:
    if _is_json(request):
        return mapping(parse_json(request.body).get("signature"))
    if _BOUNDARY.match(request.headers.get("content-type", "")):
        return _form(request).fields
    found: dict[str, str] = {}
    for name, value in _PROOF.findall(request.body):
        found.setdefault(name.decode(), value.decode())
    return found


def _is_json(request: Inbound) -> bool:
    return request.body.lstrip()[:1] == b"{"


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: everything else but 406 is sent again."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the e-mail, named by its Message-ID; or what became of one, named by Mailgun's event."""
    if _is_json(request):
        data = mapping(parse_json(request.body).get("event-data"))
        native = word(data.get("event"))
        if native in EVENTS:
            yield EVENTS[native](native, data)
        else:
            yield Ignored(native, "not about a conversation", data)
        return
    yield _received(_form(request))


# --- e-mails that came


def _received(form: _Form) -> Draft:
    fields = form.fields
    if form.source is not None:  # of an address that ends in "mime"
        native, found = "mime", mail.parse(form.source)
    else:
        native = "store" if "message-url" in fields else "forward"
        said = mail.body(fields.get("body-plain"), fields.get("body-html"))
        found = mail.Mail(mail.headers(_headers(fields)), said, (*form.files, *_stored(fields)))
    return mail.draft(
        found,
        native,
        dedupe_id=next(iter(mail.ids(found.headers.get("message-id"))), None) or occurrence(text(fields.get("token"))),
        occurred_at=seconds(fields.get("timestamp")),
        raw={name: value for name, value in fields.items() if name not in PROOF},
        envelope_sender=fields.get("sender"),
    )


def _headers(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    # The same headers are fields of their own.
    pairs = [tuple(pair) for pair in _list(fields.get("message-headers")) if isinstance(pair, list) and len(pair) == 2]
    given = [(name, value) for name, value in pairs if isinstance(name, str) and isinstance(value, str)]
    return [*given, *fields.items()] if len(given) < len(pairs) or not given else given


def _list(value: str | None) -> list[Any]:
    try:
        found = parse_json(f'{{"list": {value or "[]"}}}').get("list")
    except MalformedPayload:
        found = value
    return found if isinstance(found, list) else [found]


def _stored(fields: Mapping[str, str]) -> Iterator[Attachment]:
    # A stored e-mail's files stay with Mailgun, which gives them to who has the account's key.
    for file in items(_list(fields.get("attachments"))):
        given = [text(file.get(name)) for name in ("content-type", "name", "url")]
        size = integer(file.get("size"))
        yield mail.attachment(given[0], given[1], size, None, url=given[2]) if any(given) else UNSUPPORTED


# --- e-mails that were sent


def _draft(kind: EventKind, native: str, data: Json, message: Message, consent: EventConsent | None = None) -> Draft:
    person = (optional_id(data.get("recipient")) or "").lower() or None
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(optional_id(data.get("id"))),
        occurred_at=seconds(data.get("timestamp")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person) if consent and person else None,
        message=message,
        consent=consent,
        raw=data,
    )


def _about(data: Json) -> str | None:
    own = optional_id(mapping(mapping(data.get("message")).get("headers")).get("message-id"))
    return own and f"<{own.strip('<>')}>"


def _status(status: Status, native: str, data: Json) -> Item:
    if native == "failed" and data.get("severity") == "temporary":
        return Ignored(native, "a fault that passes, or an answer of a machine", data)
    given = mapping(data.get("delivery-status"))
    title = text(given.get("message")) or text(given.get("description")) or text(data.get("reason"))
    error = StatusError(code=optional_id(given.get("code")), title=title) if status == "failed" else None
    return _draft(EventKind.STATUS, native, data, Message(id=_about(data), status=status, error=error))


def _withdrawn(native: str, data: Json) -> Item:
    consent = EventConsent(state="withdrawn")
    return _draft(EventKind.CONSENT_CHANGED, native, data, Message(id=_about(data)), consent)


EVENTS: Mapping[str, Callable[[str, Json], Item]] = {
    "accepted": partial(_status, "sent"),
    "delivered": partial(_status, "delivered"),
    "opened": partial(_status, "read"),
    "failed": partial(_status, "failed"),
    "rejected": partial(_status, "failed"),
    "unsubscribed": _withdrawn,
    "complained": _withdrawn,
}
"""From Mailgun's word for an event to its reader. Clicks and storage are ignored."""

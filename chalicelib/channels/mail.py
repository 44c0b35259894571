"""What the e-mail channels have in common: MIME with limits, headers, addresses, threads, and the event an e-mail makes.

An e-mail is written by a stranger and only carried by the platform. So its own oddities (a date that is none, a charset
nobody knows, a name in broken encoding) are put up with; what would cost too much to read is refused.

Source: https://www.rfc-editor.org/rfc/rfc5322, rfc2045, rfc2047 and rfc3834 (read 2026-11-22).
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..core import times
from ..core.errors import MalformedPayload
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from . import mime
from .fields import clean, id_
from .mail_html import plain_text
from .mime import MAX_HEADER_CHARACTERS, MAX_HEADERS, MAX_PARTS

MAX_CONTAINERS = 30  # multiparts and attached messages: the work grows with their depth
MAX_DEPTH = 20
MAX_LINES = 200_000  # base64 of 4.4 MB has 60,000
MAX_DECODED_BYTES = 10 * 1024 * 1024
MAX_ADDRESS_CHARACTERS = 1024
"""Of a header that the full grammar is needed for. Reading takes 2 microseconds a character."""

_CONTAINER = re.compile(rb"content-type[ \t]*:\s*(?:multipart|message)/", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,256}@[^\s@<>,;\"]{1,255}\Z")
# One address without quotes, comments or groups, as nearly all are: the full grammar takes ten times as long.
_PLAIN = re.compile(r"([^\"(),:;<>@\[\]\\]*)<([^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+)>\s*\Z")
_BARE = re.compile(r"\s*([^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+)\s*\Z")
_TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail. ``headers`` are decoded, by lower-case name; of a repeated one the first."""

    headers: Mapping[str, str]
    text: str | None
    attachments: tuple[Attachment, ...] = ()


def parse(source: bytes) -> Mail:
    """Read an e-mail as it was sent (RFC 5322 with MIME).

    The text is that of the plain parts that are no attachments; of a message that only has HTML it is made from that.
    Attachments are named and counted, not carried.

    Raises:
        MalformedPayload: over one of the limits.
    """
    if source.count(b"\n") + source.count(b"\r\r") > MAX_LINES or len(source) > MAX_DECODED_BYTES:
        raise MalformedPayload("the e-mail is too long")
    for count, _ in enumerate(_CONTAINER.finditer(source), start=1):
        if count > MAX_CONTAINERS:
            raise MalformedPayload("the e-mail has too many parts")
    root = mime.entity(source)
    texts: list[str] = []
    htmls: list[str] = []
    attachments: list[Attachment] = []
    for part in _leaves(root):
        name = header(part.file_name[:MAX_HEADER_CHARACTERS]) if part.file_name else None
        if not name and not part.is_attachment and part.type in ("text/plain", "text/html"):
            (texts if part.type == "text/plain" else htmls).append(mime.decoded(part.content(), part.charset))
        else:
            ref = content_id(part.first("content-id"))
            attachments.append(attachment(part.type, name or None, len(part.content()), ref))
    text = "\n".join(texts) if texts else "\n".join(map(plain_text, htmls))
    return Mail(headers(root.headers), text or None, tuple(attachments))


def _leaves(root: mime.MimePart) -> Iterator[mime.MimePart]:
    # An attached message is one attachment: its parts are not this message's.
    stack, seen = [(root, 0)], 0
    while stack:
        part, depth = stack.pop()
        seen += 1
        if seen > MAX_PARTS or depth > MAX_DEPTH:
            raise MalformedPayload("the e-mail has too many parts")
        inner = part.parts()
        if inner is None:
            yield part
        else:
            stack += [(one, depth + 1) for one in reversed(inner)]


def content_id(value: Any) -> str | None:
    """Return a Content-ID without its brackets: what ``cid:`` in the HTML names."""
    return clean(value).strip().strip("<>")[:500] or None if isinstance(value, str) else None


def attachment(mime: str | None, name: str | None, size_bytes: int | None, ref: str | None, **rest: Any) -> Attachment:
    """Describe an attached file, its type by the first half of its media type."""
    kind = _TYPES.get((mime or "").partition("/")[0].lower(), "file")
    return Attachment(type=kind, mime=mime, name=name, size_bytes=size_bytes, ref=ref, **rest)


# --- headers


def headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Decode headers; of a repeated one the first counts, and only what an event is made of is decoded.

    Raises:
        MalformedPayload: too many, or one is too long.
    """
    found: dict[str, str] = {}
    for count, (name, value) in enumerate(pairs):
        if count >= MAX_HEADERS:
            raise MalformedPayload("the e-mail has too many headers")
        name = name.lower()
        if name in _READ and name not in found:
            # A name is decoded after the address is parsed: a decoded comma would part it.
            found[name] = _unfolded(value) if name in _ADDRESSES else header(value)
    return found


_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc"})
_READ = _ADDRESSES | {"subject", "message-id", "in-reply-to", "references", "auto-submitted", "date"}


def _unfolded(value: str) -> str:
    if len(value) > MAX_HEADER_CHARACTERS:
        raise MalformedPayload("a header is too long")
    return re.sub(r"[\r\n]+[ \t]?|\0", " ", clean(value)).strip()


def header(value: str) -> str:
    """Decode a header's value (RFC 2047).

    Raises:
        MalformedPayload: it is too long.
    """
    value = _unfolded(value)
    return clean(mime.words(value)).strip() if "=?" in value else value


def addresses(value: str | None) -> list[tuple[str | None, str]]:
    """Return the names and addresses of an address header. Addresses are in lower case: one person, one id. Of a header with
    many addresses only the first ones are read.

    Raises:
        MalformedPayload: it is too long.
    """
    if not value:
        return []
    if len(value) > MAX_HEADER_CHARACTERS:
        raise MalformedPayload("a header is too long")
    plain, bare = _PLAIN.match(value), _BARE.match(value)
    if plain or bare:
        pairs = [(plain[1].strip(), plain[2])] if plain else [("", bare[1])] if bare else []
    else:
        pairs = _all_addresses(value[:MAX_ADDRESS_CHARACTERS])
    return [(header(name) or None, found.lower()) for name, found in pairs if _ADDRESS.match(found)]


def _all_addresses(value: str) -> list[tuple[str, str]]:
    try:
        return email.utils.getaddresses([value])
    except (ValueError, IndexError, RecursionError):  # comments within comments
        return []


def sent_at(value: str | None, now: datetime) -> datetime | None:
    """Return the time a Date header names, unless it is none or in the future: senders' clocks are wrong at will."""
    try:
        at = email.utils.parsedate_to_datetime(value or "")
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at if times.EARLIEST <= at <= now else None


def ids(value: str | None) -> list[str]:
    """Return the message ids in a header, with their brackets."""
    return _MESSAGE_ID.findall(value or "")


def draft(
    mail: Mail,
    native: str,
    *,
    dedupe_id: str,
    occurred_at: datetime | None,
    raw: Any,
    envelope_sender: str | None = None,
    author: tuple[str | None, str] | None = None,
) -> Draft:
    """Make the event of an e-mail: the conversation is the sender's, its thread the first message of the References.

    Args:
        envelope_sender: who sent it by the envelope, for a message without a From.
        author: name and address of who sent it, where the platform has parsed the From.

    Raises:
        MalformedPayload: nobody is named as its sender.
    """
    found = addresses(mail.headers.get("from")) or addresses(mail.headers.get("sender")) or addresses(envelope_sender)
    name, address = author or (found[0] if found else (None, id_(None)))
    own = ids(mail.headers.get("message-id"))
    parents, roots = ids(mail.headers.get("in-reply-to")), ids(mail.headers.get("references"))
    recipients = {to for field in ("to", "cc") for _, to in addresses(mail.headers.get(field))}
    answer_of_a_machine = mail.headers.get("auto-submitted", "no").partition(";")[0].strip().lower() != "no"
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=occurred_at,
        conversation=Conversation(
            id=address,
            direct=len(recipients) == 1 if recipients else None,
            thread=next(iter(roots or parents or own), None),
            title=mail.headers.get("subject") or None,
        ),
        sender=Sender(id=address, name=name, is_bot=answer_of_a_machine),
        message=Message(
            id=own[0] if own else dedupe_id,
            text=mail.text,
            attachments=mail.attachments,
            reply_to=next(iter(parents or roots[-1:]), None),
        ),
        raw=raw,
    )

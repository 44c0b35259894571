"""The common part of the e-mail channels: the body as a mail program shows it, headers, threads, and an e-mail's event.

An e-mail is written by a stranger and only carried by the platform. Its oddities cost the odd part and nothing else: a date
that is none, a charset that nobody knows, a header that is too long. Of an e-mail with too many parts the first are read.

Source: https://www.rfc-editor.org/rfc/rfc5322, rfc2045, rfc2046, rfc2047, rfc2183 and rfc3834 (read 2026-12-01).
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..core import times
from ..core.event.event import (
    UNSUPPORTED,
    AlternativeId,
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Message,
    Sender,
)
from . import charsets, mailboxes, mime
from .fields import clean
from .mail_html import plain_text
from .mailboxes import Mailbox
from .mime import MAX_HEADER_CHARACTERS, MAX_HEADERS

MAX_PARTS = 500
MAX_DEPTH = 20
"""Of multiparts in multiparts. Each level reads the bytes of its parts again."""
MAX_DATE_CHARACTERS = 128

MAX_META_BYTES = 4096

_META_CHARSET = re.compile(rb"<meta\b[^<>]*?charset\s*=\s*[\"']?([\w.:-]{1,64})", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
# White space of every kind, and characters without a glyph.
_BLANK = re.compile(
    "[\\s\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff]*"
)
_TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}
_BODIES = ("text/plain", "text/html")
_OTHER_FORMS = frozenset({"text/x-amp-html", "text/watch-html", "text/enriched", "text/richtext"})
"""Forms of a text that only stand beside a plain one or HTML."""


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail. ``headers`` are decoded, by lower-case name; of a repeated one the first."""

    headers: Mapping[str, str]
    text: str | None
    attachments: tuple[Attachment, ...] = ()


def parse(source: bytes) -> Mail:
    """Read an e-mail as it was sent (RFC 5322 with MIME).

    The text is that of all inline parts in their order. Of alternatives it is the plain one, if that shows anything.
    Attachments are named and counted, not carried. Parts beyond the limits become one ``unsupported`` attachment.
    """
    root = mime.entity(source)
    reader = _MailReader()
    texts = [piece.text for piece in reader.shown(root) if piece.is_visible]
    if reader.is_cut:
        reader.attachments.append(UNSUPPORTED)
    return Mail(headers(root.headers), "\n".join(texts) or None, tuple(reader.attachments))


def body(plain: str | None, html: str | None) -> str | None:
    """Return the text of a parsed e-mail: the plain one, or that of the HTML where the plain one shows nothing."""
    if plain and not is_blank(plain):
        return plain
    shown = plain_text(html or "")
    return None if is_blank(shown) else shown


def is_blank(text: str) -> bool:
    """Tell whether a text shows nothing."""
    return _BLANK.fullmatch(text) is not None


# --- parts


@dataclass(slots=True)
class _PartContent:
    """The text of one part. HTML is read when its text is needed."""

    source: str
    is_html: bool
    _text: str | None = None

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = plain_text(self.source) if self.is_html else self.source
        return self._text

    @property
    def is_visible(self) -> bool:
        return not is_blank(self.text)


def _piece(content: bytes, charset: str | None, is_html: bool) -> _PartContent:
    if is_html and charset is None and (named := _META_CHARSET.search(content, 0, MAX_META_BYTES)):
        return _PartContent(charsets.fallback(content, named[1].decode("ascii")), is_html)
    return _PartContent(charsets.decode(content, charset), is_html)


@dataclass(slots=True)
class _MailReader:
    """Reads the parts of one e-mail in their order."""

    attachments: list[Attachment] = field(default_factory=list)
    is_cut: bool = False
    _parts: int = 0
    _has_text: bool = False

    def shown(self, part: mime.MimePart, depth: int = 0, is_alternative: bool = False) -> list[_PartContent]:
        """Return the pieces of text that a part shows, and keep its attachments."""
        if self._parts >= MAX_PARTS or depth > MAX_DEPTH:
            self.is_cut = True
            return []
        self._parts += 1
        inner = part.parts()
        if inner is None:
            return self._leaf(part, is_alternative)
        chooses = part.type == "multipart/alternative"
        found: list[list[_PartContent]] = []
        for one in inner:
            found.append(self.shown(one, depth + 1, chooses))
            if self._parts >= MAX_PARTS:
                self.is_cut = self.is_cut or next(inner, None) is not None
                break
        return _chosen(found) if chooses else [piece for pieces in found for piece in pieces]

    def _leaf(self, part: mime.MimePart, is_alternative: bool) -> list[_PartContent]:
        # An attached message is one attachment: its parts are not this message's. A multipart without a part is a text.
        name = header(part.file_name) if part.file_name else None
        kind = "text/plain" if part.type.startswith("multipart/") else part.type
        is_body = kind in _BODIES and part.disposition != "attachment"
        if is_body and (not name or is_alternative or part.disposition == "inline" or not self._has_text):
            piece = _piece(part.content(), part.charset, kind == "text/html")
            if name and self._has_text and not is_alternative:  # shown, and offered as a file
                self._attach(part, name)
            self._has_text = self._has_text or piece.is_html or piece.is_visible
            return [piece]
        if not (is_alternative and not name and part.type in _OTHER_FORMS):
            self._attach(part, name)
        return []

    def _attach(self, part: mime.MimePart, name: str | None) -> None:
        ref = content_id(part.first("content-id"))
        self.attachments.append(attachment(part.type, name or None, len(part.content()), ref))


def _chosen(alternatives: list[list[_PartContent]]) -> list[_PartContent]:
    """Choose one of several forms of a text: the first plain one that shows anything, else the last (RFC 2046, 5.1.4)."""
    plain = (pieces for pieces in alternatives if not any(piece.is_html for piece in pieces))
    return next((pieces for pieces in (*plain, *reversed(alternatives)) if any(p.is_visible for p in pieces)), [])


def content_id(value: Any) -> str | None:
    """Return a Content-ID without its brackets: what ``cid:`` in the HTML names."""
    return clean(value).strip().strip("<>")[:500] or None if isinstance(value, str) else None


def attachment(mime: str | None, name: str | None, size_bytes: int | None, ref: str | None, **rest: Any) -> Attachment:
    """Describe an attached file, its type by the first half of its media type."""
    kind = _TYPES.get((mime or "").partition("/")[0].lower(), "file")
    return Attachment(type=kind, mime=mime, name=name, size_bytes=size_bytes, ref=ref, **rest)


# --- headers


_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc", "return-path"})
_IDS = frozenset({"message-id", "in-reply-to", "references"})
_READ = _ADDRESSES | _IDS | {"subject", "auto-submitted", "date"}


def headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Decode the headers that an event is made of. Of a repeated one the first counts, and of many only the first 1,000."""
    found: dict[str, str] = {}
    for _, (name, value) in zip(range(MAX_HEADERS), pairs, strict=False):
        name = name.lower()
        if name in _READ and name not in found:
            # A name is decoded after the address is parsed: a decoded comma would part it. Ids are as many as they are.
            found[name] = header(value) if name not in _ADDRESSES | _IDS else _unfolded(value)
    return found


def _unfolded(value: str) -> str:
    return re.sub(r"[\r\n]+[ \t]?|\0", " ", clean(value)).strip()


def header(value: str) -> str:
    """Decode a header's value (RFC 2047), of a long one the first 8,192 characters."""
    value = _unfolded(value[:MAX_HEADER_CHARACTERS])
    return clean(mime.words(value)).strip() if "=?" in value else value


def sent_at(value: str | None, now: datetime) -> datetime | None:
    """Return the time a Date header names, unless it is none or in the future: senders' clocks are wrong at will."""
    try:
        at = email.utils.parsedate_to_datetime((value or "")[:MAX_DATE_CHARACTERS])
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at if times.EARLIEST <= at <= now else None


def ids(value: str | None) -> list[str]:
    """Return the message ids in a header, with their brackets."""
    return _MESSAGE_ID.findall(value or "")


def _author(mail: Mail, envelope_sender: str | None, given: Mailbox | None) -> Mailbox:
    """Return who wrote an e-mail. Who sent it stands for an author without an address."""
    author = given if given and given.address else mailboxes.author(mail.headers.get("from"))
    if author.address:
        return author
    name = (given.name if given else None) or author.name
    sender = mailboxes.author(mail.headers.get("sender"))
    if sender.address:
        return Mailbox(name or sender.name, sender.address)
    envelope = mailboxes.single(envelope_sender).address or mailboxes.single(mail.headers.get("return-path")).address
    return Mailbox(name or sender.name, envelope)


def _reply_to(mail: Mail, author: str | None) -> tuple[AlternativeId, ...]:
    found = mailboxes.author(mail.headers.get("reply-to")).address
    return (AlternativeId(kind="reply_to", contact=found),) if found and found != author else ()


def draft(
    mail: Mail,
    native: str,
    *,
    dedupe_id: str,
    occurred_at: datetime | None,
    raw: Any,
    envelope_sender: str | None = None,
    author: Mailbox | None = None,
) -> Draft:
    """Make the event of an e-mail: the conversation is the sender's, its thread the first message of the References.

    Args:
        dedupe_id: empty where the platform names none.
        envelope_sender: who sent it by the envelope, for a message without a From.
        author: who wrote it, where the platform has parsed the From.
    """
    name, address = _author(mail, envelope_sender, author)
    own = ids(mail.headers.get("message-id"))
    parents, roots = ids(mail.headers.get("in-reply-to")), ids(mail.headers.get("references"))
    people = {one.address for name in ("to", "cc") for one in mailboxes.mailboxes(mail.headers.get(name))} - {None}
    is_bot = mail.headers.get("auto-submitted", "no").partition(";")[0].strip().lower() != "no"
    sender = Sender(id=address, name=name, is_bot=is_bot, alt_ids=_reply_to(mail, address))
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=occurred_at,
        conversation=Conversation(
            id=address,
            direct=len(people) == 1 if people else None,
            thread=next(iter(roots or parents or own), None),
            title=mail.headers.get("subject") or None,
        ),
        sender=sender if sender != Sender(is_bot=is_bot) else None,
        message=Message(
            id=own[0] if own else dedupe_id or None,
            text=mail.text,
            attachments=mail.attachments,
            reply_to=next(iter(parents or roots[-1:]), None),
        ),
        raw=raw,
    )

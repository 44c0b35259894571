"""MIME entities, read in linear time: headers, their parameters and encoded words, and the parts of a multipart.

The standard library's parser is not used. It walks over each line in Python, and takes quadratic time for the parameters of a
header, also for the boundary that it looks for itself.

Source: https://www.rfc-editor.org/rfc/rfc2045, rfc2046, rfc2047 and rfc2231 (read 2026-11-30).
"""

from __future__ import annotations

import binascii
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote_to_bytes

from . import charsets

MAX_HEADERS = 1000
MAX_HEADER_CHARACTERS = 8192
MAX_PARAMETERS = 100
MAX_BOUNDARY = 200

_HEADER = re.compile(rb"([!-9;-~]*):([^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)(?:\r\n|\r|\n|\Z)")
_LINE_END = re.compile(rb"\r\n|\r|\n|\Z")
_EMPTY_LINE = re.compile(rb"(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")
_ENVELOPE = re.compile(rb"From [^\r\n]*(?:\r\n|\r|\n|\Z)")
# A quoted string without an end goes on to the end, so that no search begins twice at the same place.
_PARAMETER = re.compile(r'(?:"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[^";]+)+', re.DOTALL)
_EXTENDED = re.compile(r"([^*]+)(?:\*([0-9]{1,3}))?(\*)?\Z")
_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


@dataclass(frozen=True)
class MimePart:
    """A message or a part of one. ``headers`` are as they came, with their line ends; ``body`` is still encoded."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    usual_type: str = "text/plain"

    def first(self, name: str) -> str | None:
        """Return the value of the first header of a name in small letters."""
        return next((value for header, value in self.headers if header.lower() == name), None)

    @cached_property
    def _content_type(self) -> tuple[str, Mapping[str, str]]:
        return parameters(self.first("content-type") or "")

    @cached_property
    def _disposition(self) -> tuple[str, Mapping[str, str]]:
        return parameters(self.first("content-disposition") or "")

    @property
    def type(self) -> str:
        """The media type; a header that names none counts as absent."""
        given = self._content_type[0]
        return given if given.count("/") == 1 else "text/plain" if given else self.usual_type

    @property
    def charset(self) -> str | None:
        """The charset that the content type names."""
        return self._content_type[1].get("charset")

    @property
    def disposition(self) -> str:
        """How the sender wants it shown: ``inline``, ``attachment``, or empty."""
        return self._disposition[0]

    @property
    def name(self) -> str | None:
        """The name of the form's field that it is, RFC 7578."""
        return self._disposition[1].get("name")

    @property
    def file_name(self) -> str | None:
        """The name of the file that it is."""
        return self._disposition[1].get("filename") or self._content_type[1].get("name")

    def parts(self) -> Iterator[MimePart] | None:
        """Yield the parts of a multipart. Return None for any other entity, and for a multipart without a part."""
        boundary = self._content_type[1].get("boundary", "")
        if not self.type.startswith("multipart/") or not 0 < len(boundary) <= MAX_BOUNDARY:
            return None
        usual = "message/rfc822" if self.type == "multipart/digest" else "text/plain"
        pieces = _pieces(self.body, boundary.encode("utf-8", "replace"))
        first = next(pieces, None)
        return None if first is None else (entity(piece, usual) for piece in itertools.chain((first,), pieces))

    def content(self) -> bytes:
        """Return what a part holds, decoded; of an attached message nothing."""
        if self.type.startswith("message/"):
            return b""
        encoding = parameters(self.first("content-transfer-encoding") or "")[0]
        if encoding == "base64":
            return from_base64(self.body)
        return binascii.a2b_qp(self.body) if encoding == "quoted-printable" else self.body


def entity(source: bytes, usual_type: str = "text/plain") -> MimePart:
    """Read an entity: its headers end at the first line that is none. Only the first 1,000 headers are kept."""
    envelope = _ENVELOPE.match(source)
    at = envelope.end() if envelope else 0
    pairs: list[tuple[str, bytes]] = []
    while at < len(source) and (found := _HEADER.match(source, at)):
        if len(pairs) == MAX_HEADERS:
            end = _EMPTY_LINE.search(source, at)
            return MimePart(_texts(pairs), source[end.end() :] if end else b"", usual_type)
        pairs.append((found[1].decode("ascii"), found[2].strip(b" \t\r\n")))
        at = found.end()
    blank = _LINE_END.match(source, at)
    return MimePart(_texts(pairs), source[blank.end() if blank else at :], usual_type)


def _texts(pairs: list[tuple[str, bytes]]) -> tuple[tuple[str, str], ...]:
    label = None
    if not all(
        value.isascii() for _, value in pairs
    ):  # such a header is in the charset of the body, where it names one
        content_type = next((value for name, value in pairs if name.lower() == "content-type"), b"")
        label = parameters(content_type.decode("utf-8", "replace"))[1].get("charset")
    return tuple((name, charsets.fallback(value, label)) for name, value in pairs)


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    # RFC 2046, 5.1.1: a boundary is a line of its own; the line end before it is its own too. What stands before the first
    # one is no part, nor what stands behind the last.
    start = None
    for found in re.finditer(rb"--%b(--)?[ \t]*(\r\n|\r|\n|\Z)" % re.escape(boundary), body):
        at = found.start()
        if at and body[at - 1] not in b"\r\n":
            continue
        if start is not None and at > start:
            yield body[start : at - 2 if body[at - 2 : at] == b"\r\n" else at - 1]
        if found[1]:
            return
        start = found.end()
    if start is not None:
        yield body[start:]


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """Return a header's value in small letters, and its parameters by name in small letters (RFC 2045 and 2231).

    Only the first 8,192 characters and 100 parameters are read. Of a repeated parameter the first counts.
    """
    pieces = (found[0] for found in _PARAMETER.finditer(value[:MAX_HEADER_CHARACTERS]))
    found: dict[str, str] = {}
    extended: dict[str, list[tuple[int, str, bool]]] = {}
    word = next(pieces, "").strip().lower()
    for piece in itertools.islice(pieces, MAX_PARAMETERS):
        name, equals, given = piece.partition("=")
        parts = _EXTENDED.match(name.strip().lower())
        if not equals or parts is None:
            continue
        if parts[2] or parts[3]:
            extended.setdefault(parts[1], []).append((int(parts[2] or 0), _unquoted(given), parts[3] is not None))
        else:
            found.setdefault(parts[1], _unquoted(given))
    for name, segments in extended.items():
        found.setdefault(name, _joined(sorted(segments, key=lambda segment: segment[0])))
    return word, found


def _unquoted(given: str) -> str:
    given = given.strip()
    if given[:1] != '"':
        return given
    given = given[1:-1] if given[-1:] == '"' and len(given) > 1 else given[1:]
    return given.replace("\\\\", "\\").replace('\\"', '"')


def _joined(segments: list[tuple[int, str, bool]]) -> str:
    charset, (_, first, encoded) = "utf-8", segments[0]
    if encoded and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
    texts = [(first, encoded), *((text, percent) for _, text, percent in segments[1:])]
    return charsets.decode(
        b"".join(unquote_to_bytes(t) if e else t.encode("utf-8", "replace") for t, e in texts), charset
    )


def words(value: str) -> str:
    """Decode the encoded words of a header's value (RFC 2047). Space between two of them belongs to neither."""
    texts: list[str] = []
    at, held, charset = 0, b"", ""
    for found in _ENCODED_WORD.finditer(value):
        between = value[at : found.start()]
        if at == 0 or between.strip() or charset != found[1].lower():  # else a letter may be cut in two
            texts += (charsets.decode(held, charset), between if at == 0 or between.strip() else "")
            held, charset = b"", found[1].lower()
        text = found[3].encode("utf-8", "replace")
        held += from_base64(text) if found[2] in "bB" else binascii.a2b_qp(text, header=True)
        at = found.end()
    return "".join((*texts, charsets.decode(held, charset), value[at:]))


def from_base64(text: bytes) -> bytes:
    """Decode base64 as mail programs do: other characters are passed over, and the padding may be missing."""
    text = text.translate(None, _NOT_BASE64)
    text = text[: len(text) - 1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))

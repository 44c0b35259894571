"""Read the mailboxes of an address header strictly: an address is never taken out of a display name.

A stranger writes these headers. Where a header can be read in two ways, its author is unknown, because a guess would be an
identity that the sender chose.

Source: https://www.rfc-editor.org/rfc/rfc5322#section-3.4, RFC 6532 and RFC 6854; the class of CVE-2023-27043 (read
2026-12-01).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import mime

MAX_CHARACTERS = 1024
"""Of a header. Reading takes up to 5 microseconds a character."""
MAX_ADDRESS_CHARACTERS = 512

# White space; an encoded word, which may hold specials; a quoted string; a domain literal; a special; an atom.
_UNQUOTED = r"""(?P<space>[\s\x00-\x20\x7f]+)
|(?P<word>=\?[^?\s"<>]+\?[bBqQ]\?[^?]*\?=)
|(?P<literal>\[[^\[\]\\<>"]*\])
|(?P<special>[<>@,;:()\[\]"])
|(?P<atom>[^\s\x00-\x20\x7f<>@,;:()\[\]"]+)"""
_QUOTED = re.compile(r'"(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"|' + _UNQUOTED, re.DOTALL | re.VERBOSE)
_WITHOUT_QUOTED = re.compile(_UNQUOTED, re.DOTALL | re.VERBOSE)
_COMMENT = re.compile(r"[()\\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_LOCAL = re.compile(r'[^\s<>@,;:()\[\]"\\]+')
_BARE_LOCAL = re.compile(r"[A-Za-z0-9._+\-]{1,64}")


class Mailbox(NamedTuple):
    """A person in an address header. ``address`` is in lower case; it is None where the header has none."""

    name: str | None
    address: str | None


class _Token(NamedTuple):
    kind: str
    """``space``, ``comment``, ``word``, ``quoted``, ``literal``, ``atom``, ``angle``, ``stray``, or a special itself."""
    text: str
    inner: tuple[_Token, ...] = ()


class _AddressField(NamedTuple):
    mailboxes: list[Mailbox]
    is_ambiguous: bool


def mailboxes(value: str | None) -> list[Mailbox]:
    """Return the mailboxes of a header in their order, those of groups too. Of a long header only the first are read."""
    return _read(value or "").mailboxes


def author(value: str | None) -> Mailbox:
    """Return the first mailbox of a header that has an address, else the first name.

    A header that is too long, or has a fault and several mailboxes, has no author. A local part without a domain is an
    address only where it stands alone.
    """
    if value is None or len(value) > MAX_CHARACTERS:
        return Mailbox(None, None)
    found, is_ambiguous = _read(value)
    addressed = [one for one in found if one.address is not None and (len(found) == 1 or "@" in one.address)]
    if not addressed or is_ambiguous:
        return Mailbox(next((one.name for one in found if one.name), None), None)
    return addressed[0]


def single(value: str | None) -> Mailbox:
    """Read a text that holds one mailbox, whose name may have been decoded: a comma does not part it."""
    if value is None or len(value) > MAX_CHARACTERS:
        return Mailbox(None, None)
    tokens = _angles(_tokens(value))
    return _mailbox([_Token("stray", token.text) if token.kind in ",;:" else token for token in tokens])


def _read(value: str) -> _AddressField:
    tokens = _angles(_tokens(value[:MAX_CHARACTERS]))
    elements, is_faulty = _elements(tokens)
    is_faulty = is_faulty or any(token.kind == "stray" for token in tokens)
    elements = [element for element in elements if any(token.kind != "space" for token in element)]
    return _AddressField([one for one in map(_mailbox, elements) if any(one)], is_faulty and len(elements) > 1)


# --- words


def _tokens(value: str) -> Iterator[_Token]:
    # What has no end goes on to the end of the header: after the first one, none is searched for again.
    pattern, comments, at = _QUOTED, True, 0
    while at < len(value):
        if value[at] == "(" and comments:
            end = _comment_end(value, at)
            comments = end is not None
            if end is not None:
                yield _Token("comment", _ESCAPED.sub(r"\1", value[at + 1 : end - 1]))
                at = end
                continue
        found = pattern.match(value, at)
        if found is None or found.lastgroup is None:  # no character is left out by the pattern
            return
        if value[at] == '"' and found.lastgroup == "special":
            pattern = _WITHOUT_QUOTED
        at = found.end()
        text = found[found.lastgroup]
        if found.lastgroup == "quoted":
            yield _Token("quoted", _ESCAPED.sub(r"\1", text))
        elif found.lastgroup == "special":
            yield _Token("stray" if text in '()[]"' else text, text)
        else:
            yield _Token(found.lastgroup, text)


def _comment_end(value: str, at: int) -> int | None:
    depth = 0
    while found := _COMMENT.search(value, at):
        at = found.end() + (found[0] == "\\")
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return at
    return None


def _angles(tokens: Iterable[_Token]) -> list[_Token]:
    """Fold each ``<…>`` into one token. Only the last ``<`` before a ``>`` begins an address."""
    found: list[_Token] = []
    opened: int | None = None
    for token in tokens:
        if token.kind == ">" and opened is not None:
            inner = tuple(found[opened + 1 :])
            del found[opened:]
            found.append(_Token("angle", "", inner))
            opened = None
        elif token.kind in "<>":
            opened = len(found) if token.kind == "<" else opened
            found.append(_Token("stray", token.text))
        else:
            found.append(token)
    return found


# --- mailboxes


def _elements(tokens: list[_Token]) -> tuple[list[list[_Token]], bool]:
    """Return the tokens of each mailbox, and whether a semicolon stands where no group ends."""
    elements: list[list[_Token]] = [[]]
    in_group = is_faulty = False
    for token in tokens:
        if token.kind == ":" and not in_group:
            elements[-1], in_group = [], True  # the name of the group is no mailbox
        elif token.kind == ",":
            elements.append([])
        elif token.kind == ";":
            elements.append([])
            is_faulty = is_faulty or not in_group
            in_group = False
        else:
            elements[-1].append(_Token("stray", ":") if token.kind == ":" else token)
    return elements, is_faulty


def _mailbox(element: list[_Token]) -> Mailbox:
    angles = [at for at, token in enumerate(element) if token.kind == "angle"]
    opened = [at for at, token in enumerate(element) if token.kind == "stray" and token.text == "<"]
    if angles or opened:
        at = angles[0] if angles else opened[-1]
        inside = element[at].inner if angles else tuple(element[at + 1 :])
        return Mailbox(_name(element[:at], element), _address(inside) if len(angles) < 2 else None)
    spaced = [at for at, token in enumerate(element) if token.kind == "@"]
    whole = _address(tuple(element))
    if whole is not None or not spaced:
        return Mailbox(_name([] if whole else element, element), whole)
    parts = list(_parts(element))
    found = [(at, address) for at, part in enumerate(parts) if "@" in (address := _address(tuple(part)) or "")]
    if len(spaced) > 1 or len(found) != 1:
        return Mailbox(_name(element, element), None)
    rest = [token for at, part in enumerate(parts) if at != found[0][0] for token in (*part, _Token("space", " "))]
    return Mailbox(_name(rest, element), found[0][1])


def _parts(element: list[_Token]) -> Iterator[list[_Token]]:
    part: list[_Token] = []
    for token in element:
        if token.kind in ("space", "stray", "comment"):
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _name(phrase: list[_Token], element: list[_Token]) -> str | None:
    words = "".join(" " if token.kind == "space" else token.text for token in phrase if token.kind != "comment").strip()
    if not words:  # kim@plum.example (Kim)
        words = " ".join(token.text for token in element if token.kind == "comment").strip()
    return mime.words(words).strip() or None


def _address(tokens: tuple[_Token, ...]) -> str | None:
    """Return what the tokens are as an address, or the local part of one without a domain; None where they are neither."""
    kinds = [token.kind for token in tokens if token.kind not in ("space", "comment")]
    if kinds[:1] == ["@"] and ":" in kinds:  # a route: <@relay.example:kim@plum.example>
        tokens = tokens[next(at for at, token in enumerate(tokens) if token.kind == ":") + 1 :]
    sides: list[list[_Token]] = [[]]
    for token in tokens:
        if token.kind == "@":
            sides.append([])
        elif token.kind != "comment":
            sides[-1].append(token)
    if len(sides) > 2:
        return None
    local = _joined(sides[0], ("atom", "word", "quoted"))
    if len(sides) == 1:
        return local.lower() if local is not None and _BARE_LOCAL.fullmatch(local) else None
    domain = _joined(sides[1], ("atom", "literal"))
    if local is None or not domain:
        return None
    if not _PLAIN_LOCAL.fullmatch(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    address = f"{local}@{domain}".lower()
    return address if len(address) <= MAX_ADDRESS_CHARACTERS else None


def _joined(side: list[_Token], kinds: tuple[str, ...]) -> str | None:
    # White space may stand around the dots and at the ends, RFC 5322, 4.4, and nowhere else.
    words = [token for token in side if token.kind != "space"]
    if not words or any(token.kind not in kinds for token in words):
        return None
    if any(not (one.text.endswith(".") or two.text.startswith(".")) for one, two in itertools.pairwise(words)):
        return None
    return "".join(token.text for token in words)

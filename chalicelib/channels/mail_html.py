"""The text of an e-mail that was only sent as HTML, in linear time and little memory.

The standard library's parser takes quadratic time, and its ``unescape`` raises for a number of many digits.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from html.entities import html5

_SILENT = ("script", "style", "title", "template")
_BLOCKS = frozenset(
    "address article blockquote br dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr li ol p pre section table tr ul".split()
)
_MARKUP = re.compile(
    rf"<!--|<({'|'.join(_SILENT)})\b|<(?:/?([a-z][a-z0-9]{{0,15}})|[!?])[^>]*>", re.IGNORECASE | re.DOTALL
)
_CLOSING = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _SILENT}
_OPEN = re.compile(r"</?[a-zA-Z]|<[!?]")
_LINES = re.compile("\0[\\s\0]*")
_REFERENCE = re.compile(r"&(?:#([0-9]+);?|#[xX]([0-9a-fA-F]+);?|([A-Za-z][A-Za-z0-9]{1,31})(;?))")
_DIGITS_MAX = 7
_LEGACY = frozenset(name for name in html5 if name[-1] != ";")
_LEGACY_MAX = max(map(len, _LEGACY))


def plain_text(document: str) -> str:
    """Return the text that HTML shows, one line a block. Never raises."""
    # NUL parts the blocks: line ends within a block are only spaces.
    text = _LINES.sub(lambda found: "\0" * min(found[0].count("\0"), 2), "".join(_pieces(document.replace("\0", ""))))
    lines = (" ".join(line.split()) for line in _REFERENCE.sub(_character, text).split("\0"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _pieces(document: str) -> Iterator[str]:
    # An unclosed tag ends the text. The text is cut behind the last ">", so every tag before it is closed.
    last = document.rfind(">") + 1
    at = 0
    while found := _MARKUP.search(document, at, last):
        if at < found.start():
            yield document[at : found.start()]
        if found[0] == "<!--":
            at = document.find("-->", found.end(), last) + 3
            if at < 3:
                return
        elif found[1]:
            closing = _CLOSING[found[1].lower()].search(document, document.find(">", found.end()) + 1)
            if closing is None:
                return
            at = closing.start()
        else:
            name = (found[2] or "").lower()
            if name in _BLOCKS:
                yield "\0"
            elif name in ("td", "th"):
                yield " "
            at = found.end()
    unclosed = _OPEN.search(document, last)
    yield document[at : unclosed.start() if unclosed else len(document)]


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name, end = found.groups()
    if name is None:
        digits = (decimal or hexadecimal).lstrip("0") or "0"
        return _numbered(("" if decimal else "x") + digits.lower()) if len(digits) <= _DIGITS_MAX else "\ufffd"
    if end and (character := html5.get(name + ";")):
        return character
    for length in range(min(len(name), _LEGACY_MAX), 1, -1):
        if name[:length] in _LEGACY:
            return html5[name[:length]] + name[length:] + end
    return found[0]


@lru_cache(maxsize=4096)
def _numbered(digits: str) -> str:
    return html.unescape(f"&#{digits};")

"""The text of an e-mail that was only sent as HTML, in one pass: the standard library's parser takes quadratic time."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,15})")
_SILENT = frozenset({"script", "style", "title", "template"})
_BLOCKS = frozenset(
    "address article blockquote br dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr li ol p pre section table tr ul".split()
)


def plain_text(document: str) -> str:
    """Return the text that HTML shows, one line a block."""
    text = html.unescape("".join(_pieces(document)))
    lines = (" ".join(line.split()) for line in text.split("\0"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _pieces(document: str) -> Iterator[str]:
    # NUL parts the blocks: line ends within a block are only spaces. Whatever is not closed ends the text.
    at = 0
    document = document.replace("\0", "")
    while (start := document.find("<", at)) >= 0:
        yield document[at:start]
        tag = _TAG.match(document, start)
        if document.startswith("<!--", start):
            end = document.find("-->", start + 4)
        elif tag is None and not document.startswith(("<!", "<?"), start):
            yield "<"
            at = start + 1
            continue
        else:
            end = document.find(">", start)
        if end < start:
            return
        at = document.index(">", end) + 1
        name = tag[1].lower() if tag else ""
        if name in _BLOCKS:
            yield "\0"
        elif name in ("td", "th"):
            yield " "
        elif name in _SILENT and document[start + 1] != "/":
            closing = re.compile(f"</{name}", re.IGNORECASE).search(document, at)
            if closing is None:
                return
            at = closing.start()
    yield document[at:]

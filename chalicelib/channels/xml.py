"""A small XML reader for what strangers send: no document type, no entities, bounded depth and size.

Source: https://www.w3.org/TR/xml/#sec-entexpand and https://docs.python.org/3/library/xml.html#xml-security
(read 2026-11-22).
"""

from __future__ import annotations

from typing import Any, NoReturn
from xml.parsers import expat

from ..core.errors import MalformedPayload
from .fields import Json

MAX_DEPTH = 16
MAX_ELEMENTS = 2000


class _Refused(Exception):
    """A document holds what none of these platforms sends."""


def _refuse(*_: Any) -> NoReturn:
    raise _Refused


class _Tree:
    """Builds nested objects: an element with elements is an object, any other its text. The first of a name counts."""

    def __init__(self) -> None:
        self.root: Json = {}
        self._stack: list[tuple[str, Json, list[str]]] = []
        self._count = 0

    def start(self, name: str, _: Any) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._stack) >= MAX_DEPTH:
            raise _Refused
        self._stack.append((name, {}, []))

    def end(self, _: str) -> None:
        name, inner, texts = self._stack.pop()
        if not self._stack:
            self.root = inner
        else:
            self._stack[-1][1].setdefault(name, inner or "".join(texts))

    def text(self, data: str) -> None:
        self._stack[-1][2].append(data)


def parse_xml(body: bytes) -> Json:
    """Parse what the outermost element holds; attributes and comments are left out.

    Raises:
        MalformedPayload: not XML in UTF-8, a document type, or over a limit.
    """
    tree = _Tree()
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    # All expansion begins with a declaration, and a declaration needs a document type.
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, _Refused, ValueError):
        raise MalformedPayload("the body is not XML of this platform") from None
    return tree.root

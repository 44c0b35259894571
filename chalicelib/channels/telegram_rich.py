"""Telegram's rich messages, as plain text and attachments: blocks of formatted text, lists, tables and media.

Source: https://core.telegram.org/bots/api#richmessage (Bot API 10.3, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .fields import Json, listing, mapping, text

LINES = ("summary", "blocks", "items", "cells", "caption", "credit", "title")
"""Where a block has further blocks or texts, in the order in which they are read."""
MEDIA = ("animation", "audio", "document", "photo", "video", "voice_note")


def rich_text(message: Any) -> str | None:
    """Return the words of a rich message, one line for each block."""
    return text("\n".join(_lines(mapping(message).get("blocks"))))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _lines(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        own = _inline(value.get("text")) or text(value.get("expression"))
        if own:
            yield own
        for name in LINES:
            yield from _lines(value.get(name))


def _inline(value: Any) -> str:
    """Return a formatted text without its formats: a text, a list of such, or an object with a ``text``."""
    if isinstance(value, list):
        return "".join(map(_inline, value))
    if isinstance(value, dict):
        return _inline(value.get("text")) or text(value.get("expression")) or text(value.get("alternative_text")) or ""
    return text(value) or ""


def rich_media(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield the media of a rich message, as the platform's word and object."""
    yield from _media(mapping(message).get("blocks"))


def _media(blocks: Any) -> Iterator[tuple[str, Any]]:
    for block in map(mapping, listing(blocks)):
        yield from _own_media(block)
        yield from _media(block.get("blocks"))
        yield from _media(block.get("items"))


def _own_media(block: Json) -> Iterator[tuple[str, Any]]:
    for name in MEDIA:
        if name in block:
            yield ("voice" if name == "voice_note" else name), block[name]
    if "location" in block:
        yield "location", block["location"]

"""The content of a Slack message: its text, blocks, files, and attachments with cards, previews and shared messages.

Source: https://docs.slack.dev/reference/block-kit/blocks, /reference/objects/file-object and
https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.event.event import Attachment, AttachmentType, Quote
from .fields import Json, integer, items, mapping, number, optional_id, text

PREVIEWS = ("from_url", "original_url", "is_msg_unfurl", "is_app_unfurl")
"""Slack adds an attachment with one of these for a link in the text. Any other attachment is a card of an app."""


def content(message: Json) -> dict[str, Any]:
    """Return the text, attachments, quotes and ``forwarded`` of a message, as fields of ``Message``.

    The blocks and cards are the text where the message has none. Otherwise those that add to it are quotes.
    """
    own, cards = text(message.get("text")), items(message.get("attachments"))
    parts = [said(message.get("blocks")), *(_card(card) for card in cards if not is_preview(card))]
    shown = [part for part in parts if part]
    more = [part for part in shown if own is not None and not all(line in own for line in part.splitlines())]
    shared = [card for card in cards if _is_message(card)]
    return {
        "text": own or text("\n".join(shown)),
        "attachments": (
            *map(file, items(message.get("files"))),
            *_pictures(message.get("blocks")),
            *(found for card in cards for found in _of_card(card)),
        ),
        "quotes": (*map(_shared, shared), *(Quote(text=part) for part in more)),
        "forwarded": any(card.get("is_share") is True for card in shared),
    }


def is_preview(card: Json) -> bool:
    """Say whether an attachment shows a link of the text, or a shared message."""
    return _is_message(card) or any(card.get(name) for name in PREVIEWS)


def _is_message(card: Json) -> bool:
    return card.get("is_share") is True or card.get("is_msg_unfurl") is True


def _shared(card: Json) -> Quote:
    words = text(card.get("text")) or said(card.get("blocks")) or said(card.get("message_blocks"))
    return Quote(
        id=optional_id(card.get("ts")),
        sender=optional_id(card.get("author_id")),
        name=text(card.get("author_name")) or text(card.get("author_subname")),
        text=words or text(card.get("fallback")),
    )


def _card(card: Json) -> str | None:
    title, link = text(card.get("title")), text(card.get("title_link"))
    lines = [
        text(card.get("pretext")),
        text(card.get("author_name")),
        f"<{link}|{title or link}>" if link else title,
        text(card.get("text")),
        *(": ".join(filter(None, (text(f.get("title")), text(f.get("value"))))) for f in items(card.get("fields"))),
        said(card.get("blocks")),
        text(card.get("footer")),
    ]
    return "\n".join(filter(None, lines)) or text(card.get("fallback"))


def _of_card(card: Json) -> Iterator[Attachment]:
    yield from map(file, items(card.get("files")))
    yield from _pictures(card.get("blocks"))
    url = text(card.get("from_url")) or text(card.get("original_url"))
    if url and not _is_message(card):
        words = text(card.get("text")) or said(card.get("blocks"))
        yield Attachment(type="link", url=url, name=text(card.get("title")), caption=words)
    elif picture := text(card.get("image_url")):
        yield Attachment(type="image", url=picture)


# --- files


def file(value: Json) -> Attachment:
    """Read a file. One without its data, of another workspace, has only a ``ref``."""
    mime, mode = text(value.get("mimetype")), text(value.get("mode"))
    if mode in ("tombstone", "hidden_by_limit"):
        return Attachment(type="unsupported", native_type=mode, ref=optional_id(value.get("id")))
    length_ms = number(value.get("duration_ms"))
    kind = MIME_TYPES.get((mime or "").partition("/")[0], "file")
    return Attachment(
        type="voice" if value.get("subtype") == "slack_audio" else kind,
        ref=optional_id(value.get("id")),
        url=text(value.get("url_private")),  # opened with the app's token, which is not part of it
        mime=mime,
        name=text(value.get("name")) or text(value.get("title")),
        size_bytes=integer(value.get("size")),
        duration_s=None if length_ms is None else length_ms / 1000,
    )


MIME_TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}


# --- blocks


def said(blocks: Any) -> str | None:
    """Return the words of blocks, a line for each text, in the syntax of Slack's own texts."""
    return "\n".join(line for line in _lines(blocks) if line) or None


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _lines(one)
    elif isinstance(value, dict):
        kind = text(value.get("type"))
        if kind in INLINE:
            yield "".join(map(_inline, items(value.get("elements"))))
        elif kind in TEXTS and isinstance(value.get("text"), str):
            yield value["text"]
        else:
            for name, one in value.items():
                if name not in UNSAID:
                    yield from _lines(one)


INLINE = frozenset({"rich_text_section", "rich_text_preformatted", "rich_text_quote"})
TEXTS = frozenset({"plain_text", "mrkdwn", "raw_text", "markdown", "text"})
UNSAID = frozenset({"placeholder", "hint", "confirm"})
"""Parts of an element that are shown only to a person who fills it in."""


def _inline(element: Json) -> str:
    kind, words = element.get("type"), text(element.get("text"))
    if kind == "link":
        url = text(element.get("url")) or ""
        return f"<{url}|{words}>" if words else f"<{url}>"
    if isinstance(kind, str) and kind in MENTIONS:
        name, begin, end = MENTIONS[kind]
        return f"{begin}{text(element.get(name)) or ''}{end}"
    return words or text(element.get("fallback")) or text(element.get("value")) or ""


MENTIONS: Mapping[str, tuple[str, str, str]] = {
    "user": ("user_id", "<@", ">"),
    "channel": ("channel_id", "<#", ">"),
    "usergroup": ("usergroup_id", "<!subteam^", ">"),
    "broadcast": ("range", "<!", ">"),
    "emoji": ("name", ":", ":"),
}


def _pictures(value: Any) -> Iterator[Attachment]:
    if isinstance(value, list):
        for one in value:
            yield from _pictures(one)
    elif isinstance(value, dict):
        kind, hosted = value.get("type"), mapping(value.get("slack_file"))
        name = text(value.get("alt_text")) or text(mapping(value.get("title")).get("text"))
        if kind == "image":
            url = text(value.get("image_url")) or text(hosted.get("url"))
            yield Attachment(type="image", ref=optional_id(hosted.get("id")), url=url, name=name)
        elif kind == "video":
            yield Attachment(type="video", url=text(value.get("video_url")), name=name)
        elif kind == "file":
            yield Attachment(type="file", ref=optional_id(value.get("external_id")))
        else:
            for one in value.values():
                yield from _pictures(one)

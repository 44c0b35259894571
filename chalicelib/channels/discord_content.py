"""The content of a Discord message: its text, embeds, components, forwards, polls and files.

Source: https://docs.discord.com/developers/resources/message, /resources/poll and /components/reference
(read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.event.event import Attachment, AttachmentType, Quote
from .fields import Json, integer, items, mapping, number, optional_id, text

FORWARD = 1  # a reference's type
VOICE_FLAG = 1 << 13
CARD = "rich"  # an embed of an app; any other shows a link of the text
TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE = 10, 11, 12, 13  # components
VOICE = "voice"


def content(message: Json) -> dict[str, Any]:
    """Return the text, attachments, quotes, ``reply_to`` and ``forwarded`` of a message, as fields of ``Message``.

    Embeds and components are the text where the message has none, and quotes where it has one.
    """
    own, embeds = text(message.get("content")), items(message.get("embeds"))
    reference, snapshots = mapping(message.get("message_reference")), items(message.get("message_snapshots"))
    forwarded = reference.get("type") == FORWARD or bool(snapshots)
    shown = [*map(_card, embeds), "\n".join(_displayed(message.get("components")))]
    said = "\n".join(filter(None, shown)) or None
    answered = mapping(message.get("referenced_message"))
    return {
        "text": own or said,
        "attachments": (*_media(message), *(found for one in snapshots for found in _media(_original(one)))),
        "quotes": (
            *(_snapshot(one, reference) for one in snapshots),
            *([quote(answered)] if answered else ()),
            *([Quote(text=said)] if own and said else ()),
        ),
        "reply_to": None if forwarded else optional_id(reference.get("message_id")),
        "forwarded": forwarded,
    }


def quote(message: Json) -> Quote:
    """Return a message that another one is about."""
    author = mapping(message.get("author"))
    return Quote(
        id=optional_id(message.get("id")),
        sender=optional_id(author.get("id")),
        name=text(author.get("global_name")) or text(author.get("username")),
        text=content({**message, "referenced_message": None})["text"],
    )


def _original(snapshot: Json) -> Json:
    return mapping(snapshot.get("message"))


def _snapshot(snapshot: Json, reference: Json) -> Quote:
    # A snapshot does not say who wrote it.
    return Quote(id=optional_id(reference.get("message_id")), text=content(_original(snapshot))["text"])


def _card(embed: Json) -> str | None:
    if embed.get("type", CARD) != CARD:
        return None
    lines = [
        text(mapping(embed.get("author")).get("name")),
        text(embed.get("title")),
        text(embed.get("description")),
        *(": ".join(filter(None, (text(f.get("name")), text(f.get("value"))))) for f in items(embed.get("fields"))),
        text(mapping(embed.get("footer")).get("text")),
    ]
    return "\n".join(filter(None, lines)) or None


def _displayed(components: Any) -> Iterator[str]:
    for component in _components(components):
        words = text(component.get("content")) if component.get("type") == TEXT_DISPLAY else None
        if words:
            yield words


def _components(value: Any) -> Iterator[Json]:
    for component in items(value):
        yield component
        yield from _components(component.get("components"))
        yield from _components(component.get("accessory"))


def _media(message: Json) -> Iterator[Attachment]:
    flags = integer(message.get("flags")) or 0
    for item in items(message.get("attachments")):
        yield file(item, spoken=bool(flags & VOICE_FLAG))
    for item in items(message.get("sticker_items")):
        yield Attachment(type="sticker", ref=optional_id(item.get("id")), name=text(item.get("name")))
    if poll := mapping(message.get("poll")):
        yield _poll(poll)
    for embed in items(message.get("embeds")):
        url, picture = text(embed.get("url")), text(mapping(embed.get("image")).get("url"))
        if embed.get("type", CARD) != CARD:
            yield Attachment(
                type="link", url=url, name=text(embed.get("title")), caption=text(embed.get("description"))
            )
        else:
            yield from (Attachment(type=kind, url=at) for kind, at in (("link", url), ("image", picture)) if at)
    for component in _components(message.get("components")):
        yield from _shown(component)


def _shown(component: Json) -> Iterator[Attachment]:
    kind = component.get("type")
    if kind == THUMBNAIL:
        yield _of_media(component, component.get("media"), "image")
    elif kind == GALLERY:
        for item in items(component.get("items")):
            yield _of_media(item, item.get("media"), "image")
    elif kind == FILE:
        yield _of_media(component, component.get("file"), "file")


def _of_media(item: Json, media: Any, usual: AttachmentType) -> Attachment:
    found = mapping(media)
    mime = text(found.get("content_type"))
    return Attachment(
        type=_type(mime) if mime else usual,
        ref=optional_id(found.get("attachment_id")),
        url=text(found.get("url")),
        mime=mime,
        name=text(item.get("name")),
        size_bytes=integer(item.get("size")),
        caption=text(item.get("description")),
    )


def _poll(poll: Json) -> Attachment:
    answers = (mapping(answer.get("poll_media")) for answer in items(poll.get("answers")))
    words = (text(a.get("text")) or text(mapping(a.get("emoji")).get("name")) for a in answers)
    title = text(mapping(poll.get("question")).get("text"))
    return Attachment(type="poll", name=title, options=tuple(filter(None, words)))


def file(item: Json, spoken: bool = False) -> Attachment:
    """Read an uploaded file."""
    mime = text(item.get("content_type"))
    return Attachment(
        type=VOICE if spoken else _type(mime),
        ref=optional_id(item.get("id")),
        url=text(item.get("url")),
        mime=mime,
        name=text(item.get("filename")),
        size_bytes=integer(item.get("size")),
        duration_s=number(item.get("duration_secs")),
        caption=text(item.get("description")),
    )


def _type(mime: str | None) -> AttachmentType:
    return MEDIA.get((mime or "").partition("/")[0], "file")


MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}

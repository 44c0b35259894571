"""What a VK message carries besides text. Media have an ``owner_id``, an ``id`` and often an ``access_key``.

Source: https://dev.vk.com/ru/reference/objects/attachments-message (version 5.199, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, AttachmentType
from .fields import Json, integer, items, joined, mapping, number, optional_id, text, word


def attachments(message: Json) -> Iterator[Attachment]:
    """Yield what a message carries, with the content of a wall post."""
    for item in items(message.get("attachments")):
        yield from _attachment(item)
    geo = mapping(message.get("geo"))
    if geo:
        point, place = mapping(geo.get("coordinates")), mapping(geo.get("place"))
        yield Attachment(
            type="location",
            latitude=number(point.get("latitude")),
            longitude=number(point.get("longitude")),
            address=text(place.get("title")),
        )
    for card in items(mapping(message.get("template")).get("elements")):
        yield Attachment(type="link", name=text(card.get("title")), caption=text(card.get("description")))


def _attachment(item: Json) -> Iterator[Attachment]:
    kind = word(item.get("type"))
    content = mapping(item.get(kind))
    if kind not in ATTACHMENTS:
        yield Attachment(type="unsupported", native_type=kind, ref=_handle(content))
        return
    yield ATTACHMENTS[kind](content)
    if kind in POSTS:
        yield from attachments(content)
        for copy in items(content.get("copy_history")):
            yield from _attachment({"type": "wall", "wall": copy})


def _largest(sizes: Any) -> str | None:
    found = [mapping(size) for size in items(sizes)]
    area = [(integer(s.get("width")) or 0) * (integer(s.get("height")) or 0) for s in found]
    return text(found[area.index(max(area))].get("url")) if found else None


def _handle(item: Json) -> str | None:
    parts = (item.get("owner_id") or item.get("from_id") or item.get("to_id"), item.get("id"), item.get("access_key"))
    return "_".join(filter(None, map(optional_id, parts))) or None


def _item(kind: AttachmentType, url: str, item: Json) -> Attachment:
    return Attachment(
        type=kind,
        ref=_handle(item),
        url=text(item.get(url)),
        name=text(item.get("title")),
        size_bytes=integer(item.get("size")),
        duration_s=number(item.get("duration")),
        caption=text(item.get("description")),
    )


def _photo(item: Json) -> Attachment:
    return Attachment(type="image", ref=_handle(item), url=_largest(item.get("sizes")), caption=text(item.get("text")))


def _voice(item: Json) -> Attachment:
    url, mime = text(item.get("link_ogg")), "audio/ogg"
    if url is None:
        url, mime = text(item.get("link_mp3")), "audio/mpeg"
    return Attachment(
        type="voice",
        ref=_handle(item),
        url=url,
        mime=mime,
        duration_s=number(item.get("duration")),
        caption=text(item.get("transcript")),
    )


def _sticker(item: Json) -> Attachment:
    return Attachment(type="sticker", ref=optional_id(item.get("sticker_id")), url=_largest(item.get("images")))


def _audio(item: Json) -> Attachment:
    found = _item("audio", "url", item)
    return found.model_copy(update={"name": joined(item.get("artist"), item.get("title"))})


def _poll(item: Json) -> Attachment:
    answers = tuple(filter(None, (text(answer.get("text")) for answer in items(item.get("answers")))))
    return Attachment(type="poll", ref=_handle(item), name=text(item.get("question")), options=answers)


def _post(item: Json) -> Attachment:
    return Attachment(type="link", ref=_handle(item), caption=text(item.get("text")))


POSTS = frozenset({"wall", "wall_reply"})
"""Attachments that carry attachments of their own."""

ATTACHMENTS: Mapping[str, Callable[[Json], Attachment]] = {
    "photo": _photo,
    "video": partial(_item, "video", ""),
    "video_message": partial(_item, "video", ""),
    "audio": _audio,
    "audio_message": _voice,
    "doc": partial(_item, "file", "url"),
    "graffiti": partial(_item, "image", "url"),
    "gift": partial(_item, "image", "thumb_256"),
    "sticker": _sticker,
    "link": partial(_item, "link", "url"),
    "wall": _post,
    "wall_reply": _post,
    "market": partial(_item, "link", ""),
    "market_album": partial(_item, "link", ""),
    "article": partial(_item, "link", "url"),
    "story": partial(_item, "link", ""),
    "poll": _poll,
}
"""From the platform's word for an attachment to its reader."""

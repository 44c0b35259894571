"""What a Telegram message carries besides text: media by ``file_id`` only, for a download address holds the bot's token.

Source: https://core.telegram.org/bots/api#message (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, AttachmentType
from .fields import Json, id_, integer, joined, listing, mapping, number, optional_id, phone, text, word


def _file(kind: AttachmentType, item: Json) -> list[Attachment]:
    return [
        Attachment(
            type=kind,
            ref=id_(item.get("file_id")),
            mime=text(item.get("mime_type")),
            name=text(item.get("file_name")) or text(item.get("title")),
            size_bytes=integer(item.get("file_size")),
            duration_s=number(item.get("duration")),
        )
    ]


def _photo(sizes: Any) -> list[Attachment]:
    found = [mapping(size) for size in listing(sizes)]
    if not found:
        return []
    largest = max(found, key=lambda s: (integer(s.get("width")) or 0) * (integer(s.get("height")) or 0))
    return _file("image", largest)


def _location(item: Json) -> list[Attachment]:
    latitude, longitude = number(item.get("latitude")), number(item.get("longitude"))
    return [Attachment(type="location", latitude=latitude, longitude=longitude)]


def _venue(item: Json) -> list[Attachment]:
    place = _location(mapping(item.get("location")))[0]
    return [place.model_copy(update={"name": text(item.get("title")), "address": text(item.get("address"))})]


def _contact(item: Json) -> list[Attachment]:
    name = joined(item.get("first_name"), item.get("last_name"))
    number_ = phone(item.get("phone_number"), international=True)
    return [Attachment(type="contact", ref=optional_id(item.get("user_id")), name=name, phone=number_)]


def _paid_media(item: Json) -> list[Attachment]:
    found: list[Attachment] = []
    for media in map(mapping, listing(item.get("paid_media"))):
        kind = word(media.get("type"))
        content = media.get(kind)
        if kind not in ("photo", "video", "live_photo") or content is None:  # a preview shows nothing before it is paid
            found.append(Attachment(type="unsupported"))
        else:
            found += ATTACHMENTS[kind](content)
    return found


def _plain(kind: AttachmentType, ref: str, name: str, item: Json) -> list[Attachment]:
    return [Attachment(type=kind, ref=optional_id(item.get(ref)), name=text(item.get(name)))]


def _of(reader: Callable[[Json], list[Attachment]]) -> Callable[[Any], list[Attachment]]:
    return lambda value: reader(mapping(value))


# In this order: an animation comes with a document, a live photo with a photo and a venue with a location besides.
ATTACHMENTS: Mapping[str, Callable[[Any], list[Attachment]]] = {
    "animation": _of(partial(_file, "video")),
    "audio": _of(partial(_file, "audio")),
    "document": _of(partial(_file, "file")),
    "live_photo": _of(partial(_file, "video")),
    "photo": _photo,
    "sticker": _of(partial(_file, "sticker")),
    "video": _of(partial(_file, "video")),
    "video_note": _of(partial(_file, "video")),
    "voice": _of(partial(_file, "voice")),
    "paid_media": _of(_paid_media),
    "venue": _of(_venue),
    "location": _of(_location),
    "contact": _of(_contact),
    "poll": _of(partial(_plain, "poll", "id", "question")),
    "checklist": _of(partial(_plain, "unsupported", "", "title")),
    "dice": _of(partial(_plain, "sticker", "", "emoji")),
    "game": _of(partial(_plain, "link", "", "title")),
    "invoice": _of(partial(_plain, "link", "", "title")),
    "story": _of(partial(_plain, "link", "id", "")),
}


def attachments(message: Json) -> tuple[Attachment, ...]:
    """Return what a message carries: at most one thing, or the items of paid media."""
    return next((tuple(read(message[name])) for name, read in ATTACHMENTS.items() if name in message), ())

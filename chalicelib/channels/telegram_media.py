"""What a Telegram message carries besides text: media by ``file_id`` only, for a download address holds the bot's token.

Source: https://core.telegram.org/bots/api#message (Bot API 10.3, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, AttachmentType
from .fields import Json, integer, items, joined, listing, mapping, number, optional_id, phone, text, word
from .telegram_rich import rich_media
from .vcard import read_card


def _file(kind: AttachmentType, item: Json) -> list[Attachment]:
    return [
        Attachment(
            type=kind,
            ref=optional_id(item.get("file_id")),
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
    number_, card = phone(item.get("phone_number"), international=True), read_card(item.get("vcard"))
    return [
        Attachment(
            type="contact",
            ref=optional_id(item.get("user_id")),
            name=joined(item.get("first_name"), item.get("last_name")),
            phone=number_,
            phones=tuple(dict.fromkeys(filter(None, (number_, *card.phones)))) if card.phones else (),
            emails=card.emails,
        )
    ]


def _paid_media(item: Json) -> list[Attachment]:
    found: list[Attachment] = []
    for media in items(item.get("paid_media")):
        kind = word(media.get("type"))
        content = media.get(kind)
        if kind not in ("photo", "video", "live_photo") or content is None:  # a preview shows nothing before it is paid
            found.append(Attachment(type="unsupported", native_type=kind))
        else:
            found += ATTACHMENTS[kind](content)
    return found


def _plain(kind: AttachmentType, ref: str, name: str, caption: str, item: Json) -> list[Attachment]:
    found = Attachment(
        type=kind, ref=optional_id(item.get(ref)), name=text(item.get(name)), caption=text(item.get(caption))
    )
    return [found]


def _poll(item: Json) -> list[Attachment]:
    question = _plain("poll", "id", "question", "description", item)[0]
    return [question.model_copy(update={"options": _texts(item.get("options"))})]


def tasks(item: Json) -> list[Attachment]:
    """Read a checklist, or the tasks that were added to one."""
    return [
        Attachment(
            type="unsupported",
            native_type="checklist",
            name=text(item.get("title")),
            options=_texts(item.get("tasks")),
        )
    ]


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(filter(None, (text(value.get("text")) for value in items(values))))


def _rich(item: Json) -> list[Attachment]:
    return [found for name, value in rich_media(item) for found in ATTACHMENTS[name](value)]


def _gift(native: str, item: Json) -> list[Attachment]:
    gift = mapping(item.get("gift"))
    name = joined(gift.get("base_name"), gift.get("number"))
    return [Attachment(type="unsupported", native_type=native, ref=optional_id(gift.get("id")), name=name)]


def _giveaway(native: str, item: Json) -> list[Attachment]:
    return [Attachment(type="unsupported", native_type=native, name=text(item.get("prize_description")))]


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
    "poll": _of(_poll),
    "checklist": _of(tasks),
    "rich_message": _of(_rich),
    "dice": _of(partial(_plain, "sticker", "", "emoji", "value")),
    "game": _of(partial(_plain, "link", "", "title", "description")),
    "invoice": _of(partial(_plain, "link", "", "title", "description")),
    "story": _of(partial(_plain, "link", "id", "", "")),
    "gift": _of(partial(_gift, "gift")),
    "unique_gift": _of(partial(_gift, "unique_gift")),
    "gift_upgrade_sent": _of(partial(_gift, "gift_upgrade_sent")),
    "giveaway": _of(partial(_giveaway, "giveaway")),
    "giveaway_winners": _of(partial(_giveaway, "giveaway_winners")),
}


def attachments(message: Json) -> tuple[Attachment, ...]:
    """Return what a message carries: at most one thing, or the items of paid media."""
    return next((tuple(read(message[name])) for name, read in ATTACHMENTS.items() if name in message), ())

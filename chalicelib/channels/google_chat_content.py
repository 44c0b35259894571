"""The content of a Google Chat message: its text, cards, files, links and quoted messages; and what was filled in.

Source: https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages,
https://developers.google.com/workspace/chat/api/reference/rest/v1/cards and
https://developers.google.com/workspace/add-ons/concepts/event-objects#common-event-object (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.event.event import Attachment, AttachmentType, FormField, Quote
from .fields import Json, compact, items, listing, mapping, optional_id, text

FORWARD = "FORWARD"


def content(message: Json) -> dict[str, Any]:
    """Return the text, attachments, quotes, ``reply_to`` and ``forwarded`` of a message, as fields of ``Message``.

    A card's words are the text of a message that has none, and a quote of one that has.
    """
    own, fallback = text(message.get("text")), text(message.get("fallbackText"))
    words = "\n".join(_shown([message.get("cardsV2"), message.get("cards")])) or None
    said = own or fallback or words
    more = [part for part in (fallback, words) if part and not all(line in (said or "") for line in part.splitlines())]
    quoted = mapping(message.get("quotedMessageMetadata"))
    forwarded, snapshot = quoted.get("quoteType") == FORWARD, mapping(quoted.get("quotedMessageSnapshot"))
    return {
        "text": said,
        "attachments": (*_files(message), *_links(message, said or ""), *(_files(snapshot) if forwarded else ())),
        "quotes": (*([_quote(quoted, snapshot)] if snapshot else ()), *(Quote(text=part) for part in more)),
        "reply_to": None if forwarded else optional_id(quoted.get("name")),
        "forwarded": forwarded,
    }


def _quote(quoted: Json, snapshot: Json) -> Quote:
    author = text(snapshot.get("sender"))
    by_id = (author or "").startswith("users/")
    return Quote(
        id=optional_id(quoted.get("name")),
        sender=optional_id(author) if by_id else None,
        name=None if by_id else author,
        text=text(snapshot.get("text")),
    )


def _shown(card: Any) -> Iterator[str]:
    if isinstance(card, list):
        for one in card:
            yield from _shown(one)
    elif isinstance(card, dict):
        for name, one in card.items():
            if name in SHOWN and isinstance(one, str) and one:
                yield one
            else:
                yield from _shown(one)


SHOWN = frozenset({"title", "subtitle", "header", "text", "topLabel", "content", "bottomLabel", "label", "description"})
"""The keys of a card whose values are shown."""


def _files(message: Json) -> Iterator[Attachment]:
    for item in (*items(message.get("attachment")), *items(message.get("attachments"))):
        mime = text(item.get("contentType"))
        data, drive = mapping(item.get("attachmentDataRef")), mapping(item.get("driveDataRef"))
        yield Attachment(
            type=MEDIA.get((mime or "").partition("/")[0], "file"),
            ref=optional_id(data.get("resourceName")) or optional_id(drive.get("driveFileId")),
            mime=mime,
            name=text(item.get("contentName")),
        )  # "downloadUri" is for people who are signed in
    for item in items(message.get("attachedGifs")):
        yield Attachment(type="image", url=text(item.get("uri")))


MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}


def _links(message: Json, said: str) -> Iterator[Attachment]:
    for item in items(message.get("annotations")):
        link = mapping(item.get("richLinkMetadata"))
        url = text(link.get("uri"))
        if url and url not in said:
            yield Attachment(
                type="link",
                url=url,
                ref=optional_id(mapping(mapping(link.get("driveLinkData")).get("driveDataRef")).get("driveFileId")),
            )


# --- what was filled in


def fields(parameters: Any, inputs: Any) -> tuple[FormField, ...]:
    """Return the parameters of a pressed button and the inputs of its form. Several values are several fields."""
    return (*_parameters(parameters), *_inputs(inputs))


def _parameters(given: Any) -> Iterator[FormField]:
    pairs = given.items() if isinstance(given, dict) else ((one.get("key"), one.get("value")) for one in items(given))
    for name, value in pairs:
        yield FormField(name=text(name), value=_value(value))


def _inputs(given: Any) -> Iterator[FormField]:
    for name, value in mapping(given).items():
        found = mapping(value)
        found = mapping(found[""]) if "" in found else found  # in Apps Script an input has one more level
        for kind, one in found.items():
            if kind == "stringInputs":
                for said in listing(mapping(one).get("value")) or [None]:
                    yield FormField(name=name, value=_value(said))
            else:  # a date or a time
                stamp = mapping(one).get("msSinceEpoch", mapping(one).get("msSinceEpochUtc"))
                yield FormField(name=name, value=_value(one if stamp is None else stamp))


def _value(value: Any) -> str | None:
    return compact(value) if isinstance(value, bool | dict | list) else text(value)

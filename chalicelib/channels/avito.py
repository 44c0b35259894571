"""Avito messenger webhooks, version 3: one message a request, about an advertisement.

Avito sends a header ``x-avito-messenger-signature`` and documents nowhere how it is made: the address is the secret.

Source: https://developers.avito.ru/api-catalog/messenger/documentation (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from ..core.errors import NotGenuine
from ..core.event.event import (
    UNSUPPORTED,
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Message,
    Quote,
    Referral,
    Sender,
)
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import (
    Json,
    instant,
    mapping,
    number,
    occurrence,
    optional_id,
    parse_json,
    seconds,
    text,
    word,
)

KIND = "avito"
CAPABILITIES = ChannelCapabilities(answer_within_s=2, url_token=True)
MESSAGE = "message"
NOBODY = (None, "0")  # Avito itself

_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})\Z")

Item = Draft | Ignored


def _as_text(value: object) -> object:
    return str(value) if type(value) is int else value


AccountId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Secret(UrlTokenSecret):
    """The address's token, and the number of the account whose messages may come, where it is to be checked."""

    account_id: Annotated[AccountId | None, BeforeValidator(_as_text), Field(repr=False)] = None


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the token in the address, and the body's account with the one declared.

    Raises:
        NotGenuine: the token is missing or wrong, or the message is of another account.
        MalformedPayload: an account was declared and the body is not what Avito sends.
    """
    verify_url_token(request, secret)
    if secret.account_id is not None:
        account = optional_id(_value(parse_json(request.body)).get("user_id"))
        if account is not None and account != secret.account_id:
            raise NotGenuine("this is about another account")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: a subscription is made without a handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def _value(hook: Json) -> Json:
    return mapping(mapping(hook.get("payload")).get("value"))


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the message. Its own id names the occurrence, with ``:deleted`` where it was deleted."""
    hook = parse_json(request.body)
    native = word(mapping(hook.get("payload")).get("type"))
    value = _value(hook)
    if native == MESSAGE:
        kind = word(value.get("type"))
        found = TYPES[kind](mapping(value.get("content"))) if kind in TYPES else _unknown(kind, value)
        yield _draft(f"{native}.{kind}", hook, value, *found)
    elif value.get("chat_id") is not None:
        yield _draft(native, hook, value, *_system(mapping(value.get("content"))))
    else:
        yield Ignored(native, "not about a conversation", raw=hook.get("payload"))


DIRECT = (None, "u2i", "u2u")
"""The kinds of chat between two people: about an advertisement, or not. It may be left out."""


def _draft(native: str, hook: Json, value: Json, kind: EventKind, about: Json) -> Item:
    author = optional_id(value.get("author_id"))
    account = optional_id(value.get("user_id"))
    own_id = optional_id(value.get("id")) or optional_id(hook.get("id"))
    deleted = kind is EventKind.MESSAGE_DELETED
    said_at = seconds(value["created"]) if "created" in value else instant(value.get("published_at"))
    item, quote = optional_id(value.get("item_id")), mapping(value.get("quote"))
    if kind is EventKind.MESSAGE and not about.get("text") and not about.get("attachments"):
        about = {**about, "attachments": (UNSUPPORTED,)}
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=_occurrence(native, hook, own_id, deleted=deleted),
        occurred_at=seconds(hook.get("timestamp")) if deleted else said_at,
        conversation=Conversation(
            id=optional_id(value.get("chat_id")), direct=True if value.get("chat_type") in DIRECT else None
        ),
        sender=None if author in NOBODY else Sender(id=author, is_self=author == account),
        message=Message(
            id=own_id,
            reply_to=optional_id(quote.get("id")),
            quotes=(_quote(quote),) if quote else (),
            referral=None if item is None else Referral(source="item", id=item),
            **about,
        ),
        raw=value or hook,
    )


def _occurrence(native: str, hook: Json, own_id: str | None, *, deleted: bool) -> str:
    if native.startswith(f"{MESSAGE}."):
        return occurrence(own_id, "deleted" if deleted else None)
    return occurrence(optional_id(hook.get("id")), native)  # its "value" may have the id of a message


def _quote(quote: Json) -> Quote:
    return Quote(
        id=optional_id(quote.get("id")),
        sender=optional_id(quote.get("author_id")),
        text=text(mapping(quote.get("content")).get("text")),
    )


# --- a reader for each type of message, of its content

Content = tuple[EventKind, dict[str, Any]]  # the kind, and the message's fields


def _unknown(native: str, value: Json) -> Content:
    found = Attachment(type="unsupported", native_type=native)
    return EventKind.MESSAGE, {"text": text(mapping(value.get("content")).get("text")), "attachments": (found,)}


def _text(content: Json) -> Content:
    return EventKind.MESSAGE, {"text": text(content.get("text"))}


def _image(content: Json) -> Content:
    sizes = mapping(mapping(content.get("image")).get("sizes"))
    largest = max(sizes, key=_area, default="")
    return EventKind.MESSAGE, {"attachments": (Attachment(type="image", url=text(sizes.get(largest))),)}


def _area(size: str) -> int:
    match = _SIZE.match(size)
    return int(match[1]) * int(match[2]) if match else 0


def _link(content: Json) -> Content:
    link = mapping(content.get("link"))
    preview = mapping(link.get("preview"))
    title, caption = text(preview.get("title")), text(preview.get("description"))
    found = Attachment(type="link", url=text(link.get("url")), name=title, caption=caption)
    return EventKind.MESSAGE, {"text": text(link.get("text")), "attachments": (found,)}


def _item(content: Json) -> Content:
    item = mapping(content.get("item"))
    price = text(item.get("price_string"))
    found = Attachment(type="link", url=text(item.get("item_url")), name=text(item.get("title")), caption=price)
    return EventKind.MESSAGE, {"attachments": (found,)}


def _location(content: Json) -> Content:
    place = mapping(content.get("location"))
    found = Attachment(
        type="location",
        latitude=number(place.get("lat")),
        longitude=number(place.get("lon")),
        name=text(place.get("title")),
        address=text(place.get("text")),
    )
    return EventKind.MESSAGE, {"attachments": (found,)}


def _media(native: str, kind: AttachmentType, content: Json) -> Content:
    # Of videos and files nothing is documented; a voice message is a handle, good for an address of an hour.
    media = mapping(content.get(native))
    handle = media.get(f"{native}_id") or media.get("id")
    found = Attachment(type=kind, ref=optional_id(handle), url=text(media.get("url")), name=text(media.get("name")))
    return EventKind.MESSAGE, {"attachments": (found,)}


def _call(native: str, content: Json) -> Content:
    return EventKind.SYSTEM, {"payload": text(mapping(content.get(native)).get("status"))}


def _system(content: Json) -> Content:
    return EventKind.SYSTEM, {"text": text(content.get("text"))}


def _deleted(content: Json) -> Content:
    return EventKind.MESSAGE_DELETED, {}


TYPES: Mapping[str, Callable[[Json], Content]] = {
    "text": _text,
    "image": _image,
    "link": _link,
    "item": _item,
    "location": _location,
    "voice": partial(_media, "voice", "voice"),
    "video": partial(_media, "video", "video"),
    "file": partial(_media, "file", "file"),
    "call": partial(_call, "call"),
    "appCall": partial(_call, "appCall"),
    "system": _system,
    "deleted": _deleted,
}
"""From Avito's word for a message to its reader."""

"""LINE Messaging API webhooks: signed batches of events.

Source: https://developers.line.biz/en/reference/messaging-api/#webhooks (read 2026-11-22).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.errors import NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    id_,
    integer,
    listing,
    mapping,
    millis,
    number,
    optional_id,
    parse_json,
    same,
    text,
    word,
)

KIND = "line"
CAPABILITIES = ChannelCapabilities(answer_within_s=2)
HEADER = "x-line-signature"

Item = Draft | Ignored


class Secret(base.Secret):
    """The channel secret, with which LINE signs."""

    channel_secret: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over the raw bytes.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    digest = hmac.digest(secret.channel_secret.encode(), request.body, "sha256")
    if not same(request.headers.get(HEADER), base64.b64encode(digest).decode()):
        raise NotGenuine("the signature is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: the console's Verify button sends a batch of no events."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events of the batch. ``webhookEventId`` names the occurrence, again when it is sent again."""
    document = parse_json(request.body)
    for event in map(mapping, listing(document.get("events"))):
        native = word(event.get("type"))
        if native in EVENTS:
            yield EVENTS[native](native, event, document)
        else:
            yield Ignored(native, "not about a conversation")


def _draft(kind: EventKind, native: str, event: Json, **rest: Any) -> Draft:
    source = mapping(event.get("source"))
    # In groups a person who has not consented has no id.
    person = optional_id(source.get("userId"))
    chat = id_(source.get("groupId") or source.get("roomId") or person)
    own_id = optional_id(event.get("webhookEventId"))  # absent in older versions
    about = rest.get("message")
    when = f"{native}:{chat}:{id_(event.get('timestamp'))}"
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=own_id or (about.id if kind is EventKind.MESSAGE and about else None) or when,
        occurred_at=millis(event.get("timestamp")),
        conversation=Conversation(id=chat, direct=chat == person),
        sender=Sender(id=person) if person else None,
        raw=event,
        **rest,
    )


# --- messages


def _message(kind: EventKind, native: str, event: Json, document: Json) -> Item:
    content = mapping(event.get("message"))
    form = word(content.get("type"))
    if form not in TYPES:
        return Ignored(f"{native}.{form}", "a type of message that is not known")
    about = Message(
        id=id_(content.get("id")),
        text=text(content.get("text")),  # of a sticker: what was written on it
        attachments=TYPES[form](content),
        reply_to=optional_id(content.get("quotedMessageId")),
        edited_at=millis(event.get("timestamp")) if kind is EventKind.MESSAGE_EDITED else None,
    )
    return _draft(kind, native, event, message=about)


def _media(kind: AttachmentType, content: Json) -> tuple[Attachment, ...]:
    # LINE keeps the content, under the message's id; it is elsewhere if a bot of ours had sent it for the person.
    length_ms = number(content.get("duration"))
    found = Attachment(
        type=kind,
        ref=id_(content.get("id")),
        url=text(mapping(content.get("contentProvider")).get("originalContentUrl")),
        name=text(content.get("fileName")),
        size_bytes=integer(content.get("fileSize")),
        duration_s=None if length_ms is None else length_ms / 1000,
    )
    return (found,)


def _location(content: Json) -> tuple[Attachment, ...]:
    found = Attachment(
        type="location",
        latitude=number(content.get("latitude")),
        longitude=number(content.get("longitude")),
        name=text(content.get("title")),
        address=text(content.get("address")),
    )
    return (found,)


def _sticker(content: Json) -> tuple[Attachment, ...]:
    return (Attachment(type="sticker", ref=f"{id_(content.get('packageId'))}/{id_(content.get('stickerId'))}"),)


def _nothing(content: Json) -> tuple[Attachment, ...]:
    return ()


TYPES: Mapping[str, Callable[[Json], tuple[Attachment, ...]]] = {
    "text": _nothing,
    "image": partial(_media, "image"),
    "video": partial(_media, "video"),
    "audio": partial(_media, "audio"),
    "file": partial(_media, "file"),
    "location": _location,
    "sticker": _sticker,
}


def _unsent(native: str, event: Json, document: Json) -> Item:
    about = Message(id=id_(mapping(event.get("unsend")).get("messageId")))
    return _draft(EventKind.MESSAGE_DELETED, native, event, message=about)


def _postback(native: str, event: Json, document: Json) -> Item:
    # What was picked in a date picker or a rich menu ("params") is in raw.
    about = Message(payload=text(mapping(event.get("postback")).get("data")))
    return _draft(EventKind.POSTBACK, native, event, message=about)


def _delivered(native: str, event: Json, document: Json) -> Item:
    tag = text(mapping(event.get("delivery")).get("data"))  # what our notification was marked with
    return _draft(EventKind.STATUS, native, event, message=Message(status="delivered", payload=tag))


# --- people


def _friend(kind: EventKind, native: str, event: Json, document: Json) -> Item:
    person = id_(mapping(event.get("source")).get("userId"))
    return _draft(kind, native, event, members=(Member(id=person),))


def _account(kind: EventKind, native: str, event: Json, document: Json) -> Item:
    own = optional_id(document.get("destination"))  # the account itself came or went
    return _draft(kind, native, event, members=(Member(id=own),) if own else ())


def _people(kind: EventKind, key: str, native: str, event: Json, document: Json) -> Item:
    people = map(mapping, listing(mapping(event.get(key)).get("members")))
    return _draft(kind, native, event, members=tuple(Member(id=id_(person.get("userId"))) for person in people))


EVENTS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message": partial(_message, EventKind.MESSAGE),
    "messageEdited": partial(_message, EventKind.MESSAGE_EDITED),
    "unsend": _unsent,
    "postback": _postback,
    "delivery": _delivered,
    "follow": partial(_friend, EventKind.MEMBER_JOINED),
    "unfollow": partial(_friend, EventKind.MEMBER_LEFT),
    "join": partial(_account, EventKind.MEMBER_JOINED),
    "leave": partial(_account, EventKind.MEMBER_LEFT),
    "memberJoined": partial(_people, EventKind.MEMBER_JOINED, "joined"),
    "memberLeft": partial(_people, EventKind.MEMBER_LEFT, "left"),
}
"""From LINE's word for an event to its reader. Beacons, played videos, linked accounts, paid memberships and what
happens to modules are ignored."""

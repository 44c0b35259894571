"""LINE Messaging API webhooks: signed batches of events.

Source: https://developers.line.biz/en/reference/messaging-api/#webhooks and https://github.com/line/line-openapi
(webhook.yml, read 2026-12-01).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from ..core.errors import NotGenuine
from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    FormField,
    Member,
    Message,
    Sender,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    integer,
    items,
    mapping,
    millis,
    number,
    occurrence,
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
    for event in items(document.get("events")):
        native = word(event.get("type"))
        if _is_test(event):
            yield Ignored(f"{native}.test", "a try from LINE's console", raw=event)
        elif native in EVENTS:
            yield EVENTS[native](native, event, document)
        elif native not in IGNORED and mapping(event.get("source")):
            yield _noted(native, event)
        else:
            yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=event)


_TEST_TOKEN = re.compile(r"(?:0{32}|f{32})\Z")
_TEST_PERSON = re.compile(r"U(?:deadbeef)+\Z")


def _is_test(event: Json) -> bool:
    """Whether the console's Verify button made the event: older consoles send made-up messages."""
    token, person = text(event.get("replyToken")), text(mapping(event.get("source")).get("userId"))
    return bool(_TEST_TOKEN.match(token or "") or _TEST_PERSON.match(person or ""))


def _draft(kind: EventKind, native: str, event: Json, **rest: Any) -> Draft:
    source = mapping(event.get("source"))
    # In groups a person who has not consented has no id.
    person = optional_id(source.get("userId"))
    chat = optional_id(source.get("groupId") or source.get("roomId")) or person
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=optional_id(event.get("webhookEventId")) or _occurrence(kind, native, event, chat, rest),
        occurred_at=millis(event.get("timestamp")),
        conversation=Conversation(id=chat, direct=None if chat is None else chat == person),
        sender=Sender(id=person) if person else None,
        standby=event.get("mode") == "standby",
        raw=event,
        **rest,
    )


ONCE = frozenset({"follow", "unfollow", "join", "leave"})
"""Events that a chat has at most once at a time."""


def _occurrence(kind: EventKind, native: str, event: Json, chat: str | None, rest: Mapping[str, Any]) -> str:
    # Older versions have no id of the event, and are not sent again.
    at = optional_id(event.get("timestamp"))
    if kind is EventKind.MESSAGE:
        return rest["message"].id or ""
    return occurrence(native, chat, at) if native in ONCE and chat and at else ""


# --- messages


def _message(kind: EventKind, native: str, event: Json, document: Json) -> Item:
    content = mapping(event.get("message"))
    form = word(content.get("type"))
    known = form in TYPES
    about = Message(
        id=optional_id(content.get("id")),
        text=text(content.get("text")),  # of a sticker: what was written on it
        attachments=TYPES[form](content) if known else (Attachment(type="unsupported", native_type=form),),
        reply_to=optional_id(content.get("quotedMessageId")),
        edited_at=millis(event.get("timestamp")) if kind is EventKind.MESSAGE_EDITED else None,
        group_id=optional_id(mapping(content.get("imageSet")).get("id")),
    )
    return _draft(kind, native if known else f"{native}.{form}", event, message=about)


def _media(kind: AttachmentType, content: Json) -> tuple[Attachment, ...]:
    # LINE keeps the content, under the message's id; it is elsewhere if a bot of ours had sent it for the person.
    length_ms = number(content.get("duration"))
    found = Attachment(
        type=kind,
        ref=optional_id(content.get("id")),
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
    parts = (optional_id(content.get("packageId")), optional_id(content.get("stickerId")))
    return (Attachment(type="sticker", ref="/".join(filter(None, parts)) or None),)


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
    about = Message(id=optional_id(mapping(event.get("unsend")).get("messageId")))
    return _draft(EventKind.MESSAGE_DELETED, native, event, message=about)


def _postback(native: str, event: Json, document: Json) -> Item:
    pressed = mapping(event.get("postback"))
    # What was picked in a date picker, or the rich menu that was switched to.
    picked = mapping(pressed.get("params")).items()
    fields = tuple(FormField(name=name, value=text(value)) for name, value in picked if text(value))
    return _draft(EventKind.POSTBACK, native, event, message=Message(payload=text(pressed.get("data")), fields=fields))


def _delivered(native: str, event: Json, document: Json) -> Item:
    tag = text(mapping(event.get("delivery")).get("data"))  # what our notification was marked with
    return _draft(EventKind.STATUS, native, event, message=Message(status="delivered", payload=tag))


def _noted(native: str, event: Json) -> Item:
    # Of an event that is not known, the words that all events share are read.
    content = mapping(event.get("message"))
    about = Message(id=optional_id(content.get("id")), text=text(content.get("text")))
    return _draft(EventKind.SYSTEM, native, event, message=None if about == Message() else about)


# --- people


def _members(*ids: Any) -> tuple[Member, ...]:
    return tuple(Member(id=found) for found in map(optional_id, ids) if found)


def _friend(kind: EventKind, state: Literal["given", "withdrawn"], native: str, event: Json, document: Json) -> Item:
    person = mapping(event.get("source")).get("userId")
    return _draft(kind, native, event, members=_members(person), consent=EventConsent(state=state))


def _account(kind: EventKind, native: str, event: Json, document: Json) -> Item:
    return _draft(kind, native, event, members=_members(document.get("destination")))  # the account itself came or went


def _people(kind: EventKind, key: str, native: str, event: Json, document: Json) -> Item:
    people = items(mapping(event.get(key)).get("members"))
    return _draft(kind, native, event, members=_members(*(person.get("userId") for person in people)))


EVENTS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message": partial(_message, EventKind.MESSAGE),
    "messageEdited": partial(_message, EventKind.MESSAGE_EDITED),
    "unsend": _unsent,
    "postback": _postback,
    "delivery": _delivered,
    "follow": partial(_friend, EventKind.MEMBER_JOINED, "given"),
    "unfollow": partial(_friend, EventKind.MEMBER_LEFT, "withdrawn"),
    "join": partial(_account, EventKind.MEMBER_JOINED),
    "leave": partial(_account, EventKind.MEMBER_LEFT),
    "memberJoined": partial(_people, EventKind.MEMBER_JOINED, "joined"),
    "memberLeft": partial(_people, EventKind.MEMBER_LEFT, "left"),
}
"""From LINE's word for an event to its reader."""
IGNORED: Mapping[str, str] = {
    "beacon": "the phone reports it by itself",
    "videoPlayComplete": "a video of ours was watched to its end",
    "things": "a device reports it",
    "accountLink": "an account of another service was linked",
    "membership": "a paid membership",
    **dict.fromkeys(("module", "activated", "deactivated", "botSuspended", "botResumed"), "about the account"),
}
"""Why events that are no messages are left out."""

"""What Messenger and Instagram have in common: the events of one person's conversation with an account.

Source: https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events and
https://developers.facebook.com/documentation/instagram-platform/webhooks/examples (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from .base import Ignored, Inbound
from .fields import Json, id_, integer, listing, mapping, millis, number, optional_id, seconds, text, word
from .meta import entries

SECONDS_BELOW = 10**11  # as milliseconds this is 1973: what is less are seconds

Item = Draft | Ignored


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where an event happened: the person, who of the two acted, and when. ``stamp`` is the time as it was given."""

    native: str
    person: str
    actor: str | None
    is_self: bool
    at: datetime | None
    stamp: str
    raw: Json


def events(request: Inbound, document_object: str) -> Iterator[Item]:
    """Yield the events of all entries."""
    for entry, foreign in entries(request, document_object):
        if foreign is not None:
            yield Ignored(foreign, "another product's object")
            return
        account = optional_id(entry.get("id"))
        for event in listing(entry.get("messaging")):
            yield from _event(account, mapping(event))
        for _ in listing(entry.get("standby")):
            yield Ignored("standby", "another app has the conversation")
        for change in map(mapping, listing(entry.get("changes"))):
            field = word(change.get("field"))
            if field in CHANGES:
                yield from _event(account, mapping(change.get("value")))
            else:
                yield Ignored(field, "not about a conversation")


CHANGES = frozenset(
    {
        *("messages", "message_edit", "message_edits", "message_reactions", "message_reads", "messaging_seen"),
        *("message_deliveries", "messaging_postbacks", "messaging_referral", "messaging_referrals", "messaging_optins"),
    }
)
"""Fields whose test, sent from the App Dashboard, wraps an event of ``messaging`` into a change."""

FRAME = frozenset({"sender", "recipient", "timestamp"})


def _event(account: str | None, event: Json) -> Iterator[Item]:
    native = next((name for name in EVENTS if event.get(name) is not None), None)
    if native is None:
        yield Ignored(next((word(name) for name in event if name not in FRAME), "unknown"), "not about a conversation")
        return
    content = mapping(event[native])
    sender = optional_id(mapping(event.get("sender")).get("id"))
    is_self = content.get("is_echo") is True or (sender is not None and sender == account)
    # Whoever ticks a checkbox on a site is known by a reference until they write.
    person = mapping(event.get("recipient")).get("id") if is_self else sender or content.get("user_ref")
    given = event.get("timestamp", content.get("watermark"))
    place = EventPlace(
        native=native,
        person=id_(person),
        actor=sender or optional_id(person),
        is_self=is_self,
        at=None if given is None else _time(given),
        stamp=optional_id(given) or "",
        raw=event,
    )
    yield from EVENTS[native](place, content)


def _time(value: Any) -> datetime | None:
    # Milliseconds; the dashboard's tests are in seconds.
    number = integer(value)
    return seconds(value) if number is not None and number < SECONDS_BELOW else millis(value)


def _draft(kind: EventKind, place: EventPlace, dedupe_id: str, message: Message) -> Draft:
    return Draft(
        kind=kind,
        native_kind=place.native,
        dedupe_id=dedupe_id,
        occurred_at=place.at,
        conversation=Conversation(id=place.person, direct=True),
        sender=Sender(id=place.actor, is_self=place.is_self),
        message=message,
        raw=place.raw,
    )


# --- messages


def _message(place: EventPlace, content: Json) -> Iterator[Item]:
    about = id_(content.get("mid"))
    if content.get("is_deleted") is True:
        yield _draft(EventKind.MESSAGE_DELETED, place, f"{about}:deleted", Message(id=about))
        return
    reply = mapping(content.get("reply_to"))
    command = next(map(mapping, listing(content.get("commands"))), {})
    pressed = text(mapping(content.get("quick_reply")).get("payload")) or text(command.get("name"))
    message = Message(
        id=about,
        text=text(content.get("text")),
        attachments=tuple(_attachments(content)),
        reply_to=optional_id(reply.get("mid") or mapping(reply.get("story")).get("id")),
        payload=pressed or _referral(mapping(content.get("referral"))),
    )
    yield _draft(EventKind.POSTBACK if pressed else EventKind.MESSAGE, place, about, message)


def _attachments(content: Json) -> Iterator[Attachment]:
    if content.get("is_unsupported") is True:
        yield Attachment(type="unsupported")
    for item in map(mapping, listing(content.get("attachments"))):
        kind, payload = word(item.get("type")), mapping(item.get("payload"))
        sticker, point = optional_id(payload.get("sticker_id")), mapping(payload.get("coordinates"))
        yield Attachment(
            type="sticker" if sticker else ATTACHMENTS.get(kind, "unsupported"),  # a sticker comes as an image
            ref=sticker or optional_id(payload.get("reel_video_id") or payload.get("ig_post_media_id")),
            url=text(payload.get("url")) or text(item.get("url")),
            name=text(payload.get("title")) or text(item.get("title")),
            latitude=number(point.get("lat")) if kind == "location" else None,
            longitude=number(point.get("long")) if kind == "location" else None,
        )


ATTACHMENTS: Mapping[str, AttachmentType] = {
    "image": "image",
    "animated_image": "image",
    "video": "video",
    "audio": "audio",
    "file": "file",
    "location": "location",
    "sticker": "sticker",
    "like_heart": "sticker",
    "fallback": "link",
    "share": "link",
    "media_share": "link",
    "post": "link",
    "ig_post": "link",
    "reel": "link",
    "ig_reel": "link",
    "story_mention": "link",
    "ig_story": "link",
}
"""Templates and media that vanish are ``unsupported``."""


def _edit(place: EventPlace, content: Json) -> Iterator[Item]:
    about = id_(content.get("mid"))
    message = Message(id=about, text=text(content.get("text")), edited_at=place.at)
    yield _draft(EventKind.MESSAGE_EDITED, place, f"{about}:edited:{place.stamp}", message)


def _reaction(place: EventPlace, content: Json) -> Iterator[Item]:
    about, emoji = id_(content.get("mid")), None
    if content.get("action") != "unreact":
        emoji = text(content.get("emoji")) or text(content.get("reaction"))
    message = Message(id=about, emoji=(emoji,) if emoji else (), emoji_action="set")  # a person has one
    yield _draft(EventKind.REACTION, place, f"{about}:reaction:{place.actor}:{place.stamp}", message)


# --- presses


def _referral(content: Json) -> str | None:
    return text(content.get("ref")) or optional_id(content.get("ad_id"))


def _postback(place: EventPlace, content: Json) -> Iterator[Item]:
    about = optional_id(content.get("mid"))  # absent in older versions
    payload = text(content.get("payload")) or _referral(mapping(content.get("referral")))
    message = Message(id=about, text=text(content.get("title")), payload=payload)
    yield _draft(EventKind.POSTBACK, place, about or f"{place.actor}:{place.stamp}", message)


def _opened(place: EventPlace, content: Json) -> Iterator[Item]:
    # An opt-in's token for sending stays out: it is a credential of the account.
    payload = _referral(content) or text(content.get("payload"))
    message = Message(text=text(content.get("title")), payload=payload)
    yield _draft(EventKind.POSTBACK, place, f"{place.actor}:{place.native}:{place.stamp}", message)


# --- receipts


def _delivery(place: EventPlace, content: Json) -> Iterator[Item]:
    mids = [id_(mid) for mid in listing(content.get("mids"))]
    for mid in mids:
        yield _draft(EventKind.STATUS, place, f"{mid}:delivered", Message(id=mid, status="delivered"))
    if not mids:  # then everything up to the watermark
        mark = id_(content.get("watermark"))
        yield _draft(EventKind.STATUS, place, f"{place.actor}:delivered:{mark}", Message(status="delivered"))


def _read(place: EventPlace, content: Json) -> Iterator[Item]:
    mid = optional_id(content.get("mid"))  # Instagram's; Messenger tells up to when
    mark = mid or id_(content.get("watermark"))
    yield _draft(EventKind.STATUS, place, f"{place.actor}:read:{mark}", Message(id=mid, status="read"))


EVENTS: Mapping[str, Callable[[EventPlace, Json], Iterator[Item]]] = {
    "message": _message,
    "postback": _postback,
    "message_edit": _edit,
    "reaction": _reaction,
    "referral": _opened,
    "optin": _opened,
    "delivery": _delivery,
    "read": _read,
}
"""From the platform's word for an event to its reader. Account linking, handovers, policies and feedback are ignored."""

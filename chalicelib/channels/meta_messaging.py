"""What Messenger and Instagram have in common: the events of one person's conversation with an account.

Source: https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events and
https://developers.facebook.com/documentation/instagram-platform/webhooks/examples (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..core.event.event import Conversation, Draft, EventConsent, EventKind, FormField, Message, Referral, Sender
from .base import Ignored, Inbound
from .fields import Json, integer, items, listing, mapping, millis, occurrence, optional_id, seconds, text, word
from .meta import entries
from .meta_attachments import attachments_of
from .people import other_ids

SECONDS_BELOW = 10**11  # as milliseconds this is 1973: what is less are seconds

Item = Draft | Ignored


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where an event happened: the person, who of the two acted, and when. ``stamp`` is the time as it was given."""

    native: str
    person: str | None
    actor: str | None
    is_self: bool
    at: datetime | None
    stamp: str | None
    standby: bool
    raw: Json


def events(request: Inbound, document_object: str) -> Iterator[Item]:
    """Yield the events of all entries."""
    for entry, foreign in entries(request, document_object):
        if foreign is not None:
            yield Ignored(foreign, "another product's object", entry)
            return
        account = optional_id(entry.get("id"))
        for event in items(entry.get("messaging")):
            yield from _event(account, event)
        for event in items(entry.get("standby")):
            yield from _event(account, event, standby=True)
        for change in items(entry.get("changes")):
            field = word(change.get("field"))
            if field in CHANGES:
                yield from _event(account, mapping(change.get("value")), standby=field == "standby")
            else:
                yield Ignored(field, "not about a conversation", change)


CHANGES = frozenset(
    {
        *("messages", "message_echoes", "message_edit", "message_edits", "message_reactions", "message_reads"),
        *("messaging_seen", "message_deliveries", "messaging_postbacks", "messaging_referral", "messaging_referrals"),
        *("messaging_optins", "messaging_handover", "messaging_handovers", "messaging_feedback", "standby"),
        *("messaging_account_linking",),
    }
)
"""Fields whose test, sent from the App Dashboard, wraps an event of ``messaging`` into a change."""

FRAME = frozenset({"sender", "recipient", "timestamp", "prior_message", "hop_context"})
NOTICES = frozenset({"policy_enforcement", "policy-enforcement", "app_roles"})
"""Notices to the account, of no conversation."""


def _event(account: str | None, event: Json, standby: bool = False) -> Iterator[Item]:
    native = next((name for name in EVENTS if event.get(name) is not None), None)
    read = EVENTS[native] if native else _other
    native = native or next((word(name) for name in event if name not in FRAME), "unknown")
    content = mapping(event.get(native))
    sender = optional_id(mapping(event.get("sender")).get("id"))
    is_self = content.get("is_echo") is True or (sender is not None and sender == account)
    other = optional_id(mapping(event.get("recipient")).get("id"))
    # A person who ticks a checkbox on a site is known by a reference until they write.
    person = other if is_self else sender or optional_id(content.get("user_ref"))
    given = event.get("timestamp", content.get("watermark"))
    place = EventPlace(
        native=native,
        person=person,
        actor=sender or person,
        is_self=is_self,
        at=_time(given),
        stamp=optional_id(given),
        standby=standby,
        raw=event,
    )
    yield from read(place, content)


def _time(value: Any) -> datetime | None:
    # Milliseconds; the dashboard's tests are in seconds.
    number = integer(value)
    return seconds(value) if number is not None and number < SECONDS_BELOW else millis(value)


def _draft(kind: EventKind, place: EventPlace, dedupe_id: str, message: Message | None, **rest: Any) -> Draft:
    prior = mapping(place.raw.get("prior_message"))  # tells the reference that a person had before they wrote
    return Draft(
        kind=kind,
        native_kind=place.native,
        dedupe_id=dedupe_id,
        occurred_at=place.at,
        conversation=Conversation(id=place.person, direct=True),
        sender=Sender(id=place.actor, is_self=place.is_self, alt_ids=other_ids(place.actor, prior.get("identifier"))),
        message=message,
        standby=place.standby,
        raw=place.raw,
        **rest,
    )


def _other(place: EventPlace, content: Json) -> Iterator[Item]:
    """Keep an event that is not known, if it names a person: a handover, a linked account."""
    if place.person is None or place.native in NOTICES:
        yield Ignored(place.native, "not about a conversation", place.raw)
    else:
        yield _draft(EventKind.SYSTEM, place, "", None)


# --- messages


def _message(place: EventPlace, content: Json) -> Iterator[Item]:
    about = optional_id(content.get("mid"))
    if content.get("is_deleted") is True:
        yield _draft(EventKind.MESSAGE_DELETED, place, occurrence(about, "deleted"), Message(id=about))
        return
    reply = mapping(content.get("reply_to"))
    story = mapping(reply.get("story"))
    command = next(iter(items(content.get("commands"))), {})
    pressed = text(mapping(content.get("quick_reply")).get("payload")) or text(command.get("name"))
    referral = mapping(content.get("referral"))
    message = Message(
        id=about,
        text=text(content.get("text")),
        attachments=tuple(attachments_of(content)),
        reply_to=optional_id(reply.get("mid")) or optional_id(story.get("id")),
        payload=pressed or _reference(referral),
        referral=_referral(referral) or _story(story),
    )
    yield _draft(EventKind.POSTBACK if pressed else EventKind.MESSAGE, place, about or "", message)


def _edit(place: EventPlace, content: Json) -> Iterator[Item]:
    about, said, edits = optional_id(content.get("mid")), text(content.get("text")), integer(content.get("num_edit"))
    if edits == 0 and said is None:  # Instagram sends one beside a new message, and names no person
        yield Ignored(place.native, "nothing was edited yet", place.raw)
        return
    message = Message(id=about, text=said, edited_at=place.at)
    yield _draft(EventKind.MESSAGE_EDITED, place, _stamped(place, about, "edited"), message)


def _reaction(place: EventPlace, content: Json) -> Iterator[Item]:
    about, emoji = optional_id(content.get("mid")), None
    if content.get("action") != "unreact":
        emoji = text(content.get("emoji")) or text(content.get("reaction"))
    message = Message(id=about, emoji=(emoji,) if emoji else (), emoji_action="set")  # a person has one
    yield _draft(EventKind.REACTION, place, _stamped(place, about, "reaction", place.actor), message)


def _stamped(place: EventPlace, about: str | None, *parts: str | None) -> str:
    # Without its time, only the content tells an edit or a reaction from the next one.
    return occurrence(about, *parts, place.stamp) if place.stamp is not None and None not in parts else ""


# --- presses


def _reference(content: Json) -> str | None:
    return text(content.get("ref")) or optional_id(content.get("ad_id"))


def _referral(content: Json) -> Referral | None:
    if not content:
        return None
    context, product = mapping(content.get("ads_context_data")), mapping(content.get("product"))
    return Referral(
        source=text(content.get("source")) or ("product" if product else text(content.get("type"))),
        id=optional_id(content.get("ad_id")) or optional_id(product.get("id")),
        url=text(content.get("referer_uri")),
        title=text(context.get("ad_title")),
        payload=text(content.get("ref")),
    )


def _story(content: Json) -> Referral | None:
    """Return the story that a message answers. Its address is valid for a day at most."""
    if not content:
        return None
    return Referral(source="story", id=optional_id(content.get("id")), url=text(content.get("url")))


def _postback(place: EventPlace, content: Json) -> Iterator[Item]:
    about = optional_id(content.get("mid"))  # absent in older versions
    referral = mapping(content.get("referral"))
    payload = text(content.get("payload")) or _reference(referral)
    message = Message(id=about, text=text(content.get("title")), payload=payload, referral=_referral(referral))
    yield _draft(EventKind.POSTBACK, place, about or "", message)


def _opened(place: EventPlace, content: Json) -> Iterator[Item]:
    payload = _reference(content)
    yield _draft(EventKind.POSTBACK, place, "", Message(payload=payload, referral=_referral(content)))


def _optin(place: EventPlace, content: Json) -> Iterator[Item]:
    # The token for sending stays out: it is a credential of the account.
    title, asked = text(content.get("title")), text(content.get("notification_messages_status")) or ""
    act = NOTIFICATIONS.get(asked.partition(" ")[0].partition("_")[0].upper())
    kind = EventKind.CONSENT_CHANGED if act else EventKind.POSTBACK
    message = Message(text=title, payload=_reference(content) or text(content.get("payload")))
    consent = EventConsent(state=act or "given", topic=title or text(content.get("type")))
    yield _draft(kind, place, "", message, consent=consent)


NOTIFICATIONS: Mapping[str, Literal["given", "withdrawn"]] = {"STOP": "withdrawn", "RESUME": "given"}
"""From the first word of ``STOP NOTIFICATIONS`` and ``RESUME NOTIFICATIONS``."""


def _feedback(place: EventPlace, content: Json) -> Iterator[Item]:
    answers = []
    for screen in items(content.get("feedback_screens")):
        for name, answer in mapping(screen.get("questions")).items():
            given = mapping(answer)
            answers.append(FormField(name=name, value=text(given.get("payload"))))
            further = text(mapping(given.get("follow_up")).get("payload"))
            if further is not None:
                answers.append(FormField(name=f"{name}.follow_up", value=further))
    yield _draft(EventKind.POSTBACK, place, "", Message(fields=tuple(answers)))


# --- receipts


def _delivery(place: EventPlace, content: Json) -> Iterator[Item]:
    mids = [mid for mid in map(optional_id, listing(content.get("mids"))) if mid]
    for mid in mids:
        message = Message(id=mid, status="delivered")
        yield _draft(EventKind.STATUS, place, occurrence(mid, "delivered"), message)
    if not mids:  # then everything up to the watermark
        yield _draft(EventKind.STATUS, place, _marked(place, content, "delivered"), Message(status="delivered"))


def _read(place: EventPlace, content: Json) -> Iterator[Item]:
    mid = optional_id(content.get("mid"))  # Instagram's; Messenger tells up to when
    yield _draft(EventKind.STATUS, place, _marked(place, content, "read", mid), Message(id=mid, status="read"))


def _marked(place: EventPlace, content: Json, status: str, mid: str | None = None) -> str:
    mark = mid or optional_id(content.get("watermark"))
    return occurrence(place.actor, status, mark) if mark else ""


EVENTS: Mapping[str, Callable[[EventPlace, Json], Iterator[Item]]] = {
    "message": _message,
    "postback": _postback,
    "message_edit": _edit,
    "reaction": _reaction,
    "referral": _opened,
    "optin": _optin,
    "messaging_feedback": _feedback,
    "delivery": _delivery,
    "read": _read,
}
"""From the platform's word for an event to its reader. Any other one that names a person is kept by ``_other``."""

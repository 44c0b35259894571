"""What Telegram's service messages tell: who came or went, and what was shared, paid, pinned or changed.

Source: https://core.telegram.org/bots/api#message (Bot API 10.3, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..core.event.event import Attachment, EventConsent, EventKind, FormField, Member, Quote
from .fields import Json, items, joined, listing, mapping, optional_id, text
from .telegram_media import tasks
from .telegram_people import as_members

WORDS = ("text", "comment", "caption", "option_text", "message")
"""Where an object that the channel does not know may hold a text of a person."""


class ServiceMessage(NamedTuple):
    """What a service message tells beside the fields of every message."""

    kind: EventKind
    payload: str | None = None
    text: str | None = None
    members: tuple[Member, ...] = ()
    fields: tuple[FormField, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    quotes: tuple[Quote, ...] = ()
    reply_to: str | None = None
    title: str | None = None
    successor: str | None = None
    consent: EventConsent | None = None


def words_of(value: Any) -> str | None:
    """Return the text in an object of a kind that is not known, if it has one."""
    if isinstance(value, str):
        return text(value)
    inner = mapping(value)
    return next(filter(None, (text(inner.get(name)) for name in WORDS)), None)


def filled(value: Any, prefix: str = "") -> Iterator[FormField]:
    """Yield the fields that a person filled in: an order's name, number and address."""
    for name, inner in mapping(value).items():
        if isinstance(inner, dict):
            yield from filled(inner, f"{prefix}{name}.")
        elif text(inner):
            yield FormField(name=f"{prefix}{name}", value=text(inner))


def order(content: Json) -> tuple[FormField, ...]:
    """Return what a person filled in for an order."""
    return (*filled(content.get("order_info")), *filled(content.get("shipping_address"), "shipping_address."))


def _updated(value: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.CONVERSATION_UPDATED)


def _noted(value: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.SYSTEM, text=words_of(value), reply_to=_about(value))


def _about(value: Any) -> str | None:
    """Return the message that a service message is about: ``poll_message``, ``checklist_message`` and the like."""
    named = (inner for name, inner in mapping(value).items() if name.endswith("_message"))
    return next(filter(None, (optional_id(mapping(inner).get("message_id")) for inner in named)), None)


def _joined(users: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(
        EventKind.MEMBER_JOINED, members=tuple(one for user in listing(users) for one in as_members(user))
    )


def _left(user: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.MEMBER_LEFT, members=as_members(user))


def _allowed(value: Any, message: Json) -> ServiceMessage:
    given = EventConsent(state="given", topic=text(mapping(value).get("web_app_name")))
    return ServiceMessage(EventKind.MEMBER_JOINED, members=as_members(message.get("from")), consent=given)


def _paid(value: Any, message: Json) -> ServiceMessage:
    paid = mapping(value)
    return ServiceMessage(EventKind.SYSTEM, payload=text(paid.get("invoice_payload")), fields=order(paid))


def _web_app(value: Any, message: Json) -> ServiceMessage:
    data = mapping(value)
    return ServiceMessage(EventKind.POSTBACK, payload=text(data.get("data")), text=text(data.get("button_text")))


def _shared(value: Any, message: Json) -> ServiceMessage:
    # Before Bot API 7.2 the people were bare ids ("user_ids"), before 7.0 a single one.
    shared = mapping(value)
    people = [*items(shared.get("users")), *({"user_id": one} for one in listing(shared.get("user_ids")))]
    people = people or [shared]
    return ServiceMessage(
        EventKind.POSTBACK,
        payload=optional_id(shared.get("request_id")),
        fields=tuple(
            FormField(name=name, value=optional_id(one[name]))
            for one in people
            for name in ("user_id", "chat_id", "username", "title")
            if optional_id(one.get(name))
        ),
        attachments=tuple(
            Attachment(type="contact", ref=ref, name=joined(one.get("first_name"), one.get("last_name")))
            for one in people
            if (ref := optional_id(one.get("user_id")))
        ),
    )


def _pinned(value: Any, message: Json) -> ServiceMessage:
    pinned = mapping(value)
    quote = Quote(id=optional_id(pinned.get("message_id")), text=words_of(pinned))
    return ServiceMessage(EventKind.CONVERSATION_UPDATED, quotes=() if quote == Quote() else (quote,))


def _titled(value: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.CONVERSATION_UPDATED, title=text(value))


def _topic(value: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.CONVERSATION_UPDATED, payload=text(mapping(value).get("name")))


def _moved_on(value: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.CONVERSATION_UPDATED, successor=optional_id(value))


def _moved_here(value: Any, message: Json) -> ServiceMessage:
    return ServiceMessage(EventKind.CONVERSATION_UPDATED, payload=optional_id(value))


def _tasks_done(value: Any, message: Json) -> ServiceMessage:
    changed = mapping(value)
    fields = tuple(
        FormField(name=state, value=optional_id(task))
        for state, key in (("done", "marked_as_done_task_ids"), ("not_done", "marked_as_not_done_task_ids"))
        for task in listing(changed.get(key))
    )
    return ServiceMessage(EventKind.SYSTEM, fields=fields, reply_to=_about(changed))


def _tasks_added(value: Any, message: Json) -> ServiceMessage:
    added = mapping(value)
    return ServiceMessage(EventKind.SYSTEM, attachments=tuple(tasks(added)), reply_to=_about(added))


SERVICE: Mapping[str, Callable[[Any, Json], ServiceMessage]] = {
    "new_chat_members": _joined,
    "left_chat_member": _left,
    "web_app_data": _web_app,
    **dict.fromkeys(("users_shared", "user_shared", "chat_shared"), _shared),
    "successful_payment": _paid,
    "refunded_payment": _paid,
    "write_access_allowed": _allowed,
    "new_chat_title": _titled,
    "pinned_message": _pinned,
    "migrate_to_chat_id": _moved_on,
    "migrate_from_chat_id": _moved_here,
    "forum_topic_created": _topic,
    "forum_topic_edited": _topic,
    "checklist_tasks_done": _tasks_done,
    "checklist_tasks_added": _tasks_added,
    **dict.fromkeys(
        (
            *("new_chat_photo", "delete_chat_photo", "chat_background_set"),
            *("group_chat_created", "supergroup_chat_created", "channel_chat_created"),
            *("message_auto_delete_timer_changed", "chat_owner_left", "chat_owner_changed"),
            *("forum_topic_closed", "forum_topic_reopened"),
            *("general_forum_topic_hidden", "general_forum_topic_unhidden"),
            *("paid_message_price_changed", "direct_message_price_changed"),
            *("community_chat_added", "community_chat_joined", "community_chat_removed"),
        ),
        _updated,
    ),
    **dict.fromkeys(
        (
            *("suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined"),
            *("suggested_post_paid", "suggested_post_refunded"),
            *("giveaway_created", "giveaway_completed", "boost_added", "managed_bot_created"),
            *("poll_option_added", "poll_option_deleted", "proximity_alert_triggered"),
            *("video_chat_scheduled", "video_chat_started", "video_chat_ended", "video_chat_participants_invited"),
            *("connected_website", "passport_data"),
        ),
        _noted,
    ),
}
"""From the platform's word for a service message to its reader."""

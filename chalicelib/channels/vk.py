"""VK Callback API: one event a request, proved by a secret inside the body, acknowledged by exactly ``ok``.

Source: https://dev.vk.com/ru/api/callback/getting-started, /api/community-events/json-schema and
/reference/objects/message (version 5.199, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    Member,
    Message,
    Quote,
    Referral,
    Sender,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    compact,
    integer,
    items,
    mapping,
    optional_id,
    parse_json,
    same,
    seconds,
    text,
    word,
)
from .vk_attachments import attachments

KIND = "vk"
CAPABILITIES = ChannelCapabilities()
FIRST_GROUP_CHAT = 2_000_000_000  # peer ids from here on are chats of several people
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}

Item = Draft | Ignored


class Secret(base.Secret):
    """The server's secret key, and the string that VK wants back when the server's address is confirmed."""

    secret: SecretText
    confirmation: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the body's ``secret``. Nothing else of the body is looked at.

    Raises:
        NotGenuine: it is missing or wrong, or the body holds none because it is no JSON object.
    """
    try:
        given = parse_json(request.body).get("secret")
    except MalformedPayload:
        given = None
    if not same(given, secret.secret):
        raise NotGenuine("the secret is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer a ``confirmation`` with the community's string, verbatim."""
    if b'"confirmation"' in request.body and parse_json(request.body).get("type") == "confirmation":
        return Reply(200, secret.confirmation, PLAIN)
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return ``ok``: anything else counts as a failure and is sent again."""
    return Reply(200, "ok", PLAIN)


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. ``event_id`` names the occurrence; older versions have none."""
    callback = parse_json(request.body)
    native = word(callback.get("type"))
    content = mapping(callback.get("object"))
    if native in EVENTS:
        yield EVENTS[native](native, callback, content)
    elif native not in IGNORED and (native.startswith("message") or any(name in content for name in PEERS)):
        yield _noted(native, callback, content)
    else:
        yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=_raw(callback))


PEERS = ("peer_id", "from_id", "user_id")
"""An event that is not known and has one of these is about a conversation or a person."""


def _raw(callback: Json) -> Any:
    return mapping(callback.get("object")) or {name: value for name, value in callback.items() if name != "secret"}


def _draft(kind: EventKind, native: str, callback: Json, peer: Any, **rest: Any) -> Draft:
    chat = optional_id(peer)
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=optional_id(callback.get("event_id")) or "",
        conversation=Conversation(
            id=chat, direct=None if chat is None else not _is_chat(peer), title=rest.pop("title", None)
        ),
        raw=_raw(callback),
        **rest,
    )


def _is_chat(peer: Any) -> bool:
    number = integer(peer)
    return number is not None and number > FIRST_GROUP_CHAT


# --- messages


def _message(kind: EventKind, native: str, callback: Json, content: Json) -> Item:
    # From version 5.103 on the message lies beside client_info; before, and in replies and edits, it is the object.
    message = mapping(content.get("message", content))
    action = _action_of(message)
    if action:
        return _action(f"{native}.{word(action.get('type'))}", callback, message, action)
    pressed, edited = message.get("payload"), message.get("update_time")
    payload = pressed if isinstance(pressed, str) else compact(pressed) if pressed else None
    edited = edited if kind is EventKind.MESSAGE_EDITED else None
    forwarded = list(_forwarded(message))
    reply, referral = mapping(message.get("reply_message")), _referral(message)
    about = Message(
        id=_message_id(message),
        text=_words(message),
        attachments=tuple(found for one in (message, *forwarded) for found in attachments(one)),
        reply_to=_message_id(reply) if reply else None,
        forwarded=bool(forwarded),
        payload=payload or (referral.payload if referral else None),
        edited_at=None if edited is None else seconds(edited),
        quotes=tuple(map(_quote, forwarded)),
        referral=referral,
    )
    return _draft(
        EventKind.POSTBACK if payload and kind is EventKind.MESSAGE else kind,  # only a pressed button has a payload
        native,
        callback,
        _peer(message),
        occurred_at=seconds(message.get("date") if edited is None else edited),
        sender=_sender(message, callback),
        message=about,
    )


def _words(message: Json) -> str | None:
    return text(message.get("text")) or text(message.get("body"))  # "body" before version 5.80


def _forwarded(message: Json) -> Iterator[Json]:
    """Yield the messages that a message forwards, and those that they forward."""
    for one in items(message.get("fwd_messages")):
        yield one
        yield from _forwarded(one)


def _quote(message: Json) -> Quote:
    return Quote(id=_message_id(message), sender=_author(message), text=_words(message))


def _referral(message: Json) -> Referral | None:
    source, payload = text(message.get("ref_source")), text(message.get("ref"))
    return Referral(source=source, payload=payload) if source or payload else None


def _message_id(message: Json) -> str | None:
    # In group chats "id" is 0: there a message is known by its number within the conversation.
    return optional_id(message.get("id") or message.get("conversation_message_id"))


def _author(message: Json) -> str | None:
    return optional_id(message.get("from_id")) or optional_id(message.get("user_id"))


def _peer(message: Json) -> Any:
    # Before version 5.80 a message names the chat of several people, or else the other person.
    chat = integer(message.get("chat_id"))
    return message.get("peer_id") or (FIRST_GROUP_CHAT + chat if chat else _author(message))


def _sender(message: Json, callback: Json) -> Sender | None:
    group, out = optional_id(callback.get("group_id")), message.get("out") == 1
    person = optional_id(message.get("from_id"))
    if person is None:
        person = f"-{group}" if out and group else None if out else _author(message)
    if person is None and not out:
        return None
    return Sender(id=person, is_bot=bool(person and person.startswith("-")), is_self=out or person == f"-{group}")


def _action_of(message: Json) -> Json:
    action = message.get("action")
    if isinstance(action, str):  # before version 5.80
        return {"type": action, "member_id": message.get("action_mid"), "text": message.get("action_text")}
    return mapping(action)


def _action(native: str, callback: Json, message: Json, action: Json) -> Item:
    kind = ACTIONS.get(native.partition(".")[2], EventKind.CONVERSATION_UPDATED)
    sender = _sender(message, callback)
    moved = kind is not EventKind.CONVERSATION_UPDATED
    # A person who follows an invitation link is the sender, and no member is named.
    member = optional_id(action.get("member_id")) or (sender.id if sender else None)
    return _draft(
        kind,
        native,
        callback,
        _peer(message),
        title=None if moved else text(action.get("text")),
        occurred_at=seconds(message.get("date")),
        sender=sender,
        members=(Member(id=member),) if moved and member else (),
    )


ACTIONS: Mapping[str, EventKind] = {
    "chat_invite_user": EventKind.MEMBER_JOINED,
    "chat_invite_user_by_link": EventKind.MEMBER_JOINED,
    "chat_invite_user_by_message_request": EventKind.MEMBER_JOINED,
    "chat_kick_user": EventKind.MEMBER_LEFT,
}
"""Service messages that move people; every other one changes the conversation."""


# --- the other events


def _person(value: Any) -> Sender | None:
    found = optional_id(value)
    return None if found is None else Sender(id=found)


def _consent(kind: EventKind, state: Literal["given", "withdrawn"], native: str, callback: Json, content: Json) -> Item:
    person = _person(content.get("user_id"))
    key = text(content.get("key"))  # what the site passed to allowMessagesFromGroup
    return _draft(
        kind,
        native,
        callback,
        content.get("user_id"),
        sender=person,
        members=(Member(id=person.id),) if person else (),
        message=Message(payload=key) if key else None,
        consent=EventConsent(state=state),
    )


def _typing(native: str, callback: Json, content: Json) -> Item:
    person, to = content.get("from_id"), content.get("to_id")
    return _draft(EventKind.TYPING, native, callback, to if _is_chat(to) else person, sender=_person(person))


def _press(native: str, callback: Json, content: Json) -> Item:
    payload = content.get("payload")
    return _draft(
        EventKind.POSTBACK,
        native,
        callback,
        content.get("peer_id") or content.get("user_id"),
        sender=_person(content.get("user_id")),
        message=Message(
            id=optional_id(content.get("conversation_message_id")),
            payload=payload if isinstance(payload, str) or payload is None else compact(payload),
        ),
    )


def _reaction(native: str, callback: Json, content: Json) -> Item:
    emoji = optional_id(content.get("reaction_id"))  # VK's number; absent when the reaction was taken back
    return _draft(
        EventKind.REACTION,
        native,
        callback,
        content.get("peer_id"),
        sender=_person(content.get("reacted_id")),
        message=Message(id=optional_id(content.get("cmid")), emoji=(emoji,) if emoji else (), emoji_action="set"),
    )


def _read(native: str, callback: Json, content: Json) -> Item:
    about = optional_id(content.get("read_message_id") or content.get("conversation_message_id"))
    return _draft(
        EventKind.STATUS,
        native,
        callback,
        content.get("peer_id"),
        sender=_person(content.get("from_id")),
        message=Message(id=about, status="read"),
    )


def _noted(native: str, callback: Json, content: Json) -> Item:
    said = _words(content)
    return _draft(
        EventKind.SYSTEM,
        native,
        callback,
        content.get("peer_id") or _author(content),
        occurred_at=seconds(content.get("date")),
        sender=_person(_author(content)),
        message=Message(id=_message_id(content), text=said) if said else None,
    )


EVENTS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message_new": partial(_message, EventKind.MESSAGE),
    "message_reply": partial(_message, EventKind.MESSAGE),
    "message_edit": partial(_message, EventKind.MESSAGE_EDITED),
    "message_allow": partial(_consent, EventKind.MEMBER_JOINED, "given"),
    "message_deny": partial(_consent, EventKind.MEMBER_LEFT, "withdrawn"),
    "message_typing_state": _typing,
    "message_event": _press,
    "message_reaction_event": _reaction,
    "message_read": _read,
    "app_payload": _press,
}
"""From the platform's word for an event to its reader."""
IGNORED: Mapping[str, str] = {
    **dict.fromkeys(
        ("audio_new", "photo_new", "video_new", "wall_post_new", "wall_repost", "wall_schedule_post_new"),
        "a publication of the community",
    ),
    **dict.fromkeys(
        (
            f"{place}_{act}"
            for place in ("board_post", "market_comment", "photo_comment", "video_comment", "wall_reply")
            for act in ("new", "edit", "restore", "delete")
        ),
        "a public comment",
    ),
    **dict.fromkeys(("like_add", "like_remove", "poll_vote_new"), "a public like or vote"),
    **dict.fromkeys(("group_join", "group_leave"), "membership of the community: no chat begins or ends"),
    **dict.fromkeys(
        ("group_change_photo", "group_change_settings", "group_officers_edit", "user_block", "user_unblock"),
        "administration of the community",
    ),
    **dict.fromkeys(("market_order_new", "market_order_edit", "lead_forms_new", "vkpay_transaction"), "trade"),
    **dict.fromkeys(
        (
            *("donut_subscription_create", "donut_subscription_prolonged", "donut_subscription_expired"),
            *("donut_subscription_cancelled", "donut_subscription_price_changed"),
            *("donut_money_withdraw", "donut_money_withdraw_error"),
        ),
        "paid subscriptions of the community",
    ),
}
"""Why events of a community that are no messages are left out."""

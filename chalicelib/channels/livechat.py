"""LiveChat (Text) webhooks: one action a request, proved by a secret inside the body.

Sources (read 2026-12-01):
Source: https://platform.text.com/docs/management/webhooks (actions and proof),
https://platform.text.com/docs/agent-chat-api/data-structures (events and users) and
https://platform.text.com/docs/app-guides/chat-webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    AlternativeId,
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    FormField,
    Member,
    Message,
    Sender,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, instant, integer, items, mapping, occurrence, optional_id, parse_json, same, text, word

KIND = "livechat"
CAPABILITIES = ChannelCapabilities()
PROOF = "secret_key"
AGENTS = "agents"
"""The ``visibility`` of an event that only agents see; before version 3.4 it is ``recipients``."""
SYSTEM = "system_message"
TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}
"""From the first half of a media type; every other one is a file."""
_BOT = re.compile(r"[0-9a-f]{32}\Z")
"""A bot's id. A customer's has hyphens, and an agent's is an e-mail address."""

Item = Draft | Ignored


class Secret(base.Secret):
    """The secret key of the webhooks in LiveChat's Developer Console."""

    secret_key: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the body's ``secret_key``. Nothing else of the body is looked at.

    Raises:
        NotGenuine: it is missing or wrong, or the body holds none because it is no JSON object.
    """
    try:
        given = parse_json(request.body).get(PROOF)
    except MalformedPayload:
        given = None
    if not same(given, secret.secret_key):
        raise NotGenuine("the secret is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


class _ActionPayload(NamedTuple):
    native: str
    payload: Json
    users: Mapping[str, Json]
    """The users that the payload describes, by id."""

    @property
    def conversation(self) -> Conversation:
        chat = mapping(self.payload.get("chat"))
        thread = mapping(chat.get("thread"))
        return Conversation(
            id=optional_id(self.payload.get("chat_id")) or optional_id(chat.get("id")),
            thread=optional_id(self.payload.get("thread_id")) or optional_id(thread.get("id")),
        )


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events. The id of LiveChat's event names a message; it has none and no time for most other actions."""
    document = parse_json(request.body)
    payload = mapping(document.get("payload"))
    described = [*items(mapping(payload.get("chat")).get("users")), mapping(payload.get("user"))]
    users = {own_id: user for user in described if (own_id := optional_id(user.get("id")))}
    action = _ActionPayload(word(document.get("action")), payload, users)
    if action.native in ACTIONS:
        yield from ACTIONS[action.native](action)
    elif action.conversation.id is not None:
        yield _about(action, EventKind.SYSTEM)
    else:
        yield Ignored(action.native, "not about a conversation", raw=payload)


def _about(action: _ActionPayload, kind: EventKind, dedupe_id: str = "", **more: Any) -> Draft:
    return Draft(
        kind=kind,
        native_kind=action.native,
        dedupe_id=dedupe_id,
        conversation=action.conversation,
        raw=action.payload,
        **more,
    )


def _sender(action: _ActionPayload, given: Any) -> Sender | None:
    own_id = optional_id(given)
    if own_id is None:
        return None
    user = action.users.get(own_id, {})
    is_bot = _BOT.match(own_id) is not None
    role, address = user.get("type"), text(user.get("email"))
    is_self = role == "agent" if role in ("agent", "customer") else is_bot or "@" in own_id
    return Sender(
        id=own_id,
        name=text(user.get("name")),
        is_self=is_self,
        is_bot=is_bot,
        alt_ids=(AlternativeId(kind="email", contact=address),) if address and not is_self else (),
    )


# --- events of a chat


def _came(action: _ActionPayload) -> Iterator[Item]:
    yield _said(action, EventKind.MESSAGE, mapping(action.payload.get("event")))


def _updated(action: _ActionPayload) -> Iterator[Item]:
    yield _said(action, EventKind.MESSAGE_EDITED, mapping(action.payload.get("event")))


def _began(action: _ActionPayload) -> Iterator[Item]:
    thread = mapping(mapping(action.payload.get("chat")).get("thread"))
    yield _about(
        action,
        EventKind.CONVERSATION_UPDATED,
        occurrence(action.conversation.thread, "began"),
        occurred_at=instant(thread.get("created_at")),
    )
    for event in items(thread.get("events")):
        yield _said(action, EventKind.MESSAGE, event)


def _said(action: _ActionPayload, kind: EventKind, event: Json) -> Item:
    native, own_id = word(event.get("type")), optional_id(event.get("id"))
    name = f"{action.native}.{native}"
    if AGENTS in (event.get("visibility"), event.get("recipients")):
        return Ignored(name, "a note among agents, not a message of the conversation", raw=event)
    is_new = kind is EventKind.MESSAGE
    read = EVENTS.get(native)
    message = read(event) if read else Message(attachments=(Attachment(type="unsupported", native_type=native),))
    pressed = mapping(event.get("postback"))
    return Draft(
        kind=EventKind.SYSTEM if is_new and native == SYSTEM else kind,
        native_kind=name,
        dedupe_id=occurrence(own_id) if is_new else "",
        occurred_at=instant(event.get("created_at")) if is_new else None,  # of an edit LiveChat gives no time
        conversation=action.conversation,
        sender=_sender(action, event.get("author_id")),
        message=message.model_copy(update={"id": own_id, "payload": text(pressed.get("id"))}),
        raw=event,
    )


def _text(event: Json) -> Message:
    return Message(text=text(event.get("text")))


def _file(event: Json) -> Message:
    mime, address = text(event.get("content_type")), text(event.get("url"))
    found = Attachment(
        type=TYPES.get((mime or "").partition("/")[0], "file"),
        url=address,
        mime=mime,
        name=text(event.get("name")),
        size_bytes=integer(event.get("size")),
        caption=text(event.get("alternative_text")),
    )
    return Message(attachments=(found,))


def _form(event: Json) -> Message:
    found = []
    for field in items(event.get("fields")):
        name = text(field.get("label")) or text(field.get("name"))
        answers = field.get("answers") or field.get("answer") or field.get("value")
        for answer in answers if isinstance(answers, list) else [answers]:
            value = text(answer) or text(mapping(answer).get("label"))
            if name or value:
                found.append(FormField(name=name, value=value))
    return Message(fields=tuple(found))


def _cards(event: Json) -> Message:
    cards = items(event.get("elements"))
    lines = [text(card.get(name)) for card in cards for name in ("title", "subtitle")]
    pictures = [mapping(card.get("image")) for card in cards]
    return Message(
        text="\n".join(filter(None, lines)) or None,
        attachments=tuple(
            Attachment(type="image", url=text(one.get("url")), name=text(one.get("name"))) for one in pictures if one
        ),
    )


EVENTS: Mapping[str, Callable[[Json], Message]] = {
    "message": _text,
    SYSTEM: _text,
    "file": _file,
    "filled_form": _form,
    "rich_message": _cards,
}
"""From LiveChat's type of an event to its reader; ``form``, ``custom`` and new ones are ``unsupported``."""


# --- other actions


def _deleted(action: _ActionPayload) -> Iterator[Item]:
    own_id = optional_id(action.payload.get("event_id"))
    yield _about(action, EventKind.MESSAGE_DELETED, occurrence(own_id, "deleted"), message=Message(id=own_id))


def _pressed(action: _ActionPayload) -> Iterator[Item]:
    message = Message(
        id=optional_id(action.payload.get("event_id")),
        payload=text(mapping(action.payload.get("postback")).get("id")),
    )
    yield _about(action, EventKind.POSTBACK, sender=_sender(action, action.payload.get("user_id")), message=message)


def _seen(action: _ActionPayload) -> Iterator[Item]:
    payload = action.payload
    about = action.conversation.id
    yield _about(
        action,
        EventKind.STATUS,
        occurrence(about, optional_id(payload.get("user_id")), "seen", text(payload.get("seen_up_to"))),
        sender=_sender(action, payload.get("user_id")),
        message=Message(status="read"),
    )


def _member(kind: EventKind, action: _ActionPayload) -> Iterator[Item]:
    user = mapping(action.payload.get("user"))
    own_id = optional_id(user.get("id")) or optional_id(action.payload.get("user_id"))
    address = text(user.get("email")) if user.get("type") == "customer" else None
    others = (AlternativeId(kind="email", contact=address),) if address else ()
    yield _about(
        action,
        kind,
        sender=_sender(action, action.payload.get("requester_id")),
        members=(Member(id=own_id, name=text(user.get("name")), alt_ids=others),) if own_id else (),
    )


def _ended(action: _ActionPayload) -> Iterator[Item]:
    name = occurrence(action.conversation.thread, "ended")
    sender = _sender(action, action.payload.get("user_id"))
    yield _about(action, EventKind.CONVERSATION_UPDATED, name, sender=sender)


def _changed(action: _ActionPayload) -> Iterator[Item]:
    yield _about(action, EventKind.CONVERSATION_UPDATED, sender=_sender(action, action.payload.get("requester_id")))


ACTIONS: Mapping[str, Callable[[_ActionPayload], Iterator[Item]]] = {
    "incoming_chat": _began,
    "incoming_event": _came,
    "event_updated": _updated,
    "event_deleted": _deleted,
    "incoming_rich_message_postback": _pressed,
    "events_marked_as_seen": _seen,
    "user_added_to_chat": partial(_member, EventKind.MEMBER_JOINED),
    "user_removed_from_chat": partial(_member, EventKind.MEMBER_LEFT),
    "chat_deactivated": _ended,
    "chat_transferred": _changed,
    "chat_properties_updated": _changed,
    "chat_properties_deleted": _changed,
    "thread_properties_updated": _changed,
    "thread_properties_deleted": _changed,
    "thread_tagged": _changed,
    "thread_untagged": _changed,
    "thread_summary_set": _changed,
}
"""From LiveChat's word for an action to its reader."""

"""Bitrix24 open lines: a bot in the lines, or an application with a connector of its own. Bitrix24 sends PHP forms.

Sources (read 2026-12-01):
Source: https://apidocs.bitrix24.com/api-reference/chat-bots/chat-bots-v2/imbot.v2/events/events.html (bots),
https://apidocs.bitrix24.com/api-reference/chat-bots/outdated/messages/events/on-imbot-message-add.html (bots of version 1),
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html (connectors),
https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/events/index.html (lines) and
https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html (proof).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    AlternativeId,
    Attachment,
    Conversation,
    Draft,
    EventKind,
    Member,
    Message,
    Quote,
    Sender,
)
from ..core.event.messengers import messenger_named
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    compact,
    instant,
    items,
    joined,
    mapping,
    occurrence,
    optional_id,
    parse_bracketed_form,
    parse_form,
    phone,
    same,
    seconds,
    text,
    word,
)

KIND = "bitrix24_openlines"
CAPABILITIES = ChannelCapabilities()
TOKEN = "auth[application_token]"  # noqa: S105  (the name of a field)
LINES = "LINES"
"""The ``entityType`` of a chat of an open line."""
PRIVATE = frozenset({"P", "private"})
NO_ONE = "0"
"""The id of the author of a system message."""
YES = frozenset({"1", "Y"})
MESSENGERS: Mapping[str, str] = {
    "fbinstagramdirect": "instagram",
    "livechat": "web",
    "telegrambot": "telegram",
    "vkgroup": "vk",
    "whatsappbyedna": "whatsapp",
    "whatsappbytwilio": "whatsapp",
}
"""From the id of a connector to the messenger, where it is another word. ``network`` and ``notifications`` are several."""
ABOUT_CHATS = ("ONIMBOT", "ONIMCOMMAND", "ONIMCONNECTOR", "ONOPENLINE", "ONSESSION")
"""How the words for events of chats begin; an unknown one of them is a ``system`` event."""

Item = Draft | Ignored


class Secret(base.Secret):
    """The ``application_token`` that Bitrix24 gives an application when it is installed."""

    application_token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the form's ``auth[application_token]``. Nothing else of the body is looked at.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    try:
        given = parse_form(request.body).get(TOKEN)
    except MalformedPayload:
        given = None
    if not same(given, secret.application_token):
        raise NotGenuine("the token is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


class _Event(NamedTuple):
    native: str
    data: Json
    sent_at: datetime | None
    """When Bitrix24 took the event out of its queue, a little after it happened."""


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events. A message's id names it; edits and other acts are named by their content and time."""
    document = parse_bracketed_form(request.body)
    data = document.get("data")
    event = _Event(word(document.get("event")), mapping(data), seconds(document.get("ts")))
    if event.native in EVENTS:
        yield from EVENTS[event.native](event)
    elif event.native.startswith(ABOUT_CHATS):
        yield from _bot(EventKind.SYSTEM, event)
    else:
        yield Ignored(event.native, "not about a conversation", raw=data)


def _rows(value: Any) -> list[Json]:
    return items(list(value.values())) if isinstance(value, dict) else []


def _reported(data: Json) -> list[Json]:
    return _rows(data.get("MESSAGES")) or _rows(data.get("DATA")) or [data]


def _yes(value: Any) -> bool:
    return isinstance(value, str) and value in YES


def _messenger(connector: Any) -> str | None:
    name = text(connector)
    return None if name is None else MESSENGERS.get(name) or messenger_named(name)


# --- bots


class _BotEvent(NamedTuple):
    """What both versions of the bots' events tell, in other names."""

    chat: Conversation
    messenger: str | None
    sender: Sender | None
    message: Message
    message_at: datetime | None
    is_system: bool


def _bot(kind: EventKind, event: _Event) -> Iterator[Item]:
    yield _of_bot(kind, event)


def _of_bot(kind: EventKind, event: _Event) -> Draft:
    scene = _first_version(event.data) if "PARAMS" in event.data else _scene(event.data)
    message = scene.message
    if kind is EventKind.MESSAGE:
        kind = EventKind.SYSTEM if scene.is_system else kind
        name, at = occurrence(message.id), scene.message_at or event.sent_at
    elif kind is EventKind.MESSAGE_DELETED:
        name, at, message = occurrence(message.id, "deleted"), event.sent_at, Message(id=message.id)
    else:
        name, at = "", event.sent_at
    return Draft(
        kind=kind,
        native_kind=event.native,
        dedupe_id=name,
        messenger=scene.messenger,
        occurred_at=at,
        conversation=scene.chat,
        sender=scene.sender,
        message=None if message == Message() else message,
        raw=_without_credentials(event.data),
    )


def _without_credentials(data: Json) -> Json:
    # The bot's own tokens are in its object.
    return {name: value for name, value in data.items() if name not in ("bot", "BOT", "COMMAND")}


def _scene(data: Json) -> _BotEvent:
    chat, message, user = mapping(data.get("chat")), mapping(data.get("message")), mapping(data.get("user"))
    in_line = chat.get("entityType") == LINES
    forward, parameters = mapping(message.get("forward")), mapping(message.get("params"))
    return _BotEvent(
        Conversation(
            id=optional_id(chat.get("id")) or optional_id(message.get("chatId")),
            direct=True if PRIVATE & {str(chat.get("type")), str(chat.get("messageType"))} else None,
            title=text(chat.get("name")),
        ),
        _messenger(str(chat.get("entityId")).partition("|")[0]) if in_line else None,
        _sender(user, in_line) if user and user.get("id") != NO_ONE else None,
        Message(
            id=optional_id(message.get("id")) or optional_id(data.get("messageId")),
            text=text(message.get("text")),
            attachments=tuple(_attachments(parameters)),
            reply_to=optional_id(message.get("replyId") or parameters.get("replyId")),
            forwarded=bool(forward),
            quotes=(Quote(id=optional_id(forward.get("id")), sender=optional_id(forward.get("userId"))),)
            if forward
            else (),
        ),
        instant(message.get("date")),
        _yes(message.get("isSystem")),
    )


def _sender(user: Json, in_line: bool) -> Sender:
    # In a line the customer comes through a connector; everyone else there speaks for our account.
    numbers = [phone(value) for value in mapping(user.get("phones")).values() if text(value)]
    address = text(user.get("email"))
    others = [AlternativeId(kind="phone", contact=number) for number in numbers if number]
    return Sender(
        id=optional_id(user.get("id")),
        name=text(user.get("name")) or joined(user.get("firstName"), user.get("lastName")),
        phone=next(iter(numbers), None),
        is_bot=_yes(user.get("bot")),
        is_self=in_line and not _yes(user.get("connector")),
        alt_ids=(*others, *([AlternativeId(kind="email", contact=address)] if address else [])),
    )


def _attachments(parameters: Json) -> Iterator[Attachment]:
    for name, value in parameters.items():
        if name in ("FILE_ID", "fileId"):
            ids = value.values() if isinstance(value, dict) else [value]
            yield from (Attachment(type="file", ref=found) for found in map(optional_id, ids) if found)
        elif name.lower() == "attach" and value:
            yield Attachment(type="unsupported", native_type="attach")


def _first_version(data: Json) -> _BotEvent:
    given, user = mapping(data.get("PARAMS")), mapping(data.get("USER"))
    in_line = given.get("CHAT_ENTITY_TYPE") == LINES
    own_id = optional_id(user.get("ID")) or optional_id(given.get("FROM_USER_ID") or given.get("AUTHOR_ID"))
    sender = Sender(
        id=own_id,
        name=text(user.get("NAME")) or joined(user.get("FIRST_NAME"), user.get("LAST_NAME")),
        is_bot=_yes(user.get("IS_BOT")),
        is_self=in_line and bool(user) and not _yes(user.get("IS_CONNECTOR")),
    )
    return _BotEvent(
        Conversation(
            id=optional_id(given.get("CHAT_ID")) or optional_id(given.get("TO_CHAT_ID")),
            direct=True if str(given.get("MESSAGE_TYPE")) in PRIVATE else None,
            title=text(given.get("CHAT_TITLE")),
        ),
        _messenger(str(given.get("CHAT_ENTITY_ID")).partition("|")[0]) if in_line else None,
        sender if own_id not in (None, NO_ONE) else None,
        Message(id=optional_id(given.get("MESSAGE_ID")), text=text(given.get("MESSAGE"))),
        None,
        _yes(given.get("SYSTEM")),
    )


def _pressed(event: _Event) -> Iterator[Item]:
    # Version 1 has an object of commands, each with the bot's tokens; version 2 has one command.
    given = _rows(event.data.get("COMMAND")) or [mapping(event.data.get("command"))]
    for command in given:
        named = {name.lower(): value for name, value in command.items()}
        said = joined(named.get("command"), named.get("params") or named.get("command_params"))
        draft = _of_bot(EventKind.POSTBACK, event)
        message = (draft.message or Message()).model_copy(update={"payload": said})
        yield draft.model_copy(update={"message": message})


def _context(event: _Event) -> Iterator[Item]:
    context = mapping(event.data.get("context"))
    message = Message(payload=compact(context) if context else None)
    yield _of_bot(EventKind.POSTBACK, event).model_copy(update={"message": message})


def _reacted(event: _Event) -> Iterator[Item]:
    reaction = text(event.data.get("reaction"))
    about = Message(
        id=optional_id(mapping(event.data.get("message")).get("id")),
        emoji=(reaction,) if reaction else (),
        emoji_action="removed" if event.data.get("action") == "delete" else "added",
    )
    yield _of_bot(EventKind.REACTION, event).model_copy(update={"message": about})


def _joined(event: _Event) -> Iterator[Item]:
    bots = [mapping(event.data.get("bot")).get("id"), *mapping(event.data.get("BOT"))]
    members = tuple(Member(id=found) for found in map(optional_id, bots) if found)
    yield _of_bot(EventKind.MEMBER_JOINED, event).model_copy(update={"members": members})


# --- lines and connectors


def _spoken(kind: EventKind, is_self: bool, event: _Event) -> Iterator[Item]:
    for row in _reported(event.data):
        im, said, connector = mapping(row.get("im")), mapping(row.get("message")), mapping(row.get("connector"))
        own_id = optional_id(im.get("message_id")) or optional_id(said.get("id"))
        author, customer = optional_id(said.get("user_id")), optional_id(connector.get("user_id"))
        ours = is_self or (author is not None and customer is not None and author != customer)
        deleted = kind is EventKind.MESSAGE_DELETED
        fresh = kind is EventKind.MESSAGE
        yield Draft(
            kind=EventKind.SYSTEM if fresh and _yes(said.get("system")) else kind,
            native_kind=event.native,
            dedupe_id=occurrence(own_id, "deleted") if deleted else occurrence(own_id) if fresh else "",
            messenger=_messenger(connector.get("connector_id") or event.data.get("CONNECTOR")),
            occurred_at=(instant(said.get("date")) if fresh else None) or event.sent_at,
            conversation=Conversation(
                id=optional_id(im.get("chat_id")) or optional_id(mapping(row.get("chat")).get("id"))
            ),
            sender=Sender(id=author, is_self=ours) if author or ours else None,
            message=Message(
                id=own_id,
                text=text(said.get("text")),
                attachments=() if deleted else tuple(_files(said)),
            ),
            raw=row,
        )


def _files(said: Json) -> Iterator[Attachment]:
    for file in _rows(said.get("files")):
        address, name = text(file.get("link")) or text(file.get("url")), text(file.get("name"))
        if address or name:
            yield Attachment(type="file", url=address, name=name)
        else:
            yield Attachment(type="unsupported", native_type="files")
    if said.get("attach"):
        yield Attachment(type="unsupported", native_type="attach")


def _session(event: _Event) -> Iterator[Item]:
    for row in _reported(event.data):
        connector = mapping(row.get("connector"))
        session = optional_id(mapping(row.get("session")).get("id"))
        yield Draft(
            kind=EventKind.CONVERSATION_UPDATED,
            native_kind=event.native,
            dedupe_id=occurrence(session, event.native),
            messenger=_messenger(connector.get("connector_id")),
            occurred_at=event.sent_at,
            conversation=Conversation(id=optional_id(mapping(row.get("chat")).get("id"))),
            raw=row,
        )


def _about_a_line(event: _Event) -> Iterator[Item]:
    yield Ignored(event.native, "about a line or a bot, not about a conversation", raw=_without_credentials(event.data))


EVENTS: Mapping[str, Callable[[_Event], Iterator[Item]]] = {
    "ONIMBOTV2MESSAGEADD": partial(_bot, EventKind.MESSAGE),
    "ONIMBOTV2MESSAGEUPDATE": partial(_bot, EventKind.MESSAGE_EDITED),
    "ONIMBOTV2MESSAGEDELETE": partial(_bot, EventKind.MESSAGE_DELETED),
    "ONIMBOTV2COMMANDADD": _pressed,
    "ONIMBOTV2CONTEXTGET": _context,
    "ONIMBOTV2REACTIONCHANGE": _reacted,
    "ONIMBOTV2JOINCHAT": _joined,
    "ONIMBOTV2DELETE": _about_a_line,
    "ONIMBOTMESSAGEADD": partial(_bot, EventKind.MESSAGE),
    "ONIMBOTMESSAGEUPDATE": partial(_bot, EventKind.MESSAGE_EDITED),
    "ONIMBOTMESSAGEDELETE": partial(_bot, EventKind.MESSAGE_DELETED),
    "ONIMCOMMANDADD": _pressed,
    "ONIMBOTJOINCHAT": _joined,
    "ONIMBOTDELETE": _about_a_line,
    "ONOPENLINEMESSAGEADD": partial(_spoken, EventKind.MESSAGE, False),
    "ONOPENLINEMESSAGEUPDATE": partial(_spoken, EventKind.MESSAGE_EDITED, False),
    "ONOPENLINEMESSAGEDELETE": partial(_spoken, EventKind.MESSAGE_DELETED, False),
    "ONSESSIONSTART": _session,
    "ONSESSIONFINISH": _session,
    "ONIMCONNECTORMESSAGEADD": partial(_spoken, EventKind.MESSAGE, True),
    "ONIMCONNECTORMESSAGEUPDATE": partial(_spoken, EventKind.MESSAGE_EDITED, True),
    "ONIMCONNECTORMESSAGEDELETE": partial(_spoken, EventKind.MESSAGE_DELETED, True),
    "ONIMCONNECTORDIALOGSTART": _session,
    "ONIMCONNECTORDIALOGFINISH": _session,
    "ONIMCONNECTORSTATUSDELETE": _about_a_line,
    "ONIMCONNECTORLINEDELETE": _about_a_line,
}
"""From Bitrix24's word for an event to its reader."""

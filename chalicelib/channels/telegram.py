"""Telegram Bot API webhooks: one update a request, proved by a secret header, acknowledged by an empty 200.

Source: https://core.telegram.org/bots/api#update and #setwebhook (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, Conversation, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, id_, joined, listing, mapping, optional_id, parse_json, require_header, seconds, text, word
from .telegram_media import attachments

KIND = "telegram"
CAPABILITIES = ChannelCapabilities()
HEADER = "x-telegram-bot-api-secret-token"
START = "/start "

Item = Draft | Ignored
Handler = Callable[[str, Json, str], Iterator[Item]]


class Secret(base.Secret):
    """The ``secret_token`` that was given to ``setWebhook``."""

    secret_token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the secret header; nothing is signed."""
    require_header(request.headers, HEADER, secret.secret_token)


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer nothing: Telegram has no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: any JSON in the body would be taken as a method call."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events of an update. ``update_id`` names the occurrence; an edit comes with a new one."""
    update = parse_json(request.body)
    update_id = id_(update.get("update_id"))
    for native, content in update.items():
        if native in UPDATES:
            yield from UPDATES[native](native, mapping(content), update_id)
            return
    native = next((name for name in update if name != "update_id"), "update")
    yield Ignored(word(native), "not an update of a conversation")


def _person(user: Json) -> Sender | None:
    if not user:
        return None
    return Sender(
        id=id_(user.get("id")),
        name=joined(user.get("first_name"), user.get("last_name")),
        username=text(user.get("username")),
        is_bot=user.get("is_bot") is True,
    )


def _chat_as_sender(chat: Json) -> Sender:
    return Sender(id=id_(chat.get("id")), name=text(chat.get("title")), username=text(chat.get("username")))


def _member(user: Any) -> Member:
    user = mapping(user)
    return Member(
        id=id_(user.get("id")),
        name=joined(user.get("first_name"), user.get("last_name")),
        username=text(user.get("username")),
    )


def _conversation(chat: Any, thread: str | None = None) -> Conversation:
    chat = mapping(chat)
    kind = text(chat.get("type"))
    return Conversation(
        id=id_(chat.get("id")),
        direct=None if kind is None else kind == "private",
        thread=thread,
        title=text(chat.get("title")),
    )


def _thread(message: Json) -> str | None:
    # A business chat is told apart from the bot's own chat with the same person only by its connection.
    if message.get("business_connection_id") is not None:
        return optional_id(message["business_connection_id"])
    if message.get("direct_messages_topic") is not None:
        return optional_id(mapping(message["direct_messages_topic"]).get("topic_id"))
    # Outside forums message_thread_id is only the first message of a chain of replies.
    return optional_id(message.get("message_thread_id")) if message.get("is_topic_message") is True else None


# --- messages


def _message(kind: EventKind, native: str, message: Json, update_id: str) -> Iterator[Item]:
    service = next((name for name in SERVICE if name in message), None)
    carried = attachments(message)
    content = text(message.get("text")) or text(message.get("caption"))
    payload = content.removeprefix(START).strip() if content and content.startswith(START) else None
    reply = mapping(message.get("reply_to_message"))
    # In a forum every message "replies" to the service message that opened its topic.
    reply_to = None if "forum_topic_created" in reply else optional_id(reply.get("message_id"))
    edited = message.get("edit_date")
    members: tuple[Member, ...] = ()
    if service is not None:
        native = f"{native}.{service}"
        kind, payload, members = SERVICE[service](message[service], message)
        content = _title_of(message[service]) if service == "web_app_data" else content
    elif content is None and not carried:
        yield Ignored(native, "no content of a kind that is known")
        return
    about = Message(
        id=id_(message.get("message_id")),
        text=content,
        attachments=carried,
        reply_to=reply_to,
        forwarded="forward_origin" in message or "forward_date" in message,
        payload=payload or None,
        edited_at=None if edited is None else seconds(edited),
    )
    conversation = _conversation(message.get("chat"), _thread(message))
    if "new_chat_title" in message:
        conversation = conversation.model_copy(update={"title": text(message["new_chat_title"])})
    yield Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=update_id,
        occurred_at=seconds(message.get("date") if edited is None else edited),
        conversation=conversation,
        sender=_author(message, conversation, business=native.endswith("business_message")),
        message=None if kind in WITHOUT_MESSAGE and payload is None else about,
        members=members,
        raw=message,
    )


WITHOUT_MESSAGE = frozenset({EventKind.MEMBER_JOINED, EventKind.MEMBER_LEFT, EventKind.CONVERSATION_UPDATED})


def _author(message: Json, conversation: Conversation, *, business: bool) -> Sender | None:
    # On behalf of a chat "from" is only a stand-in for old clients (GroupAnonymousBot, Channel_Bot).
    if "sender_chat" in message:
        return _chat_as_sender(mapping(message["sender_chat"]))
    sender = _person(mapping(message.get("from")))
    if sender is not None and business and conversation.direct and sender.id != conversation.id:
        return sender.model_copy(update={"is_self": True})  # the business wrote from its own account
    return sender


Service = tuple[EventKind, str | None, tuple[Member, ...]]


def _updated(value: Any, message: Json) -> Service:
    return EventKind.CONVERSATION_UPDATED, None, ()


def _joined(users: Any, message: Json) -> Service:
    return EventKind.MEMBER_JOINED, None, tuple(map(_member, listing(users)))


def _left(user: Any, message: Json) -> Service:
    return EventKind.MEMBER_LEFT, None, (_member(user),)


def _allowed(value: Any, message: Json) -> Service:
    return EventKind.MEMBER_JOINED, None, (_member(message.get("from")),)


def _carries(kind: EventKind, name: str, value: Any, message: Json) -> Service:
    return kind, optional_id(mapping(value).get(name)), ()


def _web_app(value: Any, message: Json) -> Service:
    return EventKind.POSTBACK, text(mapping(value).get("data")), ()


def _title_of(web_app_data: Any) -> str | None:
    return text(mapping(web_app_data).get("button_text"))


SERVICE: Mapping[str, Callable[[Any, Json], Service]] = {
    "new_chat_members": _joined,
    "left_chat_member": _left,
    "web_app_data": _web_app,
    "users_shared": partial(_carries, EventKind.POSTBACK, "request_id"),
    "chat_shared": partial(_carries, EventKind.POSTBACK, "request_id"),
    "successful_payment": partial(_carries, EventKind.SYSTEM, "invoice_payload"),
    "refunded_payment": partial(_carries, EventKind.SYSTEM, "invoice_payload"),
    "write_access_allowed": _allowed,
    **dict.fromkeys(
        (
            "new_chat_title",
            "new_chat_photo",
            "delete_chat_photo",
            "group_chat_created",
            "supergroup_chat_created",
            "channel_chat_created",
            "message_auto_delete_timer_changed",
            "migrate_to_chat_id",
            "migrate_from_chat_id",
            "pinned_message",
            "chat_background_set",
            "forum_topic_created",
            "forum_topic_edited",
            "forum_topic_closed",
            "forum_topic_reopened",
            "general_forum_topic_hidden",
            "general_forum_topic_unhidden",
        ),
        _updated,
    ),
}
"""What a service message tells: the kind, the payload and the members."""


# --- the other updates


def _deleted(native: str, content: Json, update_id: str) -> Iterator[Item]:
    ids = listing(content.get("message_ids"))
    for index, message_id in enumerate(ids):
        yield Draft(
            kind=EventKind.MESSAGE_DELETED,
            native_kind=native,
            dedupe_id=update_id if len(ids) == 1 else f"{update_id}:{index}",
            conversation=_conversation(content.get("chat"), _thread(content)),
            message=Message(id=id_(message_id)),
            raw=content,
        )


def _reaction(native: str, content: Json, update_id: str) -> Iterator[Item]:
    counts = content.get("reactions")  # an anonymous count in a channel: nobody's reaction in particular
    types = content.get("new_reaction") if counts is None else [mapping(c).get("type") for c in listing(counts)]
    actor = mapping(content.get("actor_chat"))
    yield Draft(
        kind=EventKind.REACTION,
        native_kind=native,
        dedupe_id=update_id,
        occurred_at=seconds(content.get("date")),
        conversation=_conversation(content.get("chat")),
        sender=_chat_as_sender(actor) if actor else _person(mapping(content.get("user"))),
        message=Message(
            id=id_(content.get("message_id")),
            emoji=tuple(_emoji(mapping(t)) for t in listing(types)),
            emoji_action="set",
        ),
        raw=content,
    )


def _emoji(reaction: Json) -> str:
    found = text(reaction.get("emoji")) or optional_id(reaction.get("custom_emoji_id"))
    return found or word(reaction.get("type"))  # a paid reaction has neither


def _press(payload: str, native: str, content: Json, update_id: str) -> Iterator[Item]:
    message = mapping(content.get("message"))  # absent for a message that was sent inline: then there is no chat
    data = text(content.get(payload)) or text(content.get("game_short_name"))
    yield Draft(
        kind=EventKind.POSTBACK,
        native_kind=native,
        dedupe_id=update_id,
        conversation=_conversation(message.get("chat"), _thread(message)) if message else Conversation(),
        sender=_person(mapping(content.get("from"))),
        message=Message(
            id=id_(message.get("message_id")) if message else optional_id(content.get("inline_message_id")),
            text=_caption_of(message, data) or text(content.get("query")),
            payload=data,
        ),
        raw=content,
    )


def _caption_of(message: Json, data: str | None) -> str | None:
    for row in listing(mapping(message.get("reply_markup")).get("inline_keyboard")):
        for button in map(mapping, listing(row)):
            if data is not None and button.get("callback_data") == data:
                return text(button.get("text"))
    return None


def _poll_answer(native: str, content: Json, update_id: str) -> Iterator[Item]:
    voter = mapping(content.get("voter_chat"))
    yield Draft(
        kind=EventKind.POSTBACK,
        native_kind=native,
        dedupe_id=update_id,
        sender=_chat_as_sender(voter) if voter else _person(mapping(content.get("user"))),
        message=Message(
            payload=",".join(map(id_, listing(content.get("option_ids")))) or None,  # none: the vote was withdrawn
            attachments=(Attachment(type="poll", ref=id_(content.get("poll_id"))),),
        ),
        raw=content,
    )


def _is_in(member: Json) -> bool:
    status = text(member.get("status"))
    return status in ("creator", "administrator", "member") or (
        status == "restricted" and member.get("is_member") is True
    )


def _membership(native: str, content: Json, update_id: str) -> Iterator[Item]:
    new, old = mapping(content.get("new_chat_member")), mapping(content.get("old_chat_member"))
    conversation = _conversation(content.get("chat"))
    moved = not old or _is_in(old) != _is_in(new)
    # In a private chat it is the person who blocks or unblocks the bot, so the person is the one who came or left.
    who = content.get("from") if conversation.direct else new.get("user")
    yield Draft(
        kind=EventKind.CONVERSATION_UPDATED
        if not moved
        else EventKind.MEMBER_JOINED
        if _is_in(new)
        else EventKind.MEMBER_LEFT,
        native_kind=native,
        dedupe_id=update_id,
        occurred_at=seconds(content.get("date")),
        conversation=conversation,
        sender=_person(mapping(content.get("from"))),
        members=(_member(who),) if moved else (),
        raw=content,
    )


def _system(person: str, native: str, content: Json, update_id: str) -> Iterator[Item]:
    chat = content.get("chat")
    place = Conversation(id=optional_id(content.get("user_chat_id")), direct=True)
    yield Draft(
        kind=EventKind.SYSTEM,
        native_kind=native,
        dedupe_id=update_id,
        occurred_at=seconds(content.get("date")),
        conversation=place if chat is None else _conversation(chat),
        sender=_person(mapping(content.get(person))),
        raw=content,
    )


UPDATES: Mapping[str, Handler] = {
    "message": partial(_message, EventKind.MESSAGE),
    "edited_message": partial(_message, EventKind.MESSAGE_EDITED),
    "channel_post": partial(_message, EventKind.MESSAGE),
    "edited_channel_post": partial(_message, EventKind.MESSAGE_EDITED),
    "business_message": partial(_message, EventKind.MESSAGE),
    "edited_business_message": partial(_message, EventKind.MESSAGE_EDITED),
    "guest_message": partial(_message, EventKind.MESSAGE),
    "deleted_business_messages": _deleted,
    "message_reaction": _reaction,
    "message_reaction_count": _reaction,
    "callback_query": partial(_press, "data"),
    "chosen_inline_result": partial(_press, "result_id"),
    "shipping_query": partial(_press, "invoice_payload"),
    "pre_checkout_query": partial(_press, "invoice_payload"),
    "purchased_paid_media": partial(_press, "paid_media_payload"),
    "poll_answer": _poll_answer,
    "my_chat_member": _membership,
    "chat_member": _membership,
    "chat_join_request": partial(_system, "from"),
    "business_connection": partial(_system, "user"),
}
"""From the platform's word for an update to its reader. The rest (inline queries, poll states, boosts) is ignored."""

"""The people, chats and topics of a Telegram update.

Source: https://core.telegram.org/bots/api#user and #chat (Bot API 10.3, read 2026-12-01).
"""

from __future__ import annotations

from typing import Any

from ..core.event.event import Conversation, Member, Sender
from .fields import Json, joined, mapping, optional_id, text


def as_members(user: Any) -> tuple[Member, ...]:
    """Return a user as a member; nothing where none is named."""
    user = mapping(user)
    found = Member(
        id=optional_id(user.get("id")),
        name=joined(user.get("first_name"), user.get("last_name")),
        username=text(user.get("username")),
    )
    return () if found == Member() else (found,)


def as_sender(user: Json) -> Sender | None:
    """Return a user as a sender; None where none is named."""
    if not user:
        return None
    return Sender(
        id=optional_id(user.get("id")),
        name=joined(user.get("first_name"), user.get("last_name")),
        username=text(user.get("username")),
        is_bot=user.get("is_bot") is True,
    )


def chat_as_sender(chat: Json) -> Sender:
    """Return the chat in whose name a message was written."""
    return Sender(id=optional_id(chat.get("id")), name=text(chat.get("title")), username=text(chat.get("username")))


def as_conversation(chat: Any, thread: str | None = None) -> Conversation:
    """Return a chat as a conversation."""
    chat = mapping(chat)
    kind = text(chat.get("type"))
    return Conversation(
        id=optional_id(chat.get("id")),
        direct=None if kind is None else kind == "private",
        thread=thread,
        title=text(chat.get("title")),
    )


def thread_of(message: Json) -> str | None:
    """Return the topic or business connection within the chat."""
    # A business chat is told apart from the bot's own chat with the same person only by its connection.
    if message.get("business_connection_id") is not None:
        return optional_id(message["business_connection_id"])
    if message.get("direct_messages_topic") is not None:
        return optional_id(mapping(message["direct_messages_topic"]).get("topic_id"))
    # Outside forums message_thread_id is only the first message of a chain of replies.
    return optional_id(message.get("message_thread_id")) if message.get("is_topic_message") is True else None

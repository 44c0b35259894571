"""Telegram Bot API webhooks: one update a request, proved by a secret header, acknowledged by an empty 200.

Source: https://core.telegram.org/bots/api#update and #setwebhook (Bot API 10.3, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.event.event import (
    Attachment,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    FormField,
    Message,
    Quote,
    Sender,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    joined,
    listing,
    mapping,
    occurrence,
    optional_id,
    parse_json,
    require_header,
    seconds,
    text,
    word,
)
from .telegram_media import attachments
from .telegram_people import as_conversation, as_members, as_sender, chat_as_sender, thread_of
from .telegram_rich import rich_text
from .telegram_service import SERVICE, ServiceMessage, order, words_of

KIND = "telegram"
CAPABILITIES = ChannelCapabilities()
HEADER = "x-telegram-bot-api-secret-token"
START = "/start "

Item = Draft | Ignored
Handler = Callable[[str, Json, str | None, Any], Iterator[Item]]


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
    update_id = optional_id(update.get("update_id"))
    known = next((name for name in update if name in UPDATES or name in IGNORED), None)
    native = known or next((name for name in update if name != "update_id"), "update")
    raw = update.get(native)
    content = mapping(raw)
    if native in UPDATES:
        yield from UPDATES[native](native, content, update_id, raw if content else update)
    elif native not in IGNORED and any(name in content for name in PEOPLE_AND_PLACES):
        yield from _noted(word(native), content, update_id, raw)
    else:
        yield Ignored(word(native), IGNORED.get(native, "not an update of a conversation"), raw=update)


PEOPLE_AND_PLACES = ("chat", "user", "from", "user_chat_id")
"""An update that is not known and has one of these is about a conversation."""


# --- messages

ENVELOPE = frozenset(
    {
        *("message_id", "ephemeral_message_id", "receiver_user", "message_thread_id", "direct_messages_topic", "from"),
        *("sender_chat", "sender_boost_count", "sender_business_bot", "sender_tag", "date", "guest_query_id", "chat"),
        *("business_connection_id", "forward_origin", "forward_from", "forward_from_chat", "forward_from_message_id"),
        *("forward_signature", "forward_sender_name", "forward_date", "is_topic_message", "is_automatic_forward"),
        *("reply_to_message", "external_reply", "quote", "reply_to_story", "reply_to_checklist_task_id"),
        *("reply_to_poll_option_id", "via_bot", "guest_bot_caller_user", "guest_bot_caller_chat", "edit_date"),
        *("has_protected_content", "is_from_offline", "is_paid_post", "media_group_id", "author_signature"),
        *("paid_star_count", "text", "entities", "link_preview_options", "suggested_post_info", "effect_id"),
        *("caption", "caption_entities", "show_caption_above_media", "has_media_spoiler", "reply_markup"),
    }
)
"""The fields of a message that are not its content. A message of another field alone is of a kind that is not known."""
NAMED = frozenset({"gift", "unique_gift", "gift_upgrade_sent", "giveaway", "giveaway_winners"})
"""Kinds of content that are known, and that no type of attachment stands for."""


def _message(kind: EventKind, native: str, message: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    name = next((name for name in SERVICE if name in message), None)
    service = ServiceMessage(kind) if name is None else SERVICE[name](message[name], message)
    carried = attachments(message)
    content = text(message.get("text")) or text(message.get("caption")) or rich_text(message.get("rich_message"))
    payload = content.removeprefix(START).strip() if content and content.startswith(START) else None
    if name is None:
        name = next((name for name in message if name in NAMED), None)
        if name is None and content is None and not carried:
            name = next((name for name in message if name not in ENVELOPE), None)
            carried = () if name is None else (Attachment(type="unsupported", native_type=word(name)),)
        content = content or (None if name is None else words_of(message[name]))
    else:
        content, payload = service.text or content, service.payload
    edited = message.get("edit_date")
    about = Message(
        id=optional_id(message.get("message_id") or message.get("ephemeral_message_id")),
        text=content,
        attachments=carried + service.attachments,
        reply_to=service.reply_to or _reply_to(message),
        forwarded="forward_origin" in message or "forward_date" in message,
        payload=payload or None,
        edited_at=None if edited is None else seconds(edited),
        group_id=optional_id(message.get("media_group_id")),
        quotes=(*_quotes(message), *service.quotes),
        fields=(*service.fields, *_picked(message)),
    )
    conversation = as_conversation(message.get("chat"), thread_of(message))
    conversation = conversation.model_copy(
        update={"title": service.title or conversation.title, "successor": service.successor}
    )
    yield Draft(
        kind=service.kind,
        native_kind=native if name is None else f"{native}.{word(name)}",
        dedupe_id=update_id or "",
        occurred_at=seconds(message.get("date") if edited is None else edited),
        conversation=conversation,
        sender=_author(message, conversation, business=native.endswith("business_message")),
        message=None if service.kind in WITHOUT_MESSAGE and about.is_empty else about,
        members=service.members,
        consent=service.consent,
        raw=raw,
    )


WITHOUT_MESSAGE = frozenset({EventKind.MEMBER_JOINED, EventKind.MEMBER_LEFT, EventKind.CONVERSATION_UPDATED})


def _reply_to(message: Json) -> str | None:
    reply = mapping(message.get("reply_to_message"))
    # In a forum every message "replies" to the service message that opened its topic.
    return None if "forum_topic_created" in reply else optional_id(reply.get("message_id"))


def _quotes(message: Json) -> Iterator[Quote]:
    said = text(mapping(message.get("quote")).get("text"))
    outside = mapping(message.get("external_reply"))
    if outside:
        yield _quote(outside.get("message_id"), mapping(outside.get("origin")), outside.get("chat"), said)
    elif said is not None:
        reply = mapping(message.get("reply_to_message"))
        yield _quote(reply.get("message_id"), {"sender_user": reply.get("from")}, reply.get("sender_chat"), said)
    if "reply_to_story" in message:
        story = mapping(message["reply_to_story"])
        yield _quote(story.get("id"), {}, story.get("chat"), None)
    if "forward_origin" in message:
        origin = mapping(message["forward_origin"])
        yield _quote(origin.get("message_id"), origin, None, None)


def _quote(message_id: Any, origin: Json, chat: Any, said: str | None) -> Quote:
    person = mapping(origin.get("sender_user"))
    place = mapping(origin.get("sender_chat") or origin.get("chat") or chat)
    return Quote(
        id=optional_id(message_id),
        sender=optional_id(person.get("id")) or optional_id(place.get("id")),
        name=joined(person.get("first_name"), person.get("last_name"))
        or text(origin.get("sender_user_name"))
        or text(place.get("title")),
        text=said,
    )


def _picked(message: Json) -> Iterator[FormField]:
    for name in ("reply_to_checklist_task_id", "reply_to_poll_option_id"):
        if name in message:
            yield FormField(name=name, value=optional_id(message[name]))


def _author(message: Json, conversation: Conversation, *, business: bool) -> Sender | None:
    # On behalf of a chat "from" is only a stand-in for old clients (GroupAnonymousBot, Channel_Bot).
    if mapping(message.get("sender_chat")):
        return chat_as_sender(mapping(message["sender_chat"]))
    sender = as_sender(mapping(message.get("from")))
    if sender is not None and business and conversation.direct and sender.id != conversation.id:
        return sender.model_copy(update={"is_self": True})  # the business wrote from its own account
    return sender


# --- the other updates


def _deleted(native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    ids = listing(content.get("message_ids"))
    for index, message_id in enumerate(ids):
        yield Draft(
            kind=EventKind.MESSAGE_DELETED,
            native_kind=native,
            dedupe_id=occurrence(update_id, index or None),
            conversation=as_conversation(content.get("chat"), thread_of(content)),
            message=Message(id=optional_id(message_id)),
            raw=raw,
        )


def _reaction(native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    counts = content.get("reactions")  # an anonymous count in a channel: nobody's reaction in particular
    types = content.get("new_reaction") if counts is None else [mapping(c).get("type") for c in listing(counts)]
    actor = mapping(content.get("actor_chat"))
    yield Draft(
        kind=EventKind.REACTION,
        native_kind=native,
        dedupe_id=update_id or "",
        occurred_at=seconds(content.get("date")),
        conversation=as_conversation(content.get("chat")),
        sender=chat_as_sender(actor) if actor else as_sender(mapping(content.get("user"))),
        message=Message(
            id=optional_id(content.get("message_id")),
            emoji=tuple(_emoji(mapping(t)) for t in listing(types)),
            emoji_action="set",
        ),
        raw=raw,
    )


def _emoji(reaction: Json) -> str:
    found = text(reaction.get("emoji")) or optional_id(reaction.get("custom_emoji_id"))
    return found or word(reaction.get("type"))  # a paid reaction has neither


def _press(payload: str, native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    message = mapping(content.get("message"))  # absent for a message that was sent inline: then there is no chat
    data = text(content.get(payload)) or text(content.get("game_short_name"))
    yield Draft(
        kind=EventKind.POSTBACK,
        native_kind=native,
        dedupe_id=update_id or "",
        conversation=as_conversation(message.get("chat"), thread_of(message)) if message else Conversation(),
        sender=as_sender(mapping(content.get("from"))),
        message=Message(
            id=optional_id(message.get("message_id")) if message else optional_id(content.get("inline_message_id")),
            text=_caption_of(message, data) or text(content.get("query")),
            payload=data,
            fields=order(content),
        ),
        raw=raw,
    )


def _caption_of(message: Json, data: str | None) -> str | None:
    for row in listing(mapping(message.get("reply_markup")).get("inline_keyboard")):
        for button in map(mapping, listing(row)):
            if data is not None and button.get("callback_data") == data:
                return text(button.get("text"))
    return None


def _poll_answer(native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    voter = mapping(content.get("voter_chat"))
    options = tuple(filter(None, map(optional_id, listing(content.get("option_ids")))))
    yield Draft(
        kind=EventKind.POSTBACK,
        native_kind=native,
        dedupe_id=update_id or "",
        sender=chat_as_sender(voter) if voter else as_sender(mapping(content.get("user"))),
        message=Message(
            payload=",".join(options) or None,  # none: the vote was withdrawn
            attachments=(Attachment(type="poll", ref=optional_id(content.get("poll_id"))),),
            fields=tuple(FormField(name="option_id", value=option) for option in options),
        ),
        raw=raw,
    )


def _is_in(member: Json) -> bool:
    status = text(member.get("status"))
    return status in ("creator", "administrator", "member") or (
        status == "restricted" and member.get("is_member") is True
    )


def _membership(native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    new, old = mapping(content.get("new_chat_member")), mapping(content.get("old_chat_member"))
    conversation = as_conversation(content.get("chat"))
    moved = not old or _is_in(old) != _is_in(new)
    # In a private chat it is the person who blocks or unblocks the bot, so the person is the one who came or left.
    who = content.get("from") if conversation.direct else new.get("user")
    kind = EventKind.MEMBER_JOINED if _is_in(new) else EventKind.MEMBER_LEFT
    consent = EventConsent(state="given" if _is_in(new) else "withdrawn")
    yield Draft(
        kind=kind if moved else EventKind.CONVERSATION_UPDATED,
        native_kind=native,
        dedupe_id=update_id or "",
        occurred_at=seconds(content.get("date")),
        conversation=conversation,
        sender=as_sender(mapping(content.get("from"))),
        members=as_members(who) if moved else (),
        consent=consent if moved and conversation.direct else None,
        raw=raw,
    )


def _system(person: str, native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    chat = content.get("chat")
    place = Conversation(id=optional_id(content.get("user_chat_id")), direct=True)
    enabled = content.get("is_enabled")  # of the connection with a business account
    about = Message(
        text=text(content.get("bio")),
        payload=None if not isinstance(enabled, bool) else "enabled" if enabled else "disabled",
    )
    yield Draft(
        kind=EventKind.SYSTEM,
        native_kind=native,
        dedupe_id=update_id or "",
        occurred_at=seconds(content.get("date")),
        conversation=place if chat is None else as_conversation(chat),
        sender=as_sender(mapping(content.get(person))),
        message=None if about.is_empty else about,
        raw=raw,
    )


def _noted(native: str, content: Json, update_id: str | None, raw: Any) -> Iterator[Item]:
    # Of an update that is not known, the words that all updates share are read.
    chat = content.get("chat")
    person = mapping(content.get("from") or content.get("user"))
    place = Conversation(id=optional_id(content.get("user_chat_id")))
    said = words_of(content)
    yield Draft(
        kind=EventKind.SYSTEM,
        native_kind=native,
        dedupe_id=update_id or "",
        occurred_at=seconds(content.get("date")),
        conversation=place if chat is None else as_conversation(chat, thread_of(content)),
        sender=as_sender(person),
        message=None if said is None else Message(id=optional_id(content.get("message_id")), text=said),
        raw=raw,
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
    **dict.fromkeys(("chat_boost", "removed_chat_boost", "managed_bot", "subscription"), _noted),
}
"""From the platform's word for an update to its reader."""
IGNORED: Mapping[str, str] = {
    "inline_query": "a query is typed in a chat that is not named",
    "poll": "the state of a poll is about no conversation",
}

"""MAX bot updates: one update a request, proved by a header that the bot's owner chose.

Source: https://dev.max.ru/docs-api and https://dev.max.ru/docs-api/objects/Update (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    id_,
    integer,
    joined,
    listing,
    mapping,
    millis,
    number,
    optional_id,
    parse_json,
    phone,
    require_header,
    text,
    word,
)

KIND = "max"
CAPABILITIES = ChannelCapabilities(unsubscribes_after_h=8)
"""Source: https://dev.max.ru/docs-api/methods/POST/subscriptions (read 2026-11-30)."""
HEADER = "x-max-bot-api-secret"
DIALOGUE = "dialog"

_CARD_PHONE = re.compile(r"^TEL[^:\n]*:(?:tel:)?([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
_CARD_NAME = re.compile(r"^FN[^:\n]*:([^\r\n]+)", re.MULTILINE | re.IGNORECASE)

Item = Draft | Ignored


class Secret(base.Secret):
    """The ``secret`` that was given when the bot's subscription was made."""

    secret: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the secret header. The body is not signed.

    Raises:
        NotGenuine: the header is missing or wrong.
    """
    require_header(request.headers, HEADER, secret.secret)


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: a subscription is made without a handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the update. A message's ``mid``, a press's ``callback_id``, or what happened where and when names it."""
    update = parse_json(request.body)
    native = word(update.get("update_type"))
    if native in UPDATES:
        yield UPDATES[native](native, update)
    else:
        yield Ignored(native, "not about a conversation")


def _draft(
    kind: EventKind, native: str, update: Json, dedupe_id: str, conversation: Conversation, **rest: Any
) -> Draft:
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=millis(update.get("timestamp")),
        conversation=conversation,
        raw=update,
        **rest,
    )


def _occurrence(native: str, update: Json, chat: str) -> str:
    return f"{native}:{chat}:{id_(update.get('timestamp'))}"


def _person(user: Json) -> Sender:
    return Sender(
        id=id_(user.get("user_id")),
        name=text(user.get("name")) or joined(user.get("first_name"), user.get("last_name")),
        username=text(user.get("username")),
        is_bot=user.get("is_bot") is True,
    )


def _member(person: Sender) -> Member:
    return Member(id=person.id, name=person.name, username=person.username)


# --- messages


def _place(message: Json) -> Conversation:
    recipient = mapping(message.get("recipient"))
    return Conversation(
        id=id_(recipient.get("chat_id")),
        direct=recipient.get("chat_type") == DIALOGUE,
        thread=optional_id(recipient.get("post_id")),  # of a channel's post that is commented on
    )


def _message(kind: EventKind, native: str, update: Json) -> Item:
    message = mapping(update.get("message"))
    conversation, author = _place(message), mapping(message.get("sender"))  # posts of a channel have no author
    # A message that only forwards another may have no body of its own.
    body, link = mapping(message.get("body")), mapping(message.get("link"))
    linked, forwarded = mapping(link.get("message")), link.get("type") == "forward"
    content = body if text(body.get("text")) or body.get("attachments") or not forwarded else linked
    about = optional_id(body.get("mid")) if forwarded else id_(body.get("mid"))
    edited = kind is EventKind.MESSAGE_EDITED
    if about is None:
        occurrence = _occurrence(native, update, id_(conversation.id))
    else:
        occurrence = f"{about}:{id_(update.get('timestamp'))}" if edited else about
    return _draft(
        kind,
        native,
        update,
        occurrence,
        conversation,
        sender=_person(author) if author else None,
        message=Message(
            id=about,
            text=text(content.get("text")),
            attachments=tuple(_attachments(content)),
            reply_to=optional_id(linked.get("mid")) if link.get("type") == "reply" else None,
            forwarded=forwarded,
            edited_at=millis(update.get("timestamp")) if edited else None,
        ),
    )


def _removed(native: str, update: Json) -> Item:
    about, person = id_(update.get("message_id")), optional_id(update.get("user_id"))
    return _draft(
        EventKind.MESSAGE_DELETED,
        native,
        update,
        f"{about}:removed",
        Conversation(id=id_(update.get("chat_id"))),  # of which kind is not told
        sender=Sender(id=person) if person else None,
        message=Message(id=about),
    )


def _callback(native: str, update: Json) -> Item:
    press, message = mapping(update.get("callback")), mapping(update.get("message"))
    return _draft(
        EventKind.POSTBACK,
        native,
        update,
        id_(press.get("callback_id")),
        _place(message) if message else Conversation(),  # absent once the message was deleted
        sender=_person(mapping(press.get("user"))),
        message=Message(
            id=optional_id(mapping(message.get("body")).get("mid")),
            payload=text(press.get("payload")),
        ),
    )


def _attachments(content: Json) -> Iterator[Attachment]:
    for item in map(mapping, listing(content.get("attachments"))):
        kind = word(item.get("type"))
        if kind not in KEYBOARDS:
            yield ATTACHMENTS.get(kind, _unsupported)(item, mapping(item.get("payload")))


def _media(kind: AttachmentType, item: Json, payload: Json) -> Attachment:
    handle = payload.get("token") or payload.get("code") or payload.get("photo_id")
    return Attachment(
        type=kind,
        ref=optional_id(handle),
        url=text(payload.get("url")),
        name=text(item.get("filename")) or text(item.get("title")),
        size_bytes=integer(item.get("size")),
        duration_s=number(item.get("duration")),
    )


def _contact(item: Json, payload: Json) -> Attachment:
    card, user = text(payload.get("vcf_info")) or "", mapping(payload.get("max_info"))
    number_, name = _CARD_PHONE.search(card), _CARD_NAME.search(card)
    return Attachment(
        type="contact",
        ref=optional_id(user.get("user_id")),
        name=text(user.get("name"))
        or joined(user.get("first_name"), user.get("last_name"))
        or (name[1].strip() if name else None),
        phone=phone(number_[1].strip(), international=True) if number_ else None,
    )


def _location(item: Json, payload: Json) -> Attachment:
    latitude, longitude = number(item.get("latitude")), number(item.get("longitude"))
    return Attachment(type="location", latitude=latitude, longitude=longitude)


def _unsupported(item: Json, payload: Json) -> Attachment:
    return Attachment(type="unsupported")


KEYBOARDS = frozenset({"inline_keyboard", "reply_keyboard"})  # what a bot put under its message, not what was sent

ATTACHMENTS: Mapping[str, Callable[[Json, Json], Attachment]] = {
    "image": partial(_media, "image"),
    "video": partial(_media, "video"),
    "audio": partial(_media, "audio"),
    "file": partial(_media, "file"),
    "sticker": partial(_media, "sticker"),
    "share": partial(_media, "link"),
    "contact": _contact,
    "location": _location,
}


# --- people and chats


def _dialogue(kind: EventKind, native: str, update: Json) -> Item:
    chat, person = id_(update.get("chat_id")), _person(mapping(update.get("user")))
    payload = text(update.get("payload"))  # of the deep link that led here
    return _draft(
        kind,
        native,
        update,
        _occurrence(native, update, chat),
        Conversation(id=chat, direct=True),
        sender=person,
        message=Message(payload=payload) if payload else None,
        members=() if kind is EventKind.SYSTEM else (_member(person),),
    )


def _moved(kind: EventKind, native: str, update: Json) -> Item:
    chat, person = id_(update.get("chat_id")), _person(mapping(update.get("user")))
    other = optional_id(update.get("inviter_id") or update.get("admin_id"))  # absent where they did it themselves
    of_bot = native.startswith("bot_")  # then "user" is who did it; the bot's own id is not told
    return _draft(
        kind,
        native,
        update,
        _occurrence(native, update, chat),
        Conversation(id=chat, direct=False),
        sender=Sender(id=other) if other and other != person.id else person,
        members=() if of_bot else (_member(person),),
    )


def _titled(native: str, update: Json) -> Item:
    chat, user = id_(update.get("chat_id")), mapping(update.get("user"))
    return _draft(
        EventKind.SYSTEM,
        native,
        update,
        _occurrence(native, update, chat),
        Conversation(id=chat, direct=False, title=text(update.get("title"))),
        sender=_person(user) if user else None,
    )


def _opened(native: str, update: Json) -> Item:
    chat, payload = mapping(update.get("chat")), text(update.get("start_payload"))
    about, place = optional_id(update.get("message_id")), id_(chat.get("chat_id"))
    return _draft(
        EventKind.SYSTEM,
        native,
        update,
        _occurrence(native, update, place),
        Conversation(id=place, direct=False, title=text(chat.get("title"))),
        message=Message(id=about, payload=payload) if about or payload else None,
    )


UPDATES: Mapping[str, Callable[[str, Json], Item]] = {
    "message_created": partial(_message, EventKind.MESSAGE),
    "message_edited": partial(_message, EventKind.MESSAGE_EDITED),
    "message_removed": _removed,
    "message_callback": _callback,
    "message_chat_created": _opened,
    "bot_started": partial(_dialogue, EventKind.MEMBER_JOINED),
    "bot_stopped": partial(_dialogue, EventKind.MEMBER_LEFT),
    "dialog_muted": partial(_dialogue, EventKind.SYSTEM),
    "dialog_unmuted": partial(_dialogue, EventKind.SYSTEM),
    "dialog_cleared": partial(_dialogue, EventKind.SYSTEM),
    "dialog_removed": partial(_dialogue, EventKind.SYSTEM),
    "bot_added": partial(_moved, EventKind.MEMBER_JOINED),
    "bot_removed": partial(_moved, EventKind.MEMBER_LEFT),
    "user_added": partial(_moved, EventKind.MEMBER_JOINED),
    "user_removed": partial(_moved, EventKind.MEMBER_LEFT),
    "chat_title_changed": _titled,
}
"""From the platform's word for an update to its reader."""

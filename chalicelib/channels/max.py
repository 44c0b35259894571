"""MAX bot updates: one update a request, proved by a header that the bot's owner chose.

Source: https://dev.max.ru/docs-api and https://dev.max.ru/docs-api/objects/Update (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from ..core.event.event import (
    Attachment,
    AttachmentType,
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
    integer,
    items,
    joined,
    listing,
    mapping,
    millis,
    number,
    occurrence,
    optional_id,
    parse_json,
    require_header,
    text,
    word,
)
from .vcard import read_card

KIND = "max"
CAPABILITIES = ChannelCapabilities(unsubscribes_after_h=8)
"""Source: https://dev.max.ru/docs-api/methods/POST/subscriptions (read 2026-11-30)."""
HEADER = "x-max-bot-api-secret"
DIALOGUE = "dialog"

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
    elif native not in IGNORED and any(name in update for name in PEOPLE_AND_PLACES):
        yield _noted(native, update)
    else:
        yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=update)


PEOPLE_AND_PLACES = ("chat_id", "chat", "user", "message")
"""An update that is not known and has one of these is about a conversation."""
IGNORED: Mapping[str, str] = dict.fromkeys(
    ("message_construction_request", "message_constructed"), "a session of a constructor, outside a conversation"
)


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


def _occurrence(native: str, update: Json, chat: str | None, person: str | None = None) -> str:
    at = optional_id(update.get("timestamp"))
    return "" if chat is None or at is None else occurrence(native, chat, at, person)


def _person(user: Json) -> Sender | None:
    if not user:
        return None
    return Sender(
        id=optional_id(user.get("user_id")),
        name=text(user.get("name")) or joined(user.get("first_name"), user.get("last_name")),
        username=text(user.get("username")),
        is_bot=user.get("is_bot") is True,
    )


def _members(person: Sender | None) -> tuple[Member, ...]:
    return () if person is None else (Member(id=person.id, name=person.name, username=person.username),)


# --- messages


def _place(message: Json) -> Conversation:
    recipient = mapping(message.get("recipient"))
    kind = text(recipient.get("chat_type"))
    return Conversation(
        id=optional_id(recipient.get("chat_id")),
        direct=None if kind is None else kind == DIALOGUE,
        thread=optional_id(recipient.get("post_id")),  # of a channel's post that is commented on
    )


def _message(kind: EventKind, native: str, update: Json) -> Item:
    # A voice message of the newest apps comes without "message": that something was said is all that MAX tells.
    message = mapping(update.get("message"))
    # A message that only forwards another may have no body of its own.
    body, link = mapping(message.get("body")), mapping(message.get("link"))
    linked, forwarded = mapping(link.get("message")), link.get("type") == "forward"
    has_own = bool(text(body.get("text")) or body.get("attachments"))
    content = body if has_own or not forwarded else linked
    carried = (body, linked) if forwarded and has_own else (content,)
    about, at = optional_id(body.get("mid")), optional_id(update.get("timestamp"))
    edited = kind is EventKind.MESSAGE_EDITED
    return _draft(
        kind,
        native,
        update,
        "" if edited and at is None else occurrence(about, at if edited else None),
        _place(message),
        sender=_person(mapping(message.get("sender"))),  # posts of a channel have no author
        message=Message(
            id=about,
            text=text(content.get("text")),
            attachments=tuple(found for one in carried for found in _attachments(one)),
            reply_to=optional_id(linked.get("mid")) if link.get("type") == "reply" else None,
            forwarded=forwarded,
            edited_at=millis(update.get("timestamp")) if edited else None,
            quotes=(_quote(link, linked, said=has_own),) if forwarded else (),
        ),
    )


def _quote(link: Json, linked: Json, *, said: bool) -> Quote:
    author = _person(mapping(link.get("sender")))
    return Quote(
        id=optional_id(linked.get("mid")),
        sender=(author.id if author else None) or optional_id(link.get("chat_id")),
        name=author.name if author else None,
        text=text(linked.get("text")) if said else None,
    )


def _removed(native: str, update: Json) -> Item:
    about, person = optional_id(update.get("message_id")), optional_id(update.get("user_id"))
    return _draft(
        EventKind.MESSAGE_DELETED,
        native,
        update,
        occurrence(about, "removed"),
        Conversation(id=optional_id(update.get("chat_id"))),  # of which kind is not told
        sender=Sender(id=person) if person else None,
        message=Message(id=about),
    )


def _callback(native: str, update: Json) -> Item:
    press, message = mapping(update.get("callback")), mapping(update.get("message"))
    body, payload = mapping(message.get("body")), text(press.get("payload"))
    return _draft(
        EventKind.POSTBACK,
        native,
        update,
        optional_id(press.get("callback_id")) or "",
        _place(message) if message else Conversation(),  # absent once the message was deleted
        sender=_person(mapping(press.get("user"))),
        message=Message(id=optional_id(body.get("mid")), text=_label(body, payload), payload=payload),
    )


def _label(body: Json, payload: str | None) -> str | None:
    for keyboard in items(body.get("attachments")):
        for row in listing(mapping(keyboard.get("payload")).get("buttons")):
            for button in items(row):
                if payload is not None and button.get("payload") == payload:
                    return text(button.get("text"))
    return None


def _attachments(content: Json) -> Iterator[Attachment]:
    for item in items(content.get("attachments")):
        kind = word(item.get("type"))
        if kind in ATTACHMENTS:
            yield ATTACHMENTS[kind](item, mapping(item.get("payload")))
        elif kind not in KEYBOARDS:
            yield Attachment(type="unsupported", native_type=kind)


def _media(kind: AttachmentType, item: Json, payload: Json) -> Attachment:
    handle = payload.get("token") or payload.get("code") or payload.get("photo_id")
    return Attachment(
        type=kind,
        ref=optional_id(handle),
        url=text(payload.get("url")),
        name=text(item.get("filename")) or text(item.get("title")),
        size_bytes=integer(item.get("size")),
        duration_s=number(item.get("duration")),
        caption=text(item.get("description")) or text(item.get("transcription")),
    )


def _contact(item: Json, payload: Json) -> Attachment:
    card, user = read_card(payload.get("vcf_info")), mapping(payload.get("max_info"))
    return Attachment(
        type="contact",
        ref=optional_id(user.get("user_id")),
        name=text(user.get("name")) or joined(user.get("first_name"), user.get("last_name")) or card.name,
        phone=next(iter(card.phones), None),
        phones=card.phones if len(card.phones) > 1 else (),
        emails=card.emails,
    )


def _location(item: Json, payload: Json) -> Attachment:
    latitude, longitude = number(item.get("latitude")), number(item.get("longitude"))
    return Attachment(type="location", latitude=latitude, longitude=longitude)


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


def _dialogue(kind: EventKind, state: Literal["given", "withdrawn"] | None, native: str, update: Json) -> Item:
    chat, person = optional_id(update.get("chat_id")), _person(mapping(update.get("user")))
    payload = text(update.get("payload"))  # of the deep link that led here
    return _draft(
        kind,
        native,
        update,
        _occurrence(native, update, chat),
        Conversation(id=chat, direct=True),
        sender=person,
        message=Message(payload=payload, referral=Referral(source="link", payload=payload)) if payload else None,
        members=() if kind is EventKind.SYSTEM else _members(person),
        consent=None if state is None else EventConsent(state=state),
    )


def _moved(kind: EventKind, native: str, update: Json) -> Item:
    chat, person = optional_id(update.get("chat_id")), _person(mapping(update.get("user")))
    other = optional_id(update.get("inviter_id") or update.get("admin_id"))  # absent where they did it themselves
    of_bot = native.startswith("bot_")  # then "user" is who did it; the bot's own id is not told
    moved = None if of_bot or person is None else person.id  # several people come in one millisecond
    return _draft(
        kind,
        native,
        update,
        _occurrence(native, update, chat, moved),
        Conversation(id=chat, direct=False),
        sender=Sender(id=other) if other and (person is None or other != person.id) else person,
        members=() if of_bot else _members(person),
    )


def _opened(native: str, update: Json) -> Item:
    chat, payload = mapping(update.get("chat")), text(update.get("start_payload"))
    about, place = optional_id(update.get("message_id")), optional_id(chat.get("chat_id"))
    return _draft(
        EventKind.SYSTEM,
        native,
        update,
        _occurrence(native, update, place),
        Conversation(id=place, direct=False, title=text(chat.get("title"))),
        message=Message(id=about, payload=payload) if about or payload else None,
    )


def _titled(native: str, update: Json) -> Item:
    chat = optional_id(update.get("chat_id"))
    return _draft(
        EventKind.SYSTEM,
        native,
        update,
        _occurrence(native, update, chat),
        Conversation(id=chat, direct=False, title=text(update.get("title"))),
        sender=_person(mapping(update.get("user"))),
    )


def _noted(native: str, update: Json) -> Item:
    # Of an update that is not known, the words that all updates share are read.
    message = mapping(update.get("message"))
    body, chat = mapping(message.get("body")), mapping(update.get("chat"))
    place = Conversation(id=optional_id(update.get("chat_id") or chat.get("chat_id")))
    about = Message(id=optional_id(body.get("mid") or update.get("message_id")), text=text(body.get("text")))
    return _draft(
        EventKind.SYSTEM,
        native,
        update,
        "",
        _place(message) if message else place,
        sender=_person(mapping(update.get("user")) or mapping(message.get("sender"))),
        message=None if about == Message() else about,
    )


UPDATES: Mapping[str, Callable[[str, Json], Item]] = {
    "message_created": partial(_message, EventKind.MESSAGE),
    "message_edited": partial(_message, EventKind.MESSAGE_EDITED),
    "message_removed": _removed,
    "message_callback": _callback,
    "message_chat_created": _opened,
    "bot_started": partial(_dialogue, EventKind.MEMBER_JOINED, "given"),
    "bot_stopped": partial(_dialogue, EventKind.MEMBER_LEFT, "withdrawn"),
    **dict.fromkeys(
        ("dialog_muted", "dialog_unmuted", "dialog_cleared", "dialog_removed"),
        partial(_dialogue, EventKind.SYSTEM, None),
    ),
    "bot_added": partial(_moved, EventKind.MEMBER_JOINED),
    "bot_removed": partial(_moved, EventKind.MEMBER_LEFT),
    "user_added": partial(_moved, EventKind.MEMBER_JOINED),
    "user_removed": partial(_moved, EventKind.MEMBER_LEFT),
    "chat_title_changed": _titled,
    "bot_admin_permissions_changed": _noted,
}
"""From the platform's word for an update to its reader."""

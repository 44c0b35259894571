"""VK Callback API: one event a request, proved by a secret inside the body, acknowledged by exactly ``ok``.

Source: https://dev.vk.com/ru/api/callback/getting-started, /api/community-events/json-schema and
/reference/objects/message (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    compact,
    id_,
    integer,
    joined,
    listing,
    mapping,
    number,
    optional_id,
    parse_json,
    same,
    seconds,
    text,
    word,
)

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
    """Yield the event. ``event_id`` names the occurrence."""
    callback = parse_json(request.body)
    native = word(callback.get("type"))
    if native in EVENTS:
        yield EVENTS[native](native, callback, mapping(callback.get("object")))
    else:
        yield Ignored(native, "not about a conversation")


def _draft(kind: EventKind, native: str, callback: Json, peer: Any, **rest: Any) -> Draft:
    content = mapping(callback.get("object"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=id_(callback.get("event_id")),
        conversation=Conversation(id=id_(peer), direct=not _is_chat(peer), title=rest.pop("title", None)),
        raw=content,
        **rest,
    )


def _is_chat(peer: Any) -> bool:
    return isinstance(peer, int) and peer > FIRST_GROUP_CHAT


# --- messages


def _message(kind: EventKind, native: str, callback: Json, content: Json) -> Item:
    # From version 5.103 on the message lies beside client_info; before, and in replies and edits, it is the object.
    message = mapping(content.get("message", content))
    action = mapping(message.get("action"))
    if action:
        return _action(f"{native}.{word(action.get('type'))}", callback, message, action)
    payload, edited = text(message.get("payload")), message.get("update_time")
    edited = edited if kind is EventKind.MESSAGE_EDITED else None
    forwarded = listing(message.get("fwd_messages"))
    reply = mapping(message.get("reply_message"))
    about = Message(
        id=_message_id(message),
        text=text(message.get("text")),
        attachments=tuple(_attachments(message)),
        reply_to=_message_id(reply) if reply else None,
        forwarded=bool(forwarded),
        payload=payload or text(message.get("ref")),
        edited_at=None if edited is None else seconds(edited),
    )
    return _draft(
        EventKind.POSTBACK if payload and kind is EventKind.MESSAGE else kind,  # only a pressed button has a payload
        native,
        callback,
        message.get("peer_id"),
        occurred_at=seconds(message.get("date") if edited is None else edited),
        sender=_sender(message, callback),
        message=about,
    )


def _message_id(message: Json) -> str:
    # In group chats "id" is 0: there a message is known by its number within the conversation.
    return id_(message.get("id") or message.get("conversation_message_id"))


def _sender(message: Json, callback: Json) -> Sender:
    person = id_(message.get("from_id"))
    own = person == f"-{optional_id(callback.get('group_id'))}" or message.get("out") == 1
    return Sender(id=person, is_bot=person.startswith("-"), is_self=own)


def _action(native: str, callback: Json, message: Json, action: Json) -> Item:
    kind = ACTIONS.get(native.partition(".")[2], EventKind.CONVERSATION_UPDATED)
    sender = _sender(message, callback)
    moved = kind is not EventKind.CONVERSATION_UPDATED
    return _draft(
        kind,
        native,
        callback,
        message.get("peer_id"),
        title=None if moved else text(action.get("text")),
        occurred_at=seconds(message.get("date")),
        sender=sender,
        # Whoever follows an invitation link is the sender, and no member is named.
        members=(Member(id=optional_id(action.get("member_id")) or sender.id),) if moved else (),
    )


ACTIONS: Mapping[str, EventKind] = {
    "chat_invite_user": EventKind.MEMBER_JOINED,
    "chat_invite_user_by_link": EventKind.MEMBER_JOINED,
    "chat_invite_user_by_message_request": EventKind.MEMBER_JOINED,
    "chat_kick_user": EventKind.MEMBER_LEFT,
}
"""Service messages that move people; every other one changes the conversation."""


def _attachments(message: Json) -> Iterator[Attachment]:
    for item in map(mapping, listing(message.get("attachments"))):
        kind = word(item.get("type"))
        yield ATTACHMENTS.get(kind, _unsupported)(mapping(item.get(kind)))
    geo = mapping(message.get("geo"))
    if geo:
        point, place = mapping(geo.get("coordinates")), mapping(geo.get("place"))
        yield Attachment(
            type="location",
            latitude=number(point.get("latitude")),
            longitude=number(point.get("longitude")),
            address=text(place.get("title")),
        )


def _largest(sizes: Any) -> str | None:
    found = [mapping(size) for size in listing(sizes)]
    area = [(integer(s.get("width")) or 0) * (integer(s.get("height")) or 0) for s in found]
    return text(found[area.index(max(area))].get("url")) if found else None


def _handle(item: Json) -> str | None:
    parts = (item.get("owner_id") or item.get("from_id") or item.get("to_id"), item.get("id"), item.get("access_key"))
    return "_".join(filter(None, map(optional_id, parts))) or None


def _item(kind: AttachmentType, url: str, item: Json) -> Attachment:
    return Attachment(
        type=kind,
        ref=_handle(item),
        url=text(item.get(url)),
        name=text(item.get("title")),
        size_bytes=integer(item.get("size")),
        duration_s=number(item.get("duration")),
    )


def _photo(item: Json) -> Attachment:
    return Attachment(type="image", ref=_handle(item), url=_largest(item.get("sizes")), caption=text(item.get("text")))


def _voice(item: Json) -> Attachment:
    url, mime = text(item.get("link_ogg")), "audio/ogg"
    if url is None:
        url, mime = text(item.get("link_mp3")), "audio/mpeg"
    return Attachment(type="voice", ref=_handle(item), url=url, mime=mime, duration_s=number(item.get("duration")))


def _sticker(item: Json) -> Attachment:
    return Attachment(type="sticker", ref=optional_id(item.get("sticker_id")), url=_largest(item.get("images")))


def _audio(item: Json) -> Attachment:
    found = _item("audio", "url", item)
    return found.model_copy(update={"name": joined(item.get("artist"), item.get("title"))})


def _poll(item: Json) -> Attachment:
    return Attachment(type="poll", ref=_handle(item), name=text(item.get("question")))


def _unsupported(item: Json) -> Attachment:
    return Attachment(type="unsupported")


ATTACHMENTS: Mapping[str, Callable[[Json], Attachment]] = {
    "photo": _photo,
    "video": partial(_item, "video", ""),
    "video_message": partial(_item, "video", ""),
    "audio": _audio,
    "audio_message": _voice,
    "doc": partial(_item, "file", "url"),
    "graffiti": partial(_item, "image", "url"),
    "gift": partial(_item, "image", "thumb_256"),
    "sticker": _sticker,
    "link": partial(_item, "link", "url"),
    "wall": partial(_item, "link", ""),
    "wall_reply": partial(_item, "link", ""),
    "market": partial(_item, "link", ""),
    "market_album": partial(_item, "link", ""),
    "article": partial(_item, "link", "url"),
    "story": partial(_item, "link", ""),
    "poll": _poll,
}


# --- the other events


def _consent(kind: EventKind, native: str, callback: Json, content: Json) -> Item:
    person = id_(content.get("user_id"))
    key = text(content.get("key"))  # what the site passed to allowMessagesFromGroup
    return _draft(
        kind,
        native,
        callback,
        content.get("user_id"),
        sender=Sender(id=person),
        members=(Member(id=person),),
        message=Message(payload=key) if key else None,
    )


def _typing(native: str, callback: Json, content: Json) -> Item:
    person, to = content.get("from_id"), content.get("to_id")
    chat = to if _is_chat(to) else person
    return _draft(EventKind.TYPING, native, callback, chat, sender=Sender(id=id_(person)))


def _press(native: str, callback: Json, content: Json) -> Item:
    payload = content.get("payload")
    return _draft(
        EventKind.POSTBACK,
        native,
        callback,
        content.get("peer_id"),
        sender=Sender(id=id_(content.get("user_id"))),
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
        sender=Sender(id=id_(content.get("reacted_id"))),
        message=Message(id=id_(content.get("cmid")), emoji=(emoji,) if emoji else (), emoji_action="set"),
    )


def _read(native: str, callback: Json, content: Json) -> Item:
    about = id_(content.get("read_message_id") or content.get("conversation_message_id"))
    return _draft(
        EventKind.STATUS,
        native,
        callback,
        content.get("peer_id"),
        sender=Sender(id=id_(content.get("from_id"))),
        message=Message(id=about, status="read"),
    )


EVENTS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message_new": partial(_message, EventKind.MESSAGE),
    "message_reply": partial(_message, EventKind.MESSAGE),
    "message_edit": partial(_message, EventKind.MESSAGE_EDITED),
    "message_allow": partial(_consent, EventKind.MEMBER_JOINED),
    "message_deny": partial(_consent, EventKind.MEMBER_LEFT),
    "message_typing_state": _typing,
    "message_event": _press,
    "message_reaction_event": _reaction,
    "message_read": _read,
}
"""From the platform's word for an event to its reader. Walls, photos, markets and membership are ignored."""

"""Discord over HTTP: interactions, which are answered at once, and webhook events. Both are signed with Ed25519.

Source: https://docs.discord.com/developers/interactions/receiving-and-responding and
https://docs.discord.com/developers/events/webhook-events (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, StringConstraints

from ..core.errors import NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply
from .fields import (
    Json,
    id_,
    instant,
    integer,
    listing,
    mapping,
    millis,
    number,
    optional_id,
    parse_json,
    seconds,
    text,
    word,
)

KIND = "discord"
CAPABILITIES = ChannelCapabilities(answer_within_s=3)
SIGNATURE, TIMESTAMP = "x-signature-ed25519", "x-signature-timestamp"
WINDOW_S = 900  # an event that was not taken is sent again for ten minutes
EPOCH_MS = 1_420_070_400_000  # ids hold the milliseconds since 2015
PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 1, 2, 3, 4, 5  # interactions
EVENT_PING = 0  # webhook events
PRIVATE_CHANNEL = 2  # an interaction's context: a conversation of others, of two or of more
JSON = {"Content-Type": "application/json"}

Item = Draft | Ignored


class Secret(base.Secret):
    """The application's public key, in hexadecimal. It is no secret, and nothing else is needed."""

    public_key: Annotated[str, StringConstraints(min_length=1, pattern=r"^[0-9a-fA-F]{64}$"), Field(repr=False)]


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over the time and the raw bytes. Discord tries an address with bad ones and wants 401.

    Raises:
        NotGenuine: it is missing or wrong, or its time is more than a quarter of an hour off.
    """
    stamp = request.headers.get(TIMESTAMP, "")
    try:
        signature = bytes.fromhex(request.headers.get(SIGNATURE, ""))
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(secret.public_key))
        key.verify(signature, stamp.encode() + request.body)
    except (ValueError, InvalidSignature):  # ValueError: not hexadecimal, or a stamp that no encoding takes
        raise NotGenuine("the signature is missing or wrong") from None
    signed_at = seconds(stamp)
    if signed_at is None:
        raise NotGenuine("the signed time is no time")
    if abs((request.now - signed_at).total_seconds()) > WINDOW_S:
        raise NotGenuine("the signed time is too far off")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer the two pings: of interactions with a pong, of webhook events with 204."""
    document = parse_json(request.body)
    if "event" not in document and document.get("type") == EVENT_PING:
        return Reply(204)
    if "event" not in document and document.get("type") == PING:
        return Reply(200, '{"type":1}', JSON)
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return 204 for an event; for an interaction the answer that puts the answer off to later."""
    document = parse_json(request.body)
    if "event" in document:
        return Reply(204)
    kind = document.get("type")
    if kind == AUTOCOMPLETE:
        return Reply(200, '{"type":8,"data":{"choices":[]}}', JSON)
    # What was pressed under a message leaves the message as it is (6); a command shows that an answer comes (5).
    return Reply(200, '{"type":6}' if kind == COMPONENT or "message" in document else '{"type":5}', JSON)


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the interaction, which has an id, or the event, which ``TYPE:id:time`` names."""
    document = parse_json(request.body)
    if "event" not in document:
        yield _interaction(document)
        return
    event = mapping(document["event"])
    native = word(event.get("type"))
    if native in EVENTS:
        yield _event(native, event, mapping(event.get("data")))
    else:
        yield Ignored(native, "not about a conversation")


def _sender(user: Json, nick: Any = None) -> Sender:
    return Sender(
        id=id_(user.get("id")),
        name=text(nick) or text(user.get("global_name")) or text(user.get("username")),
        username=text(user.get("username")),
        is_bot=user.get("bot") is True,
    )


# --- interactions


def _interaction(document: Json) -> Item:
    kind = integer(document.get("type")) or 0
    native = INTERACTIONS.get(kind, "unknown")
    if native == "unknown" or kind == AUTOCOMPLETE:
        return Ignored(native, "not about a conversation")
    own_id, member = id_(document.get("id")), mapping(document.get("member"))
    return Draft(
        kind=EventKind.POSTBACK,
        native_kind=native,
        dedupe_id=own_id,
        occurred_at=_made_at(own_id),
        conversation=Conversation(
            id=optional_id(document.get("channel_id") or mapping(document.get("channel")).get("id")),
            direct=_direct(document),
        ),
        sender=_sender(mapping(member.get("user") or document.get("user")), member.get("nick")),
        message=_pressed(kind, document, mapping(document.get("data"))),
        raw=document,
    )


INTERACTIONS: Mapping[int, str] = {
    COMMAND: "APPLICATION_COMMAND",
    COMPONENT: "MESSAGE_COMPONENT",
    AUTOCOMPLETE: "APPLICATION_COMMAND_AUTOCOMPLETE",
    MODAL: "MODAL_SUBMIT",
}


def _made_at(snowflake: str) -> datetime | None:
    # Source: https://docs.discord.com/developers/reference#snowflakes (read 2026-11-22).
    return millis(((integer(snowflake) or 0) >> 22) + EPOCH_MS)


def _direct(document: Json) -> bool | None:
    if document.get("guild_id") is not None:
        return False
    return None if document.get("context") == PRIVATE_CHANNEL else True


def _pressed(kind: int, document: Json, data: Json) -> Message:
    if kind == COMMAND:
        typed = " ".join(_typed(data.get("options")))
        return Message(id=optional_id(data.get("target_id")), text=text(typed), payload=id_(data.get("name")))
    values = listing(data.get("values")) if kind == COMPONENT else list(_filled(data.get("components")))
    return Message(
        id=optional_id(mapping(document.get("message")).get("id")),
        text=text("\n".join(filter(None, map(text, values)))),
        payload=id_(data.get("custom_id")),
    )


def _typed(options: Any) -> Iterator[str]:
    for option in map(mapping, listing(options)):
        name, value = id_(option.get("name")), option.get("value")
        if value is None:  # a subcommand, or a group of them
            yield name
            yield from _typed(option.get("options"))
        else:
            yield f"{name}:{value if isinstance(value, str) else _plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return optional_id(value) or "" if isinstance(value, int) else str(number(value))


def _filled(components: Any) -> Iterator[Any]:
    for component in map(mapping, listing(components)):
        yield component.get("value")
        yield from listing(component.get("values"))
        yield from _filled(component.get("components"))
        if component.get("component") is not None:  # of a label
            yield from _filled([component["component"]])


# --- webhook events


def _event(native: str, event: Json, data: Json) -> Item:
    kind, about = EVENTS[native], id_(data.get("id"))
    lobby = optional_id(data.get("lobby_id"))
    author = mapping(data.get("author"))
    edited = data.get("edited_timestamp")
    gone = kind is EventKind.MESSAGE_DELETED
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=f"{native}:{about}:{id_(event.get('timestamp'))}",  # an event has no id
        occurred_at=instant(event.get("timestamp")),
        conversation=Conversation(id=lobby or id_(data.get("channel_id")), direct=lobby is None),
        sender=_sender(author) if author else None,
        message=Message(id=about)
        if gone
        else Message(
            id=about,
            text=text(data.get("content")),
            attachments=tuple(map(_attachment, listing(data.get("attachments")))),
            reply_to=optional_id(mapping(data.get("message_reference")).get("message_id")),
            edited_at=instant(edited) if edited is not None else None,
        ),
        raw=event,
    )


EVENTS: Mapping[str, EventKind] = {
    "LOBBY_MESSAGE_CREATE": EventKind.MESSAGE,
    "LOBBY_MESSAGE_UPDATE": EventKind.MESSAGE_EDITED,
    "LOBBY_MESSAGE_DELETE": EventKind.MESSAGE_DELETED,
    "GAME_DIRECT_MESSAGE_CREATE": EventKind.MESSAGE,
    "GAME_DIRECT_MESSAGE_UPDATE": EventKind.MESSAGE_EDITED,
    "GAME_DIRECT_MESSAGE_DELETE": EventKind.MESSAGE_DELETED,
}
"""From Discord's word for an event to ours. Authorisations, entitlements and quests are ignored."""


def _attachment(value: Any) -> Attachment:
    item = mapping(value)
    mime = text(item.get("content_type"))
    return Attachment(
        type=MEDIA.get((mime or "").partition("/")[0], "file"),
        ref=optional_id(item.get("id")),
        url=text(item.get("url")),
        mime=mime,
        name=text(item.get("filename")),
        size_bytes=integer(item.get("size")),
        duration_s=number(item.get("duration_secs")),
        caption=text(item.get("description")),
    )


MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}

"""Discord over HTTP: interactions, which are answered at once, and webhook events. Both are signed with Ed25519.

Source: https://docs.discord.com/developers/interactions/receiving-and-responding,
https://docs.discord.com/developers/components/reference and
https://docs.discord.com/developers/events/webhook-events (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, StringConstraints

from ..core.errors import NotGenuine
from ..core.event.event import (
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    FormField,
    Member,
    Message,
    Sender,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply
from .discord_content import content, file, quote
from .fields import (
    Json,
    instant,
    integer,
    items,
    listing,
    mapping,
    millis,
    number,
    occurrence,
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
USER_COMMAND = 2  # a command's type: it is used on a person
USER_INSTALL = 1  # an integration's type: a person installs the application for themselves
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
    native, data = word(event.get("type")), mapping(event.get("data"))
    if native in EVENTS:
        yield _event(native, event, data)
    elif native in INSTALLATIONS:
        yield _installation(native, event, data)
    elif native not in IGNORED and any(data.get(name) for name in ("channel_id", "lobby_id", "user", "user_id")):
        yield _draft(
            EventKind.SYSTEM, native, event, data, sender=_sender(mapping(data.get("user") or data.get("author")))
        )
    else:
        yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=event)


def _sender(user: Json, nick: Any = None) -> Sender | None:
    own_id = optional_id(user.get("id"))
    if own_id is None:
        return None
    return Sender(
        id=own_id,
        name=text(nick) or text(user.get("global_name")) or text(user.get("username")),
        username=text(user.get("username")),
        is_bot=user.get("bot") is True,
    )


# --- interactions


def _interaction(document: Json) -> Item:
    kind = integer(document.get("type")) or 0
    native = INTERACTIONS.get(kind, "unknown")
    if kind == AUTOCOMPLETE:
        return Ignored(native, "a command asks for its choices while a person types", raw=document)
    own_id, member = optional_id(document.get("id")), mapping(document.get("member"))
    known = kind in INTERACTIONS
    return Draft(
        kind=EventKind.POSTBACK if known else EventKind.SYSTEM,
        native_kind=native,
        dedupe_id=occurrence(own_id),
        occurred_at=_made_at(own_id),
        conversation=Conversation(
            id=optional_id(document.get("channel_id") or mapping(document.get("channel")).get("id")),
            direct=_direct(document),
        ),
        sender=_sender(mapping(member.get("user") or document.get("user")), member.get("nick")),
        message=_pressed(kind, document, mapping(document.get("data"))) if known else None,
        raw=document,
    )


INTERACTIONS: Mapping[int, str] = {
    COMMAND: "APPLICATION_COMMAND",
    COMPONENT: "MESSAGE_COMPONENT",
    AUTOCOMPLETE: "APPLICATION_COMMAND_AUTOCOMPLETE",
    MODAL: "MODAL_SUBMIT",
}


def _made_at(snowflake: str | None) -> datetime | None:
    # Source: https://docs.discord.com/developers/reference#snowflakes (read 2026-11-22).
    number_ = integer(snowflake)
    return None if number_ is None else millis((number_ >> 22) + EPOCH_MS)


def _direct(document: Json) -> bool | None:
    if document.get("guild_id") is not None:
        return False
    return None if document.get("context") == PRIVATE_CHANNEL else True


def _pressed(kind: int, document: Json, data: Json) -> Message:
    uploads = mapping(mapping(data.get("resolved")).get("attachments"))
    if kind == COMMAND:
        return _commanded(data, uploads)
    values = [(data.get("custom_id"), data)] if kind == COMPONENT else list(_filled(data.get("components")))
    fields = tuple(FormField(name=text(name), value=one) for name, found in values for one in _values(found))
    return Message(
        id=optional_id(mapping(document.get("message")).get("id")),
        text=text("\n".join(one.value for one in fields if one.value)),
        payload=optional_id(data.get("custom_id")),
        attachments=tuple(file(mapping(uploads[one.value])) for one in fields if one.value in uploads),
        fields=fields,
    )


def _commanded(data: Json, uploads: Json) -> Message:
    typed = list(_typed(data.get("options")))
    target, resolved = optional_id(data.get("target_id")), mapping(data.get("resolved"))
    about = mapping(mapping(resolved.get("messages")).get(target or ""))
    person = data.get("type") == USER_COMMAND
    fields = [FormField(name=name, value=value) for name, value in typed if value is not None]
    return Message(
        id=None if person else target,
        text=text(" ".join(name if value is None else f"{name}:{value}" for name, value in typed)),
        payload=optional_id(data.get("name")),
        attachments=(
            *(file(mapping(uploads[one.value])) for one in fields if one.value in uploads),
            *(content(about)["attachments"]),
        ),
        quotes=(quote(about),) if about else (),
        fields=(*fields, *([FormField(name="target_id", value=target)] if person and target else ())),
    )


def _typed(options: Any) -> Iterator[tuple[str, str | None]]:
    for option in items(options):
        name, value = optional_id(option.get("name")) or "", option.get("value")
        if value is None:  # a subcommand, or a group of them
            yield name, None
            yield from _typed(option.get("options"))
        else:
            yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(number(value))
    return text(value) or ""


def _filled(components: Any) -> Iterator[tuple[Any, Json]]:
    for component in items(components):
        if "value" in component or "values" in component:
            yield component.get("custom_id"), component
        yield from _filled(component.get("components"))
        yield from _filled(component.get("component"))  # of a label


def _values(component: Json) -> list[str | None]:
    """Return the values of a component; an empty one has a value that is None, a button has none at all."""
    if "values" in component:
        return [_plain(one) or None for one in listing(component["values"])] or [None]
    return [_plain(component["value"]) or None] if "value" in component else []


# --- webhook events


def _draft(kind: EventKind, native: str, event: Json, data: Json, **rest: Any) -> Draft:
    about, stamp = optional_id(data.get("id")), optional_id(event.get("timestamp"))
    lobby = optional_id(data.get("lobby_id"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(native, about, stamp) if about and stamp else "",  # an event has no id
        occurred_at=instant(event.get("timestamp")),
        conversation=Conversation(id=lobby or optional_id(data.get("channel_id")), direct=lobby is None),
        raw=event,
        **rest,
    )


def _event(native: str, event: Json, data: Json) -> Item:
    about = Message(id=optional_id(data.get("id")))
    if EVENTS[native] is not EventKind.MESSAGE_DELETED:
        edited = data.get("edited_timestamp")
        at = instant(edited) if edited is not None else None
        about = Message(id=about.id, edited_at=at, **content(data))
    return _draft(EVENTS[native], native, event, data, sender=_sender(mapping(data.get("author"))), message=about)


def _installation(native: str, event: Json, data: Json) -> Item:
    kind, state = INSTALLATIONS[native]
    user = mapping(data.get("user"))
    person = _sender(user)
    if person is None or data.get("integration_type", USER_INSTALL) != USER_INSTALL:  # it came to a server
        return _draft(EventKind.SYSTEM, native, event, {}, sender=person)
    members = (Member(id=person.id, name=person.name, username=person.username),)
    return _draft(kind, native, event, {}, sender=person, members=members, consent=EventConsent(state=state))


INSTALLATIONS: Mapping[str, tuple[EventKind, Literal["given", "withdrawn"]]] = {
    "APPLICATION_AUTHORIZED": (EventKind.MEMBER_JOINED, "given"),
    "APPLICATION_DEAUTHORIZED": (EventKind.MEMBER_LEFT, "withdrawn"),
}
"""A person lets the application write to them, or no longer."""

IGNORED: Mapping[str, str] = {
    **dict.fromkeys((f"ENTITLEMENT_{what}" for what in ("CREATE", "UPDATE", "DELETE")), "a purchase"),
    "QUEST_USER_ENROLLMENT": "an advertisement's game",
}
"""Events about a person that are ignored, and why."""

EVENTS: Mapping[str, EventKind] = {
    "LOBBY_MESSAGE_CREATE": EventKind.MESSAGE,
    "LOBBY_MESSAGE_UPDATE": EventKind.MESSAGE_EDITED,
    "LOBBY_MESSAGE_DELETE": EventKind.MESSAGE_DELETED,
    "GAME_DIRECT_MESSAGE_CREATE": EventKind.MESSAGE,
    "GAME_DIRECT_MESSAGE_UPDATE": EventKind.MESSAGE_EDITED,
    "GAME_DIRECT_MESSAGE_DELETE": EventKind.MESSAGE_DELETED,
}
"""From Discord's word for an event to ours."""

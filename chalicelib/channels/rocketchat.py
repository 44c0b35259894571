"""Rocket.Chat outgoing integrations: one message a request, proved by a token inside the body.

Source: https://docs.rocket.chat/docs/integrations and the server's
https://github.com/RocketChat/Rocket.Chat/blob/develop/apps/meteor/app/integrations/server/lib/triggerHandler.ts, which
says what is sent (read 2026-12-01).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Quote, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, instant, integer, items, mapping, occurrence, optional_id, parse_json, same, text

KIND = "rocketchat"
CAPABILITIES = ChannelCapabilities()
DIRECT_ROOM = "d"
HASH_CHARACTERS = 16
REPEATED_WITHIN_S = 10
"""An edit that failed comes again within seconds. A person needs longer to go back to an earlier text."""
TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}

Item = Draft | Ignored


class Secret(base.Secret):
    """The token that Rocket.Chat shows for the integration."""

    token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the body's ``token``. Nothing else of the body is looked at.

    Raises:
        NotGenuine: it is missing or wrong, or the body holds none because it is no JSON object.
    """
    try:
        given = parse_json(request.body).get("token")
    except MalformedPayload:
        given = None
    if not same(given, secret.token):
        raise NotGenuine("the token is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty object: text in it would be posted to the room, and an empty body is sent again."""
    return Reply(200, "{}", {"Content-Type": "application/json"})


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the message. ``message_id`` names it; an edit is named by it, the new text and the time of receipt.

    The only time in an edit is the message's own.
    """
    data = {name: value for name, value in parse_json(request.body).items() if name != "token"}
    own_id, said = optional_id(data.get("message_id")), text(data.get("text"))
    message = mapping(data.get("message"))
    edited, uploaded = data.get("isEdited") is True, bool(message)
    if own_id is None and said is None and not message:
        if optional_id(data.get("channel_id")) is None:
            # Of rooms and users made, joined and left most servers send the token and nothing else.
            yield Ignored("unknown", "Rocket.Chat does not say what happened", raw=data)
        else:
            yield _draft(EventKind.SYSTEM, "room", data)
        return
    digest = hashlib.sha256((said or "").encode()).hexdigest()[:HASH_CHARACTERS]
    received = int(request.now.timestamp()) // REPEATED_WITHIN_S
    yield _draft(
        EventKind.MESSAGE_EDITED if edited else EventKind.MESSAGE,
        "fileUploaded" if uploaded else "sendMessage.edited" if edited else "sendMessage",
        data,
        occurrence(own_id, *(("edited", digest, received) if edited else ())),
        Message(
            id=own_id, text=said or _described(message), attachments=tuple(_files(message)), quotes=_quotes(message)
        ),
    )


def _draft(kind: EventKind, native: str, data: Json, dedupe_id: str = "", message: Message | None = None) -> Draft:
    room, about = mapping(data.get("room")), mapping(data.get("message"))
    person, name = optional_id(data.get("user_id")), text(data.get("user_name"))
    sender = Sender(
        id=person,
        name=text(data.get("alias")) or name,
        username=name,
        is_bot=bool(data.get("bot")),  # older servers send the integration's object
    )
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=dedupe_id,
        occurred_at=instant(data.get("timestamp")),
        conversation=Conversation(
            id=optional_id(data.get("channel_id")),
            direct=room.get("t") == DIRECT_ROOM if room else None,
            thread=optional_id(data.get("tmid") or about.get("tmid")),
            title=text(data.get("channel_name")),
        ),
        sender=sender if person or sender.name else None,
        message=message,
        raw=data,
    )


def _described(message: Json) -> str | None:
    """Return the words that a person wrote to an uploaded file."""
    cards = items(message.get("attachments"))
    return "\n".join(filter(None, (text(one.get("description")) for one in cards))) or None


def _quotes(message: Json) -> tuple[Quote, ...]:
    cards = (one for one in items(message.get("attachments")) if one.get("message_link"))
    return tuple(Quote(name=text(one.get("author_name")), text=text(one.get("text"))) for one in cards)


def _files(message: Json) -> Iterator[Attachment]:
    for file in items(message.get("files")) or items(message.get("file")):
        if text(file.get("typeGroup")) == "thumb":
            continue  # made of the file beside it
        mime = text(file.get("type"))
        yield Attachment(
            type=TYPES.get((mime or "").partition("/")[0], "file"),
            ref=optional_id(file.get("_id")),
            mime=mime,
            name=text(file.get("name")),
            size_bytes=integer(file.get("size")),
        )

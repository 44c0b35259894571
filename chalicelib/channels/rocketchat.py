"""Rocket.Chat outgoing integrations: one message a request, proved by a token inside the body.

Source: https://docs.rocket.chat/docs/integrations and the server's
https://github.com/RocketChat/Rocket.Chat/blob/develop/apps/meteor/app/integrations/server/lib/triggerHandler.ts, which
says what is sent (read 2026-11-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, id_, instant, integer, listing, mapping, optional_id, parse_json, same, text

KIND = "rocketchat"
CAPABILITIES = ChannelCapabilities()
DIRECT_ROOM = "d"
HASH_CHARACTERS = 16
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
    """Yield the message. ``message_id`` names it; an edit is named by it and the new text, for it has no time."""
    data = {name: value for name, value in parse_json(request.body).items() if name != "token"}
    if "message_id" not in data:
        # Of rooms and users made, joined and left the server sends the token and nothing else.
        yield Ignored("unknown", "Rocket.Chat does not say what happened")
        return
    own_id, said = id_(data["message_id"]), text(data.get("text"))
    room, message = mapping(data.get("room")), mapping(data.get("message"))
    edited, uploaded = data.get("isEdited") is True, bool(message)
    name = text(data.get("user_name"))
    digest = hashlib.sha256((said or "").encode()).hexdigest()[:HASH_CHARACTERS]
    yield Draft(
        kind=EventKind.MESSAGE_EDITED if edited else EventKind.MESSAGE,
        native_kind="fileUploaded" if uploaded else "sendMessage.edited" if edited else "sendMessage",
        dedupe_id=f"{own_id}:edited:{digest}" if edited else own_id,
        occurred_at=instant(data.get("timestamp")),
        conversation=Conversation(
            id=id_(data.get("channel_id")),
            direct=room.get("t") == DIRECT_ROOM if room else None,
            thread=optional_id(data.get("tmid") or message.get("tmid")),
            title=text(data.get("channel_name")),
        ),
        sender=Sender(
            id=id_(data.get("user_id")),
            name=text(data.get("alias")) or name,
            username=name,
            is_bot=bool(data.get("bot")),  # older servers send the integration's object
        ),
        message=Message(id=own_id, text=said, attachments=tuple(_files(message))),
        raw=data,
    )


def _files(message: Json) -> Iterator[Attachment]:
    for file in map(mapping, listing(message.get("files")) or filter(None, [message.get("file")])):
        if text(file.get("typeGroup")) == "thumb":
            continue  # made of the file beside it
        mime = text(file.get("type"))
        yield Attachment(
            type=TYPES.get((mime or "").partition("/")[0], "file"),
            ref=id_(file.get("_id")),
            mime=mime,
            name=text(file.get("name")),
            size_bytes=integer(file.get("size")),
        )

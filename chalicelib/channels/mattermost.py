"""Mattermost: outgoing webhooks and slash commands, one event a request, proved by a token inside the body.

Source: https://developers.mattermost.com/integrate/webhooks/outgoing and
https://developers.mattermost.com/integrate/slash-commands/custom (read 2026-12-01).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, Conversation, Draft, EventKind, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, integer, millis, occurrence, optional_id, parse_form, parse_json, same, seconds, text

KIND = "mattermost"
CAPABILITIES = ChannelCapabilities()
FIRST_MILLISECONDS = 100_000_000_000  # 1973 in milliseconds, the year 5138 in seconds
POST_FIELDS = frozenset({"post_id", "trigger_word", "file_ids"})
COMMAND_FIELDS = frozenset({"command", "response_url"})

_DIRECT = re.compile(r"[a-z0-9]{26}__[a-z0-9]{26}")  # two people's ids; other channels have names of their own

Item = Draft | Ignored


class Secret(base.Secret):
    """The token that Mattermost shows for the outgoing webhook or the slash command."""

    token: SecretText


def _read(body: bytes) -> Json:
    return parse_json(body) if body.lstrip()[:1] == b"{" else dict(parse_form(body))


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the body's ``token``. Nothing else of the body is looked at.

    Raises:
        NotGenuine: it is missing or wrong, or the body holds none because it is neither JSON nor a form.
    """
    try:
        given = _read(request.body).get("token")
    except MalformedPayload:
        given = None
    if not same(given, secret.token):
        raise NotGenuine("the token is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty object: text would be posted to the channel, and an empty body is an error to a command."""
    return Reply(200, "{}", {"Content-Type": "application/json"})


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the post or the command. ``post_id`` names a post, ``trigger_id`` a command."""
    fields = {name: value for name, value in _read(request.body).items() if name != "token"}
    if COMMAND_FIELDS & fields.keys():
        yield _command(fields)
    elif POST_FIELDS & fields.keys():
        yield _post(fields)
    else:
        yield Ignored("unknown", "neither a post nor a command", raw=fields)


def _draft(
    kind: EventKind, native: str, fields: Json, own_id: str | None, at: datetime | None, message: Message
) -> Draft:
    person, name = optional_id(fields.get("user_id")), text(fields.get("user_name"))
    direct = _DIRECT.fullmatch(text(fields.get("channel_name")) or "") is not None
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(own_id),
        occurred_at=at,
        conversation=Conversation(
            id=optional_id(fields.get("channel_id")),
            direct=direct,
            thread=optional_id(fields.get("root_id")),
            title=None if direct else text(fields.get("channel_name")),
        ),
        sender=Sender(id=person, name=name, username=name) if person or name else None,
        message=message,
        raw=fields,
    )


def _post(fields: Json) -> Item:
    own_id, files = optional_id(fields.get("post_id")), fields.get("file_ids")
    refs = files if isinstance(files, list) else (text(files) or "").split(",")
    attachments = tuple(Attachment(type="file", ref=one) for one in map(optional_id, refs) if one)
    message = Message(id=own_id, text=text(fields.get("text")), attachments=attachments)
    return _draft(EventKind.MESSAGE, "post", fields, own_id, _at(fields.get("timestamp")), message)


def _at(value: Any) -> datetime | None:
    # Forms have seconds, JSON milliseconds.
    return millis(value) if (integer(value) or 0) >= FIRST_MILLISECONDS else seconds(value)


def _command(fields: Json) -> Item:
    message = Message(text=text(fields.get("text")), payload=optional_id(fields.get("command")))
    return _draft(EventKind.POSTBACK, "command", fields, optional_id(fields.get("trigger_id")), None, message)

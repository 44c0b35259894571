"""The canonical event, ``waybill.event/1``: one thing that happened in a conversation, in the same words on every channel.

Every field declares its data class once, here (``Annotated[..., DataClass.X]``); redaction, the audit log's ``classes``
and the records of processing read it from ``FIELDS``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from .. import times

SCHEMA: Literal["waybill.event/1"] = "waybill.event/1"


OPERATIONAL = "waybill"
"""The channel of the cell's own operational events. No source of it can be made."""


class DataClass(StrEnum):
    """The kind of personal data in a field; the unit of redaction."""

    IDENTIFIER = "identifier"
    CONTACT = "contact"
    NAME = "name"
    CONTENT = "content"
    MEDIA = "media"
    LOCATION = "location"
    BEHAVIOUR = "behaviour"
    TECHNICAL = "technical"


class EventKind(StrEnum):
    """What happened."""

    MESSAGE = "message"
    MESSAGE_EDITED = "message_edited"
    MESSAGE_DELETED = "message_deleted"
    REACTION = "reaction"
    POSTBACK = "postback"
    STATUS = "status"
    TYPING = "typing"
    MEMBER_JOINED = "member_joined"
    MEMBER_LEFT = "member_left"
    CONVERSATION_UPDATED = "conversation_updated"
    SYSTEM = "system"


BEHAVIOUR_KINDS = frozenset(
    {EventKind.REACTION, EventKind.STATUS, EventKind.TYPING, EventKind.MEMBER_JOINED, EventKind.MEMBER_LEFT}
)
"""Kinds that are themselves behaviour of a person, regardless of their fields."""

AttachmentType = Literal[
    "image", "video", "audio", "voice", "file", "sticker", "location", "contact", "link", "poll", "unsupported"
]
Status = Literal["queued", "sent", "delivered", "read", "failed", "rejected", "deleted"]


def _time(value: object) -> object:
    at = times.parse(value) if isinstance(value, str) else value
    if isinstance(at, datetime) and at.microsecond % 1000:
        return at.replace(microsecond=at.microsecond // 1000 * 1000)
    return at


Time = Annotated[datetime, BeforeValidator(_time), PlainSerializer(times.text, when_used="always")]

Identifier = Annotated[str | None, DataClass.IDENTIFIER]
Contact = Annotated[str | None, DataClass.CONTACT]
Name = Annotated[str | None, DataClass.NAME]
Content = Annotated[str | None, DataClass.CONTENT]
Media = Annotated[str | None, DataClass.MEDIA]
Behaviour = Annotated[bool | None, DataClass.BEHAVIOUR]
Technical = Annotated[str | None, DataClass.TECHNICAL]


class Model(BaseModel):
    """A frozen value that refuses fields it does not know."""

    # Built when first used, as a process starts by importing it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, defer_build=True)


class Conversation(Model):
    """Where it happened. ``id`` is null only where the platform gives no chat."""

    id: Identifier = None
    direct: Annotated[bool | None, DataClass.TECHNICAL] = None
    thread: Identifier = None
    title: Content = None


class Sender(Model):
    """The sender; ``is_self`` marks echoes of our own account."""

    id: Identifier = None
    name: Name = None
    username: Identifier = None
    phone: Contact = None
    is_bot: Annotated[bool, DataClass.TECHNICAL] = False
    is_self: Annotated[bool, DataClass.TECHNICAL] = False


class Member(Model):
    """A member that joined or left."""

    id: Identifier = None
    name: Name = None
    username: Identifier = None


class Attachment(Model):
    """Media by reference, never by content. ``url`` only where it carries no credential of ours."""

    type: Annotated[AttachmentType, DataClass.TECHNICAL]
    ref: Media = None
    url: Media = None
    mime: Technical = None
    name: Content = None
    size_bytes: Annotated[int | None, DataClass.TECHNICAL] = None
    duration_s: Annotated[float | None, DataClass.TECHNICAL] = None
    latitude: Annotated[float | None, DataClass.LOCATION] = None
    longitude: Annotated[float | None, DataClass.LOCATION] = None
    address: Annotated[str | None, DataClass.LOCATION] = None
    phone: Contact = None
    caption: Content = None


class StatusError(Model):
    """Why a message of ours failed, in the platform's words."""

    code: Technical = None
    title: Technical = None


class Message(Model):
    """The message an event is, or is about."""

    id: Identifier = None
    text: Content = None
    attachments: tuple[Attachment, ...] = ()
    reply_to: Identifier = None
    forwarded: Annotated[bool, DataClass.TECHNICAL] = False
    payload: Content = None
    emoji: Annotated[tuple[str, ...], DataClass.BEHAVIOUR] = ()
    emoji_action: Annotated[Literal["set", "added", "removed"] | None, DataClass.BEHAVIOUR] = None
    status: Annotated[Status | None, DataClass.BEHAVIOUR] = None
    error: StatusError | None = None
    edited_at: Annotated[Time | None, DataClass.TECHNICAL] = None


class Draft(Model):
    """An event from a channel, still without our ids and our clock.

    ``occurred_at`` is null where the platform gives no time; ``raw`` is the platform's own object for this event, which
    becomes part of the event only where the source keeps raw payloads. ``messenger`` is the network behind a broker.
    """

    kind: EventKind
    native_kind: str
    dedupe_id: str
    messenger: str | None = None
    occurred_at: Time | None = None
    conversation: Conversation = pydantic.Field(default_factory=Conversation)
    sender: Sender | None = None
    message: Message | None = None
    members: tuple[Member, ...] = ()
    raw: Any = None


class Event(Model):
    """One row of the table in ``docs/event.md``. ``id``, ``tenant`` and ``source`` are null only off-line."""

    schema_: Annotated[Literal["waybill.event/1"], DataClass.TECHNICAL] = SCHEMA
    id: Technical = None
    tenant: Technical = None
    source: Technical = None
    channel: Technical
    messenger: Technical = None
    kind: Annotated[EventKind, DataClass.TECHNICAL]
    native_kind: Technical
    dedupe_id: Annotated[str, DataClass.IDENTIFIER]
    occurred_at: Annotated[Time, DataClass.TECHNICAL]
    occurred_at_is_receipt: Annotated[bool, DataClass.TECHNICAL] = False
    received_at: Annotated[Time | None, DataClass.TECHNICAL] = None
    conversation: Conversation
    sender: Sender | None = None
    message: Message | None = None
    members: tuple[Member, ...] = ()
    otr: Annotated[bool, DataClass.TECHNICAL] = False
    raw: Annotated[Any, DataClass.CONTENT] = None

    def document(self) -> dict[str, Any]:
        """Return the event as JSON-able values, every field present; ``raw`` and ``messenger`` only where they are known."""
        document = self.model_dump(mode="json")
        document = {"schema": document.pop("schema_"), **document}
        for name in ("raw", "messenger"):
            if document[name] is None:
                del document[name]
        return document


def from_document(document: Mapping[str, Any]) -> Event:
    """Read what ``Event.document`` wrote.

    Raises:
        pydantic.ValidationError: not an event.
    """
    values = dict(document)
    values["schema_"] = values.pop("schema", None)
    return Event.model_validate(values)


def complete(
    draft: Draft,
    *,
    channel: str,
    received_at: datetime,
    id: str | None = None,
    tenant: str | None = None,
    source: str | None = None,
    keep_raw: bool = False,
    off_line: bool = False,
) -> Event:
    """Make an event of a channel's draft; receipt time stands in for a time the platform does not give.

    Args:
        received_at: when our door took it (the ``now`` of an off-line run).
        off_line: leave ``received_at`` null, as there is no door.
    """
    return Event(
        id=id,
        tenant=tenant,
        source=source,
        channel=channel,
        messenger=draft.messenger,
        kind=draft.kind,
        native_kind=draft.native_kind,
        dedupe_id=draft.dedupe_id,
        occurred_at=draft.occurred_at or received_at,
        occurred_at_is_receipt=draft.occurred_at is None,
        received_at=None if off_line else received_at,
        conversation=draft.conversation,
        sender=draft.sender,
        message=draft.message,
        members=draft.members,
        raw=draft.raw if keep_raw else None,
    )


class EventField(NamedTuple):
    """A leaf of the event: its path (``"*"`` steps into a list), its data class, and whether it is a list of values."""

    path: tuple[str, ...]
    data_class: DataClass
    many: bool


def _fields(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[EventField]:
    for name, info in model.model_fields.items():
        path = (*prefix, name.rstrip("_"))
        declared = next((m for m in info.metadata if isinstance(m, DataClass)), None)
        if declared is not None:
            yield EventField(path, declared, typing.get_origin(info.annotation) is tuple)
            continue
        for inner in _models(info.annotation):
            yield from _fields(inner[0], path + inner[1])


def _models(annotation: Any) -> Iterator[tuple[type[BaseModel], tuple[str, ...]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ()
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    step = ("*",) if origin is tuple else ()
    if origin in (tuple, typing.Union, types.UnionType):
        for argument in arguments:
            for model, path in _models(argument):
                yield model, step + path


FIELDS: tuple[EventField, ...] = tuple(_fields(Event, ()))
"""Every leaf of an event with its data class, in the order of the model."""


def _tree(fields: tuple[EventField, ...]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, data_class, _ in fields:
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = data_class.value
    return tree


_TREE = _tree(tuple(field for field in FIELDS if field.data_class is not DataClass.TECHNICAL))
"""The same leaves as they are nested in a document, but for the technical ones; ``"*"`` is any item of a list."""


def _collect(value: Any, node: dict[str, Any], found: set[str]) -> None:
    # One walk over the document, since every event needs this twice.
    if "*" in node:
        for item in value if isinstance(value, (list, tuple)) else ():
            _collect(item, node["*"], found)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            below = node.get(key)
            if below is None or inner is None or inner is False or inner == []:
                continue
            if isinstance(below, str):
                found.add(below)
            else:
                _collect(inner, below, found)


def classes_of(document: Mapping[str, Any]) -> list[str]:
    """Return the data classes that an event (as a document) holds, sorted. ``technical`` is always there.

    An operational event has no subject: its ids are those of records, and its content is the cell's own.
    """
    found = {DataClass.TECHNICAL.value}
    if document.get("channel") == OPERATIONAL:
        return sorted(found)
    if document.get("kind") in BEHAVIOUR_KINDS:
        found.add(DataClass.BEHAVIOUR.value)
    _collect(document, _TREE, found)
    return sorted(found)

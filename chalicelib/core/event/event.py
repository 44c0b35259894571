"""The canonical event, ``waybill.event/1``: one thing that happened in a conversation, in the same words on every channel.

Every field declares its data class once, here (``Annotated[..., DataClass.X]``). ``event_fields`` makes the list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

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
    CONSENT_CHANGED = "consent_changed"
    SYSTEM = "system"


BEHAVIOUR_KINDS = frozenset(
    {
        *(EventKind.REACTION, EventKind.STATUS, EventKind.TYPING),
        *(EventKind.MEMBER_JOINED, EventKind.MEMBER_LEFT, EventKind.CONSENT_CHANGED),
    }
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

WHERE_KNOWN = pydantic.Field(exclude_if=lambda value: not value)
"""Marks a field that few events have. A document leaves it out where it holds nothing."""


class Model(BaseModel):
    """A frozen value that refuses fields it does not know."""

    # Built when first used, as a process starts by importing it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, defer_build=True)


class AlternativeId(Model):
    """Another id of the same person on the same platform. ``kind`` is Waybill's word, such as ``phone`` or ``username``.

    A number or an address is ``contact``, any other id is ``id``: redaction treats them differently.
    """

    kind: Annotated[Literal["user_id", "username", "phone", "email", "reply_to"], DataClass.TECHNICAL]
    id: Annotated[str | None, DataClass.IDENTIFIER, WHERE_KNOWN] = None
    contact: Annotated[str | None, DataClass.CONTACT, WHERE_KNOWN] = None


class Conversation(Model):
    """Where it happened. ``id`` is null only where the platform gives no chat.

    ``successor`` is the id under which the conversation continues after this event. ``alt_ids`` are other ids of the person
    with whom a direct conversation is, where that person did not act: in an echo of our own message.
    """

    id: Identifier = None
    direct: Annotated[bool | None, DataClass.TECHNICAL] = None
    thread: Identifier = None
    title: Content = None
    successor: Annotated[str | None, DataClass.IDENTIFIER, WHERE_KNOWN] = None
    alt_ids: Annotated[tuple[AlternativeId, ...], WHERE_KNOWN] = ()


class Sender(Model):
    """The sender; ``is_self`` marks echoes of our own account.

    ``alt_ids`` are ids that the platform itself gives for the same person. ``successor`` is the person's next id.
    """

    id: Identifier = None
    name: Name = None
    username: Identifier = None
    phone: Contact = None
    is_bot: Annotated[bool, DataClass.TECHNICAL] = False
    is_self: Annotated[bool, DataClass.TECHNICAL] = False
    alt_ids: Annotated[tuple[AlternativeId, ...], WHERE_KNOWN] = ()
    successor: Annotated[str | None, DataClass.IDENTIFIER, WHERE_KNOWN] = None


class Member(Model):
    """A member that joined or left."""

    id: Identifier = None
    name: Name = None
    username: Identifier = None
    alt_ids: Annotated[tuple[AlternativeId, ...], WHERE_KNOWN] = ()


class Attachment(Model):
    """Media by reference, never by content. ``url`` only where it carries no credential of ours.

    ``native_type`` is the platform's word for an ``unsupported`` one. ``phones`` and ``emails`` are all of a contact's,
    ``options`` the answers of a poll or the items of a list.
    """

    type: Annotated[AttachmentType, DataClass.TECHNICAL]
    native_type: Annotated[str | None, DataClass.TECHNICAL, WHERE_KNOWN] = None
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
    phones: Annotated[tuple[str, ...], DataClass.CONTACT, WHERE_KNOWN] = ()
    emails: Annotated[tuple[str, ...], DataClass.CONTACT, WHERE_KNOWN] = ()
    caption: Content = None
    options: Annotated[tuple[str, ...], DataClass.CONTENT, WHERE_KNOWN] = ()


UNSUPPORTED = Attachment(type="unsupported")
"""Stands for content that the channel cannot read."""


class StatusError(Model):
    """Why a message of ours failed, in the platform's words."""

    code: Technical = None
    title: Technical = None


class Quote(Model):
    """A message that another one quotes or forwards, or whose content it repeats."""

    id: Identifier = None
    sender: Identifier = None
    name: Name = None
    text: Content = None


class FormField(Model):
    """A value that a person picked or filled in. Several values of one field are several of these."""

    name: Content = None
    value: Content = None


class Referral(Model):
    """The place that led the person here: an advertisement, a post, a link, a product.

    ``source`` is the platform's word for it; ``click_id`` is the advertisement's id of the click.
    """

    source: Technical = None
    id: Identifier = None
    url: Media = None
    title: Content = None
    text: Content = None
    click_id: Identifier = None
    payload: Content = None


class EventConsent(Model):
    """What a person's act says about their consent to be written to. ``topic`` is the platform's word for its scope."""

    state: Annotated[Literal["given", "withdrawn"], DataClass.BEHAVIOUR]
    topic: Content = None


class Message(Model):
    """The message an event is, or is about. Messages of one ``group_id`` were sent together, as an album."""

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
    group_id: Annotated[str | None, DataClass.IDENTIFIER, WHERE_KNOWN] = None
    quotes: Annotated[tuple[Quote, ...], WHERE_KNOWN] = ()
    fields: Annotated[tuple[FormField, ...], WHERE_KNOWN] = ()
    referral: Annotated[Referral | None, WHERE_KNOWN] = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a message's content is there."""
        return not (self.text or self.attachments or self.payload or self.quotes or self.fields or self.referral)


class Draft(Model):
    """An event from a channel, still without our ids and our clock.

    ``occurred_at`` is null where the platform gives no time; ``raw`` is the platform's own object for this event, which
    becomes part of the event only where the source keeps raw payloads. ``messenger`` is the network behind a broker.
    ``dedupe_id`` is empty where the platform gives no id: then ``raw`` names the occurrence. ``standby`` says that another
    application of the tenant answers. ``is_raw``: the event is nothing but its ``raw``.
    """

    kind: EventKind
    native_kind: str
    dedupe_id: str = ""
    messenger: str | None = None
    occurred_at: Time | None = None
    conversation: Conversation = pydantic.Field(default_factory=Conversation)
    sender: Sender | None = None
    message: Message | None = None
    members: tuple[Member, ...] = ()
    consent: EventConsent | None = None
    standby: bool = False
    is_raw: bool = False
    raw: Any = None

    @property
    def is_unread(self) -> bool:
        """Whether the channel could not read a part of the content."""
        return self.message is not None and any(a.type == "unsupported" for a in self.message.attachments)


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
    consent: Annotated[EventConsent | None, WHERE_KNOWN] = None
    standby: Annotated[bool, DataClass.TECHNICAL, WHERE_KNOWN] = False
    otr: Annotated[bool, DataClass.TECHNICAL] = False
    raw: Annotated[Any, DataClass.CONTENT] = None

    def document(self) -> dict[str, Any]:
        """Return the event as JSON-able values, every field present but those ``WHERE_KNOWN``, ``raw``, ``messenger``."""
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
        consent=draft.consent,
        standby=draft.standby,
        raw=draft.raw if keep_raw else None,
    )

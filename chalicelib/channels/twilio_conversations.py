"""Events of Twilio Conversations: what people and a company's programs do in a conversation of several channels.

Source: https://www.twilio.com/docs/conversations/conversations-webhooks (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Member,
    Message,
    Sender,
    Status,
)
from ..core.event.messengers import messenger_named
from .base import Ignored
from .fields import instant, integer, items, occurrence, optional_id, phone, text, word
from .forms import embedded

Form = Mapping[str, str]
Item = Draft | Ignored

DELIVERIES: Mapping[str, Status] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
    "undelivered": "failed",
}
TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}
REPEATED = "RetryCount"  # differs between the repeats of one event


def is_of_conversations(form: Form) -> bool:
    """Say whether a request is of Conversations. WhatsApp's statuses have an ``EventType`` too, in capitals."""
    return "ConversationSid" in form and "MessageStatus" not in form


def conversation_event(form: Form) -> Item:
    """Return the event. ``MessageSid`` names a message; an event without an id is named by its content."""
    native = word(form.get("EventType"))
    if native in EVENTS:
        return EVENTS[native](native, form)
    if native in ASKED:
        return Ignored(native, "asks before it happens; the event follows", dict(form))
    return _draft(EventKind.SYSTEM, native, form)


def _draft(
    kind: EventKind,
    native: str,
    form: Form,
    dedupe_id: str = "",
    *,
    message: Message | None = None,
    members: tuple[Member, ...] = (),
) -> Draft:
    stamp = next((form[name] for name in ("DateUpdated", "DateRemoved", "DateCreated") if form.get(name)), None)
    author = address_of(form.get("Author"))
    number, network = phone(author), _network(form)
    return Draft(
        kind=kind,
        native_kind=f"{network or 'conversations'}.{native}",
        dedupe_id=dedupe_id,
        messenger=network,
        occurred_at=instant(stamp),
        conversation=Conversation(id=optional_id(form.get("ConversationSid")), title=text(form.get("FriendlyName"))),
        sender=Sender(id=author, phone=number if number and number.startswith("+") else None) if author else None,
        message=message,
        members=members,
        raw={name: value for name, value in form.items() if name != REPEATED},
    )


def _network(form: Form) -> str | None:
    prefix, colon, _ = (form.get("Author") or form.get("MessagingBinding.Address") or "").partition(":")
    return messenger_named(prefix if colon else form.get("MessagingBinding.Type") or form.get("Source") or "")


def address_of(value: str | None) -> str | None:
    """Return an address without the prefix that tells its channel (``whatsapp:``)."""
    given = optional_id(value)
    return None if given is None else optional_id(given.partition(":")[2]) or given


def _added(native: str, form: Form) -> Item:
    sid = optional_id(form.get("MessageSid"))
    message = Message(id=sid, text=text(form.get("Body")), attachments=tuple(_media(form)))
    return _draft(EventKind.MESSAGE, native, form, sid or "", message=message)


def _media(form: Form) -> Iterator[Attachment]:
    for item in items(embedded(f'{{"media":{form["Media"]}}}').get("media") if form.get("Media") else None):
        mime = text(item.get("ContentType"))
        yield Attachment(
            type=TYPES.get((mime or "").partition("/")[0], "file"),
            ref=optional_id(item.get("Sid")),
            mime=mime,
            name=text(item.get("Filename")),
            size_bytes=integer(item.get("Size")),
        )


def _updated(native: str, form: Form) -> Item:
    sid, stamp = optional_id(form.get("MessageSid")), optional_id(form.get("DateUpdated"))
    message = Message(id=sid, text=text(form.get("Body")), edited_at=instant(stamp))
    return _draft(
        EventKind.MESSAGE_EDITED, native, form, occurrence(sid, "edited", stamp) if stamp else "", message=message
    )


def _removed(native: str, form: Form) -> Item:
    sid = optional_id(form.get("MessageSid"))
    return _draft(EventKind.MESSAGE_DELETED, native, form, occurrence(sid, "deleted"), message=Message(id=sid))


def _delivery(native: str, form: Form) -> Item:
    sid, status = optional_id(form.get("MessageSid")), DELIVERIES.get(word(form.get("Status")))
    kind = EventKind.STATUS if status else EventKind.SYSTEM
    return _draft(kind, native, form, message=Message(id=sid, status=status))


def _participant(kind: EventKind, native: str, form: Form) -> Item:
    address = address_of(form.get("MessagingBinding.Address")) or optional_id(form.get("Identity"))
    member = Member(id=address or optional_id(form.get("ParticipantSid")))
    return _draft(kind, native, form, members=(member,) if member.id else ())


EVENTS: Mapping[str, Callable[[str, Form], Item]] = {
    "onMessageAdded": _added,
    "onMessageUpdated": _updated,
    "onMessageRemoved": _removed,
    "onDeliveryUpdated": _delivery,
    "onParticipantAdded": partial(_participant, EventKind.MEMBER_JOINED),
    "onParticipantRemoved": partial(_participant, EventKind.MEMBER_LEFT),
    "onConversationUpdated": partial(_draft, EventKind.CONVERSATION_UPDATED),
    "onConversationStateUpdated": partial(_draft, EventKind.CONVERSATION_UPDATED),
}
"""From Twilio's word for an event to its reader. Any other one is ``system``."""

ASKED = frozenset(
    {
        *("onMessageAdd", "onMessageUpdate", "onMessageRemove", "onConversationAdd", "onConversationUpdate"),
        *("onConversationRemove", "onParticipantAdd", "onParticipantUpdate", "onParticipantRemove", "onUserUpdate"),
    }
)
"""Webhooks before an act, which can refuse it. The act has an event of its own."""

"""WhatsApp Cloud API webhooks: signed batches of messages, statuses and echoes.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages and
/reference/smb_message_echoes, /groups/webhooks (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

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
    StatusError,
)
from .base import ChannelCapabilities, Ignored, Inbound
from .fields import (
    Json,
    compact,
    id_,
    listing,
    mapping,
    number,
    optional_id,
    phone,
    seconds,
    text,
    word,
)
from .meta import Secret, acknowledge, challenge, entries, verify

__all__ = ["CAPABILITIES", "KIND", "Secret", "acknowledge", "challenge", "normalise", "verify"]

KIND = "whatsapp"
CAPABILITIES = ChannelCapabilities()
OBJECT = "whatsapp_business_account"

Item = Draft | Ignored
Content = tuple[EventKind, dict[str, Any]]  # the kind, and the message's fields

STATUSES: Mapping[str, Status] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "played": "read",
    "failed": "failed",
    "deleted": "deleted",
}


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events of all changes of all entries. A message's own id, or ``id:status``, names the occurrence."""
    for entry, foreign in entries(request, OBJECT):
        if foreign is not None:
            yield Ignored(foreign, "another product's object")
            return
        for change in map(mapping, listing(entry.get("changes"))):
            field = word(change.get("field"))
            if field in FIELDS:
                yield from FIELDS[field](field, mapping(change.get("value")))
            else:
                yield Ignored(field, "not about a conversation")


# --- messages: a reader for each type, of the type's own object and the message around it


def _text(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"text": text(content.get("body"))}


def _media(kind: AttachmentType, content: Json, message: Json) -> Content:
    # "url" and "id" both need the business's token; the id lives longer.
    found = Attachment(
        type="voice" if kind == "audio" and content.get("voice") is True else kind,
        ref=id_(content.get("id")),
        mime=text(content.get("mime_type")),
        name=text(content.get("filename")),
    )
    return EventKind.MESSAGE, {"text": text(content.get("caption")), "attachments": (found,)}


def _location(content: Json, message: Json) -> Content:
    found = Attachment(
        type="location",
        latitude=number(content.get("latitude")),
        longitude=number(content.get("longitude")),
        name=text(content.get("name")),
        address=text(content.get("address")),
    )
    return EventKind.MESSAGE, {"attachments": (found,)}


def _contacts(content: Any, message: Json) -> Content:
    found = []
    for card in map(mapping, listing(content)):
        first = next(map(mapping, listing(card.get("phones"))), {})
        number = phone(first.get("phone")) or phone(first.get("wa_id"), international=True)
        name = text(mapping(card.get("name")).get("formatted_name"))
        found.append(Attachment(type="contact", ref=optional_id(first.get("wa_id")), name=name, phone=number))
    return EventKind.MESSAGE, {"attachments": tuple(found)}


def _button(content: Json, message: Json) -> Content:
    return EventKind.POSTBACK, {"text": text(content.get("text")), "payload": text(content.get("payload"))}


def _interactive(content: Json, message: Json) -> Content:
    kind = word(content.get("type"))
    reply = mapping(content.get(kind))
    payload = next((reply[name] for name in INTERACTIVE.get(kind, ("id",)) if name in reply), None)
    title = text(reply.get("title")) or text(reply.get("body"))
    return EventKind.POSTBACK, {"text": title, "payload": text(payload)}


INTERACTIVE: Mapping[str, tuple[str, ...]] = {
    "button_reply": ("id",),
    "list_reply": ("id",),
    "nfm_reply": ("response_json",),  # a filled-in flow: JSON as text
    "call_permission_reply": ("response",),
}


def _reaction(content: Json, message: Json) -> Content:
    emoji = text(content.get("emoji"))  # absent or empty: taken back. A person has one reaction to a message
    about = id_(content.get("message_id"))
    return EventKind.REACTION, {"id": about, "emoji": (emoji,) if emoji else (), "emoji_action": "set"}


def _order(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"text": text(content.get("text")), "payload": compact(content)}


def _system(content: Json, message: Json) -> Content:
    new = next((content[n] for n in ("wa_id", "new_wa_id", "user_id", "identity") if n in content), None)
    return EventKind.SYSTEM, {"text": text(content.get("body")), "payload": optional_id(new)}


def _edit(content: Json, message: Json) -> Content:
    inner = mapping(content.get("message"))
    kind = word(inner.get("type"))
    about: dict[str, Any] = {"id": id_(content.get("original_message_id")), "edited_at": _time(message)}
    if kind in TYPES and kind not in ("edit", "revoke"):
        about = {**_read(kind, inner)[1], **about}
    return EventKind.MESSAGE_EDITED, about


def _revoke(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE_DELETED, {"id": id_(content.get("original_message_id"))}


def _unsupported(content: Json, message: Json) -> Content:
    return EventKind.MESSAGE, {"attachments": (Attachment(type="unsupported"),)}


def _welcome(content: Json, message: Json) -> Content:
    return EventKind.MEMBER_JOINED, {}


TYPES: Mapping[str, Callable[[Any, Json], Content]] = {
    "text": _text,
    "image": partial(_media, "image"),
    "video": partial(_media, "video"),
    "audio": partial(_media, "audio"),
    "document": partial(_media, "file"),
    "sticker": partial(_media, "sticker"),
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "reaction": _reaction,
    "order": _order,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
    "request_welcome": _welcome,
}
"""From the platform's word for a message to its reader."""


def _read(kind: str, message: Json) -> Content:
    content = message.get(kind)
    return TYPES[kind](content if kind == "contacts" else mapping(content), message)


def _time(message: Json) -> Any:
    return seconds(message.get("timestamp"))


def _who(message: Json, value: Json) -> Sender:
    # People with a username may have no number here: then they are known by a business-scoped id ("US.13…").
    number, scoped = optional_id(message.get("from")), optional_id(message.get("from_user_id"))
    contacts = [mapping(contact) for contact in listing(value.get("contacts"))]
    matching = [c for c in contacts if (number and c.get("wa_id") == number) or (scoped and c.get("user_id") == scoped)]
    contact = matching[0] if matching else contacts[0] if len(contacts) == 1 else {}
    profile = mapping(contact.get("profile"))
    found = phone(number, international=True)
    return Sender(
        id=id_(number or scoped or contact.get("wa_id") or contact.get("user_id")),
        name=text(profile.get("name")),
        username=text(profile.get("username")) or text(contact.get("username")),
        phone=found if found and found.startswith("+") else None,
    )


def _draft(field: str, message: Json, sender: Sender, other: str | None) -> Item:
    kind = word(message.get("type"))
    if kind not in TYPES:
        return Ignored(f"{field}.{kind}", "a type of message that is not known")
    event, about = _read(kind, message)
    context = mapping(message.get("context"))
    referral = mapping(message.get("referral"))
    group = optional_id(message.get("group_id"))
    own_id = id_(message.get("id"))
    about = {
        "id": own_id,
        **about,
        "reply_to": optional_id(context.get("id")),
        "forwarded": context.get("forwarded") is True or context.get("frequently_forwarded") is True,
        "payload": about.get("payload") or optional_id(referral.get("source_id")),
    }
    joined = event is EventKind.MEMBER_JOINED
    return Draft(
        kind=event,
        native_kind=f"{field}.{kind}",
        dedupe_id=own_id,
        occurred_at=_time(message),
        conversation=Conversation(id=group or other or sender.id, direct=group is None),
        sender=sender,
        message=None if joined else Message(**about),
        members=(Member(id=sender.id, name=sender.name, username=sender.username),) if joined else (),
        raw=message,
    )


def _messages(field: str, value: Json) -> Iterator[Item]:
    for message in map(mapping, listing(value.get("messages"))):
        yield _draft(field, message, _who(message, value), None)
    for status in map(mapping, listing(value.get("statuses"))):
        yield _status(status)
    if value.get("errors"):
        yield Ignored(f"{field}.errors", "a fault of the account, not of a conversation")


def _echoes(field: str, value: Json) -> Iterator[Item]:
    for message in map(mapping, listing(value.get("message_echoes"))):
        sender = Sender(id=id_(message.get("from")), phone=phone(message.get("from"), international=True), is_self=True)
        yield _draft(field, message, sender, id_(message.get("to") or message.get("to_user_id")))


def _status(status: Json) -> Item:
    native = word(status.get("status"))
    if native not in STATUSES:
        return Ignored(f"statuses.{native}", "a status that is not known")
    about = id_(status.get("id"))
    participant = optional_id(status.get("recipient_participant_id") or status.get("recipient_participant_user_id"))
    first = next(map(mapping, listing(status.get("errors"))), None)
    return Draft(
        kind=EventKind.STATUS,
        native_kind=f"statuses.{native}",
        dedupe_id=":".join(filter(None, (about, native, participant))),  # in a group everyone reads for themselves
        occurred_at=_time(status),
        conversation=Conversation(
            id=id_(status.get("recipient_id") or status.get("recipient_user_id")),
            direct=status.get("recipient_type") != "group",
        ),
        sender=Sender(id=participant) if participant else None,
        message=Message(
            id=about,
            status=STATUSES[native],
            error=None
            if first is None
            else StatusError(code=optional_id(first.get("code")), title=text(first.get("title"))),
        ),
        raw=status,
    )


def _groups(field: str, value: Json) -> Iterator[Item]:
    for group in map(mapping, listing(value.get("groups"))):
        native = word(group.get("type"))
        kind, people = GROUP_TYPES.get(native, (EventKind.CONVERSATION_UPDATED, ""))
        members = tuple(
            Member(id=id_(p.get("wa_id") or p.get("user_id") or p.get("input")))
            for p in map(mapping, listing(group.get(people)))
        )
        about = id_(group.get("group_id"))
        # There is no id: what makes an occurrence another one is all there is.
        names = (about, native, optional_id(group.get("timestamp")), optional_id(group.get("request_id")))
        yield Draft(
            kind=kind if members or kind is EventKind.CONVERSATION_UPDATED else EventKind.CONVERSATION_UPDATED,
            native_kind=f"{field}.{native}",
            dedupe_id=":".join([*filter(None, names), *(m.id or "" for m in members)]),
            occurred_at=_time(group),
            conversation=Conversation(id=about, direct=False, title=text(group.get("subject"))),
            members=members,
            raw=group,
        )


GROUP_TYPES: Mapping[str, tuple[EventKind, str]] = {
    "group_participants_add": (EventKind.MEMBER_JOINED, "added_participants"),
    "group_participants_remove": (EventKind.MEMBER_LEFT, "removed_participants"),
}

FIELDS: Mapping[str, Callable[[str, Json], Iterator[Item]]] = {
    "messages": _messages,
    "smb_message_echoes": _echoes,
    "group_lifecycle_update": _groups,
    "group_participants_update": _groups,
    "group_settings_update": _groups,
    "group_status_update": _groups,
}
"""From the field of a change to its reader. Account, template, call and history fields are ignored."""

"""WhatsApp Cloud API webhooks: signed batches of messages, statuses, echoes, calls and choices of people.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages and
/reference/smb_message_echoes, /reference/user_preferences, /business-scoped-user-ids, /calling/reference and
/groups/webhooks (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from ..core.event.event import (
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    Member,
    Message,
    Sender,
    Status,
)
from .base import ChannelCapabilities, Ignored, Inbound, derived_id
from .fields import Json, compact, items, mapping, occurrence, optional_id, phone, seconds, text, word
from .meta import Secret, acknowledge, challenge, entries, verify
from .people import other_ids
from .whatsapp_messages import fault_of, read_type, referral_of, type_of

__all__ = ["CAPABILITIES", "KIND", "Secret", "acknowledge", "challenge", "normalise", "verify"]

KIND = "whatsapp"
CAPABILITIES = ChannelCapabilities()
OBJECT = "whatsapp_business_account"

Item = Draft | Ignored

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
            yield Ignored(foreign, "another product's object", entry)
            return
        for change in items(entry.get("changes")):
            yield from _change(change)


def _change(change: Json) -> Iterator[Item]:
    field, value = word(change.get("field")), mapping(change.get("value"))
    if field in FIELDS:
        yield from FIELDS[field](field, value)
    elif "messages" in value or "statuses" in value:
        yield from _messages(field, value)
    else:
        people = [item for item in items(value.get(field)) if any(item.get(name) for name in PERSON)]
        for item in people:
            yield _noticed(field, value, item)
        if not people:
            yield Ignored(field, IMPORTS.get(field, "not about a conversation"), change)


PERSON = ("wa_id", "user_id")

IMPORTS: Mapping[str, str] = {
    "history": "old chats, imported once",
    "smb_app_state_sync": "the address book of the account",
}


# --- people


def _person(value: Json, number: Any, *user_ids: Any) -> Sender:
    """Return the person with a number or business-scoped ids, and what the change's contacts say of them.

    People with a username may have no number here: then they are known by a business-scoped id ("US.13…").
    """
    given, scoped = optional_id(number), [found for found in map(optional_id, user_ids) if found]
    contacts = items(value.get("contacts"))
    matching = [c for c in contacts if (given and c.get("wa_id") == given) or c.get("user_id") in scoped]
    contact = matching[0] if matching else contacts[0] if len(contacts) == 1 else {}
    profile, wa_id = mapping(contact.get("profile")), optional_id(contact.get("wa_id"))
    own = given or next(iter(scoped), None) or wa_id or optional_id(contact.get("user_id"))
    digits = phone(given, international=True)
    return Sender(
        id=own,
        name=text(profile.get("name")),
        username=text(profile.get("username")) or text(contact.get("username")),
        phone=digits if digits and digits.startswith("+") else None,
        alt_ids=other_ids(
            own, *scoped, contact.get("user_id"), contact.get("parent_user_id"), number=None if given else wa_id
        ),
    )


def _member(person: Json) -> Member:
    found = _person({}, person.get("wa_id"), person.get("user_id"), person.get("parent_user_id"))
    own = found.id or optional_id(person.get("input"))
    return Member(id=own, username=text(person.get("username")), alt_ids=found.alt_ids)


def _moved(sender: Sender, change: Json) -> Sender:
    """Add the ids that a change of the number or of the business-scoped id brings."""
    before, new_user = optional_id(change.get("previous_user_id")), optional_id(change.get("user_id"))
    new_number = optional_id(change.get("wa_id")) or optional_id(change.get("new_wa_id"))
    own = sender.id or before
    # A person who is known by a number keeps it when only the other id changes.
    successor = new_number if sender.phone else new_user or new_number
    alternatives = tuple(dict.fromkeys((*sender.alt_ids, *other_ids(own, before, new_user))))
    return sender.model_copy(
        update={"id": own, "successor": successor if successor != own else None, "alt_ids": alternatives}
    )


def _named(native: str, item: Json) -> str:
    # The contacts beside an item are no part of its name.
    return derived_id(Draft(kind=EventKind.SYSTEM, native_kind=native, raw=item))


# --- messages and statuses


def _draft(field: str, message: Json, sender: Sender, other: Sender | None = None) -> Item:
    kind = type_of(message)
    event, about = read_type(kind, message)
    context, referral = mapping(message.get("context")), referral_of(message)
    group, own_id = optional_id(message.get("group_id")), optional_id(message.get("id"))
    if kind == "system":
        sender = _moved(sender, mapping(message.get("system")))
    advertisement = optional_id(mapping(message.get("referral")).get("source_id"))
    about = {
        "id": own_id,
        **about,
        "reply_to": optional_id(context.get("id")),
        "forwarded": context.get("forwarded") is True or context.get("frequently_forwarded") is True,
        "payload": about.get("payload") or advertisement,
        "referral": referral,
        "error": fault_of(message.get("errors")),
    }
    joined = event is EventKind.MEMBER_JOINED
    other = other or sender
    member = Member(id=sender.id, name=sender.name, username=sender.username, alt_ids=sender.alt_ids)
    return Draft(
        kind=event,
        native_kind=f"{field}.{kind}",
        dedupe_id=own_id or _named(f"{field}.{kind}", message),
        occurred_at=seconds(message.get("timestamp")),
        conversation=Conversation(
            id=group or other.id,
            direct=group is None,
            alt_ids=other.alt_ids if sender.is_self and group is None else (),
        ),
        sender=sender,
        message=None if joined else Message(**about),
        members=(member,) if joined else (),
        raw=message,
    )


def _messages(field: str, value: Json) -> Iterator[Item]:
    for message in items(value.get("messages")):
        ids = (message.get("from_user_id"), message.get("from_parent_user_id"))
        yield _draft(field, message, _person(value, message.get("from"), *ids))
    for status in items(value.get("statuses")):
        yield _status("statuses", value, status)
    if value.get("errors"):
        yield Ignored(f"{field}.errors", "a fault of the account, not of a conversation", value.get("errors"))


def _echoes(field: str, value: Json) -> Iterator[Item]:
    for message in items(value.get("message_echoes")):
        own = optional_id(message.get("from"))
        sender = Sender(id=own, phone=phone(own, international=True), is_self=True)
        ids = (message.get("to_user_id"), message.get("to_parent_user_id"))
        yield _draft(field, message, sender, _person(value, message.get("to"), *ids))


def _status(field: str, value: Json, status: Json) -> Draft:
    native = word(status.get("status"))
    known = STATUSES.get(native)
    about = optional_id(status.get("id"))
    participant, recipient = _ids(status, "recipient_participant"), _ids(status, "recipient")
    in_group = status.get("recipient_type") == "group"
    who = _person(value, *participant) if any(participant) else None
    whom = _person({} if in_group else value, *recipient)
    return Draft(
        kind=EventKind.STATUS if known else EventKind.SYSTEM,
        native_kind=f"{field}.{native}",
        # In a group everyone reads for themselves.
        dedupe_id=occurrence(about, native, who.id if who else None),
        occurred_at=seconds(status.get("timestamp")),
        conversation=Conversation(id=whom.id, direct=not in_group, alt_ids=() if who else whom.alt_ids),
        sender=Sender(id=who.id, alt_ids=who.alt_ids) if who else None,
        message=Message(id=about, status=known, error=fault_of(status.get("errors"))),
        raw=status,
    )


def _ids(holder: Json, name: str) -> tuple[Any, Any, Any]:
    """Return a person's number and business-scoped ids in a status."""
    return holder.get(f"{name}_id"), holder.get(f"{name}_user_id"), holder.get(f"{name}_parent_user_id")


# --- groups


def _groups(field: str, value: Json) -> Iterator[Item]:
    for group in items(value.get("groups")):
        native = word(group.get("type"))
        kind, people = GROUP_TYPES.get(native, (EventKind.CONVERSATION_UPDATED, ""))
        members = tuple(map(_member, items(group.get(people))))
        about, request = optional_id(group.get("group_id")), optional_id(group.get("request_id"))
        stamp, ids = optional_id(group.get("timestamp")), [member.id for member in members]
        # There is no id. Where members or a request do not set the occurrence apart, its content does.
        named = stamp is not None and bool(native in GROUP_TYPES or request)
        yield Draft(
            kind=kind if members else EventKind.CONVERSATION_UPDATED,
            native_kind=f"{field}.{native}",
            dedupe_id=occurrence(about, native, stamp, request, *ids) if named else "",
            occurred_at=seconds(group.get("timestamp")),
            conversation=Conversation(id=about, direct=False, title=text(group.get("subject"))),
            members=members,
            raw=group,
        )


GROUP_TYPES: Mapping[str, tuple[EventKind, str]] = {
    "group_participants_add": (EventKind.MEMBER_JOINED, "added_participants"),
    "group_participants_remove": (EventKind.MEMBER_LEFT, "removed_participants"),
}


# --- choices and changes of a person, and calls


def _preferences(field: str, value: Json) -> Iterator[Item]:
    for item in items(value.get("user_preferences")):
        state = PREFERENCES.get(word(item.get("value")))
        consent = EventConsent(state=state, topic=text(item.get("category"))) if state else None
        yield _noticed(field, value, item, EventKind.CONSENT_CHANGED if state else EventKind.SYSTEM, consent)


PREFERENCES: Mapping[str, Literal["given", "withdrawn"]] = {"stop": "withdrawn", "resume": "given"}


def _noticed(
    field: str,
    value: Json,
    item: Json,
    kind: EventKind = EventKind.SYSTEM,
    consent: EventConsent | None = None,
) -> Draft:
    """Return what the platform says of a person. It has no id: its content names it."""
    ids = [item.get("user_id"), item.get("parent_user_id")]
    if any(isinstance(one, dict) for one in ids):
        return _renamed(field, value, item)
    sender = _person(value, item.get("wa_id"), *ids)
    said = text(item.get("detail"))
    return Draft(
        kind=kind,
        native_kind=field,
        dedupe_id=_named(field, item),
        occurred_at=seconds(item.get("timestamp")),
        conversation=Conversation(id=sender.id, direct=True),
        sender=sender,
        message=Message(text=said) if said else None,
        consent=consent,
        raw=item,
    )


def _renamed(field: str, value: Json, item: Json) -> Draft:
    """Return a change of business-scoped ids."""
    changes = [mapping(item.get(name)) for name in ("user_id", "parent_user_id")]
    before, after = ([change.get(name) for change in changes] for name in ("previous", "current"))
    sender = _person(value, item.get("wa_id"), *before)
    current, own = optional_id(after[0]), sender.id
    return Draft(
        kind=EventKind.SYSTEM,
        native_kind=field,
        dedupe_id=_named(field, item),
        occurred_at=seconds(item.get("timestamp")),
        conversation=Conversation(id=own, direct=True),
        sender=sender.model_copy(
            update={"successor": None if sender.phone else current, "alt_ids": other_ids(own, *before, *after)}
        ),
        message=Message(text=text(item.get("detail")), payload=current),
        raw=item,
    )


def _calls(field: str, value: Json) -> Iterator[Item]:
    for call in items(value.get("calls")):
        about, native = optional_id(call.get("id")), word(call.get("event"))
        is_self = call.get("direction") == "BUSINESS_INITIATED"
        far, near = ("to", "from") if is_self else ("from", "to")
        person = _person(value, call.get(far), call.get(f"{far}_user_id"), call.get(f"{far}_parent_user_id"))
        own = optional_id(call.get(near))
        said = {name: call[name] for name in CALL_FACTS if name in call}  # the session's description stays out
        yield Draft(
            kind=EventKind.SYSTEM,
            native_kind=f"{field}.{native}",
            dedupe_id=occurrence(about, native),
            occurred_at=seconds(call.get("timestamp")),
            conversation=Conversation(id=person.id, direct=True, alt_ids=person.alt_ids if is_self else ()),
            sender=Sender(id=own, phone=phone(own, international=True), is_self=True) if is_self else person,
            message=Message(id=about, payload=compact(said), error=fault_of(call.get("errors"))),
            raw=call,
        )
    for status in items(value.get("statuses")):
        yield _status(field, value, status)
    if value.get("errors"):
        yield Ignored(f"{field}.errors", "a fault of the account, not of a conversation", value.get("errors"))


CALL_FACTS = ("direction", "status", "start_time", "end_time", "duration", "deeplink_payload", "cta_payload")


FIELDS: Mapping[str, Callable[[str, Json], Iterator[Item]]] = {
    "messages": _messages,
    "smb_message_echoes": _echoes,
    "group_lifecycle_update": _groups,
    "group_participants_update": _groups,
    "group_settings_update": _groups,
    "group_status_update": _groups,
    "user_preferences": _preferences,
    "calls": _calls,
}
"""From the field of a change to its reader. Account, template and history fields are ignored."""

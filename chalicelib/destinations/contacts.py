"""Bring an event to the contact that a CRM has, or shall have, for its person. One procedure for all CRMs.

    1 remembered                 the contact's id, by any of the person's names
    2 claim the names            else ``contended``: somebody is making this contact at this moment
    3 remembered meanwhile       whoever had the claim before has put it there
    4 look it up                 at the CRM: by our external ids, then by phone
    5 make it                    where the CRM says "already exists": look it up again
    6 remember it                under all names
    7 release the names          always
    8 note that it is attached   once; whoever finds the note looks first whether the message is there
    9 attach the message         where the contact is gone: forget it, and once again from 2

What is remembered is a shortcut: a lost name costs a look-up, never a second contact. The claims are what keeps two events
of one person from making two contacts, for what was made a moment ago is not found yet at every CRM. The note of 8 outlives
the attempt: whether a message was taken by an attempt that nobody heard the end of, the CRM itself says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from . import calls, vetted
from .base import Delivery, DeliveryReceipt, Memory, SendingClients

KEEP_S = 30 * 86_400
CLAIM_S = 30
"""Longer than an attempt may take (``vetted.Limits``), so that nobody outlives a claim of his own."""
ATTACHING_S = 7 * 86_400
"""Longer than deliveries are tried again by any but the longest schedules."""
EXTERNAL_ID_MAX = 100
NAME_MAX = 100

_PHONE = re.compile(r"\+?[0-9]{7,15}\Z")
_PHONE_FILLING = re.compile(r"[\s()./-]+")
_MASKED = re.compile(r".?\*+.?\Z", re.DOTALL)
"""What masking leaves of an id: two people can share it, so that it is nobody's."""


class AlreadyExists(Exception):
    """The CRM will not make a contact because it has it."""


class ContactMerged(Exception):
    """The CRM no longer has a contact: it was deleted, or merged into another."""


@dataclass(frozen=True, slots=True)
class ContactPerson:
    """Who a CRM's contact is for, as far as the event still tells.

    ``external_ids`` are what the contact is known by at the CRM, the one it is made with first.
    """

    external_ids: tuple[str, ...] = field(repr=False)
    phone: str | None = field(repr=False)
    name: str = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """What the contact is remembered by."""
        return (*self.external_ids, *((f"phone:{self.phone}",) if self.phone else ()))


@dataclass(frozen=True, slots=True)
class ContactMessage:
    """A message for a contact, ready to be attached. ``at`` is the time of the attempt, ``body`` what it comes to."""

    config: Any = field(repr=False)
    person: ContactPerson
    text: str = field(repr=False)
    mark: str
    occurred_at: datetime
    at: datetime
    body: bytes = field(repr=False)


class Crm(Protocol):
    """What the procedure asks of a CRM. Everything raises ``DeliveryError`` besides what is said."""

    @property
    def account(self) -> str:
        """What tells this account of the CRM from every other that the destination may be changed to. Its contacts are
        remembered by it: a contact's number is somebody else's in another account."""

    def find(self, person: ContactPerson) -> str | None:
        """Return the contact's id: by the external ids in order, then by phone; of several the oldest."""

    def make(self, person: ContactPerson) -> str:
        """Make a contact and return its id. Raises ``AlreadyExists``."""

    def has(self, contact: str, mark: str) -> bool:
        """Say whether a message with a mark is attached to a contact."""

    def attach(self, contact: str, message: ContactMessage) -> None:
        """Attach a message to a contact. Raises ``Gone``."""


def person_of(document: Mapping[str, Any], delivery: Delivery) -> ContactPerson:
    """Return whose contact an event belongs to. Pure.

    The sender's, by the channel's id; in a conversation of two also the conversation's, so that what our own account or
    the platform says in it finds the same contact. Where the sender's id was redacted away, or masked, it is a contact of
    the conversation's, known by a random ref. A pseudonym is as good as an id: it is the same for this recipient always.

    Raises:
        DeliveryError: ``render``, where the event tells neither of a person nor of a conversation.
    """
    sender = document.get("sender")
    sender = sender if isinstance(sender, Mapping) and sender.get("is_self") is not True else {}
    conversation = document.get("conversation")
    direct = isinstance(conversation, Mapping) and conversation.get("direct") is True
    external_ids = []
    if _usable(sender.get("id")):
        external_ids.append(_bounded(f"{delivery.channel}:{sender['id']}"))
    if delivery.conversation and (direct or not external_ids):
        external_ids.append(f"conversation:{delivery.conversation}")
    if not external_ids:
        raise vetted.failure("render", sent=False)
    names = (sender.get("name"), sender.get("username"), f"{delivery.channel} {delivery.conversation or ''}")
    name = next(n for n in map(_line, names) if n)
    return ContactPerson(tuple(external_ids), _phone(sender.get("phone")), name)


def contact_message(document: Mapping[str, Any], delivery: Delivery, text: str, mark: str) -> ContactMessage:
    """Make the message of an event whose text is written. Pure.

    Raises:
        DeliveryError: ``render``, as ``person_of``.
    """
    person = person_of(document, delivery)
    content = {"contact": [*person.names, person.name], "text": text}
    return ContactMessage(
        delivery.config, person, text, mark, delivery.occurred_at, delivery.now, calls.encode(content)
    )


def mark_of(delivery: Delivery) -> str:
    """Return the last line of a message: by it the message is recognised, and its transfer found."""
    return f"Waybill {delivery.delivery_id}"


def memory_of(clients: SendingClients) -> Memory:
    """Return the memory of the destination being sent to.

    Raises:
        DeliveryError: ``unavailable``, where there is none: then nothing keeps two contacts from being made.
    """
    if clients.memory is None:
        raise vetted.failure("unavailable", sent=False)
    return clients.memory


Sent = TypeVar("Sent", bound=ContactMessage)


def send(
    message: Sent, clients: SendingClients, account: Callable[[Sent, SendingClients, Memory], Crm]
) -> DeliveryReceipt:
    """Bring a message to its person at a CRM, once: the effect of every such kind.

    Args:
        account: makes the CRM's side of one attempt.

    Raises:
        DeliveryError: anything but that.
        Unavailable: our own memory did not answer; the attempt is made again.
    """
    memory = memory_of(clients)
    deliver(message, account(message, clients, memory), memory)
    return DeliveryReceipt("accepted")


def deliver(message: ContactMessage, crm: Crm, memory: Memory) -> None:
    """Attach a message to its person's contact, making the contact where there is none: steps 1 to 9.

    Raises:
        DeliveryError: whatever a step came to; ``unavailable`` where the CRM says of the same contact that it is there
            and that it is not.
    """
    contact = find_or_make(message.person, crm, memory)
    for last in (False, True):
        first = memory.claim(f"attaching:{message.mark}", ATTACHING_S)  # 8
        try:
            if first or not crm.has(contact, message.mark):
                crm.attach(contact, message)  # 9
            return
        except ContactMerged:
            if last:
                raise vetted.failure("unavailable") from None
            contact = find_or_make(message.person, crm, memory, gone=contact)


def find_or_make(person: ContactPerson, crm: Crm, memory: Memory, gone: str | None = None) -> str:
    """Return the id of a person's contact: steps 1 to 7.

    Args:
        gone: an id that the CRM does not know any more, whatever is remembered.

    Raises:
        DeliveryError: ``contended``, or what the CRM came to.
    """
    names = {name: f"contact:{crm.account}:{name}" for name in person.names}
    known = _remembered(names.values(), memory, gone)  # 1
    if known is not None:
        return known
    held: list[str] = []
    try:
        for name in sorted(person.names):  # 2
            if not memory.claim(names[name], CLAIM_S):
                raise vetted.failure("contended", sent=gone is not None)
            held.append(names[name])
        known = _remembered(names.values(), memory, gone)  # 3
        if known is None:
            known = _found_or_made(person, crm)
            if known == gone:
                raise vetted.failure("unavailable")
        for name in person.names:  # 6
            memory.put(names[name], known, KEEP_S)
        return known
    finally:
        for name in held:  # 7
            memory.release(name)


def _remembered(names: Iterable[str], memory: Memory, gone: str | None) -> str | None:
    found = (memory.get(name) for name in names)
    return next((contact for contact in found if contact is not None and contact != gone), None)


def _found_or_made(person: ContactPerson, crm: Crm) -> str:
    found = crm.find(person)  # 4
    if found is not None:
        return found
    try:
        return crm.make(person)  # 5
    except AlreadyExists:
        found = crm.find(person)
    if found is None:  # it is there and not found yet
        raise vetted.failure("unavailable")
    return found


def shows(answer: calls.ApiResponse, mark: str) -> bool:
    """Say whether a list of a contact's messages, the latest first, has one with a mark.

    The bytes are searched, not the JSON: a list of long messages may be longer than what is read of an answer.
    """
    return mark.encode() in answer.body


def ids_in(values: object, read: Callable[[Any], object]) -> Iterator[str]:
    """Yield the ids, as text, of what a CRM's list holds; whatever is of another form is passed over."""
    for value in values if isinstance(values, list) else ():
        found = read(value)
        if isinstance(found, int | str) and not isinstance(found, bool) and re.fullmatch("[0-9]{1,20}", str(found)):
            yield str(found)


def oldest(ids: Iterator[str]) -> str | None:
    """Return the smallest of the ids that a CRM numbers its contacts by."""
    return min(ids, key=int, default=None)


def _usable(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not _MASKED.match(value)


def _bounded(text: str) -> str:
    """Return a text that a CRM's field holds: a long one by its hash."""
    if len(text) <= EXTERNAL_ID_MAX:
        return text
    channel, _, rest = text.partition(":")
    return f"{channel}:sha256:{hashlib.sha256(rest.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _phone(value: object) -> str | None:
    """Return a phone number without spaces and brackets; None for what is none, a pseudonym or a masked one."""
    text = _PHONE_FILLING.sub("", value) if isinstance(value, str) else ""
    return text if _PHONE.match(text) else None


def _line(value: object) -> str:
    text = value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line[:NAME_MAX]

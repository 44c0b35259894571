"""Destination kind ``chatwoot``: a message in a conversation of the person's contact, in an inbox of type API.

The contact is found or made by ``contacts.bring``; its ``identifier`` is our external id, which Chatwoot keeps unique in an
account. Below it, attaching a message is:

    a remembered conversation    of this contact and our conversation
    b claim it                   else ``contended``
    c remembered meanwhile
    d look it up                 among the contact's latest conversations, by our ref in its additional attributes
    e open it                    where the contact is gone, say so: ``contacts`` goes on from there
    f remember it, give it back
    g post the message           where the conversation is gone: once again from b

What a person said is an incoming message, which reopens a resolved conversation. Everything else, what our own account said
included, is a private note: an outgoing message would be sent to the person once more by whoever serves the inbox.

Sources (read 2026-11-22): https://developers.chatwoot.com/api-reference/contacts/search-contacts and the pages of "create
contact", "contact conversations", "create new conversation", "get messages", "create new message" beside it;
https://github.com/chatwoot/chatwoot (``MessageBuilder``, ``ConversationBuilder``, ``ContactInboxBuilder``, ``rack_attack.rb``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from . import base, calls, contacts, text, vetted
from .address import URL_MAX
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .contacts import ContactPerson
from .limits import VendorLimit

KIND = "chatwoot"
SEARCH = "search"
# Source: https://github.com/chatwoot/chatwoot/blob/develop/config/initializers/rack_attack.rb (read 2026-11-30): by default
# 3,000 requests a minute by address, and 100 searches for contacts a minute by account.
CAPABILITIES = DestinationCapabilities(
    memory=True,
    address_fields=("url",),
    limits=(
        VendorLimit("installation", "3,000 calls a minute", 40.0, lambda config: config.url),
        VendorLimit(
            "account", "100 searches a minute", 1.5, lambda config: f"{config.url}/{config.account_id}", SEARCH
        ),
    ),
)

FORM = text.TextLimit(150_000, text.utf16, text.plain)
PAGE = 15
PAGES_MAX = 5
SAID = frozenset({"message", "postback"})
"""Kinds of event that are somebody's words."""

_TOKEN = re.compile(r"[A-Za-z0-9._-]{8,200}\Z")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}\Z")
_UNIQUE = frozenset({"identifier", "phone_number"})
"""Attributes of a contact that a 422 is about where another contact has them."""


class Config(base.Config):
    """A Chatwoot, the account and its API inbox in it, and the access token of a user or bot who may use that inbox."""

    url: str = Field(min_length=1, max_length=URL_MAX, repr=False)
    token: SecretStr
    account_id: int = Field(ge=1, le=2**53)
    inbox_id: int = Field(ge=1, le=2**53)

    @field_validator("url")
    @classmethod
    def _root(cls, url: str) -> str:
        if "?" in url or "#" in url:
            raise ValueError("give Chatwoot's address without a query: https://app.chatwoot.com")
        return url.rstrip("/")

    @field_validator("token")
    @classmethod
    def _token(cls, token: SecretStr) -> SecretStr:
        if not _TOKEN.match(token.get_secret_value()):
            raise ValueError("use an access token as the profile page shows it")
        return token


@dataclass(frozen=True, slots=True)
class ConversationMessage(contacts.ContactMessage):
    """A message for a contact's conversation; ``conversation`` is our ref of it, empty where the event has none."""

    conversation: str
    message: Mapping[str, Any] = field(repr=False)


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a URL that every attempt would refuse. A name that does not resolve yet is taken.

    Raises:
        ForbiddenAddress: (an ``Invalid``) the URL, or any address that its name resolves to, is refused.
    """
    calls.check(config.url, None, clients)


def place(config: Config) -> Countries | None:
    """Return None: whose Chatwoot it is, and where, the recipient's record tells."""
    return None


def render(document: Mapping[str, Any], delivery: Delivery) -> ConversationMessage:
    """Make the message of an event and say whose contact it belongs to.

    Raises:
        DeliveryError: ``render``, where the event tells neither of a person nor of a conversation.
    """
    person = contacts.person_of(document, delivery)
    sender = document.get("sender")
    ours = isinstance(sender, Mapping) and sender.get("is_self") is True
    words = text.said(document) if delivery.kind in SAID and not ours and not delivery.test else ""
    message = {
        "content": text.fitted(words or text.of_event(document, delivery), FORM),
        "message_type": "incoming" if words else "outgoing",
        "private": not words,
        "source_id": delivery.delivery_id,
    }
    body = calls.encode({"contact": [*person.names, person.name], "message": message})
    return ConversationMessage(
        config=delivery.config,
        person=person,
        text=str(message["content"]),
        mark=delivery.delivery_id,
        occurred_at=delivery.occurred_at,
        at=delivery.now,
        body=body,
        conversation=delivery.conversation or "",
        message=message,
    )


def send(message: ConversationMessage, clients: SendingClients) -> DeliveryReceipt:
    """Post the message into the conversation of the person's contact.

    Raises:
        DeliveryError: anything but that.
        Unavailable: our own memory did not answer; the attempt is made again.
    """
    return contacts.send(message, clients, _ChatwootAccount)


class _ChatwootAccount:
    """The account as ``contacts.Crm``, for one attempt."""

    def __init__(self, message: ConversationMessage, clients: SendingClients, memory: base.Memory) -> None:
        config: Config = message.config
        self.account = f"{config.url}/{config.account_id}"
        self._inbox = config.inbox_id
        self._ref = message.conversation or "none"
        self._message = message.message
        self._memory = memory
        root = f"{config.url}/api/v1/accounts/{config.account_id}"
        self._service = calls.Service(clients, root, {"api_access_token": config.token.get_secret_value()}, message.at)

    def find(self, person: ContactPerson) -> str | None:
        for external_id in person.external_ids:
            found = self._search("identifier", external_id)
            if found is not None:
                return found
        phone = _phone(person)
        return self._search("phone_number", phone) if phone else None

    def make(self, person: ContactPerson) -> str:
        contact: dict[str, Any] = {
            "inbox_id": self._inbox,
            "name": person.name,
            "identifier": person.external_ids[0],
        }
        phone = _phone(person)
        answer = self._service.call("POST", "/contacts", contact | ({"phone_number": phone} if phone else {}))
        if answer.status == 422 and _taken(answer.told()):
            raise contacts.AlreadyExists
        payload = _read(answer).get("payload")
        made = payload.get("contact") if isinstance(payload, dict) else None
        return _only(contacts.ids_in([made], _id), answer)

    def has(self, contact: str, mark: str) -> bool:
        conversation = self._memory.get(self._name(contact)) or self._listed(contact)
        if conversation is None:
            return False
        answer = self._service.call("GET", f"/conversations/{conversation}/messages")
        if answer.status == 404:
            return False
        if not answer.ok:
            raise calls.fault_of(answer)
        return contacts.shows(answer, mark)

    def attach(self, contact: str, message: contacts.ContactMessage) -> None:
        conversation = self._conversation(contact)
        answer = self._service.call("POST", f"/conversations/{conversation}/messages", self._message)  # g
        if answer.status == 404:
            conversation = self._conversation(contact, gone=conversation)
            answer = self._service.call("POST", f"/conversations/{conversation}/messages", self._message)
        _only(contacts.ids_in([_read(answer)], _id), answer)

    def _search(self, attribute: str, value: str) -> str | None:
        """Return the contact whose attribute is a value; the search itself also finds what only contains it."""
        for page in range(1, PAGES_MAX + 1):
            query = urlencode({"q": value, "page": page, "include_contact_inboxes": "false"})
            answer = self._service.call("GET", f"/contacts/search?{query}", limit=SEARCH)
            listed = _read(answer).get("payload")
            if not isinstance(listed, list):
                raise calls.failure("protocol", answer)
            same = [c for c in listed if isinstance(c, dict) and c.get(attribute) == value]
            found = contacts.oldest(contacts.ids_in(same, _id))
            if found is not None or len(listed) < PAGE:
                return found
        return None

    def _name(self, contact: str) -> str:
        return f"conversation:{self.account}/{self._inbox}:{contact}:{self._ref}"

    def _conversation(self, contact: str, gone: str | None = None) -> str:
        """Return the conversation of a contact: steps a to f. Raises ``contacts.Gone``."""
        name = self._name(contact)
        known = self._memory.get(name)  # a
        if known is not None and known != gone:
            return known
        if not self._memory.claim(name, contacts.CLAIM_S):  # b
            raise vetted.failure("contended", sent=self._service.reached)
        try:
            known = self._memory.get(name)  # c
            if known is None or known == gone:
                known = self._listed(contact) or self._open(contact)  # d, e
                self._memory.put(name, known, contacts.KEEP_S)  # f
            return known
        finally:
            self._memory.release(name)

    def _listed(self, contact: str) -> str | None:
        answer = self._service.call("GET", f"/contacts/{contact}/conversations")
        if answer.status == 404:
            raise contacts.ContactMerged
        if answer.ok and answer.truncated:
            return None  # longer than is read of an answer: a conversation more is the lesser evil
        listed = _read(answer).get("payload")
        ours = [c for c in listed if self._is_ours(c)] if isinstance(listed, list) else []
        return contacts.oldest(contacts.ids_in(ours, _id))

    def _is_ours(self, conversation: object) -> bool:
        if not isinstance(conversation, dict) or conversation.get("inbox_id") != self._inbox:
            return False
        attributes = conversation.get("additional_attributes")
        return isinstance(attributes, dict) and attributes.get("waybill_conversation") == self._ref

    def _open(self, contact: str) -> str:
        asked = {
            "inbox_id": self._inbox,
            "contact_id": int(contact),
            "source_id": f"waybill:{contact}:{self._ref}",
            "additional_attributes": {"waybill_conversation": self._ref},
        }
        answer = self._service.call("POST", "/conversations", asked)
        if answer.status == 404 and self._service.call("GET", f"/contacts/{contact}").status == 404:
            raise contacts.ContactMerged  # otherwise it is the inbox that is not there
        return _only(contacts.ids_in([_read(answer)], _id), answer)


def _read(answer: calls.ApiResponse) -> Mapping[str, Any]:
    if not answer.ok:
        raise calls.fault_of(answer)
    return answer.object()


def _only(ids: Iterator[str], answer: calls.ApiResponse) -> str:
    found = next(ids, None)
    if found is None:
        raise calls.failure("protocol", answer)
    return found


def _id(item: Any) -> object:
    return item.get("id") if isinstance(item, Mapping) else None


def _phone(person: ContactPerson) -> str | None:
    return person.phone if person.phone and _E164.match(person.phone) else None


def _taken(told: Mapping[str, Any]) -> bool:
    """Say whether a 422 means that there is such a contact. Older versions name no attributes."""
    attributes = told.get("attributes")
    named = isinstance(attributes, list) and any(a in _UNIQUE for a in attributes if isinstance(a, str))
    return named or "already been taken" in str(told.get("message", ""))

"""Destination kind ``hubspot``: a note on the person's contact.

By a private app's token, or an OAuth application. A contact is known by a property of the tenant's own that HubSpot keeps
unique: it is read by that property directly, which sees what was made a moment before, and HubSpot itself refuses a second
one. Only the search by phone goes through HubSpot's index, which is some seconds late.

Sources (read 2026-11-22): https://developers.hubspot.com/docs/api/crm/contacts,
https://developers.hubspot.com/docs/api-reference/crm-notes-v3/guide,
https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm,
https://developers.hubspot.com/changelog/updating-objects-by-custom-field-and-adding-owner-properties-via-the-api,
https://developers.hubspot.com/docs/api/usage-details.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr, model_validator

from ..core import times
from ..core.errors import DeliveryError
from . import base, calls, contacts, text, tokens
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .contacts import ContactMessage, ContactPerson
from .limits import VendorLimit

KIND = "hubspot"
SEARCH = "search"


def _credential(config: Config) -> str:
    """Return what tells one app in one account from every other: only the credentials do."""
    credential = config.app.refresh_token if config.app else config.token
    return credential.get_secret_value() if credential else ""


# Source: https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines (read 2026-11-30): the lowest limit is
# 100 requests in 10 seconds for each app and account; searches have a limit of their own.
# Source: https://developers.hubspot.com/changelog/crm-search-api-rate-limit-increase (read 2026-11-30): 4 searches a second.
CAPABILITIES = DestinationCapabilities(
    memory=True,
    address_fields=("api_url",),
    limits=(
        VendorLimit("app in an account", "100 calls in 10 seconds", 8.0, _credential),
        VendorLimit("app in an account", "4 searches a second", 3.0, _credential, SEARCH),
    ),
)

API = "https://api.hubapi.com"
REFRESH_KEEP_S = 180 * 86_400
"""HubSpot's refresh tokens do not end; after this the configuration's, which is the same, is used again."""
NOTE_MAX = 65_536
MARK_ROOM = 100
NOTE_TO_CONTACT = 202
"""HubSpot's own type of association from a note to a contact."""
NOTES_LOOKED_AT = 10
WAITS_S: Mapping[str, int] = {"SECONDLY": 1, "TEN_SECONDLY_ROLLING": 10, "DAILY": 3600}
"""``policyName`` of a 429 → when to come back, where no ``Retry-After`` says."""
TAKEN = b"CONFLICTING_UNIQUE_VALUE"
"""How a 400 says that another contact has the value of a unique property."""


class Config(base.Config):
    """A token or an application, and the unique property that holds our ids."""

    token: SecretStr | None = Field(default=None, min_length=1, max_length=tokens.TOKEN_MAX)
    app: tokens.OAuthApp | None = None
    property: str = Field(default="waybill_id", pattern=r"^[a-z][a-z0-9_]{0,99}$")
    api_url: calls.ApiUrl = None

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        if (self.token is None) == (self.app is None):
            raise ValueError("give a token or an app")
        return self


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a stand-in that the operator has not opened.

    Raises:
        ForbiddenAddress: (an ``Invalid``) as every attempt would.
    """
    calls.check(API, config.api_url, clients)


def place(config: Config) -> Countries | None:
    """Return None: the recipient's record tells in which of HubSpot's data centres its account is."""
    return None


def _pieces(written: str) -> Iterable[str]:
    return ("<br>" if c == "\n" else html.escape(c) for c in written)


_FORM = text.TextLimit(NOTE_MAX - MARK_ROOM, len, _pieces)


def render(document: Mapping[str, Any], delivery: Delivery) -> ContactMessage:
    """Make the note of an event, in HTML, and say whose contact it belongs to.

    Raises:
        DeliveryError: ``render``, where the event tells neither of a person nor of a conversation.
    """
    mark = contacts.mark_of(delivery)
    note = text.fitted(text.of_event(document, delivery), _FORM)
    return contacts.contact_message(document, delivery, f"{note}<br>{mark}", mark)


def send(message: ContactMessage, clients: SendingClients) -> DeliveryReceipt:
    """Add the note to the person's contact.

    Raises:
        DeliveryError: anything but that.
        Unavailable: our own memory did not answer; the attempt is made again.
    """
    return contacts.send(message, clients, _HubspotAccount)


class _HubspotAccount:
    """The account as ``contacts.Crm``, for one attempt."""

    def __init__(self, message: ContactMessage, clients: SendingClients, memory: base.Memory) -> None:
        config: Config = message.config
        self._config = config
        self.account = _credential(config)
        self._service = calls.Service(clients, API, {}, message.at, config.api_url)
        self._tokens: tokens.Tokens | None = None
        if config.app:
            # The stand-in's address as well: a pair is never shown to another place.
            place = "hubspot" + (f"@{config.api_url}" if config.api_url else "")
            self._tokens = tokens.Tokens(config.app, place, clients, memory, self._service, self._renew, REFRESH_KEEP_S)

    def find(self, person: ContactPerson) -> str | None:
        for external_id in person.external_ids:
            answer = self._answer("GET", f"{_contact(external_id)}?idProperty={self._config.property}")
            if answer.ok:
                return _id_of(answer)
            if answer.status != 404:
                raise _fault(answer)
        return self._by_phone(person.phone) if person.phone else None

    def _by_phone(self, phone: str) -> str | None:
        answer = self._search(
            "/crm/v3/objects/contacts/search",
            {
                "filterGroups": [
                    {"filters": [{"propertyName": name, "operator": "EQ", "value": phone}]}
                    for name in ("phone", "mobilephone")
                ],
                "properties": ["hs_object_id"],
                "limit": 10,
            },
        )
        return contacts.oldest(contacts.ids_in(answer.object().get("results"), _id))

    def make(self, person: ContactPerson) -> str:
        properties = {"firstname": person.name, self._config.property: person.external_ids[0]}
        properties |= {"phone": person.phone} if person.phone else {}
        answer = self._answer("POST", "/crm/v3/objects/contacts", {"properties": properties})
        if answer.status == 409 or (answer.status == 400 and TAKEN in answer.body):
            raise contacts.AlreadyExists
        if not answer.ok:
            raise _fault(answer)
        return _id_of(answer)

    def has(self, contact: str, mark: str) -> bool:
        answer = self._search(
            "/crm/v3/objects/notes/search",
            {
                "filterGroups": [
                    {"filters": [{"propertyName": "associations.contact", "operator": "EQ", "value": contact}]}
                ],
                "properties": ["hs_note_body"],
                "sorts": [{"propertyName": "hs_createdate", "direction": "DESCENDING"}],
                "limit": NOTES_LOOKED_AT,
            },
        )
        return contacts.shows(answer, mark)

    def attach(self, contact: str, message: ContactMessage) -> None:
        association = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": NOTE_TO_CONTACT}
        note = {
            "properties": {"hs_timestamp": times.text(message.occurred_at), "hs_note_body": message.text},
            "associations": [{"to": {"id": contact}, "types": [association]}],
        }
        answer = self._answer("POST", "/crm/v3/objects/notes", note)
        if answer.ok:
            return
        if answer.status in (400, 404) and self._answer("GET", _contact(contact)).status == 404:
            raise contacts.ContactMerged
        raise _fault(answer)

    def _search(self, path: str, body: Mapping[str, Any]) -> calls.ApiResponse:
        answer = self._answer("POST", path, body, SEARCH)
        if not answer.ok:
            raise _fault(answer)
        return answer

    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, limit: str = ""
    ) -> calls.ApiResponse:
        def call(access: str) -> calls.ApiResponse:
            return self._service.call(method, path, body, {"Authorization": f"Bearer {access}"}, limit)

        if self._tokens:
            return tokens.authorised(call, self._tokens, lambda answer: answer.status == 401)
        return call(self._config.token.get_secret_value() if self._config.token else "")

    def _renew(self, refresh: str) -> calls.ApiResponse:
        # Source: https://developers.hubspot.com/docs/api-reference/2026-03/authentication/manage-oauth-tokens
        # (read 2026-12-01). Version 1 ends on 2027-02-16.
        app = self._config.app
        assert app is not None
        asked = {
            "grant_type": "refresh_token",
            "client_id": app.client_id,
            "client_secret": app.client_secret.get_secret_value(),
            "refresh_token": refresh,
        }
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        content = urlencode(asked).encode()
        return self._service.call("POST", "/oauth/2026-03/token", content, form, within_s=tokens.RENEWAL_S)


def _contact(name: str) -> str:
    return f"/crm/v3/objects/contacts/{quote(name, safe='')}"


def _id(item: Any) -> object:
    return item.get("id") if isinstance(item, dict) else None


def _id_of(answer: calls.ApiResponse) -> str:
    found = contacts.oldest(contacts.ids_in([answer.object()], _id))
    if found is None:
        raise calls.failure("protocol", answer)
    return found


def _fault(answer: calls.ApiResponse) -> DeliveryError:
    """Return the error of an answer; a limit says by its name when to come back."""
    if answer.status == 429 and "retry-after" not in answer.headers:
        return calls.failure("throttled", answer, WAITS_S.get(str(answer.told().get("policyName"))))
    return calls.fault_of(answer)

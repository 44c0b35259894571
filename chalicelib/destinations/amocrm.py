"""Destination kind ``amocrm``: a note on the person's contact, in amoCRM or Kommo.

By a long-lived token, or an integration's OAuth pair, whose refresh tokens are good for one use and three months. A contact
is known by a text field of the tenant's own, found through the account's full-text search; what was made a moment before
may not be found there yet, hence the claims and the memory of ``contacts``.

Sources (read 2026-11-22): https://developers.kommo.com/reference/get-token,
https://es-developers.kommo.com/docs/limitaciones, https://www.amocrm.ru/developers/content/crm_platform/contacts-api,
https://www.amocrm.ru/developers/content/crm_platform/events-and-notes,
https://www.amocrm.ru/developers/content/crm_platform/error-codes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator

from . import base, calls, contacts, text, tokens
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .contacts import ContactMessage, ContactPerson
from .limits import VendorLimit

KIND = "amocrm"
# Source: https://developers.kommo.com/docs/limitations (read 2026-11-30): no more than 7 requests a second; amoCRM
# restricts the address of a client that makes more.
CAPABILITIES = DestinationCapabilities(
    memory=True,
    address_fields=("host", "api_url"),
    limits=(VendorLimit("account", "7 calls a second", 5.0, lambda config: config.host),),
)

HOST = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.(?:amocrm\.ru|amocrm\.com|kommo\.com)$"
REFRESH_KEEP_S = 90 * 86_400
NOTE_MAX = 20_000
FOUND_MAX = 10
"""How many contacts of a search are read: a contact with all its fields takes a few kilobytes of an answer's 64."""
NOTES_LOOKED_AT = 25


class AmocrmApp(tokens.OAuthApp):
    """An integration's OAuth pair; renewing asks for its redirect address too."""

    redirect_uri: str = Field(min_length=1, max_length=2048)


class Config(base.Config):
    """The account's host, a token or an integration, and the number of the field that holds our ids."""

    host: str = Field(pattern=HOST)
    token: SecretStr | None = Field(default=None, min_length=1, max_length=tokens.TOKEN_MAX)
    app: AmocrmApp | None = None
    field_id: int = Field(ge=1)
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
    calls.check(f"https://{config.host}", config.api_url, clients)


def place(config: Config) -> Countries | None:
    """Return None: the recipient's record tells where its account is kept."""
    return None


_FORM = text.TextLimit(NOTE_MAX, len, text.plain)


def render(document: Mapping[str, Any], delivery: Delivery) -> ContactMessage:
    """Make the note of an event and say whose contact it belongs to.

    Raises:
        DeliveryError: ``render``, where the event tells neither of a person nor of a conversation.
    """
    mark = contacts.mark_of(delivery)
    return contacts.contact_message(
        document, delivery, f"{text.fitted(text.of_event(document, delivery), _FORM)}\n{mark}", mark
    )


def send(message: ContactMessage, clients: SendingClients) -> DeliveryReceipt:
    """Add the note to the person's contact.

    Raises:
        DeliveryError: anything but that.
        Unavailable: our own memory did not answer; the attempt is made again.
    """
    return contacts.send(message, clients, _AmocrmAccount)


class _AmocrmAccount:
    """The account as ``contacts.Crm``, for one attempt."""

    def __init__(self, message: ContactMessage, clients: SendingClients, memory: base.Memory) -> None:
        config: Config = message.config
        self._config = config
        self.account = config.host
        self._service = calls.Service(clients, f"https://{config.host}", {}, message.at, config.api_url)
        self._tokens: tokens.Tokens | None = None
        if config.app:
            # The stand-in's address as well: a pair is never shown to another place.
            place = f"amocrm/{config.host}" + (f"@{config.api_url}" if config.api_url else "")
            self._tokens = tokens.Tokens(config.app, place, clients, memory, self._service, self._renew, REFRESH_KEEP_S)

    def find(self, person: ContactPerson) -> str | None:
        for external_id in person.external_ids:
            found = self._search(_field_value(external_id), "field_id", self._config.field_id)
            if found is not None:
                return found
        return self._search(_digits(person.phone), "field_code", "PHONE") if person.phone else None

    def make(self, person: ContactPerson) -> str:
        values: list[dict[str, Any]] = [
            {"field_id": self._config.field_id, "values": [{"value": _field_value(person.external_ids[0])}]}
        ]
        if person.phone:
            values.append({"field_code": "PHONE", "values": [{"value": person.phone, "enum_code": "WORK"}]})
        answer = self._call("POST", "/api/v4/contacts", [{"name": person.name, "custom_fields_values": values}])
        made = contacts.oldest(contacts.ids_in(_embedded(answer, "contacts"), _id))
        if made is None:
            raise calls.failure("protocol", answer)
        return made

    def has(self, contact: str, mark: str) -> bool:
        path = f"/api/v4/contacts/{contact}"
        answer = self._answer("GET", f"{path}/notes?order[id]=desc&limit={NOTES_LOOKED_AT}")
        if answer.ok:
            return contacts.shows(answer, mark)
        raise self._fault(answer, path)

    def attach(self, contact: str, message: ContactMessage) -> None:
        note = {"note_type": "common", "params": {"text": message.text}}
        path = f"/api/v4/contacts/{contact}"
        answer = self._answer("POST", f"{path}/notes", [note])
        if not answer.ok:
            raise self._fault(answer, path)

    def _fault(self, answer: calls.ApiResponse, path: str) -> Exception:
        """Return what a refusal about a contact comes to: ``Gone`` where the contact is."""
        if answer.status in (400, 404) and self._is_gone(path):
            return contacts.ContactMerged()
        return calls.fault_of(answer)

    def _is_gone(self, path: str) -> bool:
        answer = self._answer("GET", path)
        return answer.status in (204, 404) or (answer.ok and answer.told().get("is_deleted") is True)

    def _search(self, wanted: str, key: str, value: object) -> str | None:
        """Return the oldest contact that has ``wanted`` in the field whose ``key`` is ``value``.

        The account's search looks into all fields and takes parts of words too, so that each hit is looked at.
        """
        answer = self._call("GET", f"/api/v4/contacts?query={quote(wanted)}&order[id]=asc&limit={FOUND_MAX}")
        if answer.status == 204:  # nothing found
            return None
        return contacts.oldest(
            contacts.ids_in(_embedded(answer, "contacts"), lambda c: _id(c) if _holds(c, wanted, key, value) else None)
        )

    def _call(self, method: str, path: str, body: list[Any] | None = None) -> calls.ApiResponse:
        answer = self._answer(method, path, body)
        if not answer.ok:
            raise calls.fault_of(answer)
        return answer

    def _answer(self, method: str, path: str, body: list[Any] | None = None) -> calls.ApiResponse:
        content = None if body is None else json.dumps(body).encode()

        def call(access: str) -> calls.ApiResponse:
            return self._service.call(method, path, content, {"Authorization": f"Bearer {access}"})

        if self._tokens:
            return tokens.authorised(call, self._tokens, lambda answer: answer.status == 401)
        return call(self._config.token.get_secret_value() if self._config.token else "")

    def _renew(self, refresh: str) -> calls.ApiResponse:
        app = self._config.app
        assert app is not None
        asked = {
            "client_id": app.client_id,
            "client_secret": app.client_secret.get_secret_value(),
            "grant_type": "refresh_token",
            "refresh_token": refresh,
            "redirect_uri": app.redirect_uri,
        }
        return self._service.call("POST", "/oauth2/access_token", asked, within_s=tokens.RENEWAL_S)


def _field_value(external_id: str) -> str:
    """Return what our field holds: one word of one length, for the search takes ids apart and finds 77 in 771."""
    return "wbl" + hashlib.sha256(external_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _digits(value: str) -> str:
    return re.sub("[^0-9]", "", value)


def _embedded(answer: calls.ApiResponse, name: str) -> object:
    embedded = answer.object().get("_embedded")
    return embedded.get(name) if isinstance(embedded, dict) else None


def _id(item: Any) -> object:
    return item.get("id") if isinstance(item, dict) else None


def _holds(contact: Any, wanted: str, key: str, value: object) -> bool:
    fields = contact.get("custom_fields_values") if isinstance(contact, dict) else None
    held = (
        item.get("value")
        for one in (fields if isinstance(fields, list) else ())
        if isinstance(one, Mapping) and one.get(key) == value
        for item in (one["values"] if isinstance(one.get("values"), list) else ())
        if isinstance(item, Mapping)
    )
    return any(isinstance(text, str) and wanted in (text, _digits(text)) for text in held)

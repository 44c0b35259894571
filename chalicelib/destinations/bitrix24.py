"""Destination kind ``bitrix24``: a comment in the timeline of the person's contact.

Through an inbound webhook of the portal, or an application that is installed there. Contacts are found by
``originatorId`` and ``originId``, then by phone; both searches see what was made a moment before. The message is a timeline
comment: universal activities are tasks with a deadline, and configurable ones only an application may make.

Sources (read 2026-11-22): https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html,
https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-add.html,
https://dev.1c-bitrix.ru/rest_help/crm/auxiliary/duplicates/crm_duplicate_findbycomm.php,
https://apidocs.bitrix24.com/error-codes.html, https://apidocs.bitrix24.com/limits.html,
https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from . import base, calls, contacts, text, tokens, vetted
from .address import URL_MAX
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .contacts import ContactMessage, ContactPerson
from .limits import VendorLimit

KIND = "bitrix24"
# Source: https://apidocs.bitrix24.com/settings/performance/limits.html (read 2026-11-30): a bucket of 50 calls (Enterprise:
# 250) that loses 2 a second (Enterprise: 5).
CAPABILITIES = DestinationCapabilities(
    memory=True,
    address_fields=("url", "api_url"),
    limits=(
        VendorLimit(
            "portal", "2 calls a second", 1.9, lambda config: urlsplit(config.url.get_secret_value()).netloc.lower()
        ),
    ),
)

TOKEN_URL = "https://oauth.bitrix24.tech"  # noqa: S105  (an address)
REFRESH_KEEP_S = 180 * 86_400
CONTACT = 3
"""``entityTypeId`` of contacts."""
ORIGINATOR = "waybill"
COMMENT_BYTES_MAX = 60_000
"""A comment is stored in 65,535 bytes."""

CODES: Mapping[str, str] = {
    "QUERY_LIMIT_EXCEEDED": "throttled",
    "OPERATION_TIME_LIMIT": "throttled",
    "OVERLOAD_LIMIT": "unavailable",
    "INTERNAL_SERVER_ERROR": "unavailable",
    "ERROR_UNEXPECTED_ANSWER": "unavailable",
    "PORTAL_DELETED": "unavailable",
    "expired_token": "credentials",
    "invalid_token": "credentials",
    "NO_AUTH_FOUND": "credentials",
    "INVALID_CREDENTIALS": "credentials",
    "ACCESS_DENIED": "denied",
    "insufficient_scope": "denied",
    "user_access_error": "denied",
    "PAYMENT_REQUIRED": "denied",
    "ERROR_METHOD_NOT_FOUND": "denied",
}
"""Bitrix24's word in ``error`` → attempt code; the status decides of other words. A method that the webhook has no right
to is "not found" as well."""
EXPIRED = frozenset({"expired_token", "invalid_token"})
GONE = frozenset({"OWNER_NOT_FOUND", "NOT_FOUND"})

_WEBHOOK_PATH = re.compile(r"/rest/[0-9]{1,10}/[A-Za-z0-9]{1,100}/?\Z")


def _url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.query or parts.fragment or not (_WEBHOOK_PATH.match(parts.path) or parts.path in ("", "/")):
        raise ValueError("a webhook's URL ends in /rest/{user}/{code}/, a portal's has no path")
    return value


class Config(base.Config):
    """A webhook's URL, whose path is its secret; or a portal's URL and an application installed there."""

    url: SecretStr = Field(min_length=1, max_length=URL_MAX)
    app: tokens.OAuthApp | None = None
    api_url: calls.ApiUrl = None

    _check_url = field_validator("url")(_url)

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        webhook = bool(_WEBHOOK_PATH.match(urlsplit(self.url.get_secret_value()).path))
        if webhook == (self.app is not None):
            raise ValueError("give a webhook's URL, or a portal's URL and an app")
        return self


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a URL that every attempt would refuse.

    Raises:
        ForbiddenAddress: (an ``Invalid``) the URL, or any address that its name resolves to, is refused.
    """
    calls.check(config.url.get_secret_value(), config.api_url, clients)


def place(config: Config) -> Countries | None:
    """Return None: portals are kept in several countries, or by the tenant; the recipient's record tells."""
    return None


def _pieces(written: str) -> Iterable[str]:
    # A comment is BBCode: behind an invisible space no bracket begins a tag, least of all [USER=…], which calls people.
    return ("[\u200b" if c == "[" else c for c in written)


_FORM = text.TextLimit(COMMENT_BYTES_MAX, lambda written: len(written.encode("utf-8", "replace")), _pieces)


def render(document: Mapping[str, Any], delivery: Delivery) -> ContactMessage:
    """Make the comment of an event and say whose contact it belongs to.

    Raises:
        DeliveryError: ``render``, where the event tells neither of a person nor of a conversation.
    """
    mark = contacts.mark_of(delivery)
    return contacts.contact_message(
        document, delivery, f"{text.fitted(text.of_event(document, delivery), _FORM)}\n{mark}", mark
    )


def send(message: ContactMessage, clients: SendingClients) -> DeliveryReceipt:
    """Add the comment to the person's contact.

    Raises:
        DeliveryError: anything but that.
        Unavailable: our own memory did not answer; the attempt is made again.
    """
    return contacts.send(message, clients, _Bitrix24Account)


class _Bitrix24Account:
    """The portal as ``contacts.Crm``, for one attempt."""

    def __init__(self, message: ContactMessage, clients: SendingClients, memory: base.Memory) -> None:
        config: Config = message.config
        self.account = urlsplit(config.url.get_secret_value()).netloc
        self._app = config.app
        root = config.url.get_secret_value().rstrip("/") + ("/rest" if config.app else "")
        self._rest = calls.Service(clients, root, {}, message.at, config.api_url)
        self._oauth = calls.Service(clients, TOKEN_URL, {}, message.at, config.api_url)
        self._tokens: tokens.Tokens | None = None
        if config.app:
            # The stand-in's address as well: a pair is never shown to another place.
            place = f"bitrix24/{self.account}" + (f"@{config.api_url}" if config.api_url else "")
            self._tokens = tokens.Tokens(config.app, place, clients, memory, self._rest, self._renew, REFRESH_KEEP_S)

    def find(self, person: ContactPerson) -> str | None:
        for external_id in person.external_ids:
            wanted = {"originatorId": ORIGINATOR, "originId": external_id}
            found = self._call(
                "crm.item.list", {"entityTypeId": CONTACT, "filter": wanted, "select": ["id"], "order": {"id": "ASC"}}
            )
            items = found.get("items") if isinstance(found, dict) else None
            contact = contacts.oldest(contacts.ids_in(items, _id))
            if contact is not None:
                return contact
        if person.phone is None:
            return None
        same = self._call(
            "crm.duplicate.findbycomm", {"type": "PHONE", "values": [person.phone], "entity_type": "CONTACT"}
        )
        # No duplicate at all is an empty list, not an object.
        return contacts.oldest(contacts.ids_in(same.get("CONTACT") if isinstance(same, dict) else None, lambda v: v))

    def make(self, person: ContactPerson) -> str:
        fields: dict[str, Any] = {
            "name": person.name,
            "originatorId": ORIGINATOR,
            "originId": person.external_ids[0],
            "opened": "Y",
        }
        if person.phone:
            fields["fm"] = [{"typeId": "PHONE", "valueType": "WORK", "value": person.phone}]
        made = self._call("crm.item.add", {"entityTypeId": CONTACT, "fields": fields})
        contact = contacts.oldest(contacts.ids_in([made.get("item") if isinstance(made, dict) else None], _id))
        if contact is None:
            raise vetted.failure("protocol")
        return contact

    def has(self, contact: str, mark: str) -> bool:
        found = self._answer(
            "crm.timeline.comment.list",
            {
                "filter": {"ENTITY_ID": int(contact), "ENTITY_TYPE": "contact"},
                "select": ["ID", "COMMENT"],
                "order": {"ID": "DESC"},
            },
            gone=GONE,
        )
        return contacts.shows(found, mark)

    def attach(self, contact: str, message: ContactMessage) -> None:
        fields = {"ENTITY_ID": int(contact), "ENTITY_TYPE": "contact", "COMMENT": message.text}
        self._call("crm.timeline.comment.add", {"fields": fields}, gone=GONE)

    def _call(self, method: str, parameters: Mapping[str, Any], gone: frozenset[str] = frozenset()) -> Any:
        """Call a method and return its ``result``."""
        return self._answer(method, parameters, gone).object().get("result")

    def _answer(
        self, method: str, parameters: Mapping[str, Any], gone: frozenset[str] = frozenset()
    ) -> calls.ApiResponse:
        """Call a method and return the answer that it worked. Of an error only the code word is read."""

        def call(access: str | None) -> calls.ApiResponse:
            sent = parameters if access is None else {**parameters, "auth": access}
            return self._rest.call("POST", f"/{method}", sent)

        answer = tokens.authorised(call, self._tokens, _expired) if self._tokens else call(None)
        word = _word(answer)
        if answer.ok and not word:
            return answer
        if word in gone:
            raise contacts.ContactMerged
        code = CODES.get(word) or ("invalid" if answer.ok else None)
        raise calls.failure(code, answer) if code else calls.fault_of(answer)

    def _renew(self, refresh: str) -> calls.ApiResponse:
        assert self._app is not None
        query = {
            "grant_type": "refresh_token",
            "client_id": self._app.client_id,
            "client_secret": self._app.client_secret.get_secret_value(),
            "refresh_token": refresh,
        }
        answer = self._oauth.call("GET", f"/oauth/token/?{urlencode(query)}", within_s=tokens.RENEWAL_S)
        if _word(answer) == "PAYMENT_REQUIRED":
            raise calls.failure("denied", answer)
        return answer


def _id(item: Any) -> object:
    return item.get("id") if isinstance(item, dict) else None


def _expired(answer: calls.ApiResponse) -> bool:
    return _word(answer) in EXPIRED


def _word(answer: calls.ApiResponse) -> str:
    """Return Bitrix24's word for what went wrong; empty where it says none."""
    word = answer.told().get("error")
    return word if isinstance(word, str) else ""

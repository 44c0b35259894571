"""What a platform is: a module with ``KIND``, ``CAPABILITIES``, ``Credentials``, ``find`` and ``register``.

``subscribe`` is the one procedure of them all. A platform fails with ``DeliveryError`` and an attempt code, never with its
own words. No error and no result holds a credential or an address.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ..core.errors import DeliveryError
from ..core.tenant.subscription import FoundSubscription
from ..destinations import calls, vetted
from ..destinations.base import SendingClients

LIMITS = vetted.Limits(resolve_s=3.0, connect_s=5.0, total_s=18.0)
"""Of all calls of one subscription: the API answers within 29 seconds. Some platforms call the webhook meanwhile."""
CHECK_LIMITS = vetted.Limits(resolve_s=2.0, connect_s=3.0, total_s=8.0)
"""Of all calls of one check."""
FORM_TYPE = "application/x-www-form-urlencoded"

Token = Annotated[SecretStr, Field(min_length=1, max_length=2048)]
"""A secret that gives access to the platform's API."""
PublicId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
"""An id at the platform, which goes into a path."""


class PlatformCredentials(BaseModel):
    """The credentials that a platform's API needs, beyond the source's own secret. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The webhook to set: the whole address of a source, its current secret, and the time."""

    url: str = field(repr=False)
    secret: Mapping[str, Any] = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True)
class PlatformCapabilities:
    """What sets a platform apart.

    Args:
        api: the base address of the platform's API.
        learn: returns fields of the source's secret that the platform decides. They are stored before ``register``.
    """

    api: str
    learn: Callable[[PlatformApi, Any, Webhook], Mapping[str, str]] | None = None


class Platform(Protocol):
    """Satisfied by a module."""

    @property
    def KIND(self) -> str:  # noqa: N802  (a constant or class of the module)
        """The channel, which is the name of the module."""

    @property
    def CAPABILITIES(self) -> PlatformCapabilities:  # noqa: N802  (a constant or class of the module)
        """What sets the platform apart."""

    @property
    def Credentials(self) -> type[PlatformCredentials]:  # noqa: N802  (a constant or class of the module)
        """The credentials that its API needs."""

    def find(self, api: PlatformApi, credentials: Any, webhook: Webhook) -> FoundSubscription:
        """Read the subscription. Raises ``DeliveryError`` and nothing else."""

    def register(self, api: PlatformApi, credentials: Any, webhook: Webhook) -> None:
        """Set the webhook, in place of another one where the platform has only one. Setting it twice changes nothing.

        Raises ``DeliveryError`` and nothing else.
        """


class PlatformApi:
    """The calls of one subscription to one platform, over the vetted connection, under one deadline.

    Args:
        root: the base address of the platform's API.
        api_url: where a stand-in listens; only an address that the operator has opened.
    """

    def __init__(
        self, clients: SendingClients, root: str, now: datetime, api_url: str | None, limits: vetted.Limits = LIMITS
    ) -> None:
        self._clients = replace(clients, limits=limits, pace=None)
        self._root, self._now, self._api_url = root, now, api_url
        self._deadline = calls.deadline_of(self._clients)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        root: str | None = None,
    ) -> calls.ApiResponse:
        """Make one call and return the answer, whatever its status.

        Args:
            form: a body as an HTML form sends it, in place of ``body``.
            root: another base address of the platform, in place of the usual one.

        Raises:
            DeliveryError: there is no answer in time, or the address is forbidden.
        """
        given = dict(headers or {})
        content: Mapping[str, Any] | bytes | None = body
        if form is not None:
            content, given = urlencode(form, doseq=True).encode(), {"Content-Type": FORM_TYPE, **given}
        return calls.call(
            self._clients,
            method,
            f"{root or self._root}{path}{'?' + urlencode(query) if query else ''}",
            headers=given,
            body=content,
            at=self._now,
            deadline=self._deadline,
            api_url=self._api_url,
        )

    def json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        statuses: Mapping[int, str] | None = None,
        **more: Any,
    ) -> Mapping[str, Any]:
        """Make one call and return the JSON object of a success.

        Args:
            statuses: codes of statuses that this platform uses otherwise.
            more: of ``call``.

        Raises:
            DeliveryError: as ``call``; or the platform refuses; or the answer is no JSON object.
        """
        answer = self.call(method, path, body, **more)
        if not answer.ok:
            raise calls.fault_of(answer, statuses)
        return answer.object()


def bearer(token: SecretStr) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


def basic(name: str, password: SecretStr) -> dict[str, str]:
    """Return the header that carries a name and a password."""
    text = base64.b64encode(f"{name}:{password.get_secret_value()}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def single(found: Any, webhook: Webhook) -> FoundSubscription:
    """Judge the one address that a platform has."""
    if not isinstance(found, str) or not found:
        return FoundSubscription("absent")
    return FoundSubscription("active" if found == webhook.url else "elsewhere")


def urls_in(found: Any) -> list[str]:
    """Return the addresses of a list of subscriptions.

    Raises:
        DeliveryError: there is no list.
    """
    if not isinstance(found, list):
        raise refused("protocol")
    return [item["url"] for item in found if isinstance(item, dict) and isinstance(item.get("url"), str)]


def listed(urls: Sequence[str], webhook: Webhook) -> FoundSubscription:
    """Judge the addresses of a platform that sends to all of them."""
    return FoundSubscription("active" if webhook.url in urls else "absent")


def code_in(table: Mapping[Any, str], value: Any, default: str) -> str:
    """Return the code of a platform's number or word, which may be any JSON value."""
    return table.get(value, default) if isinstance(value, int | str) else default


def refused(code: str) -> DeliveryError:
    """Return the error of an answer that refuses with a success status, or of one that is not as documented."""
    return vetted.failure(code)

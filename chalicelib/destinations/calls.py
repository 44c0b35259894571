"""Calls to a service's JSON API over the vetted connection, for the kinds that speak a vendor's own API.

The bounds are those of every request: one deadline over a whole attempt, however many calls it makes, answers of at most
64 KiB, no redirects. What a service answers becomes an attempt code here and nowhere else; its words never do.

    status                   code          unless the kind says otherwise for it
    3xx                      redirect
    401                      credentials
    402 403                  denied
    404 410                  not_found
    413                      too_large
    429                      throttled     ``Retry-After`` is obeyed
    400 414 415 422 431 501  invalid
    other 4xx and 5xx        unavailable   ``Retry-After`` is obeyed
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from ..core.delivery import retry
from ..core.errors import DeliveryError
from . import base, vetted
from .address import URL_MAX, ForbiddenAddress, Policy, Target, check_url
from .base import DeliveryReceipt, SendingClients

USER_AGENT = "Waybill/1"
JSON_TYPE = "application/json"

ApiUrl = Annotated[str | None, Field(min_length=1, max_length=URL_MAX, repr=False)]
"""A ``Config`` field ``api_url``: where a stand-in for the vendor's host listens. See ``stand_in``."""

_CODES: Mapping[int, str] = {
    401: "credentials",
    402: "denied",
    403: "denied",
    404: "not_found",
    410: "not_found",
    413: "too_large",
    429: "throttled",
}
_WAITS = frozenset({"throttled", "unavailable"})


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What a service answered; ``at`` is the attempt's time, which a ``Retry-After`` date is read against."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime
    truncated: bool = False
    note: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status <= 299

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            DeliveryError: ``protocol``, where it is cut or is no JSON.
        """
        if self.truncated:
            raise failure(vetted.FAULTS.get(self.note or "", "protocol"), self)
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise failure("protocol", self) from None

    def object(self) -> Mapping[str, Any]:
        """Return the body as a JSON object.

        Raises:
            DeliveryError: ``protocol``, where it is anything else.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise failure("protocol", self)
        return value

    def told(self) -> Mapping[str, Any]:
        """Return the JSON object that a refusal may come with; an empty one where something on the way wrote the answer."""
        try:
            return self.object()
        except DeliveryError:
            return {}


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One JSON POST to a service, ready to be sent. ``at`` is the time of the attempt."""

    url: str = field(repr=False)
    api_url: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime


def encode(content: Mapping[str, Any]) -> bytes:
    """Return a body as JSON bytes, the same ones for the same content.

    Raises:
        DeliveryError: ``render``, where the content is not JSON.
    """
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise vetted.failure("render", sent=False) from None
    return text.encode("utf-8", "backslashreplace")  # half of a surrogate pair becomes JSON's escape for it


def stand_in(url: str, api_url: str | None, policy: Policy) -> Target:
    """Judge a vendor's URL; where ``api_url`` is set, the same path and query at that address instead.

    A stand-in is for local cells and tests: only an address that the operator has opened may be one, so that no tenant
    can turn a kind whose place is known into a way to anywhere else.

    Raises:
        ForbiddenAddress: the URL is refused, or the stand-in is not at an opened address.
    """
    if api_url is None:
        return check_url(url, policy)
    parts = urlsplit(url)
    target = check_url(f"{api_url.rstrip('/')}{parts.path}{'?' + parts.query if parts.query else ''}", policy)
    if target.address is None or not any(target.address in network for network in policy.opened):
        raise ForbiddenAddress("address")
    return target


def check(url: str, api_url: str | None, clients: SendingClients) -> None:
    """Refuse at creation what every call would refuse. A name that does not resolve yet is taken.

    Raises:
        ForbiddenAddress: (an ``Invalid``) the URL, or any address that its name resolves to, is refused.
    """
    target = stand_in(url, api_url, clients.policy)
    try:
        vetted.resolve(target, clients.policy, clients.resolver, clients.limits.resolve_s)
    except DeliveryError:
        return


def deadline_of(clients: SendingClients) -> float:
    """Return when an attempt that begins now has to be over, on the clock of ``time.monotonic``."""
    return vetted.deadline_in(clients.limits.total_s)


def call(
    clients: SendingClients,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | bytes | None,
    at: datetime,
    deadline: float,
    api_url: str | None = None,
) -> ApiResponse:
    """Make one call and return the answer, whatever its status.

    Args:
        headers: besides ``User-Agent``, ``Accept`` and (with a body) ``Content-Type``, which they override.
        body: a mapping is sent as JSON, bytes as they are.
        deadline: ``deadline_of`` at the beginning of the attempt; shared by all calls of it.
        api_url: the configuration's stand-in, if any.

    Raises:
        DeliveryError: ``forbidden_address``, or a transport's code: ``timeout dns connect tls broken protocol``.
    """
    content = encode(body) if isinstance(body, Mapping) else body
    sent = {"User-Agent": USER_AGENT, "Accept": JSON_TYPE}
    sent |= {"Content-Type": JSON_TYPE} if content is not None else {}
    sent |= headers
    try:
        target = stand_in(url, api_url, clients.policy)
        resolve_s = max(0.0, min(clients.limits.resolve_s, deadline - time.monotonic()))
        addresses = vetted.resolve(target, clients.policy, clients.resolver, resolve_s)
    except ForbiddenAddress as refusal:
        fault = vetted.failure("forbidden_address", sent=False)
        fault.detail = refusal.detail  # the words that creation would have used
        raise fault from None
    answer = vetted.request(
        target, addresses, method, sent, content, deadline, connect_s=clients.limits.connect_s, tls=clients.tls
    )
    return ApiResponse(answer.status, answer.headers, answer.body, at, answer.truncated, answer.note)


def post(request: ApiRequest, clients: SendingClients) -> ApiResponse:
    """Send a request once.

    Raises:
        DeliveryError: as ``call``.
    """
    if clients.pace is not None:
        clients.pace.wait()
    return call(
        clients,
        "POST",
        request.url,
        headers=request.headers,
        body=request.body,
        at=request.at,
        deadline=deadline_of(clients),
        api_url=request.api_url,
    )


def failure(code: str, answer: ApiResponse, retry_after_s: float | None = None) -> DeliveryError:
    """Make the error of an attempt code for an answer that was read; its beginning is kept, apart from any text.

    Args:
        retry_after_s: what the answer's body asks for; without it ``Retry-After`` counts, where the code is one that waits.
    """
    if retry_after_s is None and code in _WAITS:
        retry_after_s = retry.retry_after(answer.headers.get("retry-after"), answer.at)
    return vetted.failure(code, retry_after_s=retry_after_s, response=answer.body[: base.KEPT_RESPONSE_BYTES])


def fault_of(answer: ApiResponse, overrides: Mapping[int, str] | None = None) -> DeliveryError:
    """Return the error that an answer's status stands for, by the table above.

    Args:
        overrides: attempt codes of statuses that this kind's vendor uses otherwise.
    """
    if answer.note is not None:
        return failure(vetted.FAULTS[answer.note], answer)
    return failure((overrides or {}).get(answer.status) or _code(answer.status), answer)


def receipt(answer: ApiResponse) -> DeliveryReceipt:
    """Return the receipt of an answer that says that the service took it."""
    return DeliveryReceipt("accepted", answer.status, answer.body[: base.KEPT_RESPONSE_BYTES], answer.note)


def _code(status: int) -> str:
    if status in _CODES:
        return _CODES[status]
    if 300 <= status <= 399:
        return "redirect"
    if status in retry.REFUSING_STATUSES:
        return "invalid"
    return "unavailable" if 400 <= status <= 599 else "protocol"


class Service:
    """The calls of one attempt to one service: one deadline, the same headers.

    ``reached`` says whether any call was answered: then a transport fault of a later one is not "nothing was sent".
    """

    def __init__(
        self, clients: SendingClients, root: str, headers: Mapping[str, str], at: datetime, api_url: str | None = None
    ) -> None:
        self.clients = clients
        self._root = root.rstrip("/")
        self._headers = headers
        self._at = at
        self._api_url = api_url
        self._began = time.monotonic()
        self._deadline = deadline_of(clients)
        self.reached = False

    @property
    def age_s(self) -> float:
        """How long ago the attempt began."""
        return time.monotonic() - self._began

    @property
    def late(self) -> bool:
        """Whether the attempt's time is over."""
        return time.monotonic() > self._deadline

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: str = "",
        within_s: float | None = None,
    ) -> ApiResponse:
        """Make one call below the root and return the answer, whatever its status.

        Args:
            limit: the method that a limit of the vendor names (``VendorLimit.method``).
            within_s: the call's own time, which may be longer than what the attempt has left.

        Raises:
            DeliveryError: as ``calls.call``; ``NoTurn`` where the vendor's limit leaves no turn.
        """
        try:
            if self.clients.pace is not None:
                self._deadline += self.clients.pace.wait(limit)
            answer = call(
                self.clients,
                method,
                self._root + path,
                headers={**self._headers, **(headers or {})},
                body=body,
                at=self._at,
                deadline=self._deadline if within_s is None else vetted.deadline_in(within_s),
                api_url=self._api_url,
            )
        except DeliveryError as fault:
            fault.sent = fault.sent or self.reached
            raise
        self.reached = True
        return answer

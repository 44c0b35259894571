"""Destination kind ``http``: a signed POST to a URL of the recipient, as Standard Webhooks or as a CloudEvent.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from ..core import encoders, times
from ..core.delivery import retry, signature
from ..core.delivery.retry import Outcome
from ..core.errors import DeliveryError, Invalid, Misconfigured
from . import base, cloudevents, handshake, vetted
from .address import URL_MAX, ForbiddenAddress, check_url
from .base import Countries, Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients

KIND = "http"
USER_AGENT = "Waybill/1"

HEADERS_MAX = 20
HEADER_NAME_MAX = 100
HEADER_VALUE_MAX = 4096
HEADERS_TOTAL_MAX = 8192
BODY_LEAST_BYTES = 4096
"""A notice with a link is smaller."""
BODY_MOST_BYTES = 64 * 1024 * 1024
RESERVED_HEADERS = frozenset(
    {
        "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
        "te", "trailer", "upgrade", "expect", "accept-encoding", "user-agent",
    }
)  # fmt: skip
RESERVED_PREFIXES = ("webhook-", "waybill-", "ce-", "proxy-")

# RFC 9110, 5.1 and 5.5 (read 2026-11-22): a name is a token; a value is visible ASCII with spaces and tabs inside.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?\Z")


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) > HEADER_VALUE_MAX or not _VALUE.match(text):
        raise ValueError(f"a header's value is at most {HEADER_VALUE_MAX} visible ASCII characters")
    return value


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    names = [name.lower() for name in headers]
    if len(set(names)) < len(names):
        raise ValueError("a header is named twice")
    for name in names:
        if len(name) > HEADER_NAME_MAX or not _TOKEN.match(name):
            raise ValueError(f"a header's name is a token of at most {HEADER_NAME_MAX} characters")
        if name in RESERVED_HEADERS or name.startswith(RESERVED_PREFIXES):
            raise ValueError("a header is named that the delivery sets itself")
    if sum(len(n) + len(v.get_secret_value()) for n, v in headers.items()) > HEADERS_TOTAL_MAX:
        raise ValueError(f"all headers together hold at most {HEADERS_TOTAL_MAX} characters")
    return headers


class Config(base.Config):
    """Where to post, and what else to send along. Header values are secrets; a URL's path and query may be.

    ``max_body_bytes`` is the largest body that the receiver takes. A larger one is not sent; a link is, in its place.
    """

    url: str = Field(min_length=1, max_length=URL_MAX, repr=False)
    headers: Annotated[dict[str, Annotated[SecretStr, AfterValidator(_header_value)]], AfterValidator(_headers)] = (
        Field(default_factory=dict, max_length=HEADERS_MAX)
    )
    signature: Literal["v1", "v1a", "both"] = "v1"
    handshake: bool = False
    max_body_bytes: int | None = Field(default=None, ge=BODY_LEAST_BYTES, le=BODY_MOST_BYTES)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A POST, ready to be sent. ``at`` is the time that it is signed for; ``limit_bytes`` the most that its body may have."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime
    limit_bytes: int | None = None
    method: ClassVar[str] = "POST"


def check(config: Config, clients: SendingClients) -> None:
    """Refuse a URL that every attempt would refuse. A name that does not resolve yet is taken.

    Raises:
        ForbiddenAddress: (an ``Invalid``) the URL, or any address that its name resolves to, is refused.
    """
    target = check_url(config.url, clients.policy)
    try:
        vetted.resolve(target, clients.policy, clients.resolver, clients.limits.resolve_s)
    except DeliveryError:
        return


def place(config: Config) -> Countries | None:
    """Return None: a URL does not tell where data are kept; the recipient's record does."""
    return None


def agree(config: Config, clients: SendingClients, origin: str | None, rate_limit_per_s: float | None) -> str | None:
    """Ask a destination that wants to be asked whether it takes deliveries from ``origin``.

    Returns:
        ``origin``, which each delivery then names; None where the destination does not want to be asked.

    Raises:
        ForbiddenAddress: nothing is ever sent there.
        Invalid: it does not answer, or does not agree.
        Misconfigured: the cell has no name to ask in.
    """
    if not config.handshake:
        return None
    if origin is None:
        raise Misconfigured("set WAYBILL_HOOKS_URL: destinations are asked in the name of its host")
    # Its own headers too: what stands in front of it may want a key for any request.
    headers = {**_own_headers(config), "User-Agent": USER_AGENT, **handshake.question(origin, rate_limit_per_s)}
    try:
        answer = _exchange(config.url, "OPTIONS", headers, None, clients)
    except DeliveryError as fault:
        raise handshake.refused(f"its answer to OPTIONS did not come ({fault.attempt_code})") from None
    handshake.check_answer(answer.headers, origin, rate_limit_per_s)
    return origin


def _own_headers(config: Config) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in config.headers.items()}


def render(document: Any, delivery: Delivery) -> SignedRequest:
    """Make the signed POST of an event. Body and ``webhook-id`` are the same at every attempt.

    Args:
        document: the event's, or what a route selects of it: any JSON value.

    Raises:
        DeliveryError: ``render``, where the document is not JSON or there is no usable signing secret.
    """
    timestamp = int(delivery.now.timestamp())
    try:
        of_format, body = _FORMS[delivery.format](document, delivery)
        signatures = signature.header(_secrets(delivery), delivery.delivery_id, timestamp, body)
    except (KeyError, TypeError, ValueError, RecursionError, Invalid):
        raise vetted.failure("render", sent=False) from None
    headers = {
        **_own_headers(delivery.config),
        **of_format,
        "User-Agent": USER_AGENT,
        "Webhook-Id": delivery.delivery_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": signatures,
        "Waybill-Transfer": delivery.transfer_id,
    }
    if delivery.origin is not None:
        headers[handshake.ORIGIN] = delivery.origin
    if delivery.test:
        headers["Waybill-Test"] = "1"
    return SignedRequest(delivery.config.url, headers, body, delivery.now, delivery.config.max_body_bytes)


def _secrets(delivery: Delivery) -> list[str]:
    """Return the secrets of the schemes that the destination wants, each scheme's current one before those in grace."""
    wanted = {"v1": (signature.PREFIX,), "v1a": (signature.PAIR_PREFIX,)}.get(delivery.config.signature)
    return [s for s in delivery.secrets if wanted is None or s.startswith(wanted)]


def _json(content: Any) -> bytes:
    text = encoders.plain_finite(content)
    # Half of a surrogate pair, which a platform may cut a text at, becomes \udxxx: the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def _standard(document: Any, delivery: Delivery) -> tuple[Mapping[str, str], bytes]:
    content = {
        "type": f"waybill.{delivery.kind}",
        "timestamp": times.text(delivery.occurred_at),
        "data": document,
    }
    return {"Content-Type": "application/json"}, _json(content)


def _structured(document: Any, delivery: Delivery) -> tuple[Mapping[str, str], bytes]:
    return {"Content-Type": cloudevents.STRUCTURED_TYPE}, _json(cloudevents.structured(document, delivery))


def _binary(document: Any, delivery: Delivery) -> tuple[Mapping[str, str], bytes]:
    return {"Content-Type": cloudevents.DATA_TYPE, **cloudevents.headers(delivery)}, _json(document)


_FORMS = {"standard": _standard, "cloudevents_structured": _structured, "cloudevents_binary": _binary}
"""The format → its headers and the body."""


def send(request: SignedRequest, clients: SendingClients) -> DeliveryReceipt:
    """Post a request once, over the vetted connection.

    Raises:
        DeliveryError: ``too_large``, and nothing was sent; or anything but a 2xx whose status line came within the time.
    """
    if request.limit_bytes is not None and len(request.body) > request.limit_bytes:
        raise vetted.failure("too_large", sent=False)
    try:
        answer = _exchange(request.url, request.method, request.headers, request.body, clients)
    except ForbiddenAddress as refusal:
        fault = vetted.failure("forbidden_address", sent=False)
        fault.detail = refusal.detail  # the words that creation would have used
        raise fault from None
    code = retry.http_code(answer.status)
    kept = answer.body[: base.KEPT_RESPONSE_BYTES]
    if retry.CODES[code] is Outcome.DELIVERED:
        return DeliveryReceipt(code, answer.status, kept, answer.note)
    wait_s = retry.retry_after(answer.headers.get("retry-after"), request.at)
    raise vetted.failure(code, retry_after_s=wait_s, response=kept)


def _exchange(
    url: str, method: str, headers: Mapping[str, str], body: bytes | None, clients: SendingClients
) -> vetted.HttpResponse:
    """Raises ``ForbiddenAddress``, or ``DeliveryError`` where no answer came."""
    deadline = vetted.deadline_in(clients.limits.total_s)
    target = check_url(url, clients.policy)
    resolve_s = min(clients.limits.resolve_s, clients.limits.total_s)
    addresses = vetted.resolve(target, clients.policy, clients.resolver, resolve_s)
    return vetted.request(
        target,
        addresses,
        method,
        headers,
        body,
        deadline,
        connect_s=clients.limits.connect_s,
        grace_s=vetted.GRACE_S,
        tls=clients.tls,
    )


CAPABILITIES = DestinationCapabilities(
    selects=True,
    signs=True,
    formats=("standard", "cloudevents_structured", "cloudevents_binary"),
    address_fields=("url",),
    agree=agree,
)

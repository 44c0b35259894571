"""Destination kind ``http``: a signed POST to a URL of the recipient.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-22).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from ..core import retry, signature, times
from ..core.errors import DeliveryError, Invalid
from ..core.retry import Outcome
from . import base, vetted
from .address import URL_MAX, ForbiddenAddress, check_url
from .base import Clients, Countries, Delivery, Receipt

KIND = "http"
USER_AGENT = "Waybill/1"

HEADERS_MAX = 20
HEADER_NAME_MAX = 100
HEADER_VALUE_MAX = 4096
HEADERS_TOTAL_MAX = 8192
RESERVED_HEADERS = frozenset(
    {
        "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
        "te", "trailer", "upgrade", "expect", "accept-encoding", "user-agent",
    }
)  # fmt: skip
RESERVED_PREFIXES = ("webhook-", "waybill-", "proxy-")

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
    """Where to post, and what else to send along. Header values are secrets; a URL's path and query may be."""

    url: str = Field(min_length=1, max_length=URL_MAX, repr=False)
    headers: Annotated[dict[str, Annotated[SecretStr, AfterValidator(_header_value)]], AfterValidator(_headers)] = (
        Field(default_factory=dict, max_length=HEADERS_MAX)
    )


@dataclass(frozen=True, slots=True)
class Parcel:
    """A POST, ready to be sent. ``at`` is the time that it is signed for."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime
    method: ClassVar[str] = "POST"


def check(config: Config, clients: Clients) -> None:
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


def render(document: Mapping[str, Any], delivery: Delivery) -> Parcel:
    """Make the signed POST of an event. Body and ``webhook-id`` are the same at every attempt.

    Raises:
        DeliveryError: ``render``, where the document is not JSON or there is no usable signing secret.
    """
    timestamp = int(delivery.now.timestamp())
    try:
        body = _body(document, delivery)
        signatures = signature.header(delivery.secrets, delivery.delivery_id, timestamp, body)
    except (TypeError, ValueError, RecursionError, Invalid):
        raise vetted.failure("render", sent=False) from None
    headers = {name: value.get_secret_value() for name, value in delivery.config.headers.items()}
    headers |= {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Webhook-Id": delivery.delivery_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": signatures,
        "Waybill-Transfer": delivery.transfer_id,
    }
    return Parcel(delivery.config.url, headers, body, delivery.now)


def _body(document: Mapping[str, Any], delivery: Delivery) -> bytes:
    content = {
        "type": f"waybill.{delivery.kind}",
        "timestamp": times.text(delivery.occurred_at),
        "data": document,
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half of a surrogate pair, which a platform may cut a text at, becomes \udxxx: the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def send(parcel: Parcel, clients: Clients) -> Receipt:
    """Post a parcel once, over the vetted connection.

    Raises:
        DeliveryError: anything but a 2xx whose answer came whole (or up to 64 KiB) within the time.
    """
    deadline = time.monotonic() + clients.limits.total_s
    try:
        target = check_url(parcel.url, clients.policy)
        resolve_s = min(clients.limits.resolve_s, clients.limits.total_s)
        address = vetted.resolve(target, clients.policy, clients.resolver, resolve_s)
    except ForbiddenAddress as refusal:
        fault = vetted.failure("forbidden_address", sent=False)
        fault.detail = refusal.detail  # the words that creation would have used
        raise fault from None
    answer = vetted.request(
        target,
        address,
        parcel.method,
        parcel.headers,
        parcel.body,
        deadline,
        connect_s=clients.limits.connect_s,
        tls=clients.tls,
    )
    code = retry.http_code(answer.status)
    kept = answer.body[: base.KEPT_RESPONSE_BYTES]
    if retry.CODES[code] is Outcome.DELIVERED:
        return Receipt(code, answer.status, kept)
    wait_s = retry.retry_after(answer.headers.get("retry-after"), parcel.at)
    raise vetted.failure(code, retry_after_s=wait_s, response=kept)

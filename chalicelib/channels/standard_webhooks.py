"""Any sender of Standard Webhooks (and of Svix, its older spelling): one event a request, its content in ``raw``.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md and
https://docs.svix.com/receiving/verifying-payloads/how-manual (read 2026-12-01).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, StringConstraints

from ..core.errors import NotGenuine
from ..core.event.event import Draft, EventKind
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply
from .fields import occurrence, optional_id, parse_json, same, word

KIND = "standard_webhooks"
CAPABILITIES = ChannelCapabilities(keeps_raw=True)
NAMES = ("webhook", "svix")
TOLERANCE_S = 300
SYMMETRIC, PUBLIC = "whsec_", "whpk_"
PUBLIC_KEY_BYTES = 32
MAX_SIGNATURES = 20

Item = Draft | Ignored


@lru_cache(maxsize=256)
def _key(secret: str) -> bytes:
    text = secret.removeprefix(SYMMETRIC).removeprefix(PUBLIC)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # some senders drop the padding
    except (binascii.Error, ValueError):
        key = b""
    if not key or (secret.startswith(PUBLIC) and len(key) != PUBLIC_KEY_BYTES):
        raise ValueError("not the base64 of a key, with whsec_ or whpk_ before it")
    return key


def _checked(secret: str) -> str:
    _key(secret)
    return secret


class Secret(base.Secret):
    """The signing secret as the sender shows it: ``whsec_…``, or its public key: ``whpk_…``."""

    secret: Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_checked), Field(repr=False)]


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over id, time and raw bytes, and that the time is not more than 5 minutes off.

    Raises:
        NotGenuine: no signature fits, something is missing, or the request is stale.
    """
    own, stamp, signatures = (_header(request.headers, name) for name in ("id", "timestamp", "signature"))
    if not own or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise NotGenuine("the id or the time of the request is missing or wrong")
    signed = f"{own}.{stamp}.".encode("utf-8", "surrogatepass") + request.body
    check = _asymmetric if secret.secret.startswith(PUBLIC) else _symmetric
    if not any(check(secret.secret, signed, one) for one in signatures.split(" ")[:MAX_SIGNATURES]):
        raise NotGenuine("the signature is missing or wrong")
    if abs(request.now.timestamp() - int(stamp)) > TOLERANCE_S:
        raise NotGenuine("the request is stale")


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((headers[f"{prefix}-{name}"] for prefix in NAMES if f"{prefix}-{name}" in headers), "")


def _symmetric(secret: str, signed: bytes, signature: str) -> bool:
    digest = hmac.digest(_key(secret), signed, "sha256")
    return same(signature, "v1," + base64.b64encode(digest).decode())


def _asymmetric(secret: str, signed: bytes, signature: str) -> bool:
    version, _, proof = signature.partition(",")
    if version != "v1a":
        return False
    try:
        Ed25519PublicKey.from_public_bytes(_key(secret)).verify(base64.b64decode(proof, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: the standard has no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event: no conversation, so ``system``. ``webhook-id`` names it, however often it is sent.

    It has no time of its own: ``webhook-timestamp`` is that of the attempt, another one each time it is sent.
    """
    document = parse_json(request.body)
    yield Draft(
        kind=EventKind.SYSTEM,
        native_kind=word(document.get("type")),
        dedupe_id=occurrence(optional_id(_header(request.headers, "id"))),
        raw=document,
    )

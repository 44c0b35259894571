"""On what terms deliveries go to a destination: in which format, signed with which secrets, and agreed to by it.

Sealed beside a destination are, next to its ``config``:

| name | holds |
|---|---|
| ``signing`` | its signing secrets (``whsec_``), the current one first, then those in their grace |
| ``pairs`` | its key pairs (``whsk_``), likewise |
| ``origin`` | the sender's name that it has agreed to, where it wants to be asked |
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ... import destinations
from ...core.delivery import signature
from ...core.tenant import rotation
from ...core.tenant.records import DestinationSettings
from ..request import Request
from .changes import invalid


def check_format(settings: DestinationSettings) -> None:
    """Refuse a format that a kind does not send.

    Raises:
        Invalid: no such kind, or not one of its formats.
    """
    formats = destinations.of_kind(settings.kind).CAPABILITIES.formats
    if settings.format not in formats:
        text = f"a destination of kind {settings.kind} has the format {' or '.join(formats)}"
        raise invalid("body.format", "not_of_this_kind", text)


def first_secrets(request: Request) -> dict[str, Any]:
    """Return the secrets of a new destination, as they are sealed; a second try of a request makes the same."""
    return {
        "signing": rotation.first(signature.make_secret(request.bytes_for("signing"))),
        "pairs": rotation.first(signature.make_pair(request.bytes_for("pair"))),
    }


def rotated(request: Request, sealed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the encrypted part with new secrets; the previous ones stay valid for 24 hours. A second try changes nothing."""
    fresh, now = first_secrets(request), request.runtime.now()
    new = fresh["signing"][0]["secret"]
    if any(kept["secret"] == new for kept in sealed["signing"]):
        return dict(sealed)
    kept = {name: rotation.rotate(sealed.get(name, ()), fresh[name][0]["secret"], now) for name in fresh}
    return {**sealed, **kept}


def secrets_shown(kind: str, sealed: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the keys that a tenant's receiver verifies with, shown once when secrets are made and rotated."""
    scheme = sealed["config"].get("signature", "v1") if _signs(kind) else None
    secret = sealed["signing"][0]["secret"] if scheme in ("v1", "both") else None
    return {"signing_secret": secret, "public_keys": public_keys(kind, sealed, now)}


def public_keys(kind: str, sealed: Mapping[str, Any], now: datetime) -> list[str]:
    """Return the public keys that a delivery may be signed with now, the current one first."""
    pairs = rotation.live(sealed.get("pairs", ()), now) if _signs(kind) else []
    return [signature.public_key(pair) for pair in pairs]


def _signs(kind: str) -> bool:
    return bool(destinations.of_kind(kind).CAPABILITIES.signs)


def agreed(request: Request, settings: DestinationSettings, config: Any) -> str | None:
    """Ask a destination whether it takes deliveries, where it demands a handshake.

    Args:
        config: as its kind reads it.

    Returns:
        The name that it has agreed to.

    Raises:
        Invalid: it does not agree.
        Misconfigured: the cell has no name to ask in.
    """
    agree = destinations.of_kind(settings.kind).CAPABILITIES.agree
    if agree is None:
        return None
    origin = urlsplit(request.runtime.settings.hooks_url).hostname
    return agree(config, request.runtime.destination_clients, origin, settings.rate_limit_per_s)

"""Who asks: a tenant's key or the operator's, by the SHA-256 of its secret."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..core.errors import Forbidden, TooMany, Unauthorised
from ..core.tenant.records import Scope
from ..flow import throttle
from ..runtime import Runtime
from ..store.config import Holder

Needed = Scope | Literal["operator", "any"]
"""``any``: a tenant's key, whatever its scopes; the handler then looks at ``held``."""
_BEARER = re.compile(r"[Bb]earer +([\x21-\x7e]{1,200})\Z")
_INCLUDES: Mapping[str, frozenset[str]] = {
    "admin": frozenset({"admin", "write", "read", "audit"}),
    "write": frozenset({"write", "read"}),
    "read": frozenset({"read"}),
    "audit": frozenset({"audit"}),
}
_REMEDY = "send Authorization: Bearer and an API key of this cell"
_OPERATORS = "this is the operator's key, which opens the operator's paths only; use an API key of a tenant"
_TENANTS = "this needs the operator's key"


@dataclass(frozen=True)
class Operator:
    """The operator of the cell; ``key_hash`` is of the key that was sent."""

    key_hash: str


def _hash_of(authorization: str | None) -> str:
    match = _BEARER.match(authorization or "")
    if match is None:
        raise Unauthorised(_REMEDY)
    return hashlib.sha256(match.group(1).encode()).hexdigest()


def identify(runtime: Runtime, authorization: str | None, needed: Needed) -> Holder | Operator:
    """Say who asks.

    Raises:
        Unauthorised: no key, an unknown, expired or closed one; the operator's where a tenant's is needed and vice versa.
        Forbidden: the key lacks the scope.
        TooMany: the key is over its rate.
    """
    key_hash = _hash_of(authorization)
    is_operator = hmac.compare_digest(key_hash, runtime.settings.operator_key_sha256.lower())
    if (needed == "operator") != is_operator:
        raise Unauthorised(_OPERATORS if is_operator else _TENANTS)
    if is_operator:
        _admit(runtime, "operator")
        return Operator(key_hash)
    holder = runtime.config.holder(key_hash)
    if holder is None or (holder.key.expires_at is not None and holder.key.expires_at <= runtime.now()):
        raise Unauthorised(_REMEDY)
    _admit(runtime, holder.key.id)
    if needed != "any" and needed not in held(holder):
        raise Forbidden(f"this needs a key with the scope {needed}")
    return holder


def held(holder: Holder) -> frozenset[str]:
    """Return the scopes of a key, those that others include among them."""
    return frozenset().union(*(_INCLUDES[scope] for scope in holder.key.scopes))


def _admit(runtime: Runtime, key: str) -> None:
    if not throttle.admit(runtime, key, runtime.settings.key_rate_per_s):
        raise TooMany("this key makes requests too fast; slow down")

"""Signed tokens (JWT) as platforms send them: RS256 under published keys that rotate, HS256 under a shared secret.

The algorithm is the caller's choice, never the token's: ``alg`` only has to agree. So a token without a signature, and one
that uses a public key as a shared secret, are refused before any key is looked at.

Source: https://www.rfc-editor.org/rfc/rfc7519, rfc7515, rfc7517 and rfc8725 (read 2026-11-22).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import MalformedPayload, NotGenuine
from .fields import Json, parse_json

MAX_CHARACTERS = 16_384
LEEWAY_S = 300  # the skew that Microsoft documents; the others name none
MIN_MODULUS_BITS = 2048

_KEY_SET = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Key(BaseModel):
    """A public key as RFC 7517 writes it. Keys of other kinds are kept and never fit."""

    model_config = _KEY_SET

    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    n: str = Field(default="", max_length=2048)
    e: str = Field(default="", max_length=16)
    endorsements: tuple[str, ...] | None = None


class KeySet(BaseModel):
    """A platform's published keys (JWKS)."""

    model_config = _KEY_SET

    keys: tuple[Key, ...] = Field(min_length=1, max_length=64)

    def named(self, kid: str | None) -> Key | None:
        """Return the RSA signing key of that name; without a name the only one there is."""
        fit = [k for k in self.keys if k.kty == "RSA" and k.use in (None, "sig") and k.alg in (None, "RS256")]
        if kid is None:
            return fit[0] if len(fit) == 1 else None
        return next((k for k in fit if k.kid == kid), None)


class Token(NamedTuple):
    """A token taken apart. Nothing of it is trusted: use ``rs256`` or ``hs256``."""

    header: Json
    claims: Json
    signed: bytes
    signature: bytes


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of the ``Authorization`` header.

    Raises:
        NotGenuine: there is none.
    """
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotGenuine("the token is missing")
    return token.strip()


def take_apart(token: str) -> Token:
    """Read a token in the compact form.

    Raises:
        NotGenuine: it is none.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_CHARACTERS or not token.isascii():
        raise NotGenuine("the token is not a JWT")
    try:
        header, claims, signature = (_base64url(part) for part in parts)
        found = Token(parse_json(header), parse_json(claims), f"{parts[0]}.{parts[1]}".encode(), signature)
    except (ValueError, MalformedPayload):
        raise NotGenuine("the token is not a JWT") from None
    if "crit" in found.header:  # extensions that must be understood; none is
        raise NotGenuine("the token needs an extension that is not known")
    return found


def _base64url(text: str) -> bytes:
    # Strict: the lenient decoder skips what is no base64, and several texts would stand for one token.
    decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode():
        raise binascii.Error
    return decoded


def key_name(headers: Mapping[str, str]) -> str | None:
    """Return the name of the key that a request's token asks for, untrusted; None if it names none or is no token."""
    try:
        kid = take_apart(bearer(headers)).header.get("kid")
    except NotGenuine:
        return None
    return kid if isinstance(kid, str) else None


def rs256(
    token: str, keys: KeySet | None, *, issuers: Collection[str], audience: str, now: datetime, leeway_s: int = LEEWAY_S
) -> tuple[Json, Key]:
    """Verify a token that a platform signed: 1 algorithm, 2 key, 3 signature, 4 issuer and audience, 5 time.

    Returns:
        The claims, and the key that signed them.

    Raises:
        NotGenuine: anything is missing or wrong. Without keys nothing is genuine.
    """
    found = take_apart(token)
    if found.header.get("alg") != "RS256":  # 1
        raise NotGenuine("the token's algorithm is not RS256")
    kid = found.header.get("kid")
    key = keys.named(kid if isinstance(kid, str) else None) if keys else None  # 2
    if key is None:
        raise NotGenuine("the token's key is not known")
    try:
        _public_key(key.n, key.e).verify(found.signature, found.signed, PKCS1v15(), SHA256())  # 3
    except (InvalidSignature, ValueError):
        raise NotGenuine("the token's signature is wrong") from None
    if found.claims.get("iss") not in issuers:  # 4
        raise NotGenuine("the token's issuer is another")
    _check_audience(found.claims.get("aud"), audience)
    _check_time(found.claims, now, leeway_s)  # 5
    return found.claims, key


@lru_cache(maxsize=64)
def _public_key(n: str, e: str) -> RSAPublicKey:
    modulus, exponent = (int.from_bytes(_base64url(part.rstrip("="))) for part in (n, e))
    if modulus.bit_length() < MIN_MODULUS_BITS:
        raise ValueError
    return RSAPublicNumbers(exponent, modulus).public_key()


def _check_audience(claim: Any, audience: str) -> None:
    named = claim if isinstance(claim, list) else [claim]
    if audience not in named:
        raise NotGenuine("the token is for another audience")


def _check_time(claims: Json, now: datetime, leeway_s: int) -> None:
    at, until, since = now.timestamp(), _time(claims.get("exp")), claims.get("nbf", claims.get("iat"))
    if until is None or at >= until + leeway_s:
        raise NotGenuine("the token has expired")
    if since is not None:
        start = _time(since)
        if start is None or at < start - leeway_s:
            raise NotGenuine("the token is not valid yet")


def _time(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def hs256(token: str, secret: str, *, issuer: str, now: datetime, max_age_s: int = LEEWAY_S) -> Json:
    """Verify a token under a shared secret; its ``iat`` may be ``max_age_s`` away, to either side.

    Raises:
        NotGenuine: anything is missing or wrong.
    """
    found = take_apart(token)
    if found.header.get("alg") != "HS256" or not secret:
        raise NotGenuine("the token's algorithm is not HS256")
    if not hmac.compare_digest(hmac.digest(secret.encode(), found.signed, "sha256"), found.signature):
        raise NotGenuine("the token's signature is wrong")
    if found.claims.get("iss") != issuer:
        raise NotGenuine("the token's issuer is another")
    issued = _time(found.claims.get("iat"))
    # Compared, not subtracted: a claim can be a number that no float holds.
    if issued is None or not issued - max_age_s <= now.timestamp() <= issued + max_age_s:
        raise NotGenuine("the token was made at another time")
    if "exp" in found.claims:
        _check_time(found.claims, now, max_age_s)
    return found.claims

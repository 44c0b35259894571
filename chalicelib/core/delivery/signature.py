"""Standard Webhooks signatures: a receiver verifies by them that a delivery is ours and unchanged.

| secret | signature | who can verify |
|---|---|---|
| ``whsec_`` and 24 to 64 random bytes | ``v1``: HMAC-SHA-256 | holders of the secret, who could sign too |
| ``whsk_`` and an Ed25519 seed with its public key | ``v1a``: Ed25519 | anyone with the public key, ``whpk_`` |

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-22).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..errors import Invalid

PREFIX = "whsec_"
KEY_BYTES_MIN = 24
KEY_BYTES_MAX = 64
PAIR_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
SEED_BYTES = 32
_REMEDY = f"a signing secret is {PREFIX} and the base64 of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes"


def make_secret(randomness: bytes) -> str:
    """Write random bytes as a signing secret.

    Raises:
        ValueError: fewer than 24 or more than 64 bytes.
    """
    if not KEY_BYTES_MIN <= len(randomness) <= KEY_BYTES_MAX:
        raise ValueError(_REMEDY)
    return PREFIX + base64.b64encode(randomness).decode()


def parse_secret(secret: str) -> bytes:
    """Return the key that a signing secret stands for.

    Raises:
        Invalid: not ``whsec_`` and the padded standard base64 of 24 to 64 bytes. The text never shows the secret.
    """
    key = b""
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX).encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            key = b""
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise Invalid(_REMEDY)
    return key


def make_pair(seed: bytes) -> str:
    """Write an Ed25519 key pair as a secret key: ``whsk_`` and the base64 of the seed and the public key.

    Raises:
        ValueError: not 32 bytes.
    """
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return PAIR_PREFIX + base64.b64encode(seed + public).decode()


def _private_key(pair: str) -> Ed25519PrivateKey:
    """Raises ``Invalid``: not ``whsk_`` and a seed with its own public key. The text never shows the key."""
    try:
        key = base64.b64decode(pair.removeprefix(PAIR_PREFIX).encode("ascii"), validate=True)
        private = Ed25519PrivateKey.from_private_bytes(key[:SEED_BYTES])
    except ValueError:  # also for text that is not ASCII or not base64
        raise Invalid("a secret key cannot be read") from None
    if not pair.startswith(PAIR_PREFIX) or private.public_key().public_bytes_raw() != key[SEED_BYTES:]:
        raise Invalid("a secret key cannot be read")
    return private


def public_key(pair: str) -> str:
    """Return the public key of a key pair, as receivers are given it: ``whpk_`` and the base64 of 32 bytes.

    Raises:
        Invalid: the pair has not the form of one.
    """
    return PUBLIC_PREFIX + base64.b64encode(_private_key(pair).public_key().public_bytes_raw()).decode()


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Sign one delivery, ``id.timestamp.body``, as the form of the secret says: ``v1,`` or ``v1a,`` and base64.

    Args:
        timestamp: seconds since 1970, as sent in ``webhook-timestamp``.

    Raises:
        Invalid: the secret has not the form of one.
    """
    content = f"{id}.{timestamp}.".encode() + body
    if secret.startswith(PAIR_PREFIX):
        return "v1a," + base64.b64encode(_private_key(secret).sign(content)).decode()
    return "v1," + base64.b64encode(hmac.digest(parse_secret(secret), content, "sha256")).decode()


def header(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one signature for each secret, in their order.

    Raises:
        Invalid: no secret (nothing is sent unsigned), or one has not the form of a secret.
    """
    if not secrets:
        raise Invalid("a delivery needs at least one signing secret")
    return " ".join(sign(secret, id, timestamp, body) for secret in secrets)

"""Standard Webhooks signatures: how a receiver knows that a delivery is ours and unchanged.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-22).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

from .errors import Invalid

PREFIX = "whsec_"
KEY_BYTES_MIN = 24
KEY_BYTES_MAX = 64
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


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Sign one delivery: ``v1,`` and the base64 of HMAC-SHA-256 over ``id.timestamp.body``.

    Args:
        timestamp: seconds since 1970, as sent in ``webhook-timestamp``.

    Raises:
        Invalid: the secret has not the form of one.
    """
    digest = hmac.digest(parse_secret(secret), f"{id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def header(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one signature for each secret, the current one first.

    Raises:
        Invalid: no secret (nothing is sent unsigned), or one has not the form of a secret.
    """
    if not secrets:
        raise Invalid("a delivery needs at least one signing secret")
    return " ".join(sign(secret, id, timestamp, body) for secret in secrets)

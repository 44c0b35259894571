"""The key that signs checkpoints: the cell's own in KMS, or a seed file in development and on other clouds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ..core.errors import AuditUnavailable, Misconfigured, Unavailable
from .kms import call_kms
from .local_keys import read_private

SEED_BYTES = 32


class Signer(Protocol):
    """Signs bytes with one Ed25519 key."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the pure Ed25519 signature. Raises ``AuditUnavailable``."""


class SeedSigner:
    """A key made from 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> bytes:
        """The public key."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        return self._key.sign(message)


def from_file(path: Path) -> SeedSigner:
    """Read a seed file: 64 hex digits, readable by its owner alone.

    Raises:
        Misconfigured: there is none, it is not one, or others may read it.
    """
    text = read_private(path, "WAYBILL_SEAL_SEED").strip()
    try:
        seed = bytes.fromhex(text)
    except ValueError as error:
        raise Misconfigured("the file of WAYBILL_SEAL_SEED holds 64 hex digits") from error
    if len(seed) != SEED_BYTES:
        raise Misconfigured("the file of WAYBILL_SEAL_SEED holds 64 hex digits")
    return SeedSigner(seed)


class KmsSigner:
    """The cell's key in KMS, of spec ``ECC_NIST_EDWARDS25519``; it never leaves it.

    Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html (read 2026-11-22): ``ED25519_SHA_512`` with
    ``MessageType`` ``RAW`` is pure Ed25519; the prehashed variant is no valid signature of a note.
    """

    def __init__(self, client: Callable[[], Any], key: str) -> None:
        self._client = client
        self._key = key

    @cached_property
    def public_key(self) -> bytes:
        """The public key, asked for once."""
        answer = self._call("get_public_key", KeyId=self._key)
        found = load_der_public_key(answer["PublicKey"])
        if not isinstance(found, Ed25519PublicKey):
            raise Misconfigured("the key that signs checkpoints is no Ed25519 key")
        return found.public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign a message of at most 4,096 bytes."""
        answer = self._call(
            "sign", KeyId=self._key, Message=message, MessageType="RAW", SigningAlgorithm="ED25519_SHA_512"
        )
        return bytes(answer["Signature"])

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return call_kms(getattr(self._client(), operation), **arguments)
        except (ClientError, Unavailable) as error:
            raise AuditUnavailable("KMS did not sign a checkpoint; see the seal function's rights and key") from error

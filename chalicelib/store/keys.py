"""Tenant keys: each tenant's master key is wrapped by the cell's KMS key and unwrapped once per process and five minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..core.sealing import TenantKeys
from .items import call

KEEP_S = 300
CACHE = 1000


class KeyStore:
    """Make and unwrap tenants' master keys.

    Args:
        kms: a KMS client of the home region.
        key_id: the cell's key or its alias.
        monotonic_s: a clock that never goes back, in seconds.
    """

    def __init__(self, kms: Callable[[], Any], key_id: str, monotonic_s: Callable[[], float]) -> None:
        self._kms = kms
        self._key_id = key_id
        self._now = monotonic_s
        self._kept: dict[tuple[str, bytes], tuple[float, TenantKeys]] = {}
        self._lock = threading.Lock()

    def make(self, tenant: str) -> bytes:
        """Make a tenant's master key and return it wrapped."""
        answer = call(
            self._kms().generate_data_key_without_plaintext,
            KeyId=self._key_id,
            NumberOfBytes=32,
            EncryptionContext={"tenant": tenant},
        )
        return bytes(answer["CiphertextBlob"])

    def of(self, tenant: str, wrapped: bytes) -> TenantKeys:
        """Return a tenant's keys; one KMS call per process and ``KEEP_S``."""
        now = self._now()
        kept = self._kept.get((tenant, wrapped))
        if kept is not None and kept[0] > now:
            return kept[1]
        answer = call(self._kms().decrypt, CiphertextBlob=wrapped, EncryptionContext={"tenant": tenant})
        keys = TenantKeys(bytes(answer["Plaintext"]))
        with self._lock:
            if len(self._kept) >= CACHE:
                self._kept.clear()
            self._kept[tenant, wrapped] = (now + KEEP_S, keys)
        return keys

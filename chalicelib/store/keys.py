"""Tenant keys: each tenant's master key, wrapped by the cell's KMS key, unwrapped once per process and five minutes.

The wrapped key is a row of ``people``, of which no backup is ever taken: once it is deleted, nothing of the tenant can be
read again, in no backup of any other table either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..core.envelope import TenantKeys
from ..core.errors import NotFound
from .items import Table, call

KEEP_S = 300
CACHE = 1000


class KeyStore:
    """Make, unwrap and delete tenants' master keys.

    Args:
        kms: returns a KMS client of the home region.
        key_id: the cell's key or its alias.
        table: ``people``.
        monotonic_s: a clock that never goes back, in seconds.
    """

    def __init__(self, kms: Callable[[], Any], key_id: str, table: Table, monotonic_s: Callable[[], float]) -> None:
        self._kms = kms
        self._key_id = key_id
        self._table = table
        self._now = monotonic_s
        self._kept: dict[str, tuple[float, TenantKeys]] = {}
        self._lock = threading.Lock()

    def make(self, tenant: str) -> None:
        """Make a tenant's master key, unless it has one."""
        if self._table.get(_place(tenant)) is not None:
            return
        answer = call(
            self._kms().generate_data_key_without_plaintext,
            KeyId=self._key_id,
            NumberOfBytes=32,
            EncryptionContext={"tenant": tenant},
        )
        self._table.insert({**_place(tenant), "wrapped": bytes(answer["CiphertextBlob"])})

    def of(self, tenant: str) -> TenantKeys:
        """Return a tenant's keys; one read and one KMS call per process and ``KEEP_S``.

        Raises:
            NotFound: it has none, or has none any more.
        """
        now = self._now()
        kept = self._kept.get(tenant)
        if kept is not None and kept[0] > now:
            return kept[1]
        row = self._table.get(_place(tenant))
        if row is None:
            raise NotFound("no such tenant")
        answer = call(self._kms().decrypt, CiphertextBlob=row["wrapped"], EncryptionContext={"tenant": tenant})
        keys = TenantKeys(bytes(answer["Plaintext"]))
        with self._lock:
            if len(self._kept) >= CACHE:
                self._kept.clear()
            self._kept[tenant] = (now + KEEP_S, keys)
        return keys

    def delete(self, tenant: str) -> None:
        """Delete a tenant's master key: all that was sealed under it is unreadable from now on, for good."""
        self._table.delete(_place(tenant))
        self._kept.pop(tenant, None)


def _place(tenant: str) -> dict[str, str]:
    return {"pk": f"{tenant}#key"}

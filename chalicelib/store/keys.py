"""Tenant keys: each tenant's master key, wrapped by the cell's KMS key, unwrapped once per process and five minutes.

The wrapped key is a row of ``people``, of which no backup is ever taken: once it is deleted, nothing of the tenant can be
read again, in no backup of any other table either.

A rotation makes another version. The cell's KMS key wraps the newest one alone, and the newest one wraps the versions
before it: one KMS call opens them all. A new version encrypts from ``active_at`` on, when every process can read it. A job,
named in ``job``, then wraps the data keys of people and the secrets again; ``wraps_from`` says how far such jobs have come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from ..core.envelope import NONCE_BYTES, SealingKey, TenantKeys, decrypt, encrypt, expand
from ..core.errors import Conflict, NotFound
from .items import Item, Table
from .kms import call_kms

KEEP_S = 300
ROTATION = timedelta(minutes=15)
"""From a rotation until the new version encrypts: longer than any process keeps keys, snapshots and sources together."""
VERSIONS_MAX = 1000
"""Versions of one master key: the row that holds them stays far below the limit of a row."""
MASTER_BYTES = 32
CACHE = 1000


@dataclass(frozen=True)
class MasterKey:
    """The newest version of a tenant's master key.

    Args:
        active_at: when it begins to encrypt; None for a key that was never rotated.
        job: the job that wraps under it what older versions wrap; None where none was started.
        wraps_from: the oldest version that may still wrap the data key of a person, or a secret.
    """

    version: int
    active_at: datetime | None
    job: str | None
    wraps_from: int


class KeyStore:
    """Make, unwrap, rotate and delete tenants' master keys.

    Args:
        kms: returns a KMS client of the home region.
        key_id: the cell's key or its alias.
        table: ``people``.
        monotonic_s: a clock that never goes back, in seconds.
        now: the time, for versions that are not active yet.
    """

    def __init__(
        self,
        kms: Callable[[], Any],
        key_id: str,
        table: Table,
        monotonic_s: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._kms = kms
        self._key_id = key_id
        self._table = table
        self._now = monotonic_s
        self._time = now
        self._kept: dict[str, tuple[float, TenantKeys]] = {}
        self._lock = threading.Lock()

    def make(self, tenant: str) -> None:
        """Make a tenant's master key, unless it has one."""
        if self._table.get(_place(tenant)) is not None:
            return
        self._table.insert({**_place(tenant), "wrapped": self._generated(tenant)})

    def _generated(self, tenant: str) -> bytes:
        answer = call_kms(
            self._kms().generate_data_key_without_plaintext,
            KeyId=self._key_id,
            NumberOfBytes=MASTER_BYTES,
            EncryptionContext={"tenant": tenant},
        )
        return bytes(answer["CiphertextBlob"])

    def _unwrapped(self, tenant: str, wrapped: bytes) -> bytes:
        answer = call_kms(self._kms().decrypt, CiphertextBlob=wrapped, EncryptionContext={"tenant": tenant})
        return bytes(answer["Plaintext"])

    def of(self, tenant: str) -> TenantKeys:
        """Return a tenant's keys; one read and one KMS call per process and ``KEEP_S``.

        Raises:
            NotFound: it has none, or has none any more.
        """
        now = self._now()
        kept = self._kept.get(tenant)
        if kept is not None and kept[0] > now:
            return kept[1]
        row = self._row(tenant)
        masters = self._masters(tenant, row)
        newest = max(masters)
        active = row.get("active_at", 0) <= times.millis(self._time())
        later = {version: master for version, master in masters.items() if version > 1}
        keys = TenantKeys(masters[1], later, newest if active else newest - 1)
        with self._lock:
            if len(self._kept) >= CACHE:
                self._kept.clear()
            self._kept[tenant] = (now + KEEP_S, keys)
        return keys

    def _masters(self, tenant: str, row: Item) -> dict[int, bytes]:
        """Return all versions of a master key by number; the newest opens the others."""
        newest = self._unwrapped(tenant, row["wrapped"])
        number = int(row.get("version", 1))
        before = decrypt(_earlier(newest), row["earlier"], _place(tenant)["pk"]) if number > 1 else b""
        versions = [before[at : at + MASTER_BYTES] for at in range(0, len(before), MASTER_BYTES)]
        return dict(enumerate([*versions, newest], 1))

    def newest(self, tenant: str) -> MasterKey:
        """Return the newest version of a tenant's master key, as it is stored now.

        Raises:
            NotFound: the tenant has no key.
        """
        return _newest(self._row(tenant))

    def _row(self, tenant: str) -> Item:
        row = self._table.get(_place(tenant))
        if row is None:
            raise NotFound("no such tenant")
        return row

    def rotate(self, tenant: str, randomness: Callable[[int], bytes], job: str) -> MasterKey:
        """Make another version of a tenant's master key. While the newest is not active yet, return that one.

        Args:
            job: the id of the job that wraps everything under the new version.

        Raises:
            NotFound: the tenant has no key.
            Conflict: another process rotated at the same time, or there are ``VERSIONS_MAX`` versions.
        """
        row, now = self._row(tenant), self._time()
        number = int(row.get("version", 1))
        if row.get("active_at", 0) > times.millis(now):
            return _newest(row)
        if number >= VERSIONS_MAX:
            raise Conflict("the tenant's key has too many versions")
        masters = self._masters(tenant, row)
        wrapped, active_at = self._generated(tenant), now + ROTATION
        plain = b"".join(masters[version] for version in sorted(masters))
        key = _earlier(self._unwrapped(tenant, wrapped))
        active_ms = times.millis(active_at)
        after: dict[str, Any] = {
            **_place(tenant),
            "wrapped": wrapped,
            "version": number + 1,
            "active_at": active_ms,
            "earlier": encrypt(key, randomness(NONCE_BYTES), plain, _place(tenant)["pk"]),
            "job": job,
            "wraps_from": row.get("wraps_from"),
        }
        unchanged = "attribute_exists(pk) AND (attribute_not_exists(version) OR version = :v)"
        if not self._table.replace(after, unchanged, {":v": number}):
            raise Conflict("the tenant's key is being rotated; try again")
        self._kept.pop(tenant, None)
        return _newest(after)

    def wraps_from(self, tenant: str, job: str, version: int) -> bool:
        """Note that nothing is wrapped by a version before ``version``. Return False if ``job`` is not the newest one's."""
        bound: dict[str, Any] = {":v": version, ":j": job}
        names = {"#job": "job"}
        return self._table.update(_place(tenant), "SET wraps_from = :v", bound, "#job = :j", names) is not None

    def delete(self, tenant: str) -> None:
        """Delete a tenant's master key: all that was sealed under it is unreadable from now on, for good."""
        self._table.delete(_place(tenant))
        self._kept.pop(tenant, None)


def _place(tenant: str) -> dict[str, str]:
    return {"pk": f"{tenant}#key"}


def _newest(row: Item) -> MasterKey:
    active_at = row.get("active_at")
    return MasterKey(
        version=int(row.get("version", 1)),
        active_at=times.from_millis(active_at) if active_at is not None else None,
        job=row.get("job"),
        wraps_from=int(row.get("wraps_from") or 1),
    )


def _earlier(master: bytes) -> SealingKey:
    """Return the key that wraps the versions before this one."""
    return SealingKey("versions", {1: master}, 1, expand(master, "waybill/versions/1"))

"""The ``config`` table: what tenants have declared, their API keys, and where ids lead.

| row | ``pk`` | ``sk`` |
|---|---|---|
| tenant | ``tnt_…`` | ``tenant`` |
| record of a tenant | ``tnt_…`` | ``{kind}#{id}`` |
| older version of a recipient | ``tnt_…`` | ``rcp#{id}#v{n}`` |
| withdrawal of a basis | ``tnt_…`` | ``bas#{id}#withdrawal`` |
| notice shown for several recipients | ``tnt_…`` | ``notice#{sha256}`` |
| lookup of a source | ``src_…`` | ``lookup`` |
| lookup of an API key | ``hash#{sha256}`` | ``lookup`` |
| directory of tenants | ``tenants`` | ``tnt_…`` |

A record is one JSON string ``doc`` and a number ``version`` (its ETag); secrets are sealed under the tenant's key in
``sealed``. Every write then adds one to the tenant row's ``config_version``, which readers compare (consistently) before
they use a snapshot they kept. A change takes effect with the next batch of any process, or within a second in a process
that has compared the version ``CHECKS_A_S`` times in the current one. So no tenant's row is read more often than that by
one process, however many events the tenant has.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core.envelope import NONCE_BYTES, TenantKeys, decrypt, encrypt
from ..core.errors import NotFound, PreconditionFailed
from ..core.tenant.configuration import WHOLE, Configuration, UnreadableRecord
from ..core.tenant.operational import source_of
from ..core.tenant.records import ApiKey, Basis, Recipient, Tenant
from .items import Item, Table, batch_get
from .keys import KeyStore
from .legal_holds import standing_of
from .records import RECORDS, RecordRow, collect, parse, readable, sealing_context, written
from .snapshot import Snapshot

RELOAD_S = 60
CHECKS_A_S = 3
"""How often a process compares the version of one tenant's configuration in one second, where a caller does not ask for more."""
CACHE = 500


@dataclass(frozen=True)
class _KeptSnapshot:
    """A snapshot that a process keeps, and how often its version was compared in which second of the process's clock."""

    snapshot: Snapshot
    second: int
    checks: int


@dataclass(frozen=True)
class Holder:
    """The holder of an API key: the tenant, the key's record, and the tenant's keys."""

    tenant: RecordRow
    key: ApiKey
    keys: TenantKeys = field(repr=False)


class ConfigStore:
    """Read and change what tenants have declared."""

    def __init__(
        self, table: Table, keys: KeyStore, monotonic_s: Callable[[], float], randomness: Callable[[int], bytes]
    ) -> None:
        self._table = table
        self._keys = keys
        self._now = monotonic_s
        self._random = randomness
        self._snapshots: dict[str, _KeptSnapshot] = {}
        self._lock = threading.Lock()

    # Tenants

    def create_tenant(self, tenant: Tenant) -> bool:
        """Store a new tenant with a master key of its own. Return False if it is there already, as it then stays."""
        self._keys.make(tenant.id)
        done = self._table.insert(
            {
                "pk": tenant.id,
                "sk": "tenant",
                "doc": written(tenant),
                "version": 1,
                "config_version": 1,
            }
        )
        self._table.insert({"pk": "tenants", "sk": tenant.id})
        return done

    def _tenant_item(self, tenant: str) -> Item:
        item = self._table.get({"pk": tenant, "sk": "tenant"})
        if item is None:
            raise NotFound("no such tenant")
        return item

    def tenant(self, tenant: str) -> RecordRow:
        """Return a tenant's record.

        Raises:
            NotFound: there is none.
        """
        item = self._tenant_item(tenant)
        return RecordRow(parse(Tenant, item["doc"]), item["version"])

    def tenants(self, after: str = "") -> Iterator[str]:
        """Yield the ids of the cell's tenants in order."""
        bound = {":p": "tenants", ":s": after or " "}  # a key is never empty
        for item in self._table.query("pk = :p AND sk > :s", bound):
            yield item["sk"]

    def replace_tenant(self, tenant: Tenant, expected: int) -> int:
        """Store a changed tenant.

        Raises:
            PreconditionFailed: it has changed since it was read.
        """
        key = {"pk": tenant.id, "sk": "tenant"}
        done = self._table.update(
            key,
            "SET doc = :d ADD version :one, config_version :one",
            {":d": self._text(key, tenant), ":one": 1, ":v": expected},
            condition="version = :v",
        )
        if done is None:
            raise PreconditionFailed("the tenant has changed since it was read; read it again")
        self._snapshots.pop(tenant.id, None)
        return int(done["version"])

    def mark_published(self, tenant: str, digest: str) -> None:
        """Note which configuration is published. A note that is lost or late costs another try, nothing else."""
        self._table.update({"pk": tenant, "sk": "tenant"}, "SET published = :h", {":h": digest})
        self._snapshots.pop(tenant, None)

    def erase_tenant(self, tenant: str) -> None:
        """Delete a tenant's master key, then all that it declared, its lookups, and last its place in the directory."""
        self._keys.delete(tenant)
        for row in list(self._table.query("pk = :p", {":p": tenant})):
            if row["sk"] == "tenant":
                continue
            kind, _, record_id = row["sk"].partition("#")
            if kind == "src":
                self.delete_lookup(record_id)
            elif kind == "key":
                key = readable(ApiKey, row["doc"])  # the lookup of an unreadable key leads to nothing from now on
                self.delete_lookup(f"hash#{key.secret_sha256 if key is not None else ''}")
            self._table.delete({"pk": tenant, "sk": row["sk"]})
        self._table.delete({"pk": tenant, "sk": "tenant"})
        self._table.delete({"pk": "tenants", "sk": tenant})
        self._snapshots.pop(tenant, None)

    def keys_of(self, tenant: str) -> TenantKeys:
        """Return a tenant's keys."""
        return self._keys.of(tenant)

    def holder(self, key_hash: str) -> Holder | None:
        """Return the holder of an API key by the SHA-256 of its secret; None for an unknown key or a closed tenant."""
        lookup = self.lookup(f"hash#{key_hash}")
        if lookup is None:
            return None
        tenant, key = lookup
        places = [(self._table.name, {"pk": tenant, "sk": sk}) for sk in ("tenant", f"key#{key}")]
        rows = {r["sk"]: r for r in batch_get(self._table.client, places, self._table.region)[self._table.name]}
        if len(rows) < len(places):
            return None
        record, own = parse(Tenant, rows["tenant"]["doc"]), readable(ApiKey, rows[f"key#{key}"]["doc"])
        if record.state != "active" or own is None:
            return None
        return Holder(RecordRow(record, rows["tenant"]["version"]), own, self._keys.of(tenant))

    # Records

    def _text(self, key: dict[str, str], record: Any) -> str:
        item = self._table.get(key)
        return written(record, item["doc"] if item else None)

    def count_again(self, tenant: str) -> None:
        """Make every process read the tenant's configuration again with its next batch.

        If a process crashes between storing a change and this call, the change takes effect within ``RELOAD_S``. A retry that
        finds the change already made calls this before it answers.
        """
        self._table.update({"pk": tenant, "sk": "tenant"}, "ADD config_version :one", {":one": 1})
        self._snapshots.pop(tenant, None)

    def _sealed(self, tenant: str, record_id: str, secrets: Any) -> bytes | None:
        if secrets is None:
            return None
        context = sealing_context(self._table.region, tenant, record_id)
        plain = json.dumps(secrets, separators=(",", ":")).encode()
        return encrypt(self.keys_of(tenant).secrets, self._random(NONCE_BYTES), plain, context)

    def insert(self, tenant: str, record: Any, secrets: Any = None) -> bool:
        """Store a new record; ``secrets`` (JSON) are sealed beside it. Return False if the id is taken."""
        done = self._table.insert(
            {
                "pk": tenant,
                "sk": f"{record.id[:3]}#{record.id}",
                "doc": written(record),
                "version": 1,
                "sealed": self._sealed(tenant, record.id, secrets),
            }
        )
        self.count_again(tenant)
        return done

    def keep_version(self, tenant: str, record: Recipient) -> None:
        """Keep a recipient's record as it is stored now, beside what will take its place."""
        key = {"pk": tenant, "sk": f"rcp#{record.id}"}
        kept = {"pk": tenant, "sk": f"{key['sk']}#v{record.version}"}
        self._table.insert({**kept, "doc": self._text(key, record), "version": 1})

    def kept_version(self, tenant: str, recipient: str, version: int) -> Recipient | None:
        """Return an earlier version of a recipient, as it was declared; None where none was kept."""
        item = self._table.get({"pk": tenant, "sk": f"rcp#{recipient}#v{version}"})
        kept: Recipient | None = readable(Recipient, item["doc"]) if item else None
        return kept

    def withdraw(self, tenant: str, basis: Basis) -> Basis:
        """Store a basis's withdrawal beside it, once; return the basis as it is stored from now on."""
        key = {"pk": tenant, "sk": f"bas#{basis.id}#withdrawal"}
        self._table.insert({**key, "doc": written(basis), "version": 1})
        self.count_again(tenant)
        return self._withdrawn(tenant, basis) or basis

    def _withdrawn(self, tenant: str, basis: Basis) -> Basis | None:
        """Return a basis with its withdrawal, if it has one; None where that cannot be read."""
        item = self._table.get({"pk": tenant, "sk": f"bas#{basis.id}#withdrawal"})
        stored: Basis | None = readable(Basis, item["doc"]) if item else basis
        return stored

    def replace(self, tenant: str, record: Any, expected: int, secrets: Any = None) -> int:
        """Store a changed record; sealed secrets stay as they are where ``secrets`` is None.

        Raises:
            PreconditionFailed: it has changed since it was read, or is gone.
        """
        key = {"pk": tenant, "sk": f"{record.id[:3]}#{record.id}"}
        bound: dict[str, Any] = {":d": self._text(key, record), ":one": 1, ":v": expected}
        expression = "SET doc = :d"
        if secrets is not None:
            expression += ", sealed = :s"
            bound[":s"] = self._sealed(tenant, record.id, secrets)
        done = self._table.update(key, expression + " ADD version :one", bound, condition="version = :v")
        if done is None:
            raise PreconditionFailed("it has changed since it was read; read it again")
        self.count_again(tenant)
        return int(done["version"])

    def delete(self, tenant: str, record_id: str) -> None:
        """Delete a record."""
        self._table.delete({"pk": tenant, "sk": f"{record_id[:3]}#{record_id}"})
        self.count_again(tenant)

    def to_change(self, tenant: str, record_id: str) -> RecordRow:
        """Return the row to delete or replace, without its record where that cannot be read.

        If the row is gone, count the change and raise.

        Raises:
            NotFound: there is none, or it is another tenant's.
        """
        try:
            return self._row(tenant, record_id)
        except NotFound:
            self.count_again(tenant)
            raise

    def get(self, tenant: str, record_id: str) -> RecordRow:
        """Return a record of a tenant.

        Raises:
            NotFound: there is none, it is another tenant's, or it cannot be read.
        """
        row = self._row(tenant, record_id)
        if row.record is None:
            raise NotFound(f"this record counts as absent: {UnreadableRecord(record_id, WHOLE, '').supply()}")
        return row

    def _row(self, tenant: str, record_id: str) -> RecordRow:
        kind = record_id[:3]
        item = self._table.get({"pk": tenant, "sk": f"{kind}#{record_id}"}) if kind in RECORDS else None
        if item is None:
            raise NotFound("no such resource")
        record = readable(RECORDS[kind], item["doc"])
        record = self._withdrawn(tenant, record) if kind == "bas" and record is not None else record
        return RecordRow(record, item["version"], item.get("sealed"))

    def ids(self, tenant: str, kind: str) -> Iterator[str]:
        """Yield the ids of a tenant's records of a kind, readable or not."""
        for item in self._table.query("pk = :p AND begins_with(sk, :k)", {":p": tenant, ":k": f"{kind}#"}):
            _, record_id, *rest = item["sk"].split("#")
            if not rest:
                yield record_id

    def list(self, tenant: str, kind: str, after: str = "", limit: int | None = None) -> Iterator[RecordRow]:
        """Yield a tenant's records of a kind in order of their ids, which is the order of creation, starting after ``after``.

        Args:
            limit: how many rows to read a call, where few are wanted.
        """
        start = f"{kind}#{after}$" if after else f"{kind}#"  # "$" is the character after "#"
        bound = {":p": tenant, ":a": start, ":z": f"{kind}#~"}
        waiting: RecordRow | None = None
        for item in self._table.query("pk = :p AND sk BETWEEN :a AND :z", bound, limit=limit):
            _, _, *rest = item["sk"].split("#")
            if rest == ["withdrawal"] and waiting is not None:
                waiting = RecordRow(readable(Basis, item["doc"]), waiting.version)
            if rest:
                continue
            if waiting is not None and waiting.record is not None:
                yield waiting
            waiting = RecordRow(readable(RECORDS[kind], item["doc"]), item["version"], item.get("sealed"))
        if waiting is not None and waiting.record is not None:
            yield waiting

    def secrets(self, tenant: str, record_id: str, sealed: bytes | None) -> Any:
        """Decrypt the secrets stored with a record."""
        if sealed is None:
            return None
        context = sealing_context(self._table.region, tenant, record_id)
        return json.loads(decrypt(self.keys_of(tenant).secrets, sealed, context))

    # Lookups

    def insert_lookup(self, key: str, tenant: str, record_id: str) -> None:
        """Note which tenant an id or a key's hash leads to. The note never changes."""
        self._table.insert({"pk": key, "sk": "lookup", "tenant": tenant, "id": record_id})

    def delete_lookup(self, key: str) -> None:
        """Forget where an id or a key's hash leads."""
        self._table.delete({"pk": key, "sk": "lookup"})

    def lookup(self, key: str) -> tuple[str, str] | None:
        """Return the tenant and the record that an id or a key's hash leads to."""
        item = self._table.get({"pk": key, "sk": "lookup"})
        return (item["tenant"], item["id"]) if item else None

    # Snapshots

    def snapshot(self, tenant: str, *, fresh: bool = True) -> Snapshot:
        """Return a tenant's configuration.

        Args:
            fresh: compare its version with the stored one (one consistent read). Otherwise at most ``CHECKS_A_S`` times a
                second, and in between use what was compared in the same second. This process's own changes always count.

        Raises:
            NotFound: no such tenant, or it is closed.
        """
        now = self._now()
        kept = self._snapshots.get(tenant)
        checks = kept.checks if kept is not None and kept.second == int(now) else 0
        if not fresh and kept is not None and checks >= CHECKS_A_S:
            return kept.snapshot
        item = self._tenant_item(tenant)
        unchanged = kept is not None and kept.snapshot.configuration.version == item["config_version"]
        if kept is not None and unchanged and now - kept.snapshot.loaded_s < RELOAD_S:
            snapshot = kept.snapshot
        else:
            snapshot = self._load(tenant, item)
        with self._lock:
            if len(self._snapshots) >= CACHE:
                self._snapshots.clear()
            self._snapshots[tenant] = _KeptSnapshot(snapshot, int(now), checks + 1)
        return snapshot

    def _load(self, tenant: str, item: Item) -> Snapshot:
        record = parse(Tenant, item["doc"])
        if record.state != "active":
            raise NotFound("the tenant is closed")
        found = collect(rows := list(self._table.query("pk = :p", {":p": tenant})))
        own = source_of(record)
        configuration = Configuration(
            tenant=record,
            version=item["config_version"],
            sources={**found.of["src"], own.id: own},
            recipients=found.of["rcp"],
            destinations=found.of["dst"],
            routes=found.of["rte"],
            bases=found.of["bas"],
            switches=found.of["swi"],
            shared_notices=frozenset(found.notices),
            lost=frozenset(found.lost),
        )
        return Snapshot(
            configuration,
            self._keys.of(tenant),
            self._table.region,
            self._now(),
            found.sealed,
            consents=bool(item.get("consents")),
            published=item.get("published"),
            holds=standing_of(rows),
        )

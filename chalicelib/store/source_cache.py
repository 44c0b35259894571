"""The sources that hooks knows: enough to verify a webhook, cached for ten seconds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..core.envelope import TenantKeys, decrypt
from ..core.tenant.records import Source, Tenant
from .items import Table, batch_get
from .keys import KeyStore
from .records import LOOKUP_S, parse, sealing_context

UNKNOWN_SOURCES = 10_000
FRESH_S = 1.0
"""The age below which a kept source is not read again for a refused request."""


@dataclass(frozen=True)
class SourceContext:
    """A source with its secrets (the current one first, then those in their grace) and its tenant's keys.

    ``intervals``: a conversation of the tenant is or was off the record; until then none is looked for.
    """

    tenant: str
    source: Source
    keys: TenantKeys = field(repr=False)
    secrets: tuple[dict[str, Any], ...] = field(repr=False)
    intervals: bool = False


class SourceCache:
    """Look sources up by their id alone. Unknown ones are remembered too, in a bounded number."""

    def __init__(self, table: Table, keys: KeyStore, monotonic_s: Callable[[], float]) -> None:
        self._table = table
        self._keys = keys
        self._now = monotonic_s
        self._kept: dict[str, tuple[float, SourceContext | None]] = {}
        self._lock = threading.Lock()

    def of(self, source: str) -> SourceContext | None:
        """Return the door of a source; None where there is no such source, or its tenant is closed."""
        kept = self._kept.get(source)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        return self._renewed(source)

    def fresher(self, source: str) -> SourceContext | None:
        """Return the door as it is stored now, for a request that the kept one refuses; None if it was just read.

        It is read once in ``FRESH_S`` at most, as anyone can post such requests.
        """
        kept = self._kept.get(source)
        if kept is not None and kept[0] > self._now() + LOOKUP_S - FRESH_S:
            return None
        return self._renewed(source)

    def _renewed(self, source: str) -> SourceContext | None:
        until = self._now() + LOOKUP_S  # from before it is read: a change is known that long after it was made
        door = self._read(source)
        with self._lock:
            if len(self._kept) >= UNKNOWN_SOURCES:
                self._kept.clear()
            self._kept[source] = (until, door)
        return door

    def _read(self, source: str) -> SourceContext | None:
        lookup = self._table.get({"pk": source, "sk": "lookup"})
        if lookup is None:
            return None
        tenant = lookup["tenant"]
        keys = [(self._table.name, {"pk": tenant, "sk": sk}) for sk in ("tenant", f"src#{source}")]
        rows = {r["sk"]: r for r in batch_get(self._table.client, keys, self._table.region)[self._table.name]}
        if len(rows) < 2 or parse(Tenant, rows["tenant"]["doc"]).state != "active":
            return None
        row = rows[f"src#{source}"]
        record = parse(Source, row["doc"])
        if record.closed_at is not None:
            return None
        tenant_keys = self._keys.of(tenant)
        context = sealing_context(self._table.region, tenant, source)
        secrets = json.loads(decrypt(tenant_keys.secrets, row["sealed"], context))
        return SourceContext(tenant, record, tenant_keys, tuple(secrets), bool(rows["tenant"].get("otr")))

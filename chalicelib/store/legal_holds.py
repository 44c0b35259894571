"""Legal holds in the ``config`` table: rows that are only ever inserted.

| row | ``pk`` | ``sk`` |
|---|---|---|
| hold | tenant | ``hld#hld_…`` |
| its release | tenant | ``hld#hld_…#release`` |

No decision reads them: they are no part of a configuration. They go with their tenant, which no hold may be on then. The
hold's row gets one more attribute, ``secured_at``, which is no part of its document.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from ..core import times
from ..core.errors import NotFound
from ..core.tenant.legal_holds import HoldPeriod, LegalHold
from .items import Item, Table
from .records import parse, readable, written

RELEASE = "#release"


class LegalHoldStore:
    """Place and release legal holds, and find those that stand."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def insert(self, tenant: str, hold: LegalHold) -> LegalHold:
        """Store a hold; return it as it stands, which an earlier try may have made."""
        self._table.insert({"pk": tenant, "sk": f"hld#{hold.id}", "doc": written(hold)})
        return self.get(tenant, hold.id)

    def release(self, tenant: str, hold: LegalHold) -> LegalHold:
        """Store a hold's release beside it, once; return the hold as it stands from now on."""
        doc = hold.model_dump_json(include={"released_at", "released_by"})
        self._table.insert({"pk": tenant, "sk": f"hld#{hold.id}{RELEASE}", "doc": doc})
        return self.get(tenant, hold.id)

    def secure(self, tenant: str, hold_id: str, at: datetime) -> None:
        """Note that everything that a hold covers is out of the tables' own expiry."""
        key = {"pk": tenant, "sk": f"hld#{hold_id}"}
        self._table.update(key, "SET secured_at = :at", {":at": times.text(at)})

    def get(self, tenant: str, hold_id: str) -> LegalHold:
        """Return a hold.

        Raises:
            NotFound: the tenant has none with this id.
        """
        item = self._table.get({"pk": tenant, "sk": f"hld#{hold_id}"})
        if item is None:
            raise NotFound("no such resource")
        return _whole(item, self._table.get({"pk": tenant, "sk": f"hld#{hold_id}{RELEASE}"}))

    def list(self, tenant: str, after: str = "", limit: int | None = None) -> Iterator[LegalHold]:
        """Yield a tenant's holds, released ones among them, in order of their ids from behind ``after``.

        Args:
            limit: how many rows to read a call, where few are wanted.
        """
        start = f"hld#{after}$" if after else "hld#"  # "$" is the character after "#"
        bound = {":p": tenant, ":a": start, ":z": "hld#~"}
        waiting: Item | None = None
        for item in self._table.query("pk = :p AND sk BETWEEN :a AND :z", bound, limit=limit):
            release = item["sk"].endswith(RELEASE)
            if waiting is not None:
                yield _whole(waiting, item if release else None)
            waiting = None if release else item
        if waiting is not None:
            yield _whole(waiting, None)

    def standing(self, tenant: str) -> tuple[LegalHold, ...]:
        """Return the holds that nobody has released."""
        return tuple(hold for hold in self.list(tenant) if hold.released_at is None)


def standing_of(rows: Iterable[Item]) -> tuple[LegalHold, ...]:
    """Return the holds that nobody has released, among all rows of a tenant. One that cannot be read covers everything."""
    found = {row["sk"]: row for row in rows if row["sk"].startswith("hld#")}
    standing = (sk for sk in sorted(found) if not sk.endswith(RELEASE) and f"{sk}{RELEASE}" not in found)
    return tuple(readable(LegalHold, found[sk]["doc"]) or _over_all(sk.partition("#")[2]) for sk in standing)


def _over_all(hold_id: str) -> LegalHold:
    return LegalHold(
        scope="period",
        value=HoldPeriod(after=times.EARLIEST, before=times.LATEST),
        authority_ref="unreadable",
        id=hold_id,
        placed_by="unknown",
        placed_at=times.EARLIEST,
    )


def _whole(item: Item, release: Item | None) -> LegalHold:
    hold = {**json.loads(item["doc"]), **(json.loads(release["doc"]) if release is not None else {})}
    hold["secured_at"] = item.get("secured_at")
    stored: LegalHold = parse(LegalHold, json.dumps(hold))
    return stored

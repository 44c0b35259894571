"""The data keys of people and the secrets of records: wrapped again under the current version of a master key.

The store reads a page of either and wraps again each text that an older version wraps. It writes a row only if its
wrapped form is still the one that it read. So a deleted person does not come back, and a changed secret stays changed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from ..core.envelope import NONCE_BYTES, SealingKey, TenantKeys, renewed
from .items import Item, Table
from .people import PeopleStore
from .records import sealing_context


class WrapStore:
    """Wrap again under the current version of a master key what its older versions wrap.

    Args:
        config: the table of secrets.
        people: the store of data keys.
    """

    def __init__(self, config: Table, people: PeopleStore, randomness: Callable[[int], bytes]) -> None:
        self._config = config
        self._people = people
        self._random = randomness

    def secrets(self, tenant: str, keys: TenantKeys, after: str, limit: int) -> tuple[int, str | None]:
        """Wrap the secrets of the next ``limit`` records.

        Args:
            after: the end of the page before; empty for the first.

        Returns:
            How many were wrapped, and the end of this page; None after the last one.
        """
        bound = {":p": tenant, ":a": after or " "}  # a key is never empty
        rows = list(islice(self._config.query("pk = :p AND sk > :a", bound, limit=limit), limit))
        done = 0
        for row in rows:
            if row.get("sealed"):
                context = sealing_context(self._config.region, tenant, row["sk"].partition("#")[2])
                place = {"pk": tenant, "sk": row["sk"]}
                done += self._wrap(self._config, place, row, "sealed", keys.secrets, context)
        return done, rows[-1]["sk"] if len(rows) == limit else None

    def data_keys(self, tenant: str, keys: TenantKeys, after: str, limit: int) -> tuple[int, str | None]:
        """Wrap the tenant's data keys among the next ``limit`` rows of all people, as ``secrets`` does.

        The table is read as a whole, since it has no index by tenant.
        """
        table = self._people.table
        start = {"pk": after} if after else None
        rows, last = table.page("begins_with(pk, :t)", {":t": f"{tenant}#"}, limit, start)
        done = 0
        for row in rows:
            if "key" in row:
                place = {"pk": row["pk"]}
                done += self._wrap(table, place, row, "key", keys.wrap, self._people.context(row["pk"]))
        return done, last["pk"] if last is not None else None

    def _wrap(self, table: Table, place: dict[str, str], row: Item, name: str, key: SealingKey, context: str) -> bool:
        """Wrap one attribute. Return False if the current version wraps it already, or its row is gone."""
        names = {"#wrapped": name}
        found: Item | None = row
        while found is not None and name in found:
            new = renewed(key, self._random(NONCE_BYTES), found[name], context)
            if new is None:
                return False
            bound: dict[str, Any] = {":new": new, ":read": found[name]}
            if table.update(place, "SET #wrapped = :new", bound, "#wrapped = :read", names) is not None:
                return True
            found = table.get(place)  # another process was faster
        return False

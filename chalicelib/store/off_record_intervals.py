"""The intervals in which conversations are off the record, in the ``config`` table.

| row | ``pk`` | ``sk`` |
|---|---|---|
| a conversation's intervals | the conversation's key in ``people`` | ``otr`` |
| that a conversation has some | ``{tenant}#otr`` | ``cnv_…`` |

The door knows a conversation by its keyed hash, and reads its row by that: no ref is looked up on the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from pydantic import TypeAdapter

from ..core import encoders
from ..core.errors import OurError
from ..core.tenant.intervals import Intervals
from ..core.tenant.unknown_fields import with_unknown
from .items import BATCH_GET, Item, Table, batch_get

TRIES = 8
_INTERVALS: TypeAdapter[Intervals] = TypeAdapter(Intervals)


def _read(item: Item | None) -> Intervals:
    return _INTERVALS.validate_json(item["doc"], extra="ignore") if item else ()


def _written(after: Intervals, before: Intervals, item: Item | None) -> str:
    known, whole = (_INTERVALS.dump_python(of, mode="json") for of in (before, after))
    new = _INTERVALS.dump_python(after, mode="json", exclude_defaults=True)
    # Tuples of models are dumped as lists.
    return encoders.plain(with_unknown(list(new), list(whole), json.loads(item["doc"]) if item else [], list(known)))


class OffRecordIntervalStore:
    """Read and change when conversations are off the record."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, place: str) -> Intervals:
        """Return the intervals of one conversation, by its key in ``people``."""
        return _read(self._table.get({"pk": place, "sk": "otr"}))

    def of_many(self, places: Iterable[str]) -> dict[str, Intervals]:
        """Return the intervals of those conversations that have any, consistently, in one round trip for each hundred."""
        keys = [(self._table.name, {"pk": place, "sk": "otr"}) for place in dict.fromkeys(places)]
        found: dict[str, Intervals] = {}
        for start in range(0, len(keys), BATCH_GET):
            rows = batch_get(self._table.client, keys[start : start + BATCH_GET], self._table.region)
            found.update((row["pk"], _read(row)) for row in rows[self._table.name])
        return found

    def expect(self, tenant: str) -> None:
        """Make hooks look for intervals of the tenant's conversations, within ``core.tenant.intervals.EFFECT``."""
        self._table.update({"pk": tenant, "sk": "tenant"}, "SET otr = :t", {":t": True}, "attribute_not_exists(otr)")

    def change(self, tenant: str, conversation: str, place: str, step: Callable[[Intervals], Intervals]) -> Intervals:
        """Replace a conversation's intervals by ``step(intervals)``, also under concurrent changes, and return them."""
        key = {"pk": place, "sk": "otr"}
        # The lookup row first, so that erasing a tenant leaves no interval without one.
        self._table.insert({"pk": f"{tenant}#otr", "sk": conversation, "place": place})
        for _ in range(TRIES):
            item = self._table.get(key)
            before = _read(item)
            after = step(before)
            if after == before:
                return before
            doc = _written(after, before, item)
            if item is None:
                done = self._table.insert({**key, "doc": doc, "version": 1})
            else:
                values = {**key, "doc": doc, "version": item["version"] + 1}
                done = self._table.replace(values, "version = :v", {":v": item["version"]})
            if done:
                return after
        raise OurError("a conversation's intervals change faster than they can be written; try again")

    def erase(self, tenant: str) -> None:
        """Delete when a tenant's conversations were off the record."""
        for item in list(self._table.query("pk = :p", {":p": f"{tenant}#otr"})):
            self._table.delete({"pk": item["place"], "sk": "otr"})
            self._table.delete({"pk": item["pk"], "sk": item["sk"]})

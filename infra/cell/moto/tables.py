"""moto's tables with the search put right: moto sorts and weighs every item of a table for every query of one partition.

With some hundred items a query takes moto ten times as long as a read, and a cell makes several for every event.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table as Slow


class Table(Slow):
    """A table of moto that looks for a query's results where they can be."""

    _sought: list[Item] | None = None

    def query(  # type: ignore[override]
        self, hash_key: Any, comparison: Any, objects: Any, limit: Any, start: Any, forward: Any, projected: Any,
        index_name: str | None = None, *others: Any, **named: Any,
    ) -> Any:  # fmt: skip
        """Answer as moto does, from the items of the partition that match; in an index, from those that have its value."""
        wanted = dict(named.get("hash_key_conditions") or ())
        partitions: Mapping[Any, Any] = self.items
        if index_name is not None:
            sought: Iterable[Item] = chain.from_iterable(map(self._in, partitions.values()))
            for name, value in wanted.items():
                sought = [i for i in sought if (own := i.attrs.get(name)) is not None and own == value]
            self._sought = list(sought)
        else:
            found = self._in(partitions.get(hash_key, {}))
            # With a limit moto says that more follows where any item does, wanted or not.
            every_one = limit or comparison is None
            self._sought = [i for i in found if every_one or i.range_key.compare(comparison, objects)]
        try:
            return super().query(
                hash_key, comparison, objects, limit, start, forward, projected, index_name, *others, **named
            )
        finally:
            self._sought = None

    def _in(self, partition: Any) -> Iterable[Any]:
        return partition.values() if self.range_key_attr else [partition] if partition else []

    def all_items(self) -> list[Any]:
        """Return the items to examine: every item, but within a query only the sought ones."""
        return super().all_items() if self._sought is None else self._sought


@contextlib.contextmanager
def searched() -> Iterator[None]:
    """Make moto create tables of this kind until the block ends."""
    models.Table = Table  # type: ignore[attr-defined]
    try:
        yield
    finally:
        models.Table = Slow  # type: ignore[attr-defined]

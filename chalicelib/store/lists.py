"""The lists of the index ``day``: each is one partition of the index, and sixteen parts more where it grows fast.

| row | ``pk`` | ``sk`` |
|---|---|---|
| mark of a list that has parts | ``parts#{list}`` | ``parts`` |

A partition takes 1,000 writes a second, and one that grows in the order of its sort key is not split. So a process writes
``BURST`` rows at once and ``OWN_PER_S`` a second to the partition that has the list's name. It writes further rows to one of
``PARTS`` partitions, ``{list}#{part}``. Before the first of them it marks the list, so that a reader knows of the parts. A
list without a mark is read with one query.

A release without parts reads the partition with the list's name alone. It lists all of a tenant with fewer than
``OWN_PER_S`` events a second, and some of a tenant with more.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html (read 2026-11-30).
"""

from __future__ import annotations

import heapq
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from operator import itemgetter

from ..core.delivery import rate_limit
from ..core.tenant.records import RETENTION_DAYS_MAX
from .items import BATCH_GET, Item, Table, Value, batch_get

PARTS = 16
OWN_PER_S = 2.0
"""With 200 processes that is 400 rows a second for all lists' own partitions, less than half of what one takes."""
BURST = 20.0
"""Two full batches of a queue."""
MARKED_S = 24 * 3600
"""How long a process relies on a mark that it has set: the mark lives longer than anything it lists."""
KEPT_S = int(timedelta(days=RETENTION_DAYS_MAX + 60).total_seconds())
LISTS_MAX = 10_000
PART_ROWS_A_CALL = 100
_MARK = "parts#"
_NAMES = {"#day": "day", "#at": "at"}


class ListPartitions:
    """Choose the partition of a new row of a list.

    Args:
        table: ``data``.
        monotonic_s: a clock that never goes back, in seconds.
    """

    def __init__(self, table: Table, monotonic_s: Callable[[], float]) -> None:
        self._table = table
        self._now = monotonic_s
        self._buckets: dict[str, rate_limit.TokenBucket] = {}
        self._marked: dict[str, float] = {}
        self._lock = threading.Lock()

    def place(self, name: str, member: str, now_s: int) -> str:
        """Return the partition of the index that a new row of a list belongs to.

        Args:
            member: a name of the row that is spread evenly.
            now_s: the time in seconds since 1970.

        Raises:
            Unavailable: the list could not be marked.
        """
        if self._own(name):
            return name
        if self._marked.get(name, 0.0) <= self._now():
            bound: dict[str, Value] = {":ttl": now_s + KEPT_S, ":region": self._table.region}
            names = {"#ttl": "ttl", "#region": "region"}
            self._table.update(_mark(name), "SET #ttl = :ttl, #region = :region", bound, condition=None, names=names)
            with self._lock:
                if len(self._marked) >= LISTS_MAX:
                    self._marked.clear()
                self._marked[name] = self._now() + MARKED_S
        return f"{name}#{zlib.crc32(member.encode()) % PARTS}"

    def _own(self, name: str) -> bool:
        now_s = self._now()
        with self._lock:
            if len(self._buckets) >= LISTS_MAX:
                self._buckets.clear()
            bucket = self._buckets.get(name) or rate_limit.full(OWN_PER_S, now_s, BURST / OWN_PER_S)
            left = rate_limit.take(bucket, OWN_PER_S, now_s, 1, BURST / OWN_PER_S)
            if left is not None:
                self._buckets[name] = left
            return left is not None


def with_parts(table: Table, names: Iterable[str]) -> frozenset[str]:
    """Return those of some lists that have parts: one call for each hundred."""
    wanted, found = list(names), set[str]()
    if len(wanted) == 1:  # the pump may read single rows only
        return frozenset(wanted if table.get(_mark(wanted[0])) else ())
    for start in range(0, len(wanted), BATCH_GET):
        keys = [(table.name, _mark(name)) for name in wanted[start : start + BATCH_GET]]
        rows = batch_get(table.client, keys, table.region)[table.name]
        found |= {row["pk"].removeprefix(_MARK) for row in rows}
    return frozenset(found)


def read(
    table: Table,
    name: str,
    condition: str = "",
    bound: Mapping[str, Value] | None = None,
    *,
    ascending: bool = True,
    limit: int | None = None,
    parts: Collection[str] | None = None,
) -> Iterator[Item]:
    """Yield the rows of a list in the order of ``at``.

    Args:
        condition: on ``#at``, behind ``AND``.
        limit: how many to read a call, where few are wanted.
        parts: the lists that are known to have parts; asked for unless given.
    """
    has_parts = name in (with_parts(table, (name,)) if parts is None else parts)
    query = "#day = :d" + (f" AND {condition}" if condition else "")
    names = _NAMES if "#at" in condition else {"#day": "day"}
    places = (name, *(f"{name}#{part}" for part in range(PARTS))) if has_parts else (name,)
    calls = limit or (PART_ROWS_A_CALL if has_parts else None)
    found = (
        table.query(query, {**(bound or {}), ":d": place}, index="day", names=names, ascending=ascending, limit=calls)
        for place in places
    )
    return heapq.merge(*found, key=itemgetter("at"), reverse=not ascending)


def _mark(name: str) -> dict[str, Value]:
    return {"pk": f"{_MARK}{name}", "sk": "parts"}

"""Counters of different people: rows of the ``data`` table, exact under crashes and races, by single-item writes alone.

| row | ``pk`` | ``sk`` | holds |
|---|---|---|---|
| counter | ``{tenant}#volumes`` | ``{law}#{year}`` | each counter's number, ``version``, in ``open`` people that were counted, in ``before`` the whole counts before them |
| its shards | ``{tenant}#volumes#{1..15}`` | ``{law}#{year}`` | the same |

A counted person carries a mark in their own row of ``people``, ``n#{law}{year}{counter}``. The marks come with the row, so
a person who carries them needs no further work. Otherwise:

1. Read the counter.
2. Read the people, and those in ``open``; skip those with a mark, and those in ``open``.
3. Write the counter if its version has not changed. ``open`` has the newly counted people and the unmarked ones from before.
4. Publish the thresholds that were crossed.
5. Mark the newly counted people.

At 2 everyone counted before 1 carries a mark or is in ``open``. At 3 no other writer has counted since, so no person is
counted twice. A crash after 3 leaves people in ``open``. Their own event marks them when it comes back, or a count that
finds more than ``OPEN_MAX`` of them does.

A counter that ``CONFLICTS_MAX`` writes in a row have failed at gets shards: its ``version`` begins at ``SHARDED_FROM`` from
then on, which a release without shards keeps. From then on a person is counted in the shard of their row's name, and the
count is the sum. Each writer reads the first row too, since its ``open`` may still hold people of every shard. So a counter with few writers is one row, and one read. While a
release without shards runs beside this one, a person may be counted twice: the count is never too low.
"""

from __future__ import annotations

import json
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ..core.errors import Unavailable
from ..threads import Result, Threads
from .items import BATCH_GET, Item, Table, batch_get
from .ttl import ttl
from .volume_rows import (
    KIND,
    CounterKey,
    Counts,
    Crossing,
    People,
    before_opened,
    counts_of,
    marks_of,
    opened_in,
    place_of,
    times_counted,
)

SHARDS = 16
SHARDED_FROM = 1_000_000_000
CONFLICTS_MAX = 3
PEOPLE_A_CALL = 50
OPEN_MAX = 50
TRIES = 12
AT_ONCE = 8
READS_A_S = 3
"""How often a process reads a tenant's counter in one second for decisions. In between it uses the count of that second."""
BOUND_S = 60.0
"""How old the count may be from which a crossing is told. An older one would tell crossings of long ago again."""
KEPT_MAX = 10_000
KEPT = timedelta(days=800)
"""How long a counter stays after its year has begun: through the next year, which still reports it, and a little longer."""


Tell = Callable[[Crossing], None]


@dataclass(frozen=True)
class _KeptCounter:
    """Counts as a process has read them: when, in which second of its clock, and how often in that second."""

    at_s: float
    second: int
    reads: int
    counts: Counts


@dataclass(frozen=True)
class _CountChange:
    """What one row counted: its counters before and after, and the people who are counted and not marked yet."""

    before: Counts
    after: Counts
    fresh: People


def _outcome(call: Callable[[], _CountChange]) -> _CountChange | Unavailable:
    try:
        return call()
    except Unavailable as fault:
        return fault


def _in_turn(calls: list[Callable[[], Result]]) -> list[Result]:
    return [call() for call in calls]


Run = Callable[[list[Callable[[], Any]]], list[Any]]
"""Makes calls and returns their results in order."""


class _ShardedError(Exception):
    """The counter has shards, which was not known."""


class VolumeStore:
    """Count people, and read how many there are.

    Args:
        monotonic_s: a clock that never goes back, in seconds.
        threads: count in several shards at once; one after the other without.
    """

    def __init__(
        self,
        data: Table,
        people: Table,
        sleep: Callable[[float], None],
        monotonic_s: Callable[[], float] = time.monotonic,
        threads: Threads | None = None,
    ) -> None:
        self.table = data
        self._people = people
        self._sleep = sleep
        self._now = monotonic_s
        self._threads = threads
        self._sharded: set[CounterKey] = set()
        self._kept: dict[CounterKey, _KeptCounter] = {}
        self._lock = threading.Lock()

    def key(self, place: CounterKey, shard: int = 0) -> tuple[str, dict[str, str]]:
        """Return table and key of a counter's row."""
        part = f"#{shard}" if shard else ""
        return self.table.name, {"pk": f"{place.tenant}#{KIND}{part}", "sk": f"{place.law}#{place.year}"}

    # Reading

    def due_keys(self, places: Iterable[CounterKey]) -> list[tuple[str, dict[str, str]]]:
        """Return the rows of those counters that a decision must read now: all but those read ``READS_A_S`` times this second."""
        return [key for place in places if not self._enough(place) for key in self._keys(place)]

    def latest(self, places: Iterable[CounterKey], items: Iterable[Item]) -> dict[CounterKey, Counts]:
        """Return the counts that decisions use, from the rows of ``due_keys`` and from what was read in the same second."""
        wanted, rows = list(places), list(items)
        due = [place for place in wanted if not self._enough(place)]
        found = self._summed(due, rows)
        for place in due:
            self._keep(place, found.get(place, counts_of(place.law, {})), 1)
        kept = {place: self._kept[place].counts for place in wanted if place not in due}
        return {**found, **kept}

    def get_latest(self, places: Iterable[CounterKey]) -> dict[CounterKey, Counts]:
        """Return the counts that decisions use; see ``latest``."""
        wanted = list(places)
        return self.latest(wanted, self._rows(self.due_keys(wanted)))

    def get(self, places: Iterable[CounterKey]) -> dict[CounterKey, Counts]:
        """Return the counters of those keys that have counted anyone, as they are stored now."""
        wanted = list(places)
        return self._summed(wanted, self._rows([key for place in wanted for key in self._keys(place)]))

    def of_tenant(self, tenant: str) -> dict[CounterKey, Counts]:
        """Return all of a tenant's counters."""
        pk = self.key(CounterKey(tenant, "", 0))[1]["pk"]
        items = list(self.table.query("pk = :p", {":p": pk}))
        return self._summed([place_of(item) for item in items], items)

    def _keys(self, place: CounterKey) -> list[tuple[str, dict[str, str]]]:
        return [self.key(place, shard) for shard in range(SHARDS if place in self._sharded else 1)]

    def _rows(self, keys: list[tuple[str, dict[str, str]]]) -> list[Item]:
        rows: list[Item] = []
        for start in range(0, len(keys), BATCH_GET):
            some = keys[start : start + BATCH_GET]
            rows += batch_get(self.table.client, some, self.table.region, self._sleep).get(self.table.name, ())
        return rows

    def _summed(self, places: Iterable[CounterKey], items: Iterable[Item]) -> dict[CounterKey, Counts]:
        """Add the shards of counters; read the shards of those that turn out to have some."""
        rows = [item for item in items if item["pk"].partition("#")[2].partition("#")[0] == KIND]
        wanted = set(places)
        sharded = {place for row in rows if (place := place_of(row)) in wanted and row["version"] >= SHARDED_FROM}
        self._sharded |= sharded
        whole = {place_of(row) for row in rows if row["pk"].count("#") > 1}
        unread = sorted(sharded - whole, key=str)
        rows += self._rows([self.key(place, shard) for place in unread for shard in range(1, SHARDS)])
        sums: dict[CounterKey, Counts] = {}
        for row in rows:
            place = place_of(row)
            if place in wanted:
                before = sums.get(place, {})
                sums[place] = {n: before.get(n, 0) + number for n, number in counts_of(place.law, row).items()}
        return sums

    def _enough(self, place: CounterKey) -> bool:
        kept = self._kept.get(place)
        return kept is not None and kept.second == int(self._now()) and kept.reads >= READS_A_S

    def _keep(self, place: CounterKey, counts: Counts, reads: int = 0) -> None:
        now_s = self._now()
        with self._lock:
            kept = self._kept.get(place)
            reads += kept.reads if kept is not None and kept.second == int(now_s) else 0
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[place] = _KeptCounter(now_s, int(now_s), reads, counts)

    # Counting

    def count(self, place: CounterKey, people: People, tell: Tell) -> Counts:
        """Count people who are not counted yet, and return the counters after it.

        Args:
            tell: gets every change, at least once, before the counted people are marked. If it raises, the change stays in
                ``open`` and is passed again later.

        Raises:
            Unavailable: other writers were always faster; counting again does no harm.
        """
        counts: Counts = {}
        rows = sorted(people)
        for start in range(0, len(rows), PEOPLE_A_CALL):
            some = {pk: people[pk] for pk in rows[start : start + PEOPLE_A_CALL]}
            counts = self._count_some(place, some, tell)
        self._keep(place, counts)
        return counts

    def _count_some(self, place: CounterKey, people: People, tell: Tell) -> Counts:
        if place not in self._sharded:
            try:
                only = self._add(place, 0, people, None, tell)
                self._close(place, only.before, only.after, only.fresh, tell, self._at_once)
                return only.after
            except _ShardedError:
                self._sharded.add(place)
        before = self._bound(place)
        shards: dict[int, dict[str, frozenset[str]]] = {}
        for pk, names in people.items():
            shards.setdefault(zlib.crc32(pk.encode()) % SHARDS, {})[pk] = names
        calls = [partial(self._add, place, shard, some, before, tell) for shard, some in shards.items()]
        outcomes = self._at_once([partial(_outcome, call) for call in calls])
        after = self.get([place]).get(place) or before
        fresh = {pk: names for one in outcomes if isinstance(one, _CountChange) for pk, names in one.fresh.items()}
        self._close(place, before, after, fresh, tell, self._at_once)
        for one in outcomes:  # those who were counted carry their marks by now: no other writer has to mark them
            if isinstance(one, Unavailable):
                raise one
        return after

    def _at_once(self, calls: list[Callable[[], Result]]) -> list[Result]:
        if self._threads is None or len(calls) < 2:
            return _in_turn(calls)
        return [done.result() for done in self._threads.run("counters", AT_ONCE, calls)]

    def _bound(self, place: CounterKey) -> Counts:
        """Return counts that are not above those that are stored."""
        kept = self._kept.get(place)
        if kept is not None and self._now() - kept.at_s < BOUND_S:
            return kept.counts
        return self.get([place]).get(place) or counts_of(place.law, {})

    def _add(self, place: CounterKey, shard: int, people: People, whole: Counts | None, tell: Tell) -> _CountChange:
        """Count people in one row, steps 1 to 3.

        Args:
            whole: the counts of all shards before; None for a counter that is not known to have shards.

        Raises:
            _ShardedError: the counter has shards and ``whole`` is None.
        """
        for attempt in range(TRIES):
            row, first = self._read(place, shard)  # 1
            if whole is None and row is not None and row["version"] >= SHARDED_FROM:
                raise _ShardedError
            opened, moved = opened_in(place, row), opened_in(place, first)
            marked = self._marked({*people, *opened}, place)  # 2
            counts = counts_of(place.law, row or {})
            left = {pk: names for pk, names in opened.items() if pk in marked and not names <= marked[pk]}
            before = before_opened(row, counts, opened)
            if whole is None and attempt >= CONFLICTS_MAX and row is not None:
                if self._write(place, shard, row, counts, left, before, SHARDED_FROM):
                    raise _ShardedError
                continue
            closing = left if len(left) > OPEN_MAX else {pk: left[pk] for pk in left if pk in people}
            theirs = {pk: moved[pk] for pk in people if pk in moved and not moved[pk] <= marked.get(pk, frozenset())}
            if closing or theirs:
                after = counts if whole is None else self.get([place])[place]
                self._close(place, before, after, closing, tell)
                self._close(place, before_opened(first, counts_of(place.law, first or {}), moved), after, theirs, tell)
            none = frozenset[str]()
            done = {pk: marked.get(pk, none) | opened.get(pk, none) | moved.get(pk, none) for pk in people}
            fresh = {pk: names - done[pk] for pk, names in people.items() if names - done[pk]}
            if not fresh:
                return _CountChange(counts, counts, {})
            total = {name: number + times_counted(name, fresh) for name, number in counts.items()}
            carried = {pk: names for pk, names in left.items() if pk not in closing}
            low = whole or counts
            if carried:
                low = {name: min(number, before[name]) for name, number in low.items()}
            if self._write(place, shard, row, total, {**carried, **fresh}, low):  # 3
                return _CountChange(counts, total, fresh)
            self._sleep(0.02 * 2 ** min(attempt, 5) * (0.5 + random.random()))  # noqa: S311  (jitter, not a secret)
        raise Unavailable("other writers were always faster at a counter of people; try again")

    def _read(self, place: CounterKey, shard: int) -> tuple[Item | None, Item | None]:
        """Return a shard's row, and the counter's first row if that is another one: people in its ``open`` are counted."""
        if not shard:
            return self.table.get(self.key(place)[1]), None
        rows = {row["pk"]: row for row in self._rows([self.key(place, shard), self.key(place)])}
        return rows.get(self.key(place, shard)[1]["pk"]), rows.get(self.key(place)[1]["pk"])

    def _write(
        self,
        place: CounterKey,
        shard: int,
        row: Item | None,
        counts: Counts,
        opened: People,
        before: Counts,
        added: int = 0,
    ) -> bool:
        tenant = f"{place.tenant}#"
        values = {
            **self.key(place, shard)[1],
            **counts,
            "version": (row["version"] if row else 0) + 1 + added,
            "open": json.dumps({pk.removeprefix(tenant): sorted(names) for pk, names in opened.items()}),
            "before": json.dumps(before),
            "ttl": ttl(datetime(place.year, 1, 1, tzinfo=UTC) + KEPT),
        }
        if row is None:
            return self.table.insert(values)
        return self.table.replace(values, "version = :seen", {":seen": row["version"]})

    def _close(
        self, place: CounterKey, before: Counts, after: Counts, counted: People, tell: Tell, run: Run = _in_turn
    ) -> None:
        """Publish what counted people have changed, and mark them.

        Args:
            before: counts that are not above the whole ones before the people were counted; ``after``: those since then.
            run: makes calls, perhaps at once.
        """
        for name, number in after.items():  # 4
            if before[name] < number and times_counted(name, counted):
                tell(Crossing(place, name, before[name], number))
        run([partial(self._mark, place, pk, names) for pk, names in counted.items()])  # 5

    def _mark(self, place: CounterKey, pk: str, names: frozenset[str]) -> None:
        attributes = {f"#{i}": place.mark(name) for i, name in enumerate(sorted(names))}
        assigned = ", ".join(f"{alias} = :yes" for alias in attributes)
        self._people.update({"pk": pk}, f"SET {assigned}", {":yes": True}, names=attributes)

    def _marked(self, people: set[str], place: CounterKey) -> dict[str, frozenset[str]]:
        """Return the marks of the people that have a row."""
        found: list[Item] = []
        rows = sorted(people)
        for start in range(0, len(rows), BATCH_GET):
            keys = [(self._people.name, {"pk": pk}) for pk in rows[start : start + BATCH_GET]]
            found += batch_get(self._people.client, keys, self._people.region, self._sleep).get(self._people.name, ())
        return {item["pk"]: marks_of(item, place) for item in found}

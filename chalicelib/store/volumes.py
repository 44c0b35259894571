"""Counters of different people: rows of the ``data`` table, exact under crashes and races, by single-item writes alone.

| row | ``pk`` | ``sk`` | holds |
|---|---|---|---|
| counter | ``{tenant}#volumes`` | ``{law}#{year}`` | each counter's number, ``version``, and in ``open`` the people that the last write counted |

A counted person carries a mark in their own row of ``people``, ``n#{law}{year}{counter}``. The marks come with the row, so
a person who carries them needs no further work. Otherwise:

1. Read the counter.
2. Read the people; skip those with a mark.
3. Write the counter if its version has not changed, with the newly counted people in ``open``.
4. Publish the thresholds that were crossed.
5. Mark the people in ``open``.

The next writer first marks all people still in ``open``. So at 2 everyone counted before 1 carries a mark, and at 3 no other
writer has counted since: no person is counted twice. A crash after 3 leaves people in ``open``. Their own event marks them
when it comes back, or the next count does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.errors import Unavailable
from ..core.law.volumes import COUNTERS
from .data import ttl
from .items import Item, Table, batch_get
from .people import MARK

PEOPLE_A_CALL = 50
TRIES = 12
KEPT = timedelta(days=800)
"""How long a counter stays after its year has begun: through the next year, which still reports it, and a little longer."""


@dataclass(frozen=True)
class CounterKey:
    """Whose counters of which law and year."""

    tenant: str
    law: str
    year: int

    def mark(self, counter: str) -> str:
        """Name the attribute that marks a person as counted."""
        (mark,) = (c.mark for c in COUNTERS[self.law] if c.name == counter)
        return f"{MARK}{self.law}{self.year}{mark}"


@dataclass(frozen=True)
class Crossing:
    """The change of one write: a counter's number before and after it."""

    place: CounterKey
    counter: str
    before: int
    after: int


Tell = Callable[[Crossing], None]


class VolumeStore:
    """Count people, and read how many there are."""

    def __init__(self, data: Table, people: Table, sleep: Callable[[float], None]) -> None:
        self.table = data
        self._people = people
        self._sleep = sleep

    def key(self, place: CounterKey) -> tuple[str, dict[str, str]]:
        """Return table and key of a counter's row."""
        return self.table.name, {"pk": _row_of(place.tenant), "sk": f"{place.law}#{place.year}"}

    def read(self, items: Iterable[Item]) -> dict[CounterKey, dict[str, int]]:
        """Read the counters among rows of ``data``."""
        found = {}
        for item in items:
            tenant, _, kind = item["pk"].partition("#")
            if kind == "volumes":
                law, _, year = item["sk"].partition("#")
                found[CounterKey(tenant, law, int(year))] = _counts(law, item)
        return found

    def get(self, places: Iterable[CounterKey]) -> dict[CounterKey, dict[str, int]]:
        """Return the counters of those keys that have counted anyone, in one consistent round trip."""
        keys = [self.key(place) for place in places]
        return self.read(batch_get(self.table.client, keys, self.table.region).get(self.table.name, ()))

    def of_tenant(self, tenant: str) -> dict[CounterKey, dict[str, int]]:
        """Return all of a tenant's counters."""
        return self.read(self.table.query("pk = :p", {":p": _row_of(tenant)}))

    def count(self, place: CounterKey, people: Mapping[str, frozenset[str]], tell: Tell) -> dict[str, int]:
        """Count people who are not counted yet, and return the counters after it.

        Args:
            people: rows of ``people``, each with the counters that it counts for.
            tell: gets every change, at least once, before the counted people are marked. If it raises, the change stays in
                ``open`` and is passed again later.

        Raises:
            Unavailable: other writers were always faster; counting again does no harm.
        """
        counts: dict[str, int] = {}
        rows = sorted(people)
        for start in range(0, len(rows), PEOPLE_A_CALL):
            some = {pk: people[pk] for pk in rows[start : start + PEOPLE_A_CALL]}
            counts = self._count(place, some, tell)
        return counts

    def _count(self, place: CounterKey, people: Mapping[str, frozenset[str]], tell: Tell) -> dict[str, int]:
        for attempt in range(TRIES):
            row = self.table.get(self.key(place)[1])  # 1
            opened = _opened(place, row)
            marked = self._marked({*people, *opened}, place)  # 2
            counts = _counts(place.law, row or {})
            left = {pk: names for pk, names in opened.items() if pk in marked and not names <= marked[pk]}
            if left:
                self._close(place, counts, opened, left, tell)
            done = {pk: marked.get(pk, frozenset()) | opened.get(pk, frozenset()) for pk in people}
            fresh = {pk: names - done[pk] for pk, names in people.items() if names - done[pk]}
            if not fresh:
                return counts
            after = {name: number + _times(name, fresh) for name, number in counts.items()}
            if self._write(place, row, after, fresh):  # 3
                self._close(place, after, fresh, fresh, tell)
                return after
            self._sleep(0.02 * 2 ** min(attempt, 5) * (0.5 + random.random()))  # noqa: S311  (jitter, not a secret)
        raise Unavailable("other writers were always faster at a counter of people; try again")

    def _write(self, place: CounterKey, row: Item | None, counts: Mapping[str, int], fresh: Mapping[str, Any]) -> bool:
        tenant = f"{place.tenant}#"
        values = {
            **self.key(place)[1],
            **counts,
            "version": (row["version"] if row else 0) + 1,
            "open": json.dumps({pk.removeprefix(tenant): sorted(names) for pk, names in fresh.items()}),
            "ttl": ttl(datetime(place.year, 1, 1, tzinfo=UTC) + KEPT),
        }
        if row is None:
            return self.table.insert(values)
        return self.table.replace(values, "version = :seen", {":seen": row["version"]})

    def _close(
        self,
        place: CounterKey,
        counts: Mapping[str, int],
        counted: Mapping[str, frozenset[str]],
        unmarked: Mapping[str, frozenset[str]],
        tell: Tell,
    ) -> None:
        """Publish the changes of the last write, and mark the people it counted."""
        for name, after in counts.items():  # 4
            before = after - _times(name, counted)
            if before < after:
                tell(Crossing(place, name, before, after))
        for pk, names in unmarked.items():  # 5
            attributes = {f"#{i}": place.mark(name) for i, name in enumerate(sorted(names))}
            assigned = ", ".join(f"{alias} = :yes" for alias in attributes)
            self._people.update({"pk": pk}, f"SET {assigned}", {":yes": True}, names=attributes)

    def _marked(self, people: set[str], place: CounterKey) -> dict[str, frozenset[str]]:
        """Return the marks of the people that have a row."""
        keys = ((self._people.name, {"pk": pk}) for pk in sorted(people))
        found = batch_get(self._people.client, keys, self._people.region, self._sleep)
        return {item["pk"]: marks_of(item, place) for item in found.get(self._people.name, ())}


def marks_of(item: Mapping[str, Any], place: CounterKey) -> frozenset[str]:
    """Return the counters of a place that a person's row is marked for."""
    return frozenset(c.name for c in COUNTERS[place.law] if place.mark(c.name) in item)


def _row_of(tenant: str) -> str:
    return f"{tenant}#volumes"


def _counts(law: str, item: Mapping[str, Any]) -> dict[str, int]:
    return {c.name: int(item.get(c.name, 0)) for c in COUNTERS[law]}


def _times(counter: str, people: Mapping[str, frozenset[str]]) -> int:
    return sum(counter in names for names in people.values())


def _opened(place: CounterKey, row: Item | None) -> dict[str, frozenset[str]]:
    opened = json.loads(row["open"]) if row else {}
    return {f"{place.tenant}#{pk}": frozenset(names) for pk, names in opened.items()}

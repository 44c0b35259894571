"""Counters of different people: rows of the ``data`` table, exact under crashes and races, by single-item writes alone.

| row | ``pk`` | ``sk`` | holds |
|---|---|---|---|
| counter | ``{tenant}#volumes`` | ``{law}#{year}`` | each counter's number, ``version``, and in ``open`` whom the last write counted |

Who is counted is marked in their own row of ``people``, as ``n#{law}{year}{counter}``: whoever finds the marks, which come
with the row, has nothing to do. Else: 1 read the counter, 2 then read the people, 3 write the counter with those who are not
marked, if nobody has written it since, 4 tell of the thresholds that were crossed, 5 mark. Nobody writes before those in
``open`` are marked, by him if need be. So at 2 whoever was counted before 1 is marked, and at 3 nobody was counted since:
nobody is counted twice. A death after 3 leaves people in ``open``, for their own event to find when it comes back, or for
whoever is counted next.
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
"""How long a counter stays after its year has begun: through the year after it, in which it is still told, and a little."""


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
    """What one write changed: a counter's number before and after it."""

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
        """Return the counters of those places where anybody was counted, in one consistent round trip."""
        keys = [self.key(place) for place in places]
        return self.read(batch_get(self.table.client, keys, self.table.region).get(self.table.name, ()))

    def of_tenant(self, tenant: str) -> dict[CounterKey, dict[str, int]]:
        """Return all of a tenant's counters."""
        return self.read(self.table.query("pk = :p", {":p": _row_of(tenant)}))

    def count(self, place: CounterKey, people: Mapping[str, frozenset[str]], tell: Tell) -> dict[str, int]:
        """Count people who are not yet, and return the counters as they then are.

        Args:
            people: rows of ``people``, each with the counters that it counts for.
            tell: is told of every change, at least once, before those whom it counted are marked. What it raises leaves the
                change in ``open``, to be told again.

        Raises:
            Unavailable: others were always faster; counting again does no harm.
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
        raise Unavailable("a counter of people was always written by somebody else; try again")

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
        """Tell of what the last write changed, and mark whom it counted."""
        for name, after in counts.items():  # 4
            before = after - _times(name, counted)
            if before < after:
                tell(Crossing(place, name, before, after))
        for pk, names in unmarked.items():  # 5
            attributes = {f"#{i}": place.mark(name) for i, name in enumerate(sorted(names))}
            assigned = ", ".join(f"{alias} = :yes" for alias in attributes)
            self._people.update({"pk": pk}, f"SET {assigned}", {":yes": True}, names=attributes)

    def _marked(self, people: set[str], place: CounterKey) -> dict[str, frozenset[str]]:
        """Return what those who are there are marked for."""
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

"""Volumes: count the different people of a tenant, publish legal thresholds, and give the law the counts.

The row of a person, which every event reads anyway, carries the marks of this year's counters: only a person's first event
of a year costs a write. Counting comes before the plan, so that the count includes the event's own person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from .. import law as laws
from ..core import times
from ..core.decide.plan import Facts
from ..core.law.volumes import COUNTERS, counters_of, laws_for, told, with_own, year_of, years_of
from ..core.tenant.configuration import Configuration
from ..core.tenant.records import Source
from ..core.tenant.subject import EventPerson as Located
from ..runtime import Runtime
from ..store.items import Item
from ..store.people import PersonRow
from ..store.volume_rows import CounterKey, Crossing
from .notify import notify


@dataclass(frozen=True)
class EventCounters:
    """The counters of an event under one law: their key, the counters, and the people to count (by row)."""

    place: CounterKey
    counters: frozenset[str]
    people: frozenset[str] = frozenset()
    years: tuple[CounterKey, ...] = ()
    """The counters that the law reads; none where no rule reads one."""


@dataclass
class ReadCounters:
    """The counters that were read: those that the law reads must be, before any person is counted."""

    runtime: Runtime
    counts: dict[CounterKey, dict[str, int]] = field(default_factory=dict)
    places: list[CounterKey] = field(default_factory=list)

    def keys(self, shares: Iterable[EventCounters]) -> list[tuple[str, dict[str, str]]]:
        """Return table and key of every row that the law may ask for and that is read now."""
        self.places = list(dict.fromkeys(place for share in shares for place in share.years))
        return self.runtime.volumes.due_keys(self.places)

    def read(self, items: Iterable[Item]) -> None:
        """Take the rows of ``keys``."""
        self.counts = self.runtime.volumes.latest(self.places, items)

    def take(self, shares: Iterable[EventCounters], people: Mapping[str, PersonRow]) -> None:
        """Count the people without a mark.

        Raises:
            Unavailable: not everyone was counted; repeating the call does no harm.
        """
        fresh: dict[CounterKey, dict[str, frozenset[str]]] = {}
        for share in shares:
            marks = {counter: share.place.mark(counter) for counter in share.counters}
            for pk in share.people:
                names = frozenset(name for name, mark in marks.items() if mark not in people[pk].marks)
                if names:
                    known = fresh.setdefault(share.place, {})
                    known[pk] = known.get(pk, frozenset()) | names
        for place, wanted in fresh.items():
            self.counts[place] = self.runtime.volumes.count(place, wanted, self._tell)

    def facts(self, shares: Iterable[EventCounters]) -> Facts:
        """Return the fact ``volumes`` of an event; nothing of a law that does not ask."""
        return {share.place.law: _told(share, self.counts) for share in shares if share.years}

    def _tell(self, crossing: Crossing) -> None:
        counter = next(c for c in COUNTERS[crossing.place.law] if c.name == crossing.counter)
        last = replace(crossing.place, year=crossing.place.year - 1)
        tell(self.runtime, crossing, self.counts.get(last, {}).get(counter.name, 0) if counter.months else 0)


def shares_of(
    runtime: Runtime,
    configuration: Configuration,
    source: Source,
    people: Iterable[tuple[str, Located]],
    classes: list[str],
    now: datetime,
) -> list[EventCounters]:
    """Return the counters of an event, law by law.

    Args:
        people: their rows, and where they are.
    """
    tenant, store = configuration.tenant, runtime.cell.country
    by_law: dict[str, set[str]] = {code: set() for code in laws_for((), tenant.controller.country, store)}
    for pk, located in people:
        for code in laws_for(located.countries, tenant.controller.country, store):
            by_law.setdefault(code, set()).add(pk)
    found = ((_share(runtime, tenant.id, code, classes, source.special, now), rows) for code, rows in by_law.items())
    return [replace(share, people=frozenset(rows)) for share, rows in found if share is not None]


def _share(
    runtime: Runtime, tenant: str, code: str, classes: Iterable[str], special: Iterable[str] | None, now: datetime
) -> EventCounters | None:
    year = year_of(runtime.law, code, now)
    if year is None:
        return None
    asked = years_of(code, year) if code in runtime.law.reads_volumes else ()
    years = tuple(CounterKey(tenant, code, y) for y in asked)
    return EventCounters(CounterKey(tenant, code, year), counters_of(code, classes, special), years=years)


def _told(share: EventCounters, counts: Mapping[CounterKey, Mapping[str, int]]) -> dict[str, int]:
    """Return the counts for one event: of counters over months only those that the event counts for, as no other is read."""
    code, year = share.place.law, share.place.year
    by_year = {place.year: counts[place] for place in share.years if place in counts}
    named = {c.name for c in COUNTERS[code] if c.months is None or c.name in share.counters}
    whole = with_own(code, told(code, by_year, year), share.counters)
    return {name: number for name, number in whole.items() if name in named}


def known(runtime: Runtime, tenant: str, base: Facts) -> Facts:
    """Read the fact ``volumes`` of an event that was counted when it came.

    Args:
        base: the facts of storing it.
    """
    subject, data = base["subject"], base["data"]
    countries = subject.get("candidates") or ([subject["country"]] if subject["country"] else [])
    shares = []
    for code in laws_for(countries, base["collector"]["country"], base["store"]["country"]):
        share = _share(runtime, tenant, code, data["classes"], data["special"], times.parse(base["now"]))
        shares += [share] if share is not None else []
    tally = ReadCounters(runtime)
    places = [place for share in shares for place in share.years]
    if places:
        tally.counts = runtime.volumes.get_latest(places)
    return tally.facts(shares)


def tell(runtime: Runtime, crossing: Crossing, earlier: int) -> None:
    """Publish the thresholds that a count has come near to or reached: each once a year.

    Args:
        earlier: the previous year's part of the count.
    """
    place, before, after = crossing.place, earlier + crossing.before, earlier + crossing.after
    for row in laws.thresholds():
        if (row.law, row.counter) != (place.law, crossing.counter):
            continue
        for event in row.events(before, after):
            data: dict[str, Any] = {
                "threshold": row.id,
                "law": row.law,
                "counter": row.counter,
                "year": place.year,
                "number": row.number,
                "count": after,
                "ref": row.ref,
                "follows": row.follows,
                "settled": row.settled,
            }
            notify(runtime, place.tenant, event, data, f"{row.id}\n{place.year}")


def thresholds(runtime: Runtime, tenant: str) -> list[dict[str, Any]]:
    """Return every legal threshold with how many people a tenant has of it now."""
    counts, now, found = runtime.volumes.of_tenant(tenant), runtime.now(), []
    for row in laws.thresholds():
        year = year_of(runtime.law, row.law, now)
        if year is None:
            continue
        by_year = {place.year: numbers for place, numbers in counts.items() if place.law == row.law}
        number = told(row.law, by_year, year)[row.counter]
        found.append(
            {
                "id": row.id,
                "law": row.law,
                "counter": row.counter,
                "year": year,
                "number": row.number,
                "count": number,
                "percent": row.percent(number),
                "near": number >= row.near_at,
                "reached": number >= row.reached_at,
                "follows": row.follows,
                "ref": row.ref,
                "source": row.source,
                "checked_on": row.checked_on.isoformat(),
                "confidence": row.confidence,
                "settled": row.settled,
            }
        )
    return found

"""The rows of counters of people (``volumes``): their keys, and what they say. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.law.volumes import COUNTERS
from .items import Item
from .people import MARK

KIND = "volumes"
Counts = dict[str, int]
People = Mapping[str, frozenset[str]]
"""Rows of ``people``, each with the counters that it counts for."""


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


def marks_of(item: Mapping[str, Any], place: CounterKey) -> frozenset[str]:
    """Return the counters of a place that a person's row is marked for."""
    return frozenset(c.name for c in COUNTERS[place.law] if place.mark(c.name) in item)


def place_of(item: Item) -> CounterKey:
    """Return the counters that a row is, or is a shard of."""
    law, _, year = item["sk"].partition("#")
    return CounterKey(item["pk"].partition("#")[0], law, int(year))


def counts_of(law: str, item: Mapping[str, Any]) -> Counts:
    """Return the numbers of a row; a missing counter is zero."""
    return {c.name: int(item.get(c.name, 0)) for c in COUNTERS[law]}


def times_counted(counter: str, people: People) -> int:
    """Return how many of some people count for a counter."""
    return sum(counter in names for names in people.values())


def opened_in(place: CounterKey, row: Item | None) -> dict[str, frozenset[str]]:
    """Return the people in ``open``, each with the counters that it was counted for."""
    opened = json.loads(row["open"]) if row else {}
    return {f"{place.tenant}#{pk}": frozenset(names) for pk, names in opened.items()}


def before_opened(row: Item | None, counts: Counts, opened: People) -> Counts:
    """Return counts that are not above those before the people in ``open`` were counted.

    A release without shards stores none. Then the row's own number before is low enough.
    """
    stored: Counts = json.loads(row.get("before") or "{}") if row else {}
    return {name: stored.get(name, number - times_counted(name, opened)) for name, number in counts.items()}

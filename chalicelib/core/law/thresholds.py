"""Legal thresholds: numbers of different people from which something else follows. Pure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from ..errors import Misconfigured
from .volumes import COUNTERS

NEAR_PERCENT = 90
Event = Literal["threshold.near", "threshold.reached"]


@dataclass(frozen=True)
class Threshold:
    """One number, the article that sets it, and how sure that is. ``reached``: from it on (at), or from the next on."""

    id: str
    law: str
    counter: str
    number: int
    reached: Literal["at", "above"]
    ref: str
    follows: str
    source: str
    checked_on: date
    confidence: Literal["verified", "memory", "unsure"]
    settled: bool

    @property
    def reached_at(self) -> int:
        """The first count that has reached it."""
        return self.number if self.reached == "at" else self.number + 1

    @property
    def near_at(self) -> int:
        """The first count that is at 90 % of it."""
        return -(-self.number * NEAR_PERCENT // 100)

    def percent(self, count: int) -> int:
        """Return how much of it a count is, in whole per cent, rounded down."""
        return count * 100 // self.number

    def events(self, before: int, after: int) -> list[Event]:
        """Return the notices due when a count rises from one number to a higher."""
        marks: tuple[tuple[Event, int], ...] = (
            ("threshold.near", self.near_at),
            ("threshold.reached", self.reached_at),
        )
        return [event for event, mark in marks if before < mark <= after]


def load(text: str) -> tuple[Threshold, ...]:
    """Read the file of thresholds, sorted by law and number.

    Raises:
        Misconfigured: a row is not one, an id stands there twice, or a counter does not exist.
    """
    try:
        rows = TypeAdapter(tuple[Threshold, ...]).validate_python(tomllib.loads(text)["threshold"])
    except (ValidationError, KeyError, ValueError) as fault:
        raise Misconfigured("thresholds.toml is no list of thresholds") from fault
    if len({row.id for row in rows}) != len(rows):
        raise Misconfigured("thresholds.toml: an id stands there twice")
    strange = [row.id for row in rows if row.counter not in {c.name for c in COUNTERS.get(row.law, ())}]
    if strange:
        raise Misconfigured(f"thresholds.toml: {strange[0]} has a counter that does not exist")
    return tuple(sorted(rows, key=lambda row: (row.law, row.counter, row.number)))

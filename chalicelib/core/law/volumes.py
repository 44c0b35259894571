"""Counts of different people by country and year: which are counted, and which number a law reads. Pure.

People are counted in the calendar year of a law's own time zone, each once a year and counter. A counter that a law reads
over twelve months is the sum of this year and the last. It includes every person met within twelve months, and counts a
person met in both years twice. It is never too low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .decision import Decision
from .loader import Law

Facts = dict[str, Any]
Decide = Callable[[Facts], Decision]
Counts = Mapping[str, int]


@dataclass(frozen=True)
class Counter:
    """One counter of a country; ``mark`` stands for it in a person's row. ``counts`` says whether an event's data do."""

    name: str
    mark: str
    counts: Callable[[frozenset[str], frozenset[str]], bool]
    months: int | None = None
    """The months that the law counts over; None: the calendar year."""


def _everybody(classes: frozenset[str], special: frozenset[str]) -> bool:
    return True


def _of(category: str) -> Callable[[frozenset[str], frozenset[str]], bool]:
    return lambda classes, special: category in special


COUNTERS: Mapping[str, tuple[Counter, ...]] = {
    "CN": (
        Counter("subjects_ytd", "p", _everybody),
        Counter("sensitive_ytd", "s", lambda classes, special: bool(special)),
    ),
    "RU": (Counter("subjects_ytd", "p", _everybody),),
    "US": (
        Counter(
            "identifiers_12m", "i", lambda classes, _: "identifier" in classes or {"contact", "name"} <= classes, 12
        ),
        Counter("geo_devices_12m", "l", lambda classes, _: "location" in classes, 12),
        Counter("health_12m", "h", _of("health"), 12),
        Counter("biometric_12m", "b", _of("biometric"), 12),
        Counter("financial_12m", "f", _of("financial"), 12),
        Counter("genomic_12m", "g", _of("genetic"), 12),
    ),
}
"""The counters of each law."""

_REACH: Mapping[str, frozenset[str]] = {
    "CN": frozenset({"subject", "collector", "store"}),
    "RU": frozenset({"subject", "collector"}),
    "US": frozenset({"subject"}),
}
"""Whom a law counts: people in its country, whomever a tenant there collects, whomever it keeps there. 28 CFR part 202 is
about persons in the United States alone."""


def laws_for(countries: Iterable[str], collector: str, store: str) -> list[str]:
    """Return the laws that count a person.

    Args:
        countries: those that may be the person's.
        collector: the tenant's country.
        store: the cell's.
    """
    limbs = {"subject": frozenset(countries), "collector": frozenset({collector}), "store": frozenset({store})}
    return [code for code, reach in _REACH.items() if any(code in limbs[limb] for limb in reach)]


def counters_of(code: str, classes: Iterable[str], special: Iterable[str] | None) -> frozenset[str]:
    """Return the counters of a law that an event's data count for.

    Args:
        special: the declared special categories of its source; None, unknown, counts for none of its own.
    """
    given, declared = frozenset(classes), frozenset(special or ())
    return frozenset(c.name for c in COUNTERS[code] if c.counts(given, declared))


def year_of(law: Law, code: str, now: datetime) -> int | None:
    """Return the year in which a law counts now; None where the pack does not hold that law."""
    return next((f.calendar.day(now).year for f in law.files if f.code == code), None)


def years_of(code: str, year: int) -> tuple[int, ...]:
    """Return the years whose counts a law reads."""
    return (year, year - 1) if any(c.months for c in COUNTERS[code]) else (year,)


def told(code: str, by_year: Mapping[int, Counts], year: int) -> dict[str, int]:
    """Return the values of a law's counters; a missing counter is zero."""
    return {
        c.name: sum(by_year.get(y, {}).get(c.name, 0) for y in (years_of(code, year) if c.months else (year,)))
        for c in COUNTERS[code]
    }


def with_own(code: str, counts: Counts, own: Iterable[str]) -> dict[str, int]:
    """Return counts that include at least the person of the event being decided: declarations may have changed since the count."""
    own = frozenset(own)
    return {name: max(number, 1) if name in own else number for name, number in counts.items()}


def asking(decide: Decide, counts: Callable[[], Facts]) -> Decide:
    """Return ``decide`` that reads the counts of people only where the law asks for them.

    Most decisions do not depend on counts: they are made without, and stay the same when new people come. A count that is
    unknown when asked stays unknown, which holds.

    Args:
        counts: the fact ``volumes``; empty where it is unknown. Called at most once a decision.
    """

    def ask(facts: Facts) -> Decision:
        decision = decide(facts)
        if not any(path.startswith("volumes.") for path in decision.missing):
            return decision
        known = counts()
        return decide({**facts, "volumes": known}) if known else decision

    return ask

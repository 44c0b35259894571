"""The conditions of rules, in three-valued logic. ``compiling`` makes them from a law file.

A condition is a table, and all its entries must hold. False beats unknown beats true; in ``any_of`` true beats unknown
beats false. An unknown answer carries the paths of the facts that would settle it; a true one the basis records that made
it true. The order of entries, alternatives and records never matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from .bases import BasisKind, BasisRecord
from .clocks import Calendar
from .derived import BulkCounts
from .facts import UNKNOWN_ONWARD, FactParty, Facts

NONE: frozenset[str] = frozenset()


class Truth(NamedTuple):
    """True, false or unknown (None), with the paths that are unknown and the ids of the records relied on."""

    truth: bool | None
    unknown: frozenset[str] = NONE
    records: frozenset[str] = NONE


YES = Truth(True)
NO = Truth(False)


@dataclass(frozen=True, slots=True)
class DatedRow:
    """One row of a dated list: its members from a day (inclusive) to a day (exclusive, None = open)."""

    effective_from: date
    effective_to: date | None
    members: frozenset[str]

    def counts_on(self, day: date) -> bool:
        """Say whether the row counts on a day."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


Lists = Mapping[str, tuple[DatedRow, ...]]


@dataclass(slots=True)
class ConditionFacts:
    """The input of a condition: the facts under one law on its civil day, for one party and one country.

    ``records`` are the basis records that are valid on the day, by kind. ``transfer`` says that ``destination`` is a country
    outside the law's own; ``relied`` is the permit that this transfer relies on. ``bulk`` is the law's.
    """

    facts: Facts
    sent: frozenset[str] | None
    derived: dict[str, Truth]
    bulk: BulkCounts
    code: str
    day: date
    calendar: Calendar
    lists: Lists
    records: Mapping[BasisKind, Sequence[BasisRecord]]
    party: FactParty | None = None
    destination: str | None = None
    relied: str | None = None


Check = Callable[[ConditionFacts], Truth]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition, and how often it must be asked: once, for each party, or for each party and country."""

    check: Check
    per_party: bool = False
    per_destination: bool = False
    bound: bool = False
    relies: bool = False


@dataclass(frozen=True, slots=True)
class WaitingPeriod:
    """A waiting period in working days from a date on a record that is bound to the recipient."""

    kind: BasisKind
    field: str
    working_days: int

    def ends(self, scene: ConditionFacts) -> tuple[list[tuple[date, str]], frozenset[str]]:
        """Return the last day of the wait and the record, for each record that proves one; and the unknown paths."""
        ends, unknown = [], set()
        for record in scene.records.get(self.kind, ()):
            party = scene.party
            if party is None or party.id is None or record.recipient != party.id:
                continue
            start = record.fields.get(self.field)
            lacks = record.unproved() or (None if start else f"bases.{record.id}.{self.field}")
            if lacks:
                unknown.add(lacks)
                continue
            last, years = scene.calendar.working_day(start, self.working_days) if start else (date.max, NONE)
            unknown |= {f"calendar.{scene.code}.{year}" for year in years}
            if not years:
                ends.append((last, record.id))
        return ends, frozenset(unknown)


def all_hold(checks: Sequence[Check]) -> Check:
    """Join checks so that all must hold."""
    if len(checks) == 1:
        return checks[0]

    def check(scene: ConditionFacts) -> Truth:
        truth: bool | None = True
        unknown, records = NONE, NONE
        for each in checks:
            answer = each(scene)
            if answer.truth is False:
                return NO
            if answer.truth is None:
                truth = None
                unknown |= answer.unknown
            elif answer.records:
                records |= answer.records
        return YES if truth and not records else Truth(truth, unknown, NONE if truth is None else records)

    return check


def any_holds(checks: Sequence[Check]) -> Check:
    """Join checks so that one suffices."""

    def check(scene: ConditionFacts) -> Truth:
        truth: bool | None = False
        unknown, records = NONE, NONE
        for answer in [each(scene) for each in checks]:
            if answer.truth:
                truth = True
                records |= answer.records
            elif answer.truth is None:
                truth = truth or None
                unknown |= answer.unknown
        return Truth(True, NONE, records) if truth else Truth(truth, NONE if truth is False else unknown)

    return check


def none_holds(checks: Sequence[Check]) -> Check:
    """Join checks so that not one may hold."""
    some = any_holds(checks)

    def check(scene: ConditionFacts) -> Truth:
        answer = some(scene)
        if answer.truth is None:
            return answer
        return NO if answer.truth else YES

    return check


# --- reading facts -----------------------------------------------------------------------------------------------------

_STORE_PATHS = {"entity_country": "store.country", "processing_countries": "store.country"}


def _known(scene: ConditionFacts, path: str) -> tuple[Any, Truth | None]:
    """Return a fact's value, or the answer for a missing one: None (there is no such thing) or unknown."""
    if not path.startswith("hop."):
        value = scene.facts.values.get(path)
        if value is not None:
            return value, None
        if scene.facts.no_such_thing(path):
            return None, None
        return None, Truth(None, frozenset({"subject.country" if path == "subject.countries" else path}))
    name, party = path[4:], scene.party
    value = None if party is None else party.values.get(name)
    if value is not None or party is None:
        return value, None
    if party.path == "store":
        at = _STORE_PATHS.get(name)
        return None, Truth(None, frozenset({at})) if at else None
    return None, Truth(None, frozenset({place_of(party, name)}))


def place_of(party: FactParty, name: str) -> str:
    """Return where the facts would say this of a party."""
    return party.path if party.path == UNKNOWN_ONWARD.path else f"{party.path}.{name}"


def on_fact(path: str, holds: Callable[[Any, ConditionFacts], bool], absent: bool = False) -> Check:
    """Make a check of one fact; ``absent`` is the answer where there is no such thing."""

    def check(scene: ConditionFacts) -> Truth:
        value, unknown = _known(scene, path)
        if unknown is not None:
            return unknown
        if value is None:
            return YES if absent else NO
        return YES if holds(value, scene) else NO

    return check


def is_present(path: str) -> Check:
    """Make a check that a fact is known."""

    def check(scene: ConditionFacts) -> Truth:
        value, unknown = _known(scene, path)
        if unknown is not None:
            return unknown
        return YES if value is not None else Truth(None, frozenset({path}))

    return check


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "gte": lambda a, b: bool(a >= b),
    "gt": lambda a, b: bool(a > b),
    "lt": lambda a, b: bool(a < b),
    "lte": lambda a, b: bool(a <= b),
}


def in_list(name: str, wanted: bool) -> Callable[[Any, ConditionFacts], bool]:
    """Make a test that a value is, or is not, in the law's dated list on the day."""

    def holds(value: Any, scene: ConditionFacts) -> bool:
        return any(value in row.members and row.counts_on(scene.day) for row in scene.lists[name]) is wanted

    return holds

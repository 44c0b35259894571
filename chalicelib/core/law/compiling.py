"""Compile the conditions of a law file. The table of forms is ``_FORMS``; everything else is a fact's path.

Every fault is reported, with its place; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

from .bases import UNBOUND, BasisKind, BasisRecord
from .conditions import (
    COMPARE,
    NO,
    NONE,
    YES,
    Check,
    Condition,
    ConditionFacts,
    Truth,
    WaitingPeriod,
    all_hold,
    any_holds,
    in_list,
    is_present,
    none_holds,
    on_fact,
    place_of,
)
from .derived import DERIVED, special_sent
from .fact_fields import BASIS_FIELDS, DATE, PATHS, FactField
from .facts import FactParty

COUNTRY = PATHS["store.country"]
LANGUAGE = 2
"""The version of the rule language. In the first, a record counted beyond the recipient that it names for some kinds, and
a field that a record does not state was a no. A pack of that time still decides by it."""
_CONSENTS = frozenset({BasisKind.CONSENT, BasisKind.EXPLICIT_CONSENT})
_FieldTest = Callable[[Mapping[str, Any]], bool | None]


def _holds(compare: Callable[[Any, Any], bool], bound: Any, value: Any) -> bool:
    return compare(value, bound)


def _counts_for(record: BasisRecord, party: FactParty | None, bound: bool) -> bool | None:
    """Say whether a record counts for a party. One that names a recipient counts for that one alone.

    A consent that names no recipient is the ground of storing only: nobody consents to all recipients.
    """
    if record.recipient is not None and party is not None and party.id is None:
        return None
    id = party.id if party is not None else None
    if record.recipient is None and record.kind in _CONSENTS and party is not None and party.path != "store":
        return False
    return record.recipient == id or (record.recipient is None and not bound)


def _counted_for(record: BasisRecord, party: FactParty | None, bound: bool) -> bool:
    """Say the same in the first rule language."""
    id = party.id if party is not None else None
    return record.recipient == id or not (bound or (record.recipient is not None and record.kind not in UNBOUND))


class Compiler:
    """Compile the conditions of one rule. Each problem goes to ``faults`` with its place."""

    def __init__(
        self,
        list_names: frozenset[str],
        permits: frozenset[str],
        faults: list[str],
        place: str,
        language: int = LANGUAGE,
    ) -> None:
        self._language = language
        self._list_names = list_names
        self._permits = permits
        self._faults = faults
        self._place = place

    def condition(self, table: object, part: str) -> Condition:
        """Compile one table."""
        self._part = part
        self._party = self._destination = self._bound = self._relies = False
        check = self._table(table)
        return Condition(check, self._party, self._destination, self._bound, self._relies)

    def wait(self, table: object) -> WaitingPeriod | None:
        """Compile the ``waited`` of a permit."""
        self._part = "when.waited"
        return self._wait(table)

    def _fault(self, said: str) -> None:
        self._faults.append(f"{self._place}: {self._part}: {said}")

    def _table(self, table: object) -> Check:
        if not isinstance(table, dict):
            self._fault("must be a table of conditions")
            return lambda _: NO
        checks = [check for key, value in table.items() for check in self._entry(key, value)]
        return all_hold(checks) if checks else lambda _: YES

    def _entry(self, key: str, value: object) -> list[Check]:
        special = _FORMS.get(key)
        if special is not None:
            return [special(self, value)]
        if key in DERIVED:
            return [self._derived(key, value)]
        leaf = PATHS.get(key)
        if leaf is None:
            self._fault(f"unknown fact path or operator {key!r}")
            return []
        self._party |= key.startswith("hop.")
        return self._fact(key, leaf, value)

    def _fact(self, path: str, leaf: FactField, value: object) -> list[Check]:
        if not isinstance(value, dict):
            if leaf.many:
                self._fault(f"{path} is a list: ask what it has")
                return []
            wanted = frozenset(self._values(path, leaf, value))
            return [on_fact(path, lambda v, _: v in wanted)]
        return [check for op, operand in value.items() for check in self._operation(path, leaf, op, operand)]

    def _operation(self, path: str, leaf: FactField, op: str, operand: object) -> list[Check]:
        if op == "present" and operand is True:
            return [is_present(path)]
        if op == "has" and leaf.many:
            wanted = self._bound_value(path, leaf, operand)
            return [on_fact(path, lambda v, _: wanted in v)]
        if op == "not_in" and not leaf.many:
            barred = frozenset(self._values(path, leaf, operand))
            return [on_fact(path, lambda v, _: v not in barred, absent=True)]
        if op in ("in_list", "not_in_list") and not leaf.many:
            return self._membership(path, op, operand)
        if op in COMPARE and leaf.ordered:
            compare, bound = COMPARE[op], self._bound_value(path, leaf, operand)
            return [on_fact(path, lambda v, _: compare(v, bound))] if bound is not None else []
        self._fault(f"unknown operator {op!r} for {path}")
        return []

    def _membership(self, path: str, op: str, operand: object) -> list[Check]:
        if not isinstance(operand, str) or operand not in self._list_names:
            self._fault(f"unknown list name {operand!r}")
            return []
        return [on_fact(path, in_list(operand, op == "in_list"))]

    def _bound_value(self, path: str, leaf: FactField, operand: object) -> Any:
        if isinstance(operand, date) and not isinstance(operand, datetime):
            operand = operand.isoformat()
        return next(iter(self._values(path, leaf, operand)), None)

    def _values(self, path: str, leaf: FactField, value: object) -> list[Any]:
        read = []
        for item in value if isinstance(value, list) else [value]:
            try:
                read.append(leaf.read(item))
            except ValueError as fault:
                self._fault(f"{path}: {item!r} {fault}")
        return read

    def _derived(self, name: str, value: object) -> Check:
        if name == "destination":
            self._party = self._destination = True
            return self._on_destination(value)
        if name == "held_hours":
            return self._held(value)
        if not isinstance(value, bool):
            self._fault(f"{name} is true or false")
            return lambda _: NO
        if name == "transfer":
            self._party = self._destination = True
            return lambda scene: YES if (scene.destination is not None) is value else NO

        derive = DERIVED[name]

        def check(scene: ConditionFacts) -> Truth:
            answer = scene.derived.get(name)
            if answer is None:
                truth, unknown = derive(scene.facts, scene.sent, scene.bulk)
                answer = scene.derived[name] = Truth(truth, unknown)
            if answer.truth is None:
                return answer
            return YES if answer.truth is value else NO

        return check

    def _on_destination(self, value: object) -> Check:
        if not isinstance(value, dict):
            wanted = frozenset(self._values("destination", COUNTRY, value))
            return lambda scene: YES if scene.destination in wanted else NO
        tests: list[Callable[[Any, ConditionFacts], bool]] = []
        for op, operand in value.items():
            if op not in ("in_list", "not_in_list"):
                self._fault(f"unknown operator {op!r} for destination")
            elif not isinstance(operand, str) or operand not in self._list_names:
                self._fault(f"unknown list name {operand!r}")
            else:
                tests.append(in_list(operand, op == "in_list"))
        return lambda scene: (
            YES if scene.destination is not None and all(t(scene.destination, scene) for t in tests) else NO
        )

    def _held(self, value: object) -> Check:
        bounds = []
        for op, hours in value.items() if isinstance(value, dict) else ():
            if op in COMPARE and isinstance(hours, int) and not isinstance(hours, bool):
                bounds.append((COMPARE[op], hours))
            else:
                self._fault(f"unknown operator {op!r} for held_hours")
        if not bounds:
            self._fault("held_hours is compared with whole hours")

        def check(scene: ConditionFacts) -> Truth:
            since = scene.facts.values.get("held_since")
            if since is None:
                return NO
            held = (scene.facts.now - since).total_seconds() / 3600
            return YES if all(compare(held, hours) for compare, hours in bounds) else NO

        return check

    def _any_of(self, value: object) -> Check:
        return any_holds(self._tables("any_of", value))

    def _none_of(self, value: object) -> Check:
        return none_holds(self._tables("none_of", value))

    def _tables(self, key: str, value: object) -> list[Check]:
        if not isinstance(value, list) or not value:
            self._fault(f"{key} is a list of conditions")
            return []
        return [self._table(item) for item in value]

    def _special_any(self, value: object) -> Check:
        if value is not True:
            self._fault("special_any is true")
        return lambda scene: Truth(*special_sent(scene.facts, scene.sent, None))

    def _special_in(self, value: object) -> Check:
        wanted = frozenset(self._values("special_in", PATHS["data.special"], value))
        return lambda scene: Truth(*special_sent(scene.facts, scene.sent, wanted))

    def _never(self, value: object) -> Check:
        if value is not True:
            self._fault("never is true")
        return lambda _: NO

    def _relies_on(self, value: object) -> Check:
        self._party = self._destination = self._relies = True
        if value == "none":
            return lambda scene: YES if scene.relied is None else NO
        ids = frozenset(map(str, value)) if isinstance(value, list) else frozenset()
        for name in sorted(ids - self._permits) or ([] if ids else ["nothing"]):
            self._fault(f"relies on {name}, which is no permit of this file")
        return lambda scene: YES if scene.relied in ids else NO

    def _kinds(self, value: object) -> frozenset[BasisKind]:
        kinds = set()
        for item in value if isinstance(value, list) else [value]:
            try:
                kinds.add(BasisKind(str(item)))
            except ValueError:
                self._fault(f"unknown basis kind {item!r}")
        return frozenset(kinds)

    def _basis(self, value: object) -> Check:
        if not isinstance(value, dict) or "kind" not in value:
            self._fault("basis is a table with a kind")
            return lambda _: NO
        kinds = sorted(self._kinds(value["kind"]))
        bound = value.get("bound", False)
        if not isinstance(bound, bool):
            self._fault("bound is true or false")
        self._bound |= bool(bound)
        self._party |= bool(bound) or self._language > 1 or not UNBOUND.issuperset(kinds)
        tests = [(n, self._field(n, wanted)) for n, wanted in value.items() if n not in ("kind", "bound")]
        counts = _counts_for if self._language > 1 else _counted_for

        def check(scene: ConditionFacts) -> Truth:
            party = scene.party
            if bound and party is not None and party.id is None:
                return Truth(None, frozenset({place_of(party, "id")}))
            found, unknown = set(), set()
            for kind in kinds:
                for record in scene.records.get(kind, ()):
                    counted = counts(record, party, bool(bound))
                    answers = [(name, test(record.fields)) for name, test in tests]
                    if counted is False or any(answer is False for _, answer in answers):
                        continue
                    lacks = {f"bases.{record.id}.{name}" for name, answer in answers if answer is None}
                    if counted is None and party is not None:
                        lacks.add(place_of(party, "id"))
                    if (unproved := record.unproved()) is not None:
                        lacks.add(unproved)
                    if lacks:
                        unknown |= lacks
                    else:
                        found.add(record.id)
            if found:
                return Truth(True, NONE, frozenset(found))
            return Truth(None, frozenset(unknown)) if unknown else NO

        return check

    def _field(self, name: str, wanted: object) -> _FieldTest:
        leaf = BASIS_FIELDS.get(name)
        if not isinstance(leaf, FactField):
            self._fault(f"unknown field {name!r} of a basis record")
            return lambda _: False
        tests: list[Callable[[Any], bool]] = []
        if not isinstance(wanted, dict):
            values = frozenset(self._values(name, leaf, wanted))
            tests.append(lambda value: value in values)
        else:
            for op, operand in wanted.items():
                if op in COMPARE and leaf.ordered:
                    tests.append(partial(_holds, COMPARE[op], self._bound_value(name, leaf, operand)))
                elif not (op == "present" and operand is True):
                    self._fault(f"unknown operator {op!r} for {name}")
        # A rule that asks whether a date is there has its answer where there is none: the act was not done.
        unstated = False if self._language == 1 or wanted == {"present": True} else None

        def test(fields: Mapping[str, Any]) -> bool | None:
            value = fields.get(name)
            return unstated if value is None else all(each(value) for each in tests)

        return test

    def _wait(self, value: object) -> WaitingPeriod | None:
        self._party = self._bound = True
        if not isinstance(value, dict) or set(value) != {"kind", "field", "working_days"}:
            self._fault("needs kind, field and working_days")
            return None
        kinds = self._kinds(value["kind"])
        leaf = BASIS_FIELDS.get(str(value["field"]))
        if not isinstance(leaf, FactField) or leaf.read is not DATE.read:
            self._fault(f"unknown date field {value['field']!r} of a basis record")
        if type(value["working_days"]) is not int or not 0 < value["working_days"] <= 366:
            self._fault("working_days is a whole number from 1 to 366")
            return None
        return WaitingPeriod(next(iter(kinds)), value["field"], value["working_days"]) if len(kinds) == 1 else None

    def _within(self, value: object) -> Check:
        wait = self._wait(value)
        if wait is None:
            return lambda _: NO

        def check(scene: ConditionFacts) -> Truth:
            ends, unknown = wait.ends(scene)
            open_still = frozenset(record for last, record in ends if scene.day <= last)
            if open_still:
                return Truth(True, NONE, open_still)
            return Truth(None, unknown) if unknown else NO

        return check

    def _misplaced_wait(self, _: object) -> Check:
        self._fault("waited stands only at the top of a permit's when")
        return lambda _: NO


_FORMS: Mapping[str, Callable[[Compiler, object], Check]] = {
    "any_of": Compiler._any_of,
    "none_of": Compiler._none_of,
    "special_any": Compiler._special_any,
    "special_in": Compiler._special_in,
    "basis": Compiler._basis,
    "within": Compiler._within,
    "waited": Compiler._misplaced_wait,
    "relies": Compiler._relies_on,
    "never": Compiler._never,
}
"""The entries of a condition that are not facts."""

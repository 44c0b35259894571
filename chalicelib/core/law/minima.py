"""Statutory minima: until when the law demands that the content of an event is kept, against any request to erase it. Pure.

A rule file states minima (kind ``retain``); the facts of storing the event decide which of them count. An unknown fact of a
person keeps the content as long as it might have to be kept. No rule file states a maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import times
from .conditions import ConditionFacts
from .decision import VERDICTS, Decision
from .facts import FactParty, Facts
from .law_file import LawFile
from .loader import Law
from .rules import Rule

LAYER = "content"
"""The layer of an event that the cell keeps, of those that rules distinguish; the log has its own rules."""
_REACHED_BY = (("collector", "country"), ("subject", "country"), ("subject", "citizenship"), ("store", "country"))


@dataclass(frozen=True)
class Minimum:
    """Until when content must be kept, and the rules that say so."""

    until: datetime
    rules: tuple[Mapping[str, str], ...]


class Minima:
    """The minima of a law. Most tenants are under no rule that states one, and cost a comparison of countries.

    Args:
        decide: ``Decider.decide`` of the same law, which caches its decisions.
    """

    def __init__(self, law: Law, decide: Callable[[Mapping[str, Any]], Decision]) -> None:
        self._law = law
        self._decide = decide
        files = (law.any, *law.files)
        self._files = tuple(file for file in files if any(_keeps_content(file, rule) for rule in file.rules))
        self._everywhere = law.any in self._files

    def of(self, facts: Mapping[str, Any], created_at: datetime) -> Minimum | None:
        """Return until when the content of an event must be kept; None where no rule asks for it.

        Args:
            facts: those of storing it.
            created_at: when it was received.
        """
        if not self._everywhere and not any(file.countries & _countries(facts) for file in self._files):
            return None
        # Without the time, which is asked below: so the answer is the same for every event of a day.
        asked = {**facts, "op": "expire", "item": {"layer": LAYER}}
        findings = self._decide(asked).findings
        rules = {f.provision.id: f.provision for f in findings if isinstance(f.provision, Rule)}
        ends = {rule.id: _end(self._law.file(rule.law), rule, created_at) for rule in rules.values() if rule.minimum}
        if not ends:
            return None
        until = max(ends.values())
        longest = sorted(id for id, end in ends.items() if end == until)
        return Minimum(until, tuple({"id": i, "verdict": VERDICTS["deny"], "ref": rules[i].ref} for i in longest))


def _countries(facts: Mapping[str, Any]) -> frozenset[str]:
    named = (facts[thing].get(name) for thing, name in _REACHED_BY)
    return frozenset(c for c in (*named, *(facts["subject"].get("candidates") or ())) if c is not None)


def _end(file: LawFile, rule: Rule, created_at: datetime) -> datetime:
    assert rule.minimum is not None
    return file.calendar.midnight(file.calendar.last_day(file.calendar.day(created_at), rule.minimum))


def _keeps_content(file: LawFile, rule: Rule) -> bool:
    """Return whether a rule can demand that content is kept, under any value of the unknown facts."""
    if rule.minimum is None:
        return False
    nobody = FactParty("recipient", {})
    facts = Facts(times.EARLIEST, {"item.layer": LAYER}, frozenset(), (), nobody, None, ())
    day = file.calendar.day(times.EARLIEST)
    # No count is known here, so no number of bulk data is compared.
    scene = ConditionFacts(facts, None, {}, {}, file.code, day, file.calendar, file.lists, {})
    return rule.when.check(scene).truth is not False

"""Readiness of one flow: its decision by law, all its gaps, and how many days the formalities take. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import times
from ..decide.plan import Cell, Decide, Facts, combine, route_facts, source_facts, stopped
from ..law.clocks import ONE_DAY
from ..law.decision import Decision, Finding
from ..law.loader import Law
from ..law.rules import Rule
from ..log.entry import VERDICTS
from ..tenant.configuration import Configuration
from ..tenant.records import Route, Source
from ..tenant.switches import RULE, stopped_by
from .preflight import FlowExamination, examine

_DAY_S = timedelta(days=1).total_seconds()


@dataclass(frozen=True)
class Formality:
    """Days that a rule makes a flow wait: ``wait`` after a filing, or ``file``, the days within which to file."""

    rule: str
    ref: str
    kind: str
    days: int

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {"rule": self.rule, "ref": self.ref, "kind": self.kind, "days": self.days}


def readiness(
    configuration: Configuration,
    source: Source,
    route: Route,
    cell: Cell,
    *,
    classes: Sequence[str],
    now: datetime,
    law: Law,
    decide: Decide,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return all gaps of a flow, by the strictest of its source's messengers; for a route that restricts also, as ``pull``, the gaps of its recipient's pulls.

    Args:
        classes: the data classes that are sent.
        law: the law that ``decide`` decides by.
        names: the ids for ``source``, ``recipient`` and ``route`` in the calls that supply missing facts.
    """

    def flow(route: Route, decide: Decide) -> dict[str, Any]:
        shown = (
            _flow(configuration, source, route, cell, classes, now, law, decide, names, messenger)
            for messenger in source.messengers or (None,)
        )
        return max(shown, key=lambda of: VERDICTS.index(of["decision"]))

    if route.mode != "restrict":
        return flow(route, decide)
    whole = route.model_copy(update={"mode": "replicate", "pull_hours": None})
    return {**flow(route, decide), "pull": flow(whole, lambda facts: decide(as_looked_at(facts)))}


def as_looked_at(facts: Facts) -> Facts:
    """Return the facts of a delivery as those of a look; others as they are."""
    return {**facts, "op": "view"} if facts["op"] == "deliver" else facts


def _flow(
    configuration: Configuration,
    source: Source,
    route: Route,
    cell: Cell,
    classes: Sequence[str],
    now: datetime,
    law: Law,
    decide: Decide,
    names: Mapping[str, str] | None,
    messenger: str | None,
) -> dict[str, Any]:
    base = source_facts(
        configuration,
        source,
        cell,
        op="store",
        classes=list(classes),
        now=now,
        received_at=now,
        messenger=messenger,
    )
    store = examine(base, decide, law, names)
    facts = route_facts(base, configuration, route)
    named = {basis["id"] for basis in facts["bases"]}
    others = [basis for basis in base["bases"] if basis["id"] not in named]
    deliver = examine(facts, decide, law, names, others if route.bases is not None else None)
    judgement = combine(store.decision, deliver.decision, tuple(facts["bases"]))
    gaps = {gap.path: gap for gap in (*store.gaps, *deliver.gaps)}
    refused = {rule["id"]: rule for rule in (*store.refused, *deliver.refused)}
    switch = stopped_by(configuration.switches, route.destination, facts, now)
    if switch is not None:  # the switch comes before the law, whose gaps are shown too: they remain after the switch
        judgement, refused = stopped(switch), {**refused, RULE["id"]: RULE}
    formalities = {f.rule: f for examined in (store, deliver) for f in _formalities(examined, law, now)}
    obligations = {str(o["rule"]): o for examined in (store, deliver) for o in examined.decision.obligations}
    return {
        "decision": judgement.verdict,
        "ready": judgement.verdict in ("allowed", "redacted"),
        "rules": law.marked(judgement.rules),
        "missing": [{**gaps[path].document(), "title": law.title(gaps[path].rule)} for path in sorted(gaps)],
        "refused": law.marked(refused[rule] for rule in sorted(refused)),
        "days_needed": sum(f.days for f in formalities.values()),
        "formalities": [{**formalities[rule].document(), "title": law.title(rule)} for rule in sorted(formalities)],
        "obligations": law.obliged(obligations[rule] for rule in sorted(obligations)),
        "unreadable": [one.document() for one in configuration.unreadable_of(route)],
    }


def _formalities(examined: FlowExamination, law: Law, now: datetime) -> Iterator[Formality]:
    """Yield the waits and filing days of the rules that do not let the flow pass yet, and would once the gaps are filled."""
    passes = {(f.provision.id, f.hop) for f in examined.decision.findings if f.effect == "allow"}
    for finding in examined.filled.findings:
        rule = finding.provision
        if not isinstance(rule, Rule) or (rule.id, finding.hop) in passes:
            continue
        if rule.waited is not None:
            yield Formality(rule.id, rule.ref, "wait", _wait(finding, rule, examined.filled, law, now))
        elif finding.effect == "allow" and (filing := _within(law.rows[rule.id].get("require", {}))) is not None:
            yield Formality(rule.id, rule.ref, "file", _days(rule, filing, law, now))


def _wait(finding: Finding, rule: Rule, filled: Decision, law: Law, now: datetime) -> int:
    if (
        finding.effect == "hold" and filled.retry_at is not None
    ):  # a filing that was made already delays the flow until then
        return math.ceil((times.parse(filled.retry_at) - now).total_seconds() / _DAY_S)
    assert rule.waited is not None
    # Over is a wait on the day after its last one.
    return _days(rule, rule.waited.working_days, law, now) + 1


def _days(rule: Rule, working_days: int, law: Law, now: datetime) -> int:
    """Return how many days from today working days take; of years whose holidays are unknown, weekends alone are free."""
    calendar = law.file(rule.law).calendar
    today = calendar.day(now)
    return (calendar.working_day(today, working_days)[0] - today) // ONE_DAY


def _within(table: object) -> int | None:
    """Return the working days of a ``within`` anywhere in a condition."""
    if isinstance(table, Mapping):
        if isinstance(table.get("within"), Mapping):
            return int(table["within"]["working_days"])
        return next((found for value in table.values() if (found := _within(value)) is not None), None)
    if isinstance(table, list):
        return next((found for value in table if (found := _within(value)) is not None), None)
    return None

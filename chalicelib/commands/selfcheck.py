"""``waybill selfcheck``: which rules of the law files are to be looked at again, and which nobody can be sure of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from ..core.law.loader import Law
from ..core.law.rules import Rule

STALE = timedelta(days=90)
"""A rule that was compared with its source longer ago is to be compared again."""


def examine(law: Law, today: date) -> dict[str, Any]:
    """Return the rules in force, or to come, that were checked too long ago, are unsettled, or of unverified reading."""
    rules = [r for r in _rules(law) if r.effective_to is None or r.effective_to > today]
    return {
        "rules_version": law.version,
        "rules_hash": law.hash,
        "today": today.isoformat(),
        "rules": len(rules),
        "stale": [_shown(r) for r in rules if today - r.checked_on > STALE],
        "unsettled": [_shown(r) for r in rules if not r.settled],
        "unverified": [_shown(r) for r in rules if r.confidence != "verified"],
    }


def _rules(law: Law) -> Iterator[Rule]:
    for file in (law.any, *law.files):
        yield from (*file.permits, *file.rules)


def _shown(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "ref": rule.ref,
        "checked_on": rule.checked_on.isoformat(),
        "confidence": rule.confidence,
        "settled": rule.settled,
    }


def exit_code(report: Mapping[str, Any]) -> int:
    """Return 1 where a rule has not been checked for too long; what lawyers doubt is no fault of the files."""
    return 1 if report["stale"] else 0


def as_text(report: Mapping[str, Any]) -> str:
    """Lay a report out for a person."""
    lines = [f"Rules {report['rules_version']}: {report['rules']} in force or to come on {report['today']}"]
    for name, says in (
        ("stale", f"not compared with their source for more than {STALE.days} days"),
        ("unsettled", "lawyers read them differently"),
        ("unverified", "their reading is from memory, or unsure"),
    ):
        rules = report[name]
        lines += ["", f"{len(rules)} {name}: {says}"]
        lines += [f"  {r['id']}  {r['ref']}  ({r['confidence']}, checked on {r['checked_on']})" for r in rules]
    return "\n".join(lines)

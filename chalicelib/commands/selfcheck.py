"""``waybill selfcheck``: which rules of the law files need a new check, and which have an unsure reading."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..core.law.loader import Law
from ..core.law.rules import Rule
from .decide import load_or_report
from .parser import RULES_DO_NOT_LOAD, CommandParser

STALE = timedelta(days=90)
"""A rule whose last comparison with its source is older needs a new one."""


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.add_law()
    parser.add_argument(
        "--today",
        type=date.fromisoformat,
        metavar="DATE",
        help="the day of the check, such as 2026-11-30 (default: today)",
    )
    parser.add_json()
    parser.explain(
        "Only the rule files; standard input is not read. No network, no store.",
        "waybill selfcheck --today 2026-11-30",
        {
            0: "no rule is stale",
            1: f"a rule was not compared with its source for {STALE.days} days",
            2: "wrong usage, or the rule files do not load",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    law = load_or_report("selfcheck", arguments.law)
    if law is None:
        return RULES_DO_NOT_LOAD
    report = examine(law, arguments.today or datetime.now(UTC).date())
    print(json.dumps(report, ensure_ascii=True, indent=2) if arguments.json else as_text(report))
    return exit_code(report)


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

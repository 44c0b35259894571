"""The effect of other rules on past transfers: each is decided again, and the changes are counted. Pure.

The report names no person: only countries, rules, counts, and the tenant's own recipients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .. import times
from ..decide.plan import Decide
from ..law.clocks import months_later, period
from ..law.raised import SWITCH
from ..log.entry import VERDICTS
from ..tenant.configuration import Configuration
from ..verify.redecide import redecide

_UNKNOWN = "unknown"
_UNITS: Mapping[str, timedelta] = {"H": timedelta(hours=1), "D": timedelta(days=1)}
_MONTHS: Mapping[str, int] = {"M": 1, "Y": 12}


def since(text: str, until: datetime) -> datetime:
    """Count a period such as ``P30D``, ``PT24H``, ``P3M`` back from an instant.

    Raises:
        ValueError: it is none, or counts working days, which no two laws count alike.
    """
    asked = period(text)
    if asked.unit in _UNITS:
        return until - asked.count * _UNITS[asked.unit]
    if asked.unit not in _MONTHS:
        raise ValueError("a period of hours, days, months or years: PT24H, P30D, P3M, P1Y")
    day = months_later(until.date(), -asked.count * _MONTHS[asked.unit])
    return until.replace(year=day.year, month=day.month, day=day.day)


@dataclass
class _Change:
    count: int = 0
    by_country: Counter[str] = field(default_factory=Counter)
    recipients: set[str] = field(default_factory=set)


@dataclass
class WhatIfReport:
    """Collect entries of the log in any order; ``report`` compares the draft's decisions with those in force.

    Args:
        decide: by the draft.
        configuration: returns the configuration of a hash, or None.
    """

    decide: Decide
    configuration: Callable[[str], Configuration | None]
    after: datetime
    before: datetime
    _last: dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take an entry; of each transfer the last decision within the time counts."""
        if entry["kind"] != "decided" or not self.after <= times.parse(entry["at"]) < self.before:
            return
        for route in entry["routes"]:
            known = self._last.get(route["transfer"])
            place = f"{entry['at']} {entry['id']}"
            if known is None or known[0] < place:
                self._last[route["transfer"]] = (place, entry, route)

    def report(self) -> dict[str, Any]:
        """Decide everything again, and count."""
        changes: dict[tuple[str, str, str], _Change] = {}
        turned: Counter[str] = Counter()
        decided = not_decided = 0
        for _, entry, route in self._last.values():
            was = route["decision"]
            judgement = None
            # A refusal by the tenant's own switch is no decision of a law.
            if [rule["id"] for rule in route["rules"]] != [SWITCH.id]:
                configuration = self.configuration(entry["config_hash"])
                judgement = redecide(entry, route, configuration, self.decide) if configuration is not None else None
            if judgement is None:
                not_decided += 1
                continue
            decided += 1
            now = judgement.verdict
            if now == was:
                continue
            turned[now] += 1
            stricter = VERDICTS.index(now) > VERDICTS.index(was)
            # A stricter answer is the doing of the new rules, a milder one of the old that no longer speak.
            rules, effect = (judgement.rules, now) if stricter else (route["rules"], was)
            for rule in sorted({r["id"] for r in rules if r["verdict"] == effect}):
                change = changes.setdefault((rule, was, now), _Change())
                change.count += 1
                change.by_country[_country(entry)] += 1
                change.recipients.add(route["recipient"]["id"] if route["recipient"] else _UNKNOWN)
        return {
            "decided": decided,
            "changed": [
                {
                    "rule": rule,
                    "from": was,
                    "to": now,
                    "count": change.count,
                    "by_country": dict(sorted(change.by_country.items())),
                    "recipients": sorted(change.recipients),
                }
                for (rule, was, now), change in sorted(changes.items())
            ],
            "would_deny": turned["refused"],
            "would_hold": turned["held"],
            "not_decided": not_decided,
            "after": times.text(self.after),
            "before": times.text(self.before),
        }


def _country(entry: Mapping[str, Any]) -> str:
    subject = entry["facts"].get("subject") or {}
    return str(subject.get("country") or "/".join(subject.get("candidates") or ()) or _UNKNOWN)

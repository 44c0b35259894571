"""The fourth stage of verifying a bundle: does each decision follow from the law, the configuration and the facts?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .. import times
from ..errors import AuditBroken
from ..law.derived import BulkCounts
from ..law.loader import LawRefused, load_pack
from ..law.residency import Decider
from ..log.entry import VERDICTS
from ..log.entry_types import Entry
from ..tenant.configuration import Configuration
from .faults import Faults
from .form import BundleEvidence, LawDocument
from .redecide import configuration_of, redecide

_DAY = timedelta(days=1)


@dataclass
class Decisions:
    """Take the decisions, and compare each with one made again from its law, configuration and facts."""

    evidence: BundleEvidence
    bulk: BulkCounts
    decided: int = 0
    redecided: int = 0
    not_redecided: Counter[str] = field(default_factory=Counter)
    _deciders: dict[str, Decider | None] = field(default_factory=dict)
    _configurations: dict[str, Configuration | None] = field(default_factory=dict)
    _destinations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._faults: Faults = self.evidence.faults

    def take(self, entry: Entry) -> None:
        """Take an entry; only decisions are looked at."""
        if entry["kind"] != "decided":
            return
        law = self.evidence.laws.get(entry["rules_hash"])
        named = entry["config_hash"] in self.evidence.configurations
        if law is None and f"rules/{entry['rules_hash']}.json" not in self.evidence.spans:
            self._faults.add("no_law", entry["id"])
        if entry["routes"] and f"configs/{entry['config_hash']}.json" not in self.evidence.spans:
            self._faults.add("no_configuration", entry["id"])
        for route in entry["routes"]:
            self.decided += 1
            self._alone(entry, route)
            if law is not None:
                self._by_law(entry, route, law)
            if named:
                self._by_configuration(entry, route)
            if law is not None and named:
                self._again(entry, route)

    def _alone(self, entry: Entry, route: Mapping[str, Any]) -> None:
        """The faults that the entry shows by itself."""
        id, decision = entry["id"], route["decision"]
        verdicts = [VERDICTS.index(rule["verdict"]) for rule in route["rules"]]
        if decision != VERDICTS[max(verdicts, default=VERDICTS.index("refused"))]:
            self._faults.add("verdict", id)
        leaves = set(route["classes_out"])
        if not leaves <= set(entry["receipt"]["classes"]) or (leaves and decision in ("held", "refused")):
            self._faults.add("classes", id)
        recipient = route["recipient"]
        if decision in ("allowed", "redacted") and not (recipient and recipient["country"] and recipient["processing"]):
            self._faults.add("place", id)

    def _by_law(self, entry: Entry, route: Mapping[str, Any], law: LawDocument) -> None:
        day = times.parse(entry["at"]).date()
        for rule in route["rules"]:
            known = law.rules.get(rule["id"])
            if known is None:
                self._faults.add("rule_unknown", entry["id"])
                continue
            if known.ref != rule["ref"]:
                self._faults.add("rule_ref", entry["id"])
            # The law's own day may be the one before or after the day in UTC.
            if known.since - day > _DAY or (known.until is not None and day - known.until >= _DAY):
                self._faults.add("rule_time", entry["id"])

    def _by_configuration(self, entry: Entry, route: Mapping[str, Any]) -> None:
        digest = entry["config_hash"]
        if digest not in self._destinations:
            rows = self.evidence.configurations[digest]["destinations"]
            self._destinations[digest] = {row["id"]: row.get("recipient") for row in rows}
        known, recipient = self._destinations[digest], route["recipient"]
        declared = known.get(route["destination"])
        # A recipient without a record is null in the entry and without a country in the configuration.
        unrecorded = recipient is None and (declared is None or declared.get("country") is None)
        if route["destination"] not in known or not (recipient == declared or unrecorded):
            self._faults.add("recipient", entry["id"])

    def _again(self, entry: Entry, route: Mapping[str, Any]) -> None:
        decider, configuration = self._decider(entry["rules_hash"]), self._configuration(entry["config_hash"])
        if decider is None or configuration is None:
            self._unusable(entry, "law" if decider is None else "configuration")
            return
        judgement = redecide(entry, route, configuration, decider.decide)
        if judgement is None:
            self._unusable(entry, "facts")
            return
        self.redecided += 1
        rules = [{"id": r["id"], "verdict": r["verdict"], "ref": r["ref"]} for r in judgement.rules]
        if (
            judgement.verdict != route["decision"]
            or rules != sorted(route["rules"], key=lambda r: str(r["id"]))
            or not set(route["classes_out"]) <= set(judgement.classes_out)
        ):
            self._faults.add("redecided", entry["id"])

    def _unusable(self, entry: Entry, part: str) -> None:
        """Note that a decision was not made again, and for want of what."""
        self.not_redecided[part] += 1
        self._faults.add(f"{part}_unusable", entry["id"])

    def _decider(self, digest: str) -> Decider | None:
        if digest not in self._deciders:
            law, decider = self.evidence.laws[digest], None
            if law.has_laws:
                try:
                    decider = Decider(load_pack(law.data, self.bulk))
                except LawRefused:
                    decider = None
            self._deciders[digest] = decider
        return self._deciders[digest]

    def _configuration(self, digest: str) -> Configuration | None:
        if digest not in self._configurations:
            found = None
            try:
                found = configuration_of(self.evidence.configurations[digest])
            except AuditBroken:
                found = None
            self._configurations[digest] = found
        return self._configurations[digest]

"""The evaluation of a case: the movements of data, the laws that reach them, and the findings of each rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .. import times
from . import raised
from .bases import BasisKind, BasisRecord
from .clocks import ONE_DAY
from .conditions import NONE, Condition, ConditionFacts, Truth
from .decision import CURABLE, LIFTED_BY, STRICTNESS, Decision, Finding, by_id
from .derived import COLLECTS, DELIVERS, ENDS, is_personal
from .facts import UNKNOWN_ONWARD, FactParty, Facts
from .law_file import LawFile
from .loader import Law
from .rules import Provision, Rule


@dataclass(slots=True)
class _ReliedPermit:
    """The permit that a transfer to one country relies on."""

    permit: Rule
    records: frozenset[str]
    replaceable: bool
    """Another permit stands ready."""
    failed: bool = False
    """What this permit brings with it is not fulfilled."""


Place = tuple[FactParty | None, str | None]


class Case:
    """One set of facts under judgement: findings gather here, and become the decision."""

    def __init__(self, facts: Facts, law: Law, strict: bool) -> None:
        self.facts = facts
        self.law = law
        self.strict = strict
        self.op: str | None = facts.values.get("op")
        self.only_incident = self.op is None and "incident" in facts.objects
        self.findings: dict[tuple[str, str | None], Finding] = {}
        self.laws: list[str] = []
        self.missing: set[str] = set()
        self.retry_at: list[Any] = []
        self.used: set[str] = set()
        self.against: set[str] = set()
        self.lifted_by: set[str] = set()
        self.obligations: dict[str, dict[str, str | None]] = {}
        self.redact: list[dict[str, str | None]] = []
        self.derived: dict[str, Truth] = {}
        self.sent: frozenset[str] | None = None
        self.parties: list[FactParty] = []
        self.judgements: dict[str, LawEvaluation] = {}

    # 1. Movements of data.

    def judge(self) -> None:
        if self.op is None and not self.only_incident:
            self.hold(raised.FACTS, ["op"])
            return
        classes = self.facts.values.get("data.classes")
        self.sent = frozenset(classes) if classes is not None else None
        if self.op in DELIVERS:
            self.redactions()
        self.parties = list(self.involved())
        files = list(self.applicable())
        self.laws = sorted(f.code for f in files)
        if not self.only_incident and self.op not in ENDS:
            self.evidence()
        for file in (self.law.any, *files):
            self.judgements[file.code] = LawEvaluation(self, file)
            self.judgements[file.code].run()
        if not self.findings and not self.only_incident:
            self.hold(raised.LAW_UNKNOWN, ["law:ANY"])

    def redactions(self) -> None:
        """Take away what mode, route and recipient keep back, in this order."""
        values, mode = self.facts.values, self.facts.values.get("route.mode")
        if mode == "restrict":
            # A pull through the link is a view of its own, judged in full.
            if self.op == "deliver":
                self.found(Finding(raised.RESTRICT, "redact"))
                self.drop((self.sent or NONE) - {"technical"}, raised.RESTRICT)
            return
        redactions = self.facts.redactions
        if mode == "redact" or redactions:
            self.found(Finding(raised.ROUTE_REDACT, "redact"))
        for item in sorted(redactions, key=lambda r: ("path" in r, r.get("class", ""), r.get("path", ""), r["action"])):
            self.redaction(item.get("class"), item.get("path"), item["action"], raised.ROUTE_REDACT)
        permitted = values.get("recipient.classes")
        if permitted is None:
            self.hold(raised.CLASSES, ["recipient.classes"])
        elif self.sent is not None and (withheld := self.sent - frozenset(permitted) - {"technical"}):
            self.found(Finding(raised.CLASSES, "redact"))
            self.drop(withheld, raised.CLASSES)

    def drop(self, classes: Iterable[str], provision: Provision) -> None:
        for data_class in sorted(classes):
            self.redaction(data_class, None, "drop", provision)

    def redaction(self, data_class: str | None, path: str | None, action: str, provision: Provision) -> None:
        item = {"class": data_class, "path": path, "action": action, "rule": provision.id}
        if item not in self.redact:
            self.redact.append(item)
        if data_class is not None and action == "drop" and self.sent is not None:
            self.sent -= {data_class}

    def involved(self) -> Iterator[FactParty]:
        """Yield every party that gets the data: the recipient and those beyond it, or the store."""
        if self.op in DELIVERS:
            yield self.facts.recipient
            if self.facts.onward is not None:
                yield from self.facts.onward
            elif not is_personal(self.sent):
                # Personal data wait for ANY.onward; all other requirements of a party are unknown too.
                yield UNKNOWN_ONWARD
        elif self.op in COLLECTS:
            country = self.facts.values.get("store.country")
            at = {"entity_country": country, "processing_countries": (country,)} if country else {}
            yield FactParty("store", {"id": "store", **at})

    def applicable(self) -> Iterator[LawFile]:
        """Yield the laws that reach these facts. A country that no law speaks for is a hold."""
        values = self.facts.values
        zone, store = values.get("collector.zone"), values.get("store.country")
        limbs: dict[str, tuple[str, ...]] = {
            "collector": (values["collector.country"],) if "collector.country" in values else (),
            "subject": values.get("subject.countries", ()),
            "citizen": (values["subject.citizenship"],) if "subject.citizenship" in values else (),
            "store": (store,) if store else (),
        }
        spoken_for: dict[str, set[str]] = {limb: set() for limb in limbs}
        for file in self.law.files:
            reached = False
            for limb, countries in limbs.items():
                if limb == "collector" and zone is not None and zone in file.not_zones:
                    continue
                zoned = limb == "collector" and "zone" in file.reach and zone is not None and zone == file.zone
                if limb in file.reach or zoned:
                    met = file.countries.intersection(countries)
                    spoken_for[limb] |= met
                    reached = reached or bool(met)
            if reached:
                yield file
        if not self.only_incident:
            # Citizenship reaches further than any one country's law must: most laws do not follow their citizens.
            silent = {c for limb in ("collector", "subject", "store") for c in set(limbs[limb]) - spoken_for[limb]}
            if silent:
                self.hold(raised.LAW_UNKNOWN, [f"law:{country}" for country in silent])

    def evidence(self) -> None:
        """Ask for the evidence that the tenant must hold."""
        day = self.law.any.calendar.day(self.facts.now)
        involved = {None, *(party.id for party in self.parties)}
        for kind in self.facts.values.get("collector.requires", ()):
            records = [r for r in self.facts.bases if r.kind == kind]
            if self.law.language > 1:
                records = [r for r in records if r.recipient in involved]
            good = {r.id for r in records if r.stands("ANY", day, self.facts.now) and r.unproved() is None}
            if good:
                self.used |= good
                self.found(Finding(raised.EVIDENCE, "allow", grounds=True))
            elif records:
                self.found(Finding(raised.EVIDENCE, "deny", code="evidence-expired"))
                self.lifted_by.add(f"basis:ANY.{kind}")
            else:
                self.hold(raised.EVIDENCE, [f"basis:ANY.{kind}"])

    # 2. Findings.

    def found(self, finding: Finding) -> None:
        """Keep a finding; of one provision on one party the strictest stays."""
        key = (finding.provision.id, finding.hop)
        other = self.findings.get(key)
        if (
            other is None
            or STRICTNESS[finding.effect] > STRICTNESS[other.effect]
            or (finding.grounds and not other.grounds and finding.effect == other.effect)
        ):
            self.findings[key] = finding

    def hold(self, provision: Provision, missing: Iterable[str], hop: str | None = None) -> None:
        """Hold, for want of these."""
        self.found(Finding(provision, "hold", hop))
        self.missing.update(missing)

    def decision(self, document: object) -> Decision:
        """Return the effect of the findings."""
        decision = max((f.effect for f in self.findings.values()), key=STRICTNESS.__getitem__, default="none")
        leaves = self.op in DELIVERS | COLLECTS and decision in ("allow", "redact")
        denied = {f.provision.id for f in self.findings.values() if f.effect == "deny"}
        return Decision(
            decision=decision,
            findings=tuple(sorted(self.findings.values(), key=lambda f: (-STRICTNESS[f.effect], *by_id(f)))),
            laws=tuple(self.laws),
            missing=tuple(sorted(self.missing)),
            redact=tuple(self.redact),
            # A wait that is over lifts a hold; it lifts no refusal.
            retry_at=times.text(max(self.retry_at)) if self.retry_at and decision == "hold" else None,
            bases=tuple(sorted(self.used - self.against)),
            obligations=tuple(sorted(self.obligations.values(), key=lambda o: (str(o["rule"]), str(o["code"])))),
            classes_out=tuple(sorted(self.sent or ())) if leaves else (),
            lifted_by=tuple(sorted(self.lifted_by)),
            curable=self.law.language > 1 and bool(denied) and denied <= CURABLE,
            rules_version=self.law.version,
            rules_hash=self.law.hash,
            id=self.facts.values.get("id"),
            facts=document,
        )


class LawEvaluation:
    """One law's part in a case; it can be asked on once it has run."""

    def __init__(self, case: Case, file: LawFile) -> None:
        self.case = case
        self.file = file
        self.day = file.calendar.day(case.facts.now)
        records: dict[BasisKind, list[BasisRecord]] = {}
        for record in case.facts.bases:
            if record.stands(file.code, self.day, case.facts.now):
                records.setdefault(record.kind, []).append(record)
        self.scene = ConditionFacts(
            case.facts, case.sent, case.derived, case.law.bulk, file.code, self.day, file.calendar, file.lists, records
        )
        self.reliances: dict[tuple[str, str], _ReliedPermit] = {}
        personal = is_personal(case.sent)
        self.destinations = {
            party.path: tuple(self.abroad(party)) if personal and file.countries else () for party in case.parties
        }

    def abroad(self, party: FactParty) -> Iterator[str]:
        # Data that were not collected under this law are not carried out of its country by being stored elsewhere.
        if party.path == "store" and self.case.facts.values.get("collector.country") not in self.file.countries:
            return
        yield from (country for country in party.countries() if country not in self.file.countries)

    def run(self) -> None:
        if self.file.gate is not None and not self.case.only_incident:
            for party in self.case.parties:
                for country in self.destinations[party.path]:
                    self.permit(self.file.gate, party, country)
        for rule in self.file.rules:
            if rule.in_force(self.day):
                self.rule(rule)
        for reliance in self.reliances.values():
            # A record that another permit would do without is not what this hold rests on.
            if not (reliance.failed and reliance.replaceable):
                self.case.used |= reliance.records

    def ask(self, condition: Condition, place: Place) -> Truth:
        scene = self.scene
        scene.party, scene.destination = place
        scene.relied = None
        if scene.party is not None and scene.destination is not None:
            reliance = self.reliances.get((scene.party.path, scene.destination))
            scene.relied = reliance.permit.id if reliance else None
        return condition.check(scene)

    # The gate: the first permit that holds is relied on; without one, nothing passes.

    def permit(self, gate: Provision, party: FactParty, country: str) -> None:
        case = self.case
        reliance: _ReliedPermit | None = None
        waiting: Rule | None = None
        unknown: set[str] = set()
        for permit in self.file.permits:
            if not permit.in_force(self.day):
                continue
            answer = self.ask(permit.when, (party, country))
            if answer.truth and permit.waited is not None:
                answer, waits = self.wait(permit, answer)
                waiting = waiting or (permit if waits else None)
            if answer.truth and reliance is None:
                reliance = _ReliedPermit(permit, answer.records, replaceable=False)
            elif answer.truth and reliance is not None:
                reliance.replaceable = True
            elif answer.truth is None:
                unknown |= answer.unknown
        if reliance is not None:
            self.reliances[party.path, country] = reliance
            case.found(Finding(reliance.permit, "allow", party.id, grounds=True))
            if case.strict and reliance.permit.confidence == "unsure":
                reliance.failed = True
                case.hold(raised.UNSETTLED, (), party.id)
        elif waiting is not None and waiting.waited is not None:
            self.ask(waiting.when, (party, country))
            ends = waiting.waited.ends(self.scene)[0]
            case.hold(waiting, (), party.id)
            case.retry_at.append(self.file.calendar.midnight(min(ends)[0] + ONE_DAY))
        elif unknown:
            case.hold(gate, unknown, party.id)
        else:
            case.hold(gate, [f"basis:{gate.id}:{party.id}"], party.id)

    def wait(self, permit: Rule, answer: Truth) -> tuple[Truth, bool]:
        """Return the permit's answer with its wait taken into account, and whether it only waits."""
        if permit.waited is None:
            return answer, False
        ends, unknown = permit.waited.ends(self.scene)
        over = frozenset(record for last, record in ends if self.day > last)
        if over:
            return Truth(True, NONE, answer.records | over), False
        if ends:
            return Truth(False), True
        return Truth(None, unknown) if unknown else Truth(False), False

    # The rules.

    def places(self, rule: Rule) -> Iterator[Place]:
        """Yield the scopes in which a rule is evaluated: once, for each party, or for each country of each party."""
        conditions = [rule.when] if rule.require is None else [rule.when, rule.require]
        if not self.case.parties or not any(c.per_party for c in conditions):
            yield None, None
            return
        by_country = any(c.per_destination for c in conditions)
        for party in self.case.parties:
            countries = self.destinations[party.path] if by_country else ()
            for country in countries or (None,):
                yield party, country

    def rule(self, rule: Rule) -> None:
        if self.case.only_incident and rule.kind != "oblige":
            return
        if rule.kind == "retain" and self.case.op not in ENDS:
            return
        for place in self.places(rule):
            answer = self.ask(rule.when, place)
            if answer.truth is False:
                continue
            if rule.kind == "oblige":
                self.oblige(rule)
                continue
            hop = place[0].id if place[0] is not None else None
            if answer.truth is None:
                self.case.hold(rule, answer.unknown, hop)
                strict = True
            else:
                strict = self.apply(rule, answer, place, hop)
            if strict and rule.when.relies and place[0] is not None and place[1] is not None:
                reliance = self.reliances.get((place[0].path, place[1]))
                if reliance is not None:
                    reliance.failed = True

    def apply(self, rule: Rule, asked: Truth, place: Place, hop: str | None) -> bool:
        """Apply a rule whose condition holds; say whether it holds or denies."""
        case = self.case
        if rule.kind == "retain":
            return self.retain(rule)
        if rule.require is None:
            case.found(Finding(rule, rule.effect, hop, rule.code, rule.instead, rule.fine))
            # The conditions of a prohibition count against the transfer, even if they also prove something else.
            case.against |= asked.records
            return True
        met = self.ask(rule.require, place)
        if met.truth:
            case.used |= met.records
            case.found(Finding(rule, "allow", hop, grounds=bool(met.records)))
            return False
        if met.truth is None:
            case.hold(rule, met.unknown, hop)
            return True
        if rule.otherwise == "deny":
            case.found(Finding(rule, "deny", hop, rule.code, rule.instead, rule.fine))
            case.lifted_by.update(LIFTED_BY.get(rule.id, ()))
            return True
        suffix = f":{hop}" if rule.require.bound and hop is not None else ""
        case.hold(rule, [f"basis:{rule.law}.{rule.lacks}{suffix}"] if rule.lacks else (), hop)
        return True

    def retain(self, rule: Rule) -> bool:
        """Keep required content until its minimum is over."""
        created = self.case.facts.values.get("item.created_at")
        if created is None:
            self.case.hold(rule, ["item.created_at"])
            return True
        calendar = self.file.calendar
        if rule.minimum is None or self.day < calendar.last_day(calendar.day(created), rule.minimum):
            self.case.found(Finding(rule, "deny", None, rule.code, rule.instead, rule.fine))
            return True
        self.case.found(Finding(rule, "allow"))
        return False

    def oblige(self, rule: Rule) -> None:
        """Note a duty; an unknown condition obliges too."""
        at = self.case.facts.values.get("incident.at")
        due = self.file.calendar.due(at, rule.within) if rule.within is not None and at is not None else None
        self.case.obligations[rule.id] = {
            "code": rule.code,
            "rule": rule.id,
            "within": rule.within.text if rule.within else None,
            "due_at": times.text(due) if due else None,
        }
        if self.case.only_incident:
            self.case.found(Finding(rule, "none"))

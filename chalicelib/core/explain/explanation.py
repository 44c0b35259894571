"""Explain a decision: the rules that applied, the facts behind each, the remedies, and the accountable parties.

It also says why the other laws do not apply. Nothing is decided here: the explanation evaluates the finished case again, a
condition at a time, so that it always agrees with the decision. It shows values of countries, dates, counts, enums and
booleans only. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from .. import times
from ..law import fact_fields, raised
from ..law.bases import BasisKind
from ..law.compiling import Compiler
from ..law.decision import STRICTNESS, Decision, Finding, by_id, is_curable
from ..law.derived import DERIVED
from ..law.judgement import Case, LawEvaluation, Place
from ..law.law_file import LawFile
from ..law.loader import Law
from ..law.residency import decide, judged
from ..law.rules import Rule
from ..tenant.switches import Switch
from .preflight import Decide, Gap, examine

Shown = dict[str, Any]
_LIMBS: Mapping[str, str] = {
    "collector": "collector.country", "subject": "subject.countries", "citizen": "subject.citizenship",
    "store": "store.country", "zone": "collector.zone",
}  # fmt: skip
_RAISED_BY: Mapping[str, tuple[str, str]] = {
    raised.EVIDENCE.id: ("collector.requires", "a valid record of each kind"),
    raised.CLASSES.id: ("recipient.classes", "the classes that are sent"),
    raised.ROUTE_REDACT.id: ("route.mode", "redact"),
    raised.RESTRICT.id: ("route.mode", "restrict"),
    raised.UNSETTLED.id: ("confidence", "a permit whose reading is sure"),
}
"""For findings of the evaluator itself: the fact that it reads, and the value that it needs."""


def explain(facts: object, law: Law, *, strict: bool = False) -> Shown:
    """Return the decision as ``waybill decide`` has it, with ``why``, ``unsettled``, ``answers`` and ``not_applicable``."""
    decision, case = judged(facts, law, strict)
    return {
        **decision.document(),
        "why": _why(decision, case, facts, law, strict),
        "unsettled": unsettled(decision, law),
        "answers": _answers(case),
        "not_applicable": [_silent(file, case) for file in law.files if case and file.code not in decision.laws],
    }


def explain_transfer(store: dict[str, Any], deliver: dict[str, Any], law: Law, switch: Switch | None = None) -> Shown:
    """Return the decision on storing an event and delivering it: the stricter one explained, or both where they are alike.

    A route is decided by ``core.decide.plan.combine``; this explains it in the words of ``explain``. A switch comes before both;
    the law's decision is shown beside it.

    Args:
        store: the facts of storing, ``deliver`` those of delivering.
        switch: of the tenant, which stops the transfer.
    """
    shown, stored = explain(deliver, law), explain(store, law)
    strictness = STRICTNESS[shown["decision"]], STRICTNESS[stored["decision"]]
    missing = sorted({*shown["missing"], *stored["missing"]})
    retry = [at for at in (shown["retry_at"], stored["retry_at"]) if at is not None]
    if strictness[1] > strictness[0]:
        shown = stored
    elif strictness[0] == strictness[1] > STRICTNESS["redact"]:
        for name in ("deciding", "laws", "bases", "unsettled"):
            shown[name] = sorted({*shown[name], *stored[name]})
        for name, key in (("rules", "id"), ("why", "rule")):
            both = [*shown[name], *(one for one in stored[name] if one not in shown[name])]
            shown[name] = sorted(both, key=lambda one: (one[key], one["hop"] or ""))
    if max(strictness) > STRICTNESS["redact"]:
        shown |= {"missing": missing, "retry_at": max(retry, default=None)}
    storing, delivering = decide(store, law), decide(deliver, law)
    if is_curable(storing, delivering):
        shown |= {"decision": "hold", "missing": sorted({*missing, *storing.lifted_by, *delivering.lifted_by})}
    return shown if switch is None else _stopped(shown, switch)


def _stopped(shown: Shown, switch: Switch) -> Shown:
    rule = Finding(raised.SWITCH, "deny").document()
    fix = (
        f"remove the switch {switch.id}, or wait until its time is over"
        if switch.until
        else f"remove the switch {switch.id}"
    )
    why = {
        "rule": rule["id"],
        "title": rule["title"],
        "ref": rule["ref"],
        "effect": "deny",
        "hop": None,
        "because": [],
        "fix": fix,
    }
    return {
        **shown,
        "decision": "deny",
        "deciding": [rule["id"]],
        "redact": [],
        "rules": [rule, *shown["rules"]],
        "why": [why, *shown["why"]],
        "switch": switch.id,
    }


def unsettled(decision: Decision, law: Law) -> list[str]:
    """Return the rules of a decision that lawyers read differently, or whose reading is unverified; sorted."""
    duties = (law.provisions[str(o["rule"])] for o in decision.obligations)
    spoke = (*(f.provision for f in decision.findings), *duties)
    return sorted({p.id for p in spoke if not p.settled or p.confidence != "verified"})


# --- why ---------------------------------------------------------------------------------------------------------------


def _why(decision: Decision, case: Case | None, facts: object, law: Law, strict: bool) -> list[Shown]:
    gaps: dict[tuple[str, str | None], Gap] = {}
    stands_in_the_way = any(f.effect in ("hold", "deny") for f in decision.findings)
    if case is not None and isinstance(facts, dict) and stands_in_the_way:
        ask: Decide = lambda changed: decide(changed, law, strict=strict)  # noqa: E731
        for gap in examine(facts, ask, law).gaps:
            gaps.setdefault((gap.rule, gap.hop), gap)
            gaps.setdefault((gap.rule, None), gap)
    return [
        {
            "rule": finding.provision.id,
            "title": finding.provision.title,
            "ref": finding.provision.ref,
            "effect": finding.effect,
            "hop": finding.hop,
            "because": _because(finding, case) if case is not None else [],
            "fix": _fix(finding, _gap_of(finding, gaps), decision),
        }
        for finding in sorted(decision.findings, key=by_id)
    ]


def _gap_of(finding: Finding, gaps: Mapping[tuple[str, str | None], Gap]) -> Gap | None:
    rule = finding.provision.id
    return gaps.get((rule, finding.hop)) or gaps.get((rule, None))


def _fix(finding: Finding, gap: Gap | None, decision: Decision) -> str | None:
    if finding.effect not in ("hold", "deny"):
        return None
    if gap is not None:
        return gap.words()
    rule = finding.provision
    if finding.effect == "hold" and isinstance(rule, Rule) and rule.waited is not None:
        return f"wait until {decision.retry_at} ({rule.ref})"
    return f"use the mode {finding.instead} instead" if finding.instead else None


def _because(finding: Finding, case: Case) -> list[Shown]:
    rule = finding.provision
    if isinstance(rule, Rule):
        told = _told_by_rule(rule, finding, case)
    elif rule.id == raised.LAW_UNKNOWN.id:
        told = _unknown_countries(case)
    elif rule.id in _RAISED_BY:
        path, wanted = _RAISED_BY[rule.id]
        told = iter([_item(path, _value(case.facts.values.get(path)), wanted)])
    elif rule.id == raised.FACTS.id:
        told = iter([_item("op", None, "what is to be done")])
    else:
        told = _gate(finding, case)
    items: list[Shown] = []
    for item in told:
        if item not in items:
            items.append(item)
    return items


def _gate(finding: Finding, case: Case) -> Iterator[Shown]:
    judgement = case.judgements[finding.provision.law]
    for party in case.parties:
        if party.id == finding.hop:
            for country in judgement.destinations[party.path]:
                yield _item("destination", country, "a transfer that a permit lets pass")


def _unknown_countries(case: Case) -> Iterator[Shown]:
    known = frozenset[str]().union(*(file.countries for file in case.law.files))
    for path in ("collector.country", "subject.countries", "store.country"):
        value = case.facts.values.get(path)
        countries = (value,) if isinstance(value, str) else tuple(value or ())
        if set(countries) - known:
            yield _item(path, _value(value), "a country that there is a law file of")


def _told_by_rule(rule: Rule, finding: Finding, case: Case) -> Iterator[Shown]:
    """Yield the facts that made a rule apply: the true parts of its ``when``, and the met and unmet parts of its ``require``."""
    judgement = case.judgements[rule.law]
    row = case.law.rows[rule.id]
    stands_in_the_way = finding.effect in ("hold", "deny")
    for place in judgement.places(rule):
        if (place[0].id if place[0] is not None else None) != finding.hop:
            continue
        for key, value in _leaves(row.get("when", {})):
            item, truth = _asked(judgement, place, key, value)
            if truth is not False:
                yield item
        for key, value in _leaves(row.get("require", {})):
            item, truth = _asked(judgement, place, key, value)
            if (truth is True) is not stands_in_the_way:
                yield item


def _leaves(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the single conditions of a table; of alternatives each one."""
    for key, value in table.items():
        if key == "any_of":
            for each in value:
                yield from _leaves(each)
        else:
            yield key, value


def _asked(judgement: LawEvaluation, place: Place, key: str, value: Any) -> tuple[Shown, bool | None]:
    file, party = judgement.file, place[0]
    if key == "waited":  # a clock of the permit, which is over where the permit is relied on
        return _item("bases", _days(judgement, value), {"waited": _plain(value)}), True
    permits = frozenset(p.id for p in file.permits)
    language = judgement.case.law.language
    condition = Compiler(frozenset(file.lists), permits, [], file.code, language).condition({key: value}, "when")
    truth = judgement.ask(condition, place).truth
    scene = judgement.scene
    if key in ("basis", "within"):
        shown = _days(judgement, value) if key == "within" else _held(judgement, value)
        return _item("bases", shown, {key: _plain(value)}), truth
    if key == "none_of":
        return _item("none_of", truth, [_plain(each) for each in value]), truth
    if key in ("special_any", "special_in"):
        return _item(
            "data.special", _value(judgement.case.facts.values.get("data.special")), {key: _plain(value)}
        ), truth
    if key == "relies":
        return _item("permit", scene.relied, _plain(value)), truth
    if key == "destination":
        return _item("destination", scene.destination, _plain(value)), truth
    if key == "transfer":
        return _item("transfer", scene.destination is not None, value), truth
    if key == "held_hours":
        since = judgement.case.facts.values.get("held_since")
        hours = int((judgement.case.facts.now - since).total_seconds() // 3600) if since else None
        return _item("held_hours", hours, _plain(value)), truth
    if key in DERIVED or key == "never":
        return _item(key, value if truth else None if truth is None else not value, value), truth
    if key.startswith("hop.") and party is not None:
        name = key.removeprefix("hop.")
        return _item(f"{party.path}.{name}", _fact(key, party.values.get(name)), _plain(value)), truth
    return _item(key, _fact(key, judgement.case.facts.values.get(key)), _plain(value)), truth


def _item(path: str, shown: Any, wanted: Any) -> Shown:
    return {"path": path, "is": shown, "wanted": wanted}


def _fact(path: str, value: Any) -> Any:
    """Return a fact's value where it may be shown: a free text, such as a purpose, may not."""
    free = fact_fields.PATHS[path].read is fact_fields.TEXT.read and path != "channel"
    return ("given" if value is not None else None) if free else _value(value)


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return times.text(value)
    if isinstance(value, date):
        return value.isoformat()
    return sorted(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _kinds(wanted: Mapping[str, Any]) -> list[BasisKind]:
    kinds = wanted["kind"]
    return [BasisKind(kind) for kind in (kinds if isinstance(kinds, list) else [kinds])]


def _held(judgement: LawEvaluation, wanted: Mapping[str, Any]) -> int:
    """Count the records of the kinds that are valid on the day, regardless of other conditions."""
    return sum(len(judgement.scene.records.get(kind, ())) for kind in _kinds(wanted))


def _days(judgement: LawEvaluation, wanted: Mapping[str, Any]) -> list[str]:
    records = (r for kind in _kinds(wanted) for r in judgement.scene.records.get(kind, ()))
    return sorted(day.isoformat() for r in records if (day := r.fields.get(wanted["field"])) is not None)


# --- accountable parties, and laws that do not apply --------------------------------------------------------------------


def _answers(case: Case | None) -> Shown:
    """Return the parties that owe the person and the authority an answer: the setter of the purpose, and those a law adds."""
    values = case.facts.values if case is not None else {}
    role = values.get("router_role")
    collector = {"party": "collector", "country": values.get("collector.country")}
    router = {"party": "router", "country": values.get("store.country")}
    first = {"processor": [collector], "joint": [collector, router], "controller": [router], "own_purposes": [router]}
    parties: list[Shown] | None = list(first[role]) if role in first else None
    if case is not None and parties is not None and "RU" in case.judgements:
        # 152-FZ art. 6(6): a foreign processor answers to the person beside the operator.
        abroad = (
            p for p in case.parties if p.path == "recipient" and p.values.get("entity_country") not in ("RU", None)
        )
        added = [
            {"party": "recipient", "country": p.values["entity_country"]}
            for p in abroad
            if p.values.get("role") in ("processor", "sub_processor")
        ]
        return {"to_subject": [*parties, *added], "to_authority": parties}
    return {"to_subject": parties, "to_authority": parties}


def _silent(file: LawFile, case: Case) -> Shown:
    return {"law": file.code, "because": list(_out_of_reach(file, case))}


def _out_of_reach(file: LawFile, case: Case) -> Iterable[Shown]:
    for limb in sorted(file.reach):
        path = _LIMBS[limb]
        wanted = file.zone if limb == "zone" else sorted(file.countries)
        yield _item(path, _value(case.facts.values.get(path)), wanted)

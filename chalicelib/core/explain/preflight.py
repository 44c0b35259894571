"""Find every gap of a flow at once, each with its article and the call that supplies it.

One decision shows only the gaps that its rules could see: no rule asks for a transfer assessment before there is a transfer
clause. So each gap is filled by an assumption and the decision is made again, until no new gap comes up. Assumptions are
never stored. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from .. import times
from ..event.event import DataClass
from ..law.bases import BasisKind
from ..law.decision import Decision
from ..law.loader import Law

Facts = dict[str, Any]
Decide = Callable[[Facts], Decision]

ROUNDS_MAX = 30
_DIGEST = "sha256:" + "0" * 64
_LONG_AGO, _FAR = "2000-02-01", "2199-01-01"
_DATES = ("signed_on", "notified_on", "filed_on", "given_on")
_FLAGS = ("unmodified", "separate_document", "written", "special", "occasional")
_FIELDS = (*_DATES, *_FLAGS)
_TEXTS = ("status", "scheme")
"""Fields that some rules ask of a record. The texts that suit are in the law."""
_FILED = "filed"
"""The status of a paper of which a rule asks only that nobody has banned it."""
_WAITS = timedelta(days=90)
"""Longer than any wait of a law, and short enough that its days of rest are known."""
_FIRST = ("contract", "scc", "notification-filed")
KINDS = (*_FIRST, *(k.value for k in BasisKind if k.value not in _FIRST))
"""The kinds of records in the order in which they are proposed: usual ones before exceptions."""
_GAP = re.compile(r"basis:(?P<law>[A-Z_]+)\.(?P<name>[^:]+)(?::(?P<hop>.+))?\Z")
_UNSTATED = re.compile(r"bases\.(.+)\.([a-z_]+)\Z")

_WORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"law:([A-Z]{2})\Z"),
        "no declaration helps: there is no law file for {0} yet, so no transfer under its law is possible",
    ),
    (
        re.compile(r"calendar\.([A-Z_]+)\.(\d{4})\Z"),
        "the law file {0} lacks the holidays of {1}: rest on a permit without a wait",
    ),
    (_UNSTATED, "declare the record {0} again with its {1}"),
)
"""Gaps that no call supplies, or none that the path alone determines."""

CURES: Mapping[str, str] = {"ANY.grant": "recipient.granted"}
"""Refusals that a change of a record lifts, and the missing path. Those that a new record lifts are in the decision."""

_ALL_CLASSES = sorted(c.value for c in DataClass)
_SOURCE, _RECIPIENT, _ROUTE = "PATCH /v1/sources/{source}", "PUT /v1/recipients/{recipient}", "PATCH /v1/routes/{route}"
SUPPLIES: Mapping[str, tuple[str, Callable[[Facts], Any]]] = {
    "subject.country": (f'{_SOURCE} {{"subject_country": "…"}}', lambda f: (f.get("collector") or {}).get("country")),
    "messenger": (f'{_SOURCE} {{"messengers": ["…"]}}', lambda f: "sms"),
    "data.special": (f'{_SOURCE} {{"special": []}}', lambda f: []),
    "data.classes": (f'{_SOURCE} {{"special": []}}', lambda f: _ALL_CLASSES),
    "collector.country": ('PATCH /v1/tenant {"controller": {"country": "…"}}', lambda f: "DE"),
    "purpose": (f'{_ROUTE} {{"purpose": "…"}}', lambda f: "message_routing"),
    "route.mode": (f'{_ROUTE} {{"mode": "…"}}', lambda f: "replicate"),
    "recipient.entity_country": (f'{_RECIPIENT} {{"entity_country": "…"}}', lambda f: f["collector"]["country"]),
    "recipient.processing_countries": (
        f'{_RECIPIENT} {{"processing_countries": ["…"]}}',
        lambda f: [f["collector"]["country"]],
    ),
    "recipient.role": (f'{_RECIPIENT} {{"role": "…"}}', lambda f: "processor"),
    "recipient.classes": (f'{_RECIPIENT} {{"classes": ["…"]}}', lambda f: _ALL_CLASSES),
    "recipient.onward": (f'{_RECIPIENT} {{"onward": []}}', lambda f: []),
    "recipient.granted": (f'{_RECIPIENT} {{"granted": true}}', lambda f: True),
}
"""A fact's path → the call that supplies it, and the assumption while the other gaps are looked for."""


@dataclass(frozen=True)
class Gap:
    """A missing fact, the rule and article that ask for it, and the call that supplies it (null: no call can)."""

    path: str
    rule: str
    ref: str
    supply: str | None
    kinds: tuple[str, ...] = ()
    """The kinds of records of which each would do."""

    @property
    def hop(self) -> str | None:
        """Whom the record must be about, where that matters."""
        gap = _GAP.match(self.path)
        return gap["hop"] if gap is not None else None

    def words(self) -> str:
        """Return the remedy in words."""
        gap = _GAP.match(self.path)
        if gap is not None:
            of = f" for {gap['hop']}" if gap["hop"] else ""
            if self.kinds:
                return f"declare a record of the kind {' or '.join(self.kinds)}{of} ({self.ref})"
            return f"supply what {gap['law']}.{gap['name']} asks for{of} ({self.ref})"
        for form, said in _WORDS:
            found = form.match(self.path)
            if found is not None:
                return f"{said.format(*found.groups())} ({self.ref})"
        return f"declare {self.path} ({self.ref})"

    def document(self) -> dict[str, str | None]:
        """Return the gap as the API shows it."""
        return {"path": self.path, "rule": self.rule, "ref": self.ref, "supply": self.supply}


@dataclass(frozen=True)
class FlowExamination:
    """The current decision, every gap, the rules that refuse in any case, and the decision with the gaps filled."""

    decision: Decision
    gaps: tuple[Gap, ...]
    refused: tuple[Mapping[str, str], ...]
    filled: Decision


def examine(
    facts: Facts,
    decide: Decide,
    law: Law,
    names: Mapping[str, str] | None = None,
    unnamed: Sequence[Mapping[str, Any]] | None = None,
) -> FlowExamination:
    """Decide, and find every gap.

    Args:
        law: the law that ``decide`` decides by.
        names: ids by ``source``, ``recipient`` and ``route``, for the calls; where one is new, its name in the plan.
        unnamed: where the route rests on the records that it names alone, the tenant's others.
    """
    names = {"source": "{id}", "recipient": "{id}", "route": "{id}", **(names or {})}
    first = now = decide(facts)
    gaps: dict[str, Gap] = {}
    for _ in range(ROUNDS_MAX):
        path = next((p for p in _needs(now) if p not in gaps), None)
        if path is None:
            break
        facts, after, supply, kinds = _fill(path, facts, now, decide, law, unnamed)
        rule, ref = _asked_by(path, now, after)
        gap = Gap(path, rule, ref, _named(supply, names), kinds)
        no_call = supply is None and any(form.match(path) for form, _ in _WORDS)
        gaps[path] = replace(gap, supply=gap.words()) if no_call else gap
        now = after
    refused = tuple(now.selected_rules()) if now.verdict == "refused" else ()
    return FlowExamination(first, tuple(gaps[p] for p in sorted(gaps)), refused, now)


def _named(call: str | None, names: Mapping[str, str]) -> str | None:
    for name, value in names.items():
        call = call.replace("{" + name + "}", value) if call else None
    return call


def _blocking(decision: Decision) -> dict[str, str]:
    return {f.provision.id: f.provision.ref for f in decision.findings if f.effect in ("hold", "deny")}


def _needs(decision: Decision) -> list[str]:
    cured = [CURES[rule] for rule in _blocking(decision) if rule in CURES]
    return sorted({*decision.missing, *decision.lifted_by, *cured})


_Filled = tuple[Facts, Decision, str | None, tuple[str, ...]]


def _fill(
    path: str, facts: Facts, now: Decision, decide: Decide, law: Law, unnamed: Sequence[Mapping[str, Any]] | None
) -> _Filled:
    """Return facts in which the gap is filled, the decision on them, the call, and the kinds of records that suffice.

    Facts stay unchanged where nothing fills the gap.
    """
    if path in SUPPLIES:
        call, value = SUPPLIES[path]
        filled = _with(facts, path.split("."), value(facts))
        return filled, decide(filled), call, ()
    bases = list(facts.get("bases") or ())
    if unstated := _UNSTATED.match(path):
        filled = {**facts, "bases": [_stating(b, unstated[1], unstated[2], law, facts) for b in bases]}
        return filled, decide(filled), None, ()
    gap = _GAP.match(path)
    if gap is None:
        return facts, now, None, ()
    code = gap["law"] if gap["law"] != "ANY" else None
    recipient = gap["hop"]
    for there in unnamed or ():
        candidate = {**facts, "bases": [*bases, there]}
        after = decide(candidate)
        if path not in _needs(after):
            return candidate, after, _naming(str(there["id"])), (str(there["kind"]),)
    fits: dict[str, tuple[Facts, Decision]] = {}
    for kind in (gap["name"],) if gap["name"] in KINDS else KINDS:
        candidate = {**facts, "bases": [*bases, _record(kind, code, recipient, facts, law)]}
        after = decide(candidate)
        if path not in _needs(after):
            fits[kind] = candidate, after
    if not fits:
        return facts, now, None, ()
    first, *others = fits
    record = dict(fits[first][0]["bases"][-1])
    for name in (
        *_FIELDS,
        *_TEXTS,
    ):  # a record that the filled gap works without, and no other rule misses, need not be supplied
        less = {n: v for n, v in record.items() if n != name}
        if set(_needs(decide({**facts, "bases": [*bases, less]}))) <= set(_needs(fits[first][1])):
            record = less
    other = f" or another of the kinds {', '.join(others)}" if others else ""
    call = _call_of(record) + other
    if unnamed is not None and call.startswith("POST"):
        call += f", and name it: {_naming('bas_…')}"
    return *fits[first], call, tuple(fits)


def _naming(basis: str) -> str:
    """Return the call by which a route that names its records names one more."""
    return f'{_ROUTE} {{"bases": ["…", "{basis}"]}}'


def _call_of(record: Mapping[str, Any]) -> str:
    if record["kind"] == "processor-contract":
        return f'{_RECIPIENT} {{"contract": {{"id": "…", "sha256": "…", "valid_from": "…"}}}}'
    names = {n: v for n, v in record.items() if n in ("law", "recipient") and v is not None}
    fields = {n: True if v is True else "…" for n, v in record.items() if n in _FIELDS}
    texts = {n: v for n, v in record.items() if n in _TEXTS}
    body = {"kind": record["kind"], **names, "valid_from": "…", "evidence": "sha256:…", **fields, **texts}
    return f"POST /v1/bases {json.dumps(body, ensure_ascii=False)}"


def _stating(basis: Mapping[str, Any], id: str, field: str, law: Law, facts: Facts) -> Mapping[str, Any]:
    """Return a record with one more field, if it is the one with that id."""
    if basis.get("id") != id:
        return basis
    whole = _record(str(basis["kind"]), basis.get("law"), basis.get("recipient"), facts, law)
    return {**basis, field: whole.get(field)}


def _texts(kind: str, code: str | None, law: Law) -> dict[str, str]:
    """Return the texts that a record of a kind states: those that a permit or a requirement of the law asks for."""
    texts: dict[str, str] = {}
    files = law.asked_of_records if code is None else (code,) if code in law.asked_of_records else ()
    for rule_kind, wanted in (row for file in files for row in law.asked_of_records[file]):
        for name in (n for n in _TEXTS if n in wanted and kind in _listed(wanted["kind"])):
            if rule_kind in ("permit", "require"):
                texts[name] = texts.get(name, "") or _listed(wanted[name])[0]
            else:
                texts.setdefault(name, "")
    return {name: text or _FILED for name, text in texts.items()}


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _record(kind: str, code: str | None, recipient: str | None, facts: Facts, law: Law) -> dict[str, Any]:
    """A record of a kind that meets every condition on its fields that a date, a yes or the law's own text can meet."""
    try:
        acted = (times.parse(str(facts.get("now"))) - _WAITS).date().isoformat()
    except (ValueError, OverflowError):
        acted = _LONG_AGO  # facts without a clock are always refused
    return {
        "id": "assumed",
        "kind": kind,
        "law": code,
        "recipient": recipient,
        "valid_from": _LONG_AGO,
        "valid_until": _FAR,
        "evidence": _DIGEST,
        **dict.fromkeys(_DATES, acted),
        **dict.fromkeys(_FLAGS, True),
        **_texts(kind, code, law),
    }


def _with(facts: Facts, path: list[str], value: Any) -> Facts:
    head, *rest = path
    inner = facts.get(head)
    changed: Any = _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    if head == "subject" and rest:
        changed = {**changed, "signal": "tenant_declared", "confidence": "declared"}
    return {**facts, head: changed}


def _asked_by(path: str, now: Decision, after: Decision) -> tuple[str, str]:
    """Name the rule that no longer stands in the way once the gap is filled."""
    before, then = _blocking(now), _blocking(after)
    lifted = [rule for rule in sorted(before) if rule not in then]
    gap = _GAP.match(path)
    named = f"{gap['law']}.{gap['name']}" if gap else ""
    cured = next((rule for rule, cure in CURES.items() if cure == path), None)
    for rule in (cured, named, *lifted, *sorted(before)):
        if rule is not None and rule in before:
            return rule, before[rule]
    return "", ""

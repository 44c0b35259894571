"""One rule of a law file: its required fields, and its compiled form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from .clocks import Period, period
from .compiling import Compiler
from .conditions import Condition, WaitingPeriod

EVER = date(2000, 1, 1)
"""Gates and the evaluator's own rules count from this day, like the rows of ``any.toml``."""

CONFIDENCES = ("verified", "memory", "unsure")


@dataclass(frozen=True, slots=True)
class Provision:
    """A provision that a decision can name: an id, its article, and when it is in force (``effective_to`` exclusive)."""

    id: str
    ref: str
    law: str
    effective_from: date = EVER
    effective_to: date | None = None
    confidence: str = "verified"
    settled: bool = True
    title: str = ""
    title_ru: str = ""

    def in_force(self, day: date) -> bool:
        """Say whether it is in force on a civil day."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


@dataclass(frozen=True, slots=True)
class Opinion:
    """A published view on a rule: who said what, when, and where it can be read."""

    body: str
    date: date
    ref: str
    says: str
    url: str

    def document(self) -> dict[str, str]:
        """Return it as JSON-able values."""
        return {"body": self.body, "date": self.date.isoformat(), "ref": self.ref, "says": self.says, "url": self.url}


@dataclass(frozen=True, slots=True)
class Rule(Provision):
    """One ``[[rule]]``, compiled."""

    kind: str = ""
    source: str = ""
    checked_on: date = EVER
    when: Condition = field(kw_only=True)
    require: Condition | None = None
    waited: WaitingPeriod | None = None
    effect: str = ""
    otherwise: str = ""
    lacks: str | None = None
    code: str | None = None
    within: Period | None = None
    minimum: Period | None = None
    instead: str | None = None
    fine: str | None = None
    opinions: tuple[Opinion, ...] = ()


def read_dates(place: str, start: object, end: object, faults: list[str]) -> tuple[date | None, date | None]:
    """Read from and to (exclusive, None = open); a fault leaves both None."""
    open_end = end == "open"
    if type(start) is not date or not (open_end or type(end) is date):
        faults.append(f'{place}: from and to are dates, or to is "open"')
        return None, None
    until = end if isinstance(end, date) else None
    if until is not None and until <= start:
        faults.append(f"{place}: effective_to is not after effective_from")
    return start, until


_RULE_NEEDED: Mapping[str, type | tuple[type, ...]] = {
    "id": str, "ref": str, "effective_from": date, "effective_to": (date, str), "source": str, "checked_on": date,
    "confidence": str, "settled": bool, "kind": str,
}  # fmt: skip
_RULE_MAY: Mapping[str, type] = {
    "when": dict, "require": dict, "else": str, "lacks": str, "effect": str, "code": str, "within": str,
    "extendable": str, "stops": str, "min": str, "instead": str, "fine": str, "opinions": list,
    "title": str, "title_ru": str,
}  # fmt: skip
RULE_FIELDS: Mapping[str, type | tuple[type, ...]] = {**_RULE_NEEDED, **_RULE_MAY}
"""The fields of a rule, and their types."""
_KINDS: Mapping[str, frozenset[str]] = {
    "permit": frozenset(),
    "forbid": frozenset({"effect"}),
    "require": frozenset({"require", "else"}),
    "oblige": frozenset({"code"}),
    "retain": frozenset({"min"}),
}
"""The required fields of a rule of each kind."""


def read_rule(
    row: dict[str, Any],
    place: str,
    table: Mapping[str, Any],
    compiler: Compiler,
    fines: frozenset[str],
    faults: list[str],
) -> Rule | None:
    """Compile one rule, or report every fault of it and return None."""
    before = len(faults)
    for key, wanted in _RULE_NEEDED.items():
        if key not in row:
            faults.append(f"{place}: {key} is missing")
        elif not isinstance(row[key], wanted):
            faults.append(f"{place}: {key} is of the wrong type")
        elif wanted is str and not row[key].strip():
            faults.append(f"{place}: {key} is empty")
    for key, value in row.items():
        if key not in _RULE_NEEDED and key not in _RULE_MAY:
            faults.append(f"{place}: unknown key {key!r}")
        elif key in _RULE_MAY and not isinstance(value, _RULE_MAY[key]):
            faults.append(f"{place}: {key} is of the wrong type")
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        faults.append(f"{place}: unknown kind {kind!r}")
    else:
        faults += [f"{place}: a {kind} rule needs {key}" for key in sorted(_KINDS[kind] - set(row))]
    if kind == "permit" and table["gate"] is not True:
        faults.append(f"{place}: a permit needs a gate")
    if row.get("confidence") not in (*CONFIDENCES, None):
        faults.append(f"{place}: unknown confidence {row['confidence']!r}")
    for key in ("effect", "else"):
        if row.get(key, "deny") not in ("deny", "hold"):
            faults.append(f"{place}: unknown {key} {row[key]!r}")
    if row.get("fine") is not None and str(row["fine"]) not in fines:
        faults.append(f"{place}: fine {row['fine']!r} is not in the fines table")
    periods = {key: _period(place, key, row, faults) for key in ("within", "extendable", "min")}
    opinions = _opinions(place, row.get("opinions", []), faults)
    start, end = None, None
    if "effective_from" in row and "effective_to" in row:
        start, end = read_dates(place, row["effective_from"], row["effective_to"], faults)
    when = row.get("when", {})
    wait = None
    if kind == "permit" and isinstance(when, dict) and "waited" in when:
        wait = compiler.wait(when["waited"])
        when = {key: value for key, value in when.items() if key != "waited"}
    asked = compiler.condition(when, "when")
    demanded = compiler.condition(row["require"], "require") if "require" in row else None
    if len(faults) > before or start is None:
        return None
    return Rule(
        id=row["id"],
        ref=row["ref"],
        law=table["code"],
        effective_from=start,
        effective_to=end,
        confidence=row["confidence"],
        settled=row["settled"],
        title=row.get("title", ""),
        title_ru=row.get("title_ru", ""),
        kind=row["kind"],
        source=row["source"],
        checked_on=row["checked_on"],
        when=asked,
        require=demanded,
        waited=wait,
        effect=row.get("effect", ""),
        otherwise=row.get("else", ""),
        lacks=row.get("lacks"),
        code=row.get("code"),
        within=periods["within"],
        minimum=periods["min"],
        instead=row.get("instead", "restrict" if kind == "retain" else None),
        fine=row.get("fine"),
        opinions=opinions,
    )


def _opinions(place: str, rows: object, faults: list[str]) -> tuple[Opinion, ...]:
    """Read the opinions on a rule; each has every field."""
    wanted = {field.name: date if field.name == "date" else str for field in fields(Opinion)}
    found = []
    for row in rows if isinstance(rows, list) else ():
        if (
            not isinstance(row, dict)
            or set(row) != set(wanted)
            or any(type(row[n]) is not t for n, t in wanted.items())
        ):
            faults.append(f"{place}: an opinion has {', '.join(wanted)}")
        elif not str(row["url"]).startswith("https://"):
            faults.append(f"{place}: the url of an opinion begins with https://")
        else:
            found.append(Opinion(**row))
    return tuple(found)


def _period(place: str, key: str, row: Mapping[str, Any], faults: list[str]) -> Period | None:
    if key not in row:
        return None
    try:
        found = period(row[key])
    except ValueError as fault:
        faults.append(f"{place}: {key}: {fault}")
        return None
    if key == "min" and found.unit not in "DMY":
        faults.append(f"{place}: min counts days, months or years")
    return found

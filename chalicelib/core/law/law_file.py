"""Read the file of one jurisdiction: its header, calendar, lists and rules, with everything wrong in it reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from ..countries import COUNTRIES
from ..event.messengers import MESSENGERS
from .clocks import Calendar, days
from .compiling import Compiler
from .conditions import DatedRow
from .rules import CONFIDENCES, RULE_FIELDS, Provision, Rule, read_dates, read_rule

REACHES = ("collector", "subject", "citizen", "store", "zone")


@dataclass(frozen=True, slots=True)
class LawFile:
    """One jurisdiction. ``table`` is the file itself as JSON-able values."""

    code: str
    countries: frozenset[str]
    reach: frozenset[str]
    zone: str | None
    not_zones: frozenset[str]
    calendar: Calendar
    lists: Mapping[str, tuple[DatedRow, ...]]
    gate: Provision | None
    permits: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    table: Mapping[str, Any]

    def provisions(self) -> Iterator[Provision]:
        """Yield every rule and the gate."""
        yield from self.permits
        yield from self.rules
        if self.gate is not None:
            yield self.gate


_HEADER: Mapping[str, type] = {
    "code": str, "version": str, "language": int, "countries": list, "reach": list, "time_zone": str, "gate": bool, "gate_id": str,
    "gate_ref": str, "source": str, "weekend": list, "holidays": dict, "working_weekends": str, "not_zones": list,
    "zone": str, "rule": list, "gate_title": str, "gate_title_ru": str, "links": list,
}  # fmt: skip
TEXTS = frozenset(name for table in (_HEADER, RULE_FIELDS) for name, kind in table.items() if kind is str)
_NEEDED = ("code", "countries", "reach", "time_zone", "gate")
_MEMBERS = ("countries", "messengers", "channels")
"""What a dated list holds; ``channels`` in packs of before facts had a messenger."""
_ROW = frozenset({"from", "to", "confidence", *_MEMBERS, "scheme"})


def plain(value: Any) -> Any:
    """Return TOML values as JSON-able ones: dates as ISO text.

    Raises:
        ValueError: a number with a fraction, or a time of day, which have no place in a law file.
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (float, datetime, time)):
        raise ValueError("fractions and times of day have no place in a law file")
    return value


def read_law_file(
    name: str, table: dict[str, Any], fines: frozenset[str], faults: list[str], language: int
) -> LawFile | None:
    """Return a law file, or None where it cannot be read further.

    Args:
        name: the file's name or code, for faults.
        table: its TOML.
        fines: the fines that a rule may name.
        faults: gets everything that is wrong.
        language: the version of the rule language.
    """
    before = len(faults)
    faults += [f"{name}: {key} is missing" for key in _NEEDED if key not in table]
    for key, value in table.items():
        if key in _HEADER and not isinstance(value, _HEADER[key]):
            faults.append(f"{name}: {key} is of the wrong type")
    try:
        document = plain(table)
    except ValueError as fault:
        faults.append(f"{name}: {fault}")
    if len(faults) > before:
        return None
    faults += [f"{name}: unknown country {c!r}" for c in table["countries"] if str(c) not in COUNTRIES]
    faults += [f"{name}: unknown reach {r!r}" for r in table["reach"] if r not in REACHES]
    calendar = _calendar(name, table, faults)
    lists = _lists(name, table, faults)
    gate = None
    if table["gate"] is True:
        if not table.get("gate_id") or not table.get("gate_ref", "").strip():
            faults.append(f"{name}: a gate needs gate_id and gate_ref")
        titles = {"title": table.get("gate_title", ""), "title_ru": table.get("gate_title_ru", "")}
        gate = Provision(table.get("gate_id", ""), table.get("gate_ref", ""), table["code"], **titles)
    rows = [row for row in table.get("rule", []) if isinstance(row, dict)]
    if len(rows) != len(table.get("rule", [])):
        faults.append(f"{name}: every rule is a table")
    permits = frozenset(str(row.get("id")) for row in rows if row.get("kind") == "permit")
    rules = []
    for number, row in enumerate(rows, 1):
        place = f"{name}: {row.get('id') or f'rule {number}'}"
        compiler = Compiler(frozenset(lists), permits, faults, place, language)
        rule = read_rule(row, place, table, compiler, fines, faults)
        if rule is not None:
            rules.append(rule)
    return LawFile(
        code=table["code"],
        countries=frozenset(map(str, table["countries"])),
        reach=frozenset(map(str, table["reach"])),
        zone=table.get("zone"),
        not_zones=frozenset(map(str, table.get("not_zones", ()))),
        calendar=calendar,
        lists=lists,
        gate=gate,
        permits=tuple(r for r in rules if r.kind == "permit"),
        rules=tuple(r for r in rules if r.kind != "permit"),
        table=document,
    )


def _calendar(name: str, table: Mapping[str, Any], faults: list[str]) -> Calendar:
    zone = ZoneInfo("UTC")
    try:
        zone = ZoneInfo(table["time_zone"])
    except (KeyError, ValueError, OSError):
        faults.append(f"{name}: unknown time zone {table['time_zone']!r}")
    weekend = table.get("weekend", [6, 7])
    if not all(type(d) is int and 1 <= d <= 7 for d in weekend) or len(set(weekend)) > 6:
        faults.append(f"{name}: weekend holds ISO weekdays, 1 to 7, and leaves one to work")
        weekend = [6, 7]
    holidays: frozenset[date] = frozenset()
    years: set[int] = set()
    try:
        for year, texts in table.get("holidays", {}).items():
            years.add(int(year))
            holidays |= days(f"{int(year):04d}-{text}" for text in texts.split())
        worked = days(table.get("working_weekends", "").split())
    except (ValueError, AttributeError):
        faults.append(f"{name}: holidays and working_weekends hold dates that exist")
        worked = frozenset()
    return Calendar(zone, frozenset(weekend), holidays, frozenset(years), worked)


def _lists(name: str, table: Mapping[str, Any], faults: list[str]) -> dict[str, tuple[DatedRow, ...]]:
    lists = {}
    for key, rows in table.items():
        if key in _HEADER:
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            faults.append(f"{name}: unknown key {key!r}")
            continue
        lists[key] = tuple(found for row in rows for found in _row(f"{name}: {key}", row, faults))
    return lists


def _row(place: str, row: Mapping[str, Any], faults: list[str]) -> Iterator[DatedRow]:
    held = [name for name in _MEMBERS if name in row]
    if not {"from", "to", "confidence"} <= set(row) <= _ROW or len(held) != 1:
        faults.append(f"{place}: a row has from, to, confidence and either countries or messengers")
        return
    start, end = read_dates(place, row["from"], row["to"], faults)
    if row["confidence"] not in CONFIDENCES:
        faults.append(f"{place}: unknown confidence {row['confidence']!r}")
    members = str(row[held[0]]).split()
    known = {"countries": COUNTRIES, "messengers": MESSENGERS}.get(held[0], members)
    singular = {"countries": "country"}.get(held[0], held[0].removesuffix("s"))
    faults += [f"{place}: unknown {singular} {m!r}" for m in members if m not in known]
    if start is not None:
        yield DatedRow(start, end, frozenset(members))

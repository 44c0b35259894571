"""Write a law file as a page that a lawyer can read: ``python -m chalicelib.law.pages`` writes docs/law."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..core.law import NOT_LAWS
from . import texts

DOCS = Path(__file__).parent.parent.parent / "docs" / "law"

_FACTS: Mapping[str, tuple[str, str]] = {
    "handles": ("the data are handled in any way but erasure and expiry", "the data are being erased or expire"),
    "collects": ("data are received, stored or cached", "data are not being collected"),
    "delivers": ("data are delivered, viewed or exported", "data are not being delivered"),
    "touches": ("data are collected or delivered", "data are neither collected nor delivered"),
    "personal": ("what is sent tells of a person", "nothing that is sent tells of a person"),
    "transfer": ("data go to a country outside this law", "data stay in a country of this law"),
    "ru_citizen": (
        "the person is, or must be taken for, a Russian citizen",
        "the person is not a Russian citizen",
    ),
    "us_person": ("the person is a US person", "the person is not a US person"),
    "us_bulk": ("the bulk threshold is passed", "the bulk threshold is not passed"),
}
_OPERATORS: Mapping[str, str] = {
    "gte": "is at least", "gt": "is more than", "lte": "is at most", "lt": "is less than", "has": "includes",
    "not_in": "is none of", "in_list": "is in the list", "not_in_list": "is not in the list",
}  # fmt: skip
_KINDS: Mapping[str, str] = {
    "permit": "A transfer is permitted",
    "forbid": "Forbidden",
    "require": "Demanded",
    "oblige": "A duty arises",
    "retain": "Must be kept",
}


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " or ".join(_value(item) for item in value)
    return value.isoformat() if isinstance(value, date) else f"`{value}`"


def _fact(path: str, value: object) -> str:
    said = f"`{path}`"
    if not isinstance(value, dict):
        return f"{said} is {_value(value)}"
    return " and ".join(
        f"{said} is known" if op == "present" else f"{said} {_OPERATORS[op]} {_value(operand)}"
        for op, operand in value.items()
    )


def _record(value: Mapping[str, Any]) -> str:
    fields = [_fact(name, wanted) for name, wanted in value.items() if name not in ("kind", "bound")]
    said = f"a valid {_value(value['kind'])} record" + (" for this recipient" if value.get("bound") else "")
    return f"there is {said}" + (f" whose {' and whose '.join(fields)}" if fields else "")


def _clock(value: Mapping[str, Any]) -> str:
    return f"{value['working_days']} working days after `{value['field']}` of the {_value(value['kind'])} record"


_FORMS: Mapping[str, Callable[[Any], str]] = {
    "any_of": lambda v: "either " + ", or ".join(words(item) for item in v),
    "none_of": lambda v: "it is not so that " + ", nor that ".join(words(item) for item in v),
    "basis": _record,
    "special_any": lambda _: "special categories are sent",
    "special_in": lambda v: f"special categories are sent: {_value(v)}",
    "waited": lambda v: f"the wait of {_clock(v)} is over",
    "within": lambda v: f"it is not later than {_clock(v)}",
    "relies": lambda v: "no permit is relied on" if v == "none" else f"the permit relied on is {_value(v)}",
    "never": lambda _: "never",
    "destination": lambda v: _fact("destination", v),
    "held_hours": lambda v: _fact("held_hours", v),
}


def words(condition: Mapping[str, Any]) -> str:
    """Return a condition in words."""
    said = []
    for key, value in condition.items():
        if key in _FORMS:
            said.append(_FORMS[key](value))
        elif key in _FACTS:
            said.append(_FACTS[key][0 if value else 1])
        else:
            said.append(_fact(key, value))
    return ", and ".join(said)


def demand(rule: Mapping[str, Any]) -> str:
    """Return what a rule demands, in words."""
    when = words(rule.get("when", {})) or "always"
    if rule["kind"] == "permit":
        return f"{_KINDS['permit']} where {when}."
    if rule["kind"] == "oblige":
        within = f" within {rule['within']}" if "within" in rule else ""
        longer = f", may be extended by {rule['extendable']}" if "extendable" in rule else ""
        stops = f"; the clock stops for {rule['stops']}" if "stops" in rule else ""
        return f"{_KINDS['oblige']}, `{rule['code']}`{within}{longer}, where {when}{stops}."
    if rule["kind"] == "retain":
        return f"{_KINDS['retain']} for {rule['min']} where {when}."
    said = f"{_KINDS[rule['kind']]} where {when}" if rule.get("when") else f"{_KINDS[rule['kind']]} always"
    if rule["kind"] == "require":
        otherwise = "refused" if rule["else"] == "deny" else "held until then"
        return f"{said}: {words(rule['require'])}. Otherwise {otherwise}."
    return f"{said}. The transfer is {'refused' if rule['effect'] == 'deny' else 'held'}."


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page(text: str) -> str:
    """Return the page of a law file."""
    table = tomllib.loads(text)
    title = text.partition("\n")[0].removeprefix("#").strip()
    lines = [f"# {title}", "", "<!-- Made from the law file by `python -m chalicelib.law.pages`; do not edit. -->", ""]
    lines += ["Engineering input, not legal advice. *Unsettled* marks what lawyers read differently.", ""]
    lines += [_row(["", ""]), "|---|---|", _row(["Code", table["code"]])]
    if table["countries"]:
        lines.append(_row(["Countries", " ".join(table["countries"])]))
    if table["reach"]:
        lines.append(_row(["Reaches by the country of the", ", ".join(table["reach"])]))
    lines.append(_row(["Days are counted in", table["time_zone"]]))
    if table["gate"]:
        lines.append(_row(["Gate", f"`{table['gate_id']}`: a transfer needs a permit ({table['gate_ref']})"]))
    lines += [_row(["Source", table["source"]]), ""]
    dated = {key: rows for key, rows in table.items() if key != "rule" and isinstance(rows, list) and _dated(rows)}
    if dated:
        lines += ["## Lists", "", _row(["list", "from", "to", "confidence", "members"]), "|---|---|---|---|---|"]
        for name, rows in dated.items():
            for row in rows:
                members = str(row.get("countries", row.get("channels")))
                lines.append(_row([f"`{name}`", str(row["from"]), str(row["to"]), row["confidence"], members]))
        lines.append("")
    lines += ["## Rules", ""]
    for rule in table["rule"]:
        standing = rule["confidence"] if rule["settled"] else f"{rule['confidence']}, **unsettled**"
        lines += [f"### {rule['id']}: {rule['ref']}", "", demand(rule), ""]
        lines += [f"In force from {rule['effective_from']} to {rule['effective_to']}. Confidence: {standing}.  "]
        lines += [f"Fine: `{rule['fine']}` (`fines.toml`).  "] if "fine" in rule else []
        lines += [f"Source: {rule['source']}; checked on {rule['checked_on']}.", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _dated(rows: list[Any]) -> bool:
    return bool(rows) and all(isinstance(row, dict) and "from" in row for row in rows)


def pages() -> dict[str, str]:
    """Return every page by its file name."""
    laws = sorted((name, text) for name, text in texts().items() if name not in NOT_LAWS)
    return {name.removesuffix(".toml") + ".md": page(text) for name, text in laws}


if __name__ == "__main__":
    DOCS.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")

"""Write a law file as a page that a lawyer can read: ``python -m chalicelib.law.pages`` writes docs/law."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..core.law.loader import NOT_LAWS
from . import texts

DOCS = Path(__file__).parent.parent.parent / "docs" / "law"

_WIDTH = 120
"""The longest line of prose on a page, in characters."""

_FACTS: Mapping[str, tuple[str, str]] = {
    "handles": ("the operation is neither an erasure nor an expiry", "the operation is an erasure or an expiry"),
    "collects": ("data is received, stored or cached", "data is not being received, stored or cached"),
    "delivers": ("data is delivered, viewed or exported", "data is not being delivered, viewed or exported"),
    "touches": ("data is collected or delivered", "data is neither collected nor delivered"),
    "personal": ("the data sent is personal data", "the data sent is not personal data"),
    "transfer": ("data goes to a country outside this law", "data stays in a country of this law"),
    "ru_citizen": (
        "the person is a Russian citizen, or has to be treated as one",
        "the person is not a Russian citizen",
    ),
    "us_person": ("the person is a US person", "the person is not a US person"),
    "recipient_prohibited": (
        "the law of a country concerned prohibits the recipient",
        "no law of a country concerned prohibits the recipient",
    ),
    "recipient_restricted": (
        "the law of a country concerned restricts the recipient",
        "no law of a country concerned restricts the recipient",
    ),
    "us_bulk": ("the bulk threshold is passed", "the bulk threshold is not passed"),
}
_OPERATORS: Mapping[str, str] = {
    "gte": "is at least", "gt": "is more than", "lte": "is at most", "lt": "is less than", "has": "includes",
    "not_in": "is none of", "in_list": "is in the list", "not_in_list": "is not in the list",
}  # fmt: skip

_Tree = tuple[str, Sequence["_Tree"]]
"""One condition: its words, and the alternatives below it."""


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " or ".join(_value(item) for item in value)
    return value.isoformat() if isinstance(value, date) else f"`{value}`"


def _fact(path: str, value: object) -> str:
    name = f"`{path}`"
    if not isinstance(value, dict):
        return f"{name} is {_value(value)}"
    return " and ".join(
        f"{name} is known" if op == "present" else f"{name} {_OPERATORS[op]} {_value(operand)}"
        for op, operand in value.items()
    )


def _record(value: Mapping[str, Any]) -> str:
    fields = [_fact(name, wanted) for name, wanted in value.items() if name not in ("kind", "bound")]
    record = f"a valid {_value(value['kind'])} record" + (" for this recipient" if value.get("bound") else "")
    return f"there is {record}" + (f" whose {' and whose '.join(fields)}" if fields else "")


def _clock(value: Mapping[str, Any]) -> str:
    return f"{value['working_days']} working days after `{value['field']}` of the {_value(value['kind'])} record"


_FORMS: Mapping[str, Callable[[Any], str]] = {
    "basis": _record,
    "special_any": lambda _: "special categories are sent",
    "special_in": lambda v: f"special categories are sent: {_value(v)}",
    "waited": lambda v: f"the wait of {_clock(v)} is over",
    "within": lambda v: f"it is not later than {_clock(v)}",
    "relies": lambda v: "no permit is relied on" if v == "none" else f"the permit relied on is {_value(v)}",
    "never": lambda _: "this condition never holds",
    "destination": lambda v: _fact("destination", v),
    "held_hours": lambda v: _fact("held_hours", v),
}
_GROUPS: Mapping[str, str] = {"any_of": "at least one", "none_of": "none"}


def _trees(condition: Mapping[str, Any]) -> list[_Tree]:
    return [_tree(key, value) for key, value in condition.items()]


def _tree(key: str, value: Any) -> _Tree:
    if key in _GROUPS:
        alternatives = [_joined(_trees(item)) for item in value]
        if key == "none_of" and len(alternatives) == 1 and not alternatives[0][1]:
            return _denied(alternatives[0][0]), ()
        return f"{_GROUPS[key]} of these holds:", alternatives
    if key in _FORMS:
        return _FORMS[key](value), ()
    return (_FACTS[key][0 if value else 1], ()) if key in _FACTS else (_fact(key, value), ())


def _denied(words: str) -> str:
    start = "there is a "
    return f"there is no {words.removeprefix(start)}" if words.startswith(start) else f"it is not the case that {words}"


def _joined(trees: Sequence[_Tree]) -> _Tree:
    """Return conditions that must hold together as one: on one line where none has alternatives of its own."""
    if len(trees) == 1:
        return trees[0]
    if any(below for _, below in trees):
        return "all of these hold:", trees
    return ", and ".join(words for words, _ in trees), ()


def _listed(trees: Sequence[_Tree], depth: int = 0) -> list[str]:
    lines: list[str] = []
    for words, below in trees:
        lines += _wrapped(words, "  " * depth + "- ", "  " * (depth + 1))
        lines += _listed(below, depth + 1)
    return lines


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Return lines of at most ``_WIDTH`` characters; text in backquotes stays on one line."""
    kept = re.sub(r"`[^`]*`", lambda code: code.group().replace(" ", "\0"), text)
    lines = textwrap.wrap(
        kept, _WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]


def demand(rule: Mapping[str, Any]) -> list[str]:
    """Return the demands of a rule, as lines of Markdown."""
    when, kind = rule.get("when", {}), rule["kind"]
    if kind in ("forbid", "require"):
        consequence = "refused" if rule.get("effect", rule.get("else")) == "deny" else "held"
        if kind == "forbid" or rule["require"] == {"never": True}:
            return _conditional(f"The transfer is {consequence}", when)
        scope = [*_conditional("The rule applies", when), ""] if when else []
        required = _required(_trees(rule["require"]))
        until = " until then" if consequence == "held" else ""
        return [*scope, *required, f"Otherwise the transfer is {consequence}{until}."]
    if kind == "permit":
        return _conditional("A transfer is permitted", when)
    if kind == "retain":
        return _conditional(f"The data must be kept for {rule['min']}", when)
    within = f" within {rule['within']}" if "within" in rule else ""
    longer = f" (extendable by {rule['extendable']})" if "extendable" in rule else ""
    stops = ["", f"The clock stops for {rule['stops']}."] if "stops" in rule else []
    return [*_conditional(f"The duty `{rule['code']}` arises{within}{longer}", when), *stops]


def _required(trees: Sequence[_Tree]) -> list[str]:
    if len(trees) > 1:
        return ["All of these are required:", "", *_listed(trees), ""]
    (words, below), *_ = trees
    if below:
        return [f"{words.removesuffix(' of these holds:').capitalize()} of these is required:", "", *_listed(below), ""]
    return _wrapped(f"This is required: {words}.")


def _conditional(consequence: str, when: Mapping[str, Any]) -> list[str]:
    """Return one sentence where there is one condition, else a sentence with a list of conditions."""
    trees = _trees(when)
    if not trees:
        return [f"{consequence} in every case."]
    if len(trees) > 1:
        return [f"{consequence} if all of these hold:", "", *_listed(trees)]
    (words, below), *_ = trees
    if below:
        return [*_wrapped(f"{consequence} if {words}"), "", *_listed(below)]
    return _wrapped(f"{consequence} if {words}.")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page(text: str) -> str:
    """Return the page of a law file."""
    table = tomllib.loads(text)
    title = text.partition("\n")[0].removeprefix("#").strip().removesuffix(".")
    lines = [f"# {title}", "", "<!-- Made from the law file by `python -m chalicelib.law.pages`; do not edit. -->", ""]
    lines += ["Engineering input, not legal advice. *Unsettled* marks rules that lawyers read differently.", ""]
    lines += [_row(["", ""]), "|---|---|", _row(["Code", table["code"]])]
    if table["countries"]:
        lines.append(_row(["Countries", " ".join(table["countries"])]))
    if table["reach"]:
        lines.append(_row(["Reaches by the country of the", ", ".join(table["reach"])]))
    lines.append(_row(["Days are counted in", table["time_zone"]]))
    if table["gate"]:
        lines.append(_row(["Gate", f"`{table['gate_id']}`: {table['gate_title']} ({table['gate_ref']})"]))
    lines += [_row(["Source", table["source"]])]
    links = ", ".join(f"[{link['of']}]({link['url']})" for link in table.get("links", []))
    lines += [*([_row(["Texts", links])] if links else []), ""]
    dated = {key: rows for key, rows in table.items() if key != "rule" and isinstance(rows, list) and _dated(rows)}
    if dated:
        lines += ["## Lists", "", _row(["list", "from", "to", "confidence", "members"]), "|---|---|---|---|---|"]
        for name, rows in dated.items():
            for row in rows:
                members = str(row.get("countries", row.get("messengers")))
                lines.append(_row([f"`{name}`", str(row["from"]), str(row["to"]), row["confidence"], members]))
        lines.append("")
    lines += ["## Rules", ""]
    for rule in table["rule"]:
        standing = rule["confidence"] if rule["settled"] else f"{rule['confidence']}, **unsettled**"
        lines += [f"### {rule['id']}: {rule['title']}", "", f"*{rule['title_ru']}*", "", f"Article: {rule['ref']}.", ""]
        lines += [*demand(rule), ""]
        lines += [f"In force from {rule['effective_from']} to {rule['effective_to']}. Confidence: {standing}.  "]
        lines += [f"Fine: `{rule['fine']}` (`fines.toml`).  "] if "fine" in rule else []
        source = "" if rule["source"] == table["source"] else f"Source: {_linked(rule['source'])}. "
        lines += [*_wrapped(f"{source}Checked on {rule['checked_on']}."), ""]
        for opinion in rule.get("opinions", []):
            said = f"{opinion['body']}, {opinion['date']} ({opinion['ref']}): {opinion['says']}"
            lines += [*_wrapped(f"{said} <{opinion['url']}>", "> ", "> "), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _linked(text: str) -> str:
    """Return a text whose addresses are links."""
    return re.sub(r"https?://[^\s,;)]+", lambda url: f"<{url.group()}>", text)


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

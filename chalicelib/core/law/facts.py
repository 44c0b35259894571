"""Read the facts of a decision, or report everything that is wrong with them.

Nothing here raises on bad facts: they are reported, and ``decide`` refuses. ``fact_fields`` says which facts there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..event.messengers import own_messenger
from .bases import BasisKind, BasisRecord
from .fact_fields import (
    ACTIONS,
    BASIS,
    BASIS_FIELDS,
    HOP,
    INSIDE_OPTIONAL,
    KEY_FORM,
    LISTS,
    MAX_ITEMS,
    MAX_RECORDS,
    OPTIONAL,
    PATH_FORM,
    SHAPE,
    FactField,
    Shape,
)


@dataclass(frozen=True, slots=True)
class FactParty:
    """One recipient of a transfer. ``path`` is where the facts speak of it; the store of a cell is a party too."""

    path: str
    values: Mapping[str, Any]

    @property
    def id(self) -> str | None:
        """Its id, if known."""
        value = self.values.get("id")
        return value if isinstance(value, str) else None

    def countries(self) -> tuple[str, ...]:
        """Every known country where it is established or processes, once each, sorted."""
        found = set(self.values.get("processing_countries") or ())
        if self.values.get("entity_country"):
            found.add(self.values["entity_country"])
        return tuple(sorted(found))


UNKNOWN_ONWARD = FactParty("recipient.onward", {})
"""The value of undeclared onward recipients: unknown whether there are any."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that were read. ``values`` holds the known ones, by path; ``objects`` the optional objects that are present."""

    now: datetime
    values: Mapping[str, Any]
    objects: frozenset[str]
    bases: tuple[BasisRecord, ...]
    recipient: FactParty
    onward: tuple[FactParty, ...] | None
    redactions: tuple[Mapping[str, str], ...]

    def no_such_thing(self, path: str) -> bool:
        """Say whether an absent fact means that there is none, rather than that it is unknown."""
        return path in OPTIONAL or (path in INSIDE_OPTIONAL and INSIDE_OPTIONAL[path] not in self.objects)


class _FactsReader:
    """One pass over the facts: values by path, and problems that name places but never values."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.objects: set[str] = set()
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.problems: list[str] = []

    def object(self, value: Any, shape: Shape, prefix: str, into: dict[str, Any]) -> None:
        for key, inner in value.items():
            part = shape.get(key)
            # Show only our own key, or one that looks like it; never repeat another.
            path = f"{prefix}{key}" if part is not None or KEY_FORM.match(str(key)) else f"{prefix}?"
            if part is None:
                if f"{prefix}{key}" in LISTS:
                    self.list(inner, path)
                else:
                    self.problems.append(f"{path}: unknown key")
            elif inner is None:
                continue
            elif isinstance(part, FactField):
                self.leaf(inner, part, path, into, path if into is self.values else key)
            elif isinstance(inner, dict):
                self.objects.add(path)
                self.object(inner, part.fields, path + ".", into)
            else:
                self.problems.append(f"{path}: must be an object")

    def leaf(self, value: Any, leaf: FactField, path: str, into: dict[str, Any], key: str) -> None:
        try:
            if not leaf.many:
                into[key] = leaf.read(value)
            elif not isinstance(value, (list, tuple)) or len(value) > MAX_ITEMS:
                raise ValueError("must be a list")
            elif value or not leaf.empty_is_unknown:
                into[key] = tuple(sorted({leaf.read(item) for item in value}))
        except UnicodeError:
            self.problems.append(f"{path}: is not valid Unicode")
        except (ValueError, OverflowError) as fault:
            # Only texts of ours: the calendar's own words may quote the value.
            said = str(fault)
            self.problems.append(f"{path}: {said if said.startswith('must be') else 'must be a date that exists'}")

    def list(self, value: Any, path: str) -> None:
        if value is None:
            return
        if not isinstance(value, (list, tuple)) or len(value) > MAX_RECORDS:
            self.problems.append(f"{path}: must be a list of at most {MAX_RECORDS}")
            return
        found = self.lists.setdefault(path, [])
        for position, item in enumerate(value):
            place = f"{path}[{position}]"
            if not isinstance(item, dict):
                self.problems.append(f"{place}: must be an object")
                continue
            into: dict[str, Any] = {}
            self.object(item, LISTS[path], place + ".", into)
            found.append(into)


def record_problems(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a basis record that cannot be read, each with what it must be; sorted."""
    reading = _FactsReader()
    reading.object(item, BASIS, "", {})
    return sorted((field, said) for field, _, said in (problem.partition(": ") for problem in reading.problems))


def read(document: object) -> tuple[Facts | None, list[str]]:
    """Read facts, or say everything that is wrong with them (sorted; places and expectations, never values)."""
    if not isinstance(document, dict):
        return None, ["must be a JSON object of facts"]
    reading = _FactsReader()
    reading.object(document, SHAPE, "", reading.values)
    values, problems = reading.values, reading.problems
    if "now" not in values and not any(p.startswith("now:") for p in problems):
        problems.append("now: must be an instant, RFC 3339 in UTC")
    bases = _records(reading.lists.get("bases", []), problems)
    redactions = reading.lists.get("route.redactions", [])
    for position, item in enumerate(redactions):
        problems += [f"route.redactions[{position}].{p}" for p in redaction_problems(item)]
    if problems:
        return None, sorted(set(problems))

    if "messenger" not in values and (own := own_messenger(values.get("channel", ""))):
        values["messenger"] = own
    countries = set(values.get("subject.candidates", ()))
    if "subject.country" in values:
        countries.add(values["subject.country"])
    if countries:
        values["subject.countries"] = tuple(sorted(countries))
    onward = reading.lists.get("recipient.onward")
    if onward is not None:
        values["recipient.onward"] = tuple(party.get("id", "") for party in onward)
    recipient = {name: values[f"recipient.{name}"] for name in HOP if f"recipient.{name}" in values}
    facts = Facts(
        now=values["now"],
        values=values,
        objects=frozenset(reading.objects),
        bases=tuple(bases),
        recipient=FactParty("recipient", recipient),
        onward=None
        if onward is None
        else tuple(FactParty(f"recipient.onward[{i}]", party) for i, party in enumerate(onward)),
        redactions=tuple(redactions),
    )
    return facts, []


def _records(items: list[dict[str, Any]], problems: list[str]) -> list[BasisRecord]:
    records = []
    for position, item in enumerate(items):
        lacking = [name for name in ("id", "kind") if name not in item]
        if lacking:
            places = [f"bases[{position}].{name}:" for name in lacking]
            problems += [f"{at} must be given" for at in places if not any(p.startswith(at) for p in problems)]
            continue
        fields = {name: value for name, value in item.items() if name in BASIS_FIELDS}
        records.append(
            BasisRecord(
                id=item["id"],
                kind=BasisKind(item["kind"]),
                law=item.get("law"),
                recipient=item.get("recipient"),
                valid_from=item.get("valid_from"),
                valid_until=item.get("valid_until"),
                evidence=item.get("evidence"),
                withdrawn_at=item.get("withdrawn_at"),
                fields=fields,
            )
        )
    return records


def redaction_problems(item: Mapping[str, Any]) -> list[str]:
    """Return the problem of a redaction whose values have the right types: it needs exactly one of class and path."""
    if ("class" in item) == ("path" in item):
        return ["class: must be given, or path; not both"]
    if item.get("class") == "technical":
        return ["class: technical fields cannot be redacted"]
    if "action" not in item:
        return ["action: must be one of " + " ".join(sorted(ACTIONS))]
    if "path" in item and not PATH_FORM.match(item["path"]):
        return ["path: must be made of $ .name [n] [*]"]
    return []

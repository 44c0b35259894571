"""The facts that a decision reads: their shape, and how they are read.

``SHAPE`` is the one table of every fact: the law loader takes its paths and types from it, the evaluator which facts are
optional. Nothing here raises on bad facts: they are reported, and ``decide`` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from .. import times
from ..countries import COUNTRIES
from ..event.event import DataClass
from .bases import BasisKind, BasisRecord

SPECIAL = frozenset("race politics religion union health sex_life biometric genetic convictions financial".split())
OPS = frozenset("receive normalise store cache route deliver view export edit hide unhide erase expire".split())
CLASSES = frozenset(c.value for c in DataClass)
ACTIONS = frozenset({"drop", "mask", "pseudonymise"})

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z")
PATH_FORM = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\[(?:0|[1-9]\d{0,5}|\*)\])*\Z")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_YEARS = range(1900, 2201)
_MAX_TEXT = 512
_MAX_ITEMS = 1000


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT:
        raise ValueError("must be a text of 1 to 512 characters")
    value.encode()
    return value


def _date(value: object) -> date:
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError("must be a date, YYYY-MM-DD")
    day = date.fromisoformat(value)
    if day.year not in _YEARS:
        raise ValueError("must be a date between 1900 and 2200")
    return day


def instant(value: object) -> datetime:
    """Read an instant of the facts.

    Raises:
        ValueError: not RFC 3339 with an offset, or not between 1900 and 2200.
    """
    if not isinstance(value, str):
        raise ValueError("must be an instant, RFC 3339 in UTC")
    return _instant(value)


@lru_cache(times.KEPT)
def _instant(value: str) -> datetime:
    if not _INSTANT.match(value):
        raise ValueError("must be an instant, RFC 3339 in UTC")
    if int(value[:4]) not in _YEARS:
        raise ValueError("must be an instant between 1900 and 2200")
    return times.parse(value.upper())


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("must be a whole number from 0")
    return value


def _country(value: object) -> str:
    if not isinstance(value, str) or value not in COUNTRIES:
        raise ValueError("must be a country of ISO 3166-1, two capital letters")
    return value


@dataclass(frozen=True, slots=True)
class FactField:
    """One fact: how it is read, whether absence means "no such thing", and the values that a rule may compare it with."""

    read: Callable[[object], Any]
    optional: bool = False
    many: bool = False
    empty_is_unknown: bool = False
    ordered: bool = False


Shape = Mapping[str, "FactField | Node"]


@dataclass(frozen=True, slots=True)
class Node:
    """An object of facts."""

    fields: Mapping[str, FactField | Node]
    optional: bool = False


def _one_of(values: frozenset[str]) -> Callable[[object], str]:
    said = "must be one of " + " ".join(sorted(values))

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError(said)
        return value

    return read


def _word(values: str, *, optional: bool = False) -> FactField:
    return FactField(_one_of(frozenset(values.split())), optional=optional)


def _words(read: Callable[[object], str], *, optional: bool = False, empty_is_unknown: bool = False) -> FactField:
    return FactField(read, optional=optional, many=True, empty_is_unknown=empty_is_unknown)


TEXT = FactField(_text)
COUNTRY = FactField(_country)
DATE = FactField(_date, ordered=True)
INSTANT = FactField(instant)
FLAG = FactField(_flag)
COUNT = FactField(_count, ordered=True)
_ROLES = "controller joint processor sub_processor third_party staff foreign_authority"
_COUNTERS = "identifiers_12m geo_devices_12m health_12m biometric_12m financial_12m genomic_12m"

HOP: Shape = {
    "id": TEXT,
    "entity_country": COUNTRY,
    "processing_countries": _words(_country, empty_is_unknown=True),
    "role": _word(_ROLES),
    "granted": FLAG,
}

SHAPE: Shape = {
    "id": FactField(_text, optional=True),
    "now": INSTANT,
    "rules_version": FactField(_text, optional=True),
    "op": FactField(_one_of(OPS)),
    "channel": TEXT,
    "router_role": _word("controller processor joint own_purposes"),
    "purpose": TEXT,
    "subject": Node({
        "country": COUNTRY,
        "signal": _word("tenant_declared verified_profile phone_prefix collected_in none"),
        "confidence": _word("declared verified inferred unknown"),
        "candidates": _words(_country, optional=True),
        "citizenship": FactField(_country, optional=True),
        "minor": FactField(_flag, optional=True),
    }),
    "data": Node({
        "classes": _words(_one_of(CLASSES), empty_is_unknown=True),
        "special": _words(_one_of(SPECIAL)),
        "localised_in": _words(_country, optional=True),
    }),
    "collector": Node({
        "country": COUNTRY,
        "tenant_class": _word("general state_body bank telecom large_platform ori ciio sdf"),
        "zone": _word("DIFC ADGM", optional=True),
        "requires": _words(_one_of(frozenset(BasisKind)), optional=True),
    }),
    "store": Node({"country": COUNTRY, "provider": TEXT, "copies": _words(_country)}),
    "first_write": Node({"country": COUNTRY, "at": INSTANT}),
    "recipient": Node({**HOP, "classes": _words(_one_of(CLASSES))}),
    "route": Node({"mode": _word("replicate redact restrict")}),
    "volumes": Node({
        "CN": Node({"subjects_ytd": COUNT, "sensitive_ytd": COUNT}),
        "US": Node(dict.fromkeys(_COUNTERS.split(), COUNT)),
    }),
    "item": Node({
        "layer": _word("content metadata assessment transaction"),
        "created_at": INSTANT,
        "legal_hold": FactField(_flag, optional=True),
        "otr": FactField(_flag, optional=True),
    }, optional=True),
    "held_since": FactField(instant, optional=True),
    "incident": Node({
        "kind": _word("breach subject_request stop_request withdrawal purpose_reached unlawful_processing "
                      "authority_request"),
        "at": INSTANT,
        "high_risk": FactField(_flag, optional=True),
        "subjects": COUNT,
    }, optional=True),
}  # fmt: skip

_BASIS_FIELDS: Shape = {
    "scheme": TEXT, "status": TEXT, "unmodified": FLAG, "signed_on": DATE, "notified_on": DATE, "filed_on": DATE,
    "given_on": DATE, "separate_document": FLAG, "written": FLAG, "special": FLAG, "occasional": FLAG,
}  # fmt: skip
_BASIS: Shape = {
    "id": TEXT, "kind": FactField(_one_of(frozenset(BasisKind))), "law": TEXT, "recipient": TEXT, "valid_from": DATE,
    "valid_until": DATE, "evidence": TEXT, "withdrawn_at": INSTANT, **_BASIS_FIELDS,
}  # fmt: skip
_REDACTION: Shape = {"class": FactField(_one_of(CLASSES)), "path": TEXT, "action": FactField(_one_of(ACTIONS))}

_LISTS: Mapping[str, Shape] = {"bases": _BASIS, "recipient.onward": HOP, "route.redactions": _REDACTION}
"""Lists of objects, by path. They are read apart from the facts that a rule may name."""

BASIS_FIELDS = _BASIS_FIELDS
"""The fields of a basis record that a rule may name."""


def _leaves(shape: Shape, prefix: str, optional: bool) -> dict[str, tuple[FactField, bool]]:
    found: dict[str, tuple[FactField, bool]] = {}
    for name, part in shape.items():
        if isinstance(part, Node):
            found |= _leaves(part.fields, f"{prefix}{name}.", part.optional)
        else:
            found[prefix + name] = (part, optional)
    return found


_ALL = _leaves(SHAPE, "", False)
PATHS: Mapping[str, FactField] = {
    **{path: leaf for path, (leaf, _) in _ALL.items()},
    "subject.countries": FactField(_country, many=True),
    "recipient.onward": FactField(_text, many=True),
    **{f"hop.{name}": leaf for name, leaf in HOP.items() if isinstance(leaf, FactField)},
}
"""Every fact that a rule may read by its path."""

_OPTIONAL = frozenset(p for p, (leaf, _) in _ALL.items() if leaf.optional)
_INSIDE_OPTIONAL: Mapping[str, str] = {p: p.partition(".")[0] for p, (_, inside) in _ALL.items() if inside}


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
        return path in _OPTIONAL or (path in _INSIDE_OPTIONAL and _INSIDE_OPTIONAL[path] not in self.objects)


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
            path = f"{prefix}{key}" if part is not None or _KEY.match(str(key)) else f"{prefix}?"
            if part is None:
                if f"{prefix}{key}" in _LISTS:
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
            elif not isinstance(value, (list, tuple)) or len(value) > _MAX_ITEMS:
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
        if not isinstance(value, (list, tuple)) or len(value) > _MAX_ITEMS:
            self.problems.append(f"{path}: must be a list")
            return
        found = self.lists.setdefault(path, [])
        for position, item in enumerate(value):
            place = f"{path}[{position}]"
            if not isinstance(item, dict):
                self.problems.append(f"{place}: must be an object")
                continue
            into: dict[str, Any] = {}
            self.object(item, _LISTS[path], place + ".", into)
            found.append(into)


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
        fields = {name: value for name, value in item.items() if name in _BASIS_FIELDS}
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

"""Every fact that a decision may read: its path, its type, and how its value is read.

``SHAPE`` is the one table of every fact: the law loader takes its paths and types from it, the evaluator which facts are
optional. A reader raises ``ValueError`` with a text of ours, which never holds the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import times
from ..countries import COUNTRIES
from ..event.event import DataClass
from .bases import BasisKind

SPECIAL = frozenset("race politics religion union health sex_life biometric genetic convictions financial".split())
OPS = frozenset("receive normalise store cache route deliver view export edit hide unhide erase expire".split())
CLASSES = frozenset(c.value for c in DataClass)
ACTIONS = frozenset({"drop", "mask", "pseudonymise"})

PATH_FORM = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\[(?:0|[1-9]\d{0,5}|\*)\])*\Z")
KEY_FORM = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_MAX_TEXT = 512
MAX_ITEMS = 1000
MAX_RECORDS = 2000
"""Of each list of objects; a tenant can declare fewer (``tenant.configuration``)."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT:
        raise ValueError("must be a text of 1 to 512 characters")
    value.encode()
    return value


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
DATE = FactField(times.day, ordered=True)
INSTANT = FactField(times.instant)
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
    "messenger": TEXT,
    "messenger_undeclared": FactField(_flag, optional=True),
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
        "tenant_class": _word(
            "general state_body state_owned bank financial telecom large_platform marketplace classified_ads ori ciio sdf"
        ),
        "zone": _word("DIFC ADGM", optional=True),
        "requires": _words(_one_of(frozenset(BasisKind)), optional=True),
    }),
    "store": Node({"country": COUNTRY, "provider": TEXT, "copies": _words(_country)}),
    "first_write": Node({"country": COUNTRY, "at": INSTANT}),
    "recipient": Node({
        **HOP,
        "classes": _words(_one_of(CLASSES)),
        "prohibited_in": _words(_country, optional=True),
        "restricted_in": _words(_country, optional=True),
    }),
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
    "held_since": FactField(times.instant, optional=True),
    "incident": Node({
        "kind": _word("breach subject_request stop_request withdrawal purpose_reached unlawful_processing "
                      "authority_request"),
        "at": INSTANT,
        "high_risk": FactField(_flag, optional=True),
        "subjects": COUNT,
    }, optional=True),
}  # fmt: skip

BASIS_FIELDS: Shape = {
    "scheme": TEXT, "status": TEXT, "unmodified": FLAG, "signed_on": DATE, "notified_on": DATE, "filed_on": DATE,
    "given_on": DATE, "separate_document": FLAG, "written": FLAG, "special": FLAG, "occasional": FLAG,
}  # fmt: skip
"""The fields of a basis record that a rule may name."""
BASIS: Shape = {
    "id": TEXT, "kind": FactField(_one_of(frozenset(BasisKind))), "law": TEXT, "recipient": TEXT, "valid_from": DATE,
    "valid_until": DATE, "evidence": TEXT, "withdrawn_at": INSTANT, **BASIS_FIELDS,
}  # fmt: skip
_REDACTION: Shape = {"class": FactField(_one_of(CLASSES)), "path": TEXT, "action": FactField(_one_of(ACTIONS))}

LISTS: Mapping[str, Shape] = {"bases": BASIS, "recipient.onward": HOP, "route.redactions": _REDACTION}
"""Lists of objects, by path. They are read apart from the facts that a rule may name."""


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

OPTIONAL = frozenset(p for p, (leaf, _) in _ALL.items() if leaf.optional)
"""Facts whose absence means that there is no such thing."""
INSIDE_OPTIONAL: Mapping[str, str] = {p: p.partition(".")[0] for p, (_, inside) in _ALL.items() if inside}
"""The optional object that a fact is inside of, by the fact's path."""

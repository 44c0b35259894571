"""Facts that follow from other facts. Each answers true, false, or unknown with the paths that would settle it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .facts import Facts

Found = tuple[bool | None, frozenset[str]]
BulkCounts = Mapping[str, int]
"""From a counter of US law to the first count that is bulk."""

Derivation = Callable[[Facts, frozenset[str] | None, BulkCounts], Found]
"""Computes a fact from the given ones, the classes that are sent (None: unknown) and the numbers of bulk data."""

_NOTHING: frozenset[str] = frozenset()
COLLECTS = frozenset({"receive", "store", "cache"})
DELIVERS = frozenset({"deliver", "view", "export"})
ENDS = frozenset({"erase", "expire"})


def _answer(truth: bool) -> Found:
    return truth, _NOTHING


def _op_in(ops: frozenset[str]) -> Derivation:
    return lambda facts, _sent, _bulk: _answer(facts.values.get("op") in ops)


def _handles(facts: Facts, _sent: frozenset[str] | None, _bulk: BulkCounts) -> Found:
    op = facts.values.get("op")
    return _answer(op is not None and op not in ENDS)


def is_personal(sent: frozenset[str] | None) -> bool:
    """Return whether the data is about a person. Unknown classes count as personal."""
    return sent is None or bool(sent - {"technical"})


def special_sent(facts: Facts, sent: frozenset[str] | None, wanted: frozenset[str] | None) -> Found:
    """Say whether special categories are sent: any (``wanted`` None), or one of those wanted.

    They live in content and media: a delivery of neither holds none.
    """
    if facts.values.get("op") in DELIVERS and sent is not None and not sent & {"content", "media"}:
        return _answer(False)
    special = facts.values.get("data.special")
    if special is None:
        return None, frozenset({"data.special"})
    return _answer(bool(special) if wanted is None else not wanted.isdisjoint(special))


def _ru_citizen(facts: Facts, _sent: frozenset[str] | None, _bulk: BulkCounts) -> Found:
    # The operator's procedure: a person whose data is collected in Russia counts as a citizen until proved otherwise.
    values = facts.values
    citizenship = values.get("subject.citizenship")
    if citizenship is not None:
        return _answer(citizenship == "RU")
    if values.get("collector.country") == "RU" or "RU" in values.get("subject.countries", ()):
        return _answer(True)
    needed = {"subject.country": "subject.countries", "collector.country": "collector.country"}
    unknown = frozenset(said for said, path in needed.items() if path not in values)
    return (None, unknown) if unknown else _answer(False)


def _us_person(facts: Facts, _sent: frozenset[str] | None, _bulk: BulkCounts) -> Found:
    countries = facts.values.get("subject.countries")
    if facts.values.get("subject.citizenship") == "US" or "US" in (countries or ()):
        return _answer(True)
    return (None, frozenset({"subject.country"})) if countries is None else _answer(False)


def _has_status(path: str) -> Derivation:
    """Make a fact: the recipient has a status in a country whose law these facts concern."""

    def answer(facts: Facts, _sent: frozenset[str] | None, _bulk: BulkCounts) -> Found:
        values = facts.values
        statuses = frozenset(values.get(path, ()))
        named = (values.get(name) for name in ("collector.country", "store.country", "subject.citizenship"))
        if statuses.intersection((*named, *values.get("subject.countries", ()))):
            return _answer(True)
        unknown = statuses and "subject.countries" not in values
        return (None, frozenset({"subject.country"})) if unknown else _answer(False)

    return answer


_BULK: tuple[tuple[str, Callable[[frozenset[str]], bool] | None, str], ...] = (
    ("identifiers_12m", lambda sent: "identifier" in sent or {"contact", "name"} <= sent, ""),
    ("geo_devices_12m", lambda sent: "location" in sent, ""),
    ("health_12m", None, "health"),
    ("biometric_12m", None, "biometric"),
    ("financial_12m", None, "financial"),
    ("genomic_12m", None, "genetic"),
)
"""Counters of bulk data, each counted when these classes or this special category are sent. ``thresholds.toml`` has the
numbers.

Whether a contact that is linked only to a name is a covered identifier (202.212) is unsettled; it is counted.
Source: https://www.ecfr.gov/current/title-28/chapter-I/part-202/section-202.205, as known on 2026-11-22.
"""


def bulk_counts(document: Mapping[str, Any]) -> BulkCounts:
    """Read the numbers of bulk data from the table of thresholds.

    Raises:
        ValueError: a row has a wrong shape, or a counter has not exactly one number.
    """
    try:
        rows = [row for row in document["threshold"] if row["law"] == "US"]
        found = {row["counter"]: int(row["number"]) + (row["reached"] == "above") for row in rows}
    except (KeyError, TypeError, ValueError):
        raise ValueError("must be a list of thresholds, each with law, counter, number and reached") from None
    if len(found) < len(rows) or found.keys() != {counter for counter, _, _ in _BULK}:
        raise ValueError(f"must have one number of law US for each of {', '.join(counter for counter, _, _ in _BULK)}")
    return found


def _us_bulk(facts: Facts, sent: frozenset[str] | None, bulk: BulkCounts) -> Found:
    unknown: set[str] = set()
    for counter, counted, special in _BULK:
        if counted is None:
            needed, paths = special_sent(facts, sent, frozenset({special}))
        elif sent is None:
            needed, paths = None, frozenset({"data.classes"})
        else:
            needed, paths = counted(sent), _NOTHING
        if needed is False:
            continue
        count = facts.values.get(f"volumes.US.{counter}")
        if count is None:
            unknown.add(f"volumes.US.{counter}")
        elif count < bulk[counter]:
            continue
        elif needed:
            return _answer(True)
        unknown |= paths
    return (None, frozenset(unknown)) if unknown else _answer(False)


def _never_alone(facts: Facts, _sent: frozenset[str] | None, _bulk: BulkCounts) -> Found:
    raise AssertionError("asked of a party, an interval or a country, not of the facts alone")


DERIVED: Mapping[str, Derivation] = {
    "handles": _handles,
    "collects": _op_in(COLLECTS),
    "delivers": _op_in(DELIVERS),
    "touches": _op_in(COLLECTS | DELIVERS),
    "personal": lambda _facts, sent, _bulk: _answer(is_personal(sent)),
    "ru_citizen": _ru_citizen,
    "us_person": _us_person,
    "us_bulk": _us_bulk,
    "recipient_prohibited": _has_status("recipient.prohibited_in"),
    "recipient_restricted": _has_status("recipient.restricted_in"),
    "transfer": _never_alone,
    "destination": _never_alone,
    "held_hours": _never_alone,
}
"""Every fact that a rule may name without its being given."""
BY_VOLUME = frozenset({"us_bulk"})
"""Those that turn on how many people there are."""

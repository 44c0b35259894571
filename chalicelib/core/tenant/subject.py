"""The country of an event's people, and the signal that it comes from. Pure.

For each person the first signal that answers counts, in the order of ``SIGNALS``: the tenant's range of numbers, the
source's country, the country where the person's number was assigned, the country where the tenant collects. If the people of
one event differ, each country is a candidate, and the laws of all apply. If one of them is unknown, so is the event's
country. Its signal and confidence are the weakest of its people.

This module reads a number and returns only countries; the number goes nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..event.numbering import countries_of
from .consents import subjects_of
from .records import Source, Tenant

Facts = dict[str, Any]

SIGNALS: Mapping[str, str] = {
    "tenant_declared": "declared",
    "phone_prefix": "inferred",
    "collected_in": "inferred",
    "none": "unknown",
}
"""How a country is known, the surest first, and how far that can be relied on."""
PLUS_SEVEN = ("RU", "KZ")
"""The countries that share +7; by a split of its ranges that a tenant need not trust (``strict_plus7``)."""
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_BARE = re.compile(r"[1-9][0-9]{6,14}\Z")
_RANK = {signal: rank for rank, signal in enumerate(SIGNALS)}


@dataclass(frozen=True)
class EventPerson:
    """A person of an event: the platform's id, the countries that may be theirs (none: unknown), and how that is known."""

    id: str | None
    countries: tuple[str, ...]
    signal: str


def people_of(
    tenant: Tenant, source: Source, document: Mapping[str, Any], ids_are_numbers: bool = False
) -> tuple[EventPerson, ...]:
    """Say of each person whom an event is about where they are, in the order of ``subjects_of``.

    Args:
        document: the event.
        ids_are_numbers: people's ids on this channel are telephone numbers.
    """
    return tuple(
        EventPerson(id, *_located(tenant, source, _number(document, id, ids_are_numbers)))
        for id in subjects_of(document)
    )


def subject_facts(people: Iterable[EventPerson], tenant: Tenant, source: Source) -> Facts:
    """Return the facts of an event's subject. For an event without one: the facts that hold for everyone on its source."""
    found = tuple(people) or (EventPerson(None, *_located(tenant, source, None)),)
    signal = max((person.signal for person in found), key=_RANK.__getitem__)
    known = sorted({country for person in found for country in person.countries})
    if len(known) == 1 and all(person.countries for person in found):
        return {"country": known[0], "signal": signal, "confidence": SIGNALS[signal]}
    facts: Facts = {"country": None, "signal": signal, "confidence": SIGNALS[signal]}
    return {**facts, "candidates": known} if all(person.countries for person in found) else facts


def _located(tenant: Tenant, source: Source, number: str | None) -> tuple[tuple[str, ...], str]:
    ranges = source.number_ranges if number is not None else ()
    fitting = [r for r in ranges if number is not None and number.startswith(r.prefix)]
    if fitting:
        return (max(fitting, key=lambda r: len(r.prefix)).country,), "tenant_declared"
    if source.subject_country is not None:
        return (source.subject_country,), "tenant_declared"
    assigned = countries_of(number) if number is not None else ()
    if assigned:
        split = not (tenant.strict_plus7 and set(assigned) & set(PLUS_SEVEN))
        return (assigned if split else PLUS_SEVEN), "phone_prefix"
    if tenant.collected_in:
        return (tenant.controller.country,), "collected_in"
    return (), "none"


def _number(document: Mapping[str, Any], id: str, ids_are_numbers: bool) -> str | None:
    """Return the number of a person of an event: the sender's own, or the id where that is one.

    Our own number does not count: a sender that is our account is no subject.
    """
    sender = document["sender"]
    given = sender["phone"] if sender is not None and not sender["is_self"] and sender["id"] == id else None
    for number in (given, id if ids_are_numbers else None):
        if number is not None and _NUMBER.match(number):
            return str(number)
        if number is not None and ids_are_numbers and _BARE.match(number):
            return f"+{number}"
    return None

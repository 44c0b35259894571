"""The ids by which a platform itself knows the same person, as an event tells them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

OTHERS_MAX = 8
"""The most other ids of one person that count; a platform gives two or three."""


def other_ids(document: Mapping[str, Any], number_prefix: str | None) -> dict[str, tuple[str, ...]]:
    """Return the other ids of an event's people, each list by the id that the event uses.

    Only account ids, numbers and the next id count: a username can become another person's.

    Args:
        number_prefix: how the channel writes a number that is an id: ``+`` or nothing; None where ids are no numbers.
    """
    found: dict[str, tuple[str, ...]] = {}
    for person in _people(document):
        others = dict.fromkeys(_others(person, number_prefix))
        others.pop(person["id"], None)
        if others:
            found[person["id"]] = tuple(others)[:OTHERS_MAX]
    return found


def _people(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    sender, conversation = document["sender"], document["conversation"]
    people = (
        [sender] if sender is not None and not sender["is_self"] else [conversation] if conversation["direct"] else []
    )
    for person in (*people, *document["members"]):
        if person["id"] is not None:
            yield person


def _others(person: Mapping[str, Any], number_prefix: str | None) -> Iterator[str]:
    for other in person.get("alt_ids", ()):
        if other["kind"] == "user_id" and other.get("id"):
            yield other["id"]
        elif other["kind"] == "phone" and number_prefix is not None and other.get("contact"):
            yield number_prefix + other["contact"].removeprefix("+")
    if person.get("successor"):
        yield person["successor"]

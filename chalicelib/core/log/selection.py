"""Which entries of a log a selection holds: every entry of every event that its query touches, and the acts that match. Pure.

A query touches an event where one of the event's entries matches all that is asked. Entries are read as leaves: a look for
the asked id in the bytes leaves few to be parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import ids, times
from .entry_types import Entry

# Names are sorted in canonical JSON, and a quotation mark inside a text has a backslash before it: the first ``event`` is the
# entry's own, since nothing that stands before it has one.
_EVENT = re.compile(rb'"event":"(evt_[0-9a-z]{26})"')
_LAST_MINUTE = (1 << 30) - 1
"""The last minute that an entry's id can hold, in the year 4011."""
_MINUTE = re.compile(rb',"id":"ent_([0-9a-z]{6})[0-9a-z]{20}","kind":')


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for; all of it must hold.

    ``after`` (inclusive) and ``before`` (exclusive) are about what an entry tells of, to the minute, as in lists of entries.
    """

    after: datetime | None = None
    before: datetime | None = None
    subject: str | None = None
    event: str | None = None
    destination: str | None = None

    def document(self) -> dict[str, str]:
        """Return what is asked as JSON values; what is not asked is left out."""
        found = {"after": self.after, "before": self.before, "subject": self.subject, "event": self.event}
        shown = {**found, "destination": self.destination}
        return {k: times.text(v) if isinstance(v, datetime) else v for k, v in shown.items() if v is not None}

    @staticmethod
    def from_document(document: Mapping[str, str]) -> Query:
        """Read what ``document`` wrote.

        Raises:
            ValueError: a time is none.
            TypeError: a name is unknown, or a value is no text.
        """
        if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
            raise TypeError("a query is an object of texts")
        at = {name: times.parse(document[name]) for name in ("after", "before") if name in document}
        return Query(**{**document, **at})

    @property
    def looks_around(self) -> bool:
        """Whether one entry of an event may match and another not, so that the touched events must be known first."""
        return self.subject is not None or self.destination is not None


class Selection:
    """Judge leaves by a query."""

    def __init__(self, query: Query) -> None:
        self.query = query
        low = times.minute(query.after) if query.after else 0
        high = (times.millis(query.before) - 1) // 60_000 if query.before else _LAST_MINUTE
        self._low, self._high = (ids.encode(min(max(0, m), _LAST_MINUTE), 6).encode() for m in (low, high))
        asked = (query.subject, query.event, query.destination)
        self._needles = tuple(f'"{one}"'.encode() for one in asked if one is not None)

    def matches(self, leaf: bytes) -> bool:
        """Say whether an entry matches all that is asked.

        Raises:
            ValueError: it is no entry.
        """
        if not all(needle in leaf for needle in self._needles):
            return False
        minute = _MINUTE.search(leaf)
        if minute is None:
            raise ValueError("a leaf without an id")
        return self._low <= minute[1] <= self._high and (not self._needles or self._tells(json.loads(leaf)))

    def asks(self, entry: Entry) -> bool:
        """Say of a whole entry what ``matches`` says of its bytes."""
        return self._low <= entry["id"][4:10].encode() <= self._high and self._tells(entry)

    def _tells(self, entry: Entry) -> bool:
        query = self.query
        return (
            query.event in (None, entry["event"])
            and (query.subject is None or query.subject in _subjects(entry))
            and (query.destination is None or query.destination in _destinations(entry))
        )


def event_of(leaf: bytes) -> str | None:
    """Return the event that an entry is about."""
    found = _EVENT.search(leaf)
    return found[1].decode() if found is not None else None


def _subjects(entry: Entry) -> list[Any]:
    return list(entry["receipt"]["subjects"]) if entry["kind"] == "decided" else [entry.get("subject")]


def _destinations(entry: Entry) -> list[Any]:
    if entry["kind"] == "decided":
        return [route["destination"] for route in entry["routes"]]
    if entry["kind"] == "attempted":
        return [entry["destination"]]
    return [entry["object"]["id"] if entry["object"] else None]

"""When people end: the bound in a person's row of ``people``, and the index by which the sweep finds who is due.

| attribute | of | says |
|---|---|---|
| ``ends_at`` | the person | no content of this person lives longer; milliseconds, at the end of a slot. Rows of earlier releases have none |
| ``unsure`` | the person | the person may end earlier, or may not end at ``ends_at``: the sweep reads the log first |
| ``look_at`` | the row leading back | when the sweep looks at the person: ``{slot}#{shard}``; indexed (``ends``) |

A process raises ``ends_at`` before it stores content that lives longer (``at_least``). The sweep deletes a person only while
``ends_at`` is the one that it has read and is past. So a process that stores content either raised the bound first, or fails and
finds another person. ``look_at`` moves only when the sweep looks, so that an event writes nothing to the index.

``look_at`` is in the row that leads back from the ref. It is deleted last: a sweep that dies in between finds the row again,
and completes the end.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from ..core import times
from ..core.errors import Unavailable
from ..threads import Threads
from .items import BATCH_GET, Item, Table, batch_get, call, write

SLOT = timedelta(hours=6)
"""Ends are rounded up to these, so that a person who writes often seldom moves one."""
SHARDS = 32
"""Of each slot in the index. Source: a partition takes 1,000 write units a second,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html (read 2026-11-30)."""
SOON = timedelta(hours=1)
"""The shortest time between a write and the look that it asks for: longer than any invocation that has read the row before."""
DELETES_A_CALL = 25
DELETERS = 8
INDEX = "ends"
_SURE = "ref = :ref AND ends_at = :end AND attribute_not_exists(unsure)"
_UNSURE = "ref = :ref AND ends_at = :end"
_REFUSED = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})


def slot_of(at: datetime) -> datetime:
    """Return the end of the slot that a time is in; a time at the end of one is in it."""
    return datetime.fromtimestamp(-(-at.timestamp() // SLOT.total_seconds()) * SLOT.total_seconds(), UTC)


def end_of(at: datetime, now: datetime) -> int:
    """Return the ``ends_at`` of a person whose content lives until ``at``: never earlier than ``SOON``."""
    return times.millis(slot_of(max(at, now + SOON)))


def look_at(end_ms: int, ref: str) -> str:
    """Return where in the index a person is who is looked at after an ``ends_at``."""
    return in_index(times.from_millis(end_ms), zlib.crc32(ref.encode()) % SHARDS)


def in_index(slot: datetime, shard: int) -> str:
    """Return the index's key of a slot's shard."""
    return f"{times.text(slot)[:13]}#{shard:02d}"


@dataclass(frozen=True)
class DuePerson:
    """A person that the sweep looks at.

    Args:
        way: the key of the row leading back.
        person: the key of the person's row.
        there: whether that row still is this person's.
        ends_at: None where nothing is known (a row of an earlier release).
    """

    way: str
    person: str
    there: bool
    ends_at: int | None = None
    unsure: bool = True

    @property
    def tenant(self) -> str:
        """The person's tenant."""
        return self.way.partition("#")[0]

    @property
    def ref(self) -> str:
        """The person as the log knows them."""
        return self.way.partition("#")[2]


class PersonEndStore:
    """Raise, find and execute the ends of people.

    Args:
        table: ``people``.
        batches: the engine takes conditional deletions in batches (PartiQL).
    """

    def __init__(self, table: Table, threads: Threads, *, batches: bool) -> None:
        self._table = table
        self._threads = threads
        self._batches = batches

    # What every process writes

    def at_least(self, person: str, ref: str | None, end_ms: int) -> bool:
        """Raise a person's ``ends_at``. Return False if the person has ended.

        Args:
            ref: the person's; None for the person that the row has now.
        """
        bound: dict[str, Any] = {":end": end_ms}
        same = ""
        if ref is not None:
            bound[":ref"], same = ref, " AND #ref = :ref"
        names = {"#ref": "ref"} if ref is not None else None
        condition = "ends_at < :end" + same
        if self._table.update({"pk": person}, "SET ends_at = :end", bound, condition, names) is not None:
            return True
        row = self._table.get({"pk": person})  # later already, or without a bound
        return row is not None and ref in (None, row["ref"])

    def doubt(self, person: str) -> str | None:
        """Make the sweep read the log before it ends a person. Return the person's ref; None if there is no such person."""
        row = self._table.update({"pk": person}, "SET unsure = :yes", {":yes": True})
        return str(row["ref"]) if row is not None else None

    def ask(self, person: str, now: datetime) -> None:
        """Make the sweep look at a person whose content may all be gone before ``ends_at``."""
        ref = self.doubt(person)
        if ref is not None and ref.startswith("sub_"):
            self.look(f"{person.partition('#')[0]}#{ref}", end_of(now, now))

    def look(self, way: str, end_ms: int) -> None:
        """Set when the sweep looks at a person next."""
        place = look_at(end_ms, way.partition("#")[2])
        self._table.update({"pk": way}, "SET look_at = :at", {":at": place})

    # What the sweep does

    def due(self, slot: datetime, shard: int) -> Iterator[list[str]]:
        """Yield the people of a slot's shard, by the rows leading back to them, some at a time."""
        found = self._table.query("look_at = :at", {":at": in_index(slot, shard)}, index=INDEX)
        ways = (str(item["pk"]) for item in found)
        while some := list(islice(ways, BATCH_GET)):
            yield some

    def people(self, ways: Iterable[str]) -> list[DuePerson]:
        """Read people by the rows leading back to them; at most ``BATCH_GET``."""
        leading = [(str(way["pk"]), str(way["of"])) for way in self._rows(ways)]
        rows = {row["pk"]: row for row in self._rows({person for _, person in leading})}
        found = []
        for way, person in leading:
            row = rows.get(person)
            if row is None or row["ref"] != way.partition("#")[2]:
                found.append(DuePerson(way, person, there=False))
            else:
                end = row.get("ends_at")
                found.append(DuePerson(way, person, True, end, "unsure" in row or end is None))
        return found

    def _rows(self, keys: Iterable[str]) -> list[Item]:
        wanted = [(self._table.name, {"pk": key}) for key in keys]
        return batch_get(self._table.client, wanted, self._table.region).get(self._table.name, []) if wanted else []

    def lower(self, one: DuePerson, end_ms: int) -> None:
        """Let a person of whom nothing lives end soon, unless the row has changed since it was read."""
        bound: dict[str, Any] = {":end": end_ms, ":ref": one.ref, ":yes": True}
        condition = "attribute_not_exists(ends_at)"
        if one.ends_at is not None:
            bound[":seen"], condition = one.ends_at, "ends_at = :seen"
        names = {"#ref": "ref"}
        expression, condition = "SET ends_at = :end, unsure = :yes", f"#ref = :ref AND {condition}"
        self._table.update({"pk": one.person}, expression, bound, condition, names)

    def end(self, people: Sequence[DuePerson]) -> list[DuePerson]:
        """Delete keys and refs of people whose rows are unchanged. Return those who have ended.

        Raises:
            Unavailable: it is not known of all; the next look completes it.
        """
        ended: list[DuePerson] = []
        if self._batches:
            for start in range(0, len(people), DELETES_A_CALL):
                ended += self._end_batch(people[start : start + DELETES_A_CALL])
            return ended
        done = self._threads.map(DELETERS, self._end_one, people)
        return [one for one, gone in zip(people, list(done), strict=True) if gone]

    def _end_one(self, one: DuePerson) -> bool:
        bound: dict[str, Any] = {":ref": one.ref, ":end": one.ends_at}
        condition = _UNSURE if one.unsure else _SURE
        return self._table.delete({"pk": one.person}, condition.replace("ref =", "#ref =", 1), bound, {"#ref": "ref"})

    def _end_batch(self, people: Sequence[DuePerson]) -> list[DuePerson]:
        statements = []
        for one in people:
            sure = "" if one.unsure else ' AND "unsure" IS MISSING'
            text = f'DELETE FROM "{self._table.name}" WHERE "pk" = ? AND "ref" = ? AND "ends_at" = ?{sure}'  # noqa: S608  (values are bound)
            bound = write({"a": one.person, "b": one.ref, "c": one.ends_at})
            statements.append({"Statement": text, "Parameters": list(bound.values())})
        codes = self._execute(statements)
        unknown = [code for code in codes if code is not None and code not in _REFUSED]
        if unknown:
            raise Unavailable(f"people were not deleted: {unknown[0]}")
        return [one for one, code in zip(people, codes, strict=True) if code is None]

    def forget(self, ways: Sequence[str]) -> None:
        """Delete rows leading back: the last step of an end.

        Raises:
            Unavailable: some are left; the next look completes it.
        """
        if not self._batches:
            list(self._threads.map(DELETERS, lambda way: self._table.delete({"pk": way}), ways))
            return
        text = f'DELETE FROM "{self._table.name}" WHERE "pk" = ?'  # noqa: S608  (values are bound)
        for start in range(0, len(ways), DELETES_A_CALL):
            some = ways[start : start + DELETES_A_CALL]
            codes = self._execute([{"Statement": text, "Parameters": [{"S": way}]} for way in some])
            if any(codes):
                raise Unavailable(f"rows leading back were not deleted: {next(filter(None, codes))}")

    def _execute(self, statements: list[dict[str, Any]]) -> list[str | None]:
        try:
            answer = call(self._table.client.batch_execute_statement, Statements=statements)
        except ClientError as error:
            raise Unavailable(f"people were not deleted: {type(error).__name__}") from error
        return [response.get("Error", {}).get("Code") for response in answer["Responses"]]

    # Rows of earlier releases

    def adopt(self, after: str, limit: int, oldest: datetime, look: Callable[[str], int], *, doubt: bool) -> str | None:
        """Make the sweep find the people of the next ``limit`` rows.

        Args:
            after: the end of the page before; empty for the first.
            oldest: the first slot that the sweep looks into.
            look: when the sweep looks at a person whom it would not find, by ref.
            doubt: bounds may be too early, since a process of an earlier release has stored content.

        Returns:
            The end of this page; None after the last one.
        """
        start = {"pk": after} if after else None
        names, found = {"#of": "of"}, "attribute_exists(#of) AND contains(pk, :sub)"
        rows, last = self._table.page(found, {":sub": "#sub_"}, limit, start, names)

        def one(way: Item) -> None:
            if doubt:
                yes = {":yes": True}
                self._table.update({"pk": way["of"]}, "SET unsure = :yes", yes, "attribute_exists(ends_at)")
            if way.get("look_at", "") < in_index(oldest, 0):
                self.look(way["pk"], look(way["pk"].partition("#")[2]))

        list(self._threads.map(DELETERS, one, rows))
        return str(last["pk"]) if last is not None else None

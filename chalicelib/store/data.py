"""The ``data`` table: events and the deliveries that wait in lanes. Everything in it has a lifetime.

| row | ``pk`` | ``sk`` | indexed |
|---|---|---|---|
| event | ``{tenant}#{event}`` | conversation ref or ``-`` | ``day`` = ``{tenant}#{received day}`` or a part of it (``lists``), ``at`` = ``{received_at}#{event}`` |
| first sight | ``seen#{tenant}#{event}`` | ``seen`` | of events whose platform gives no time |
| lane head | ``lane#{lane}`` | ``head`` | ``due_shard`` = ``due#{0..7}``, ``due_at`` = ``{due}#{lane}``; listed ones: ``day`` = ``{tenant}#listed#{destination}``, ``at`` = ``due_at`` |
| waiting delivery | ``lane#{lane}`` | ``p#{place}`` (``lane_order``) | held ones: ``day`` = ``{tenant}#held``, ``at`` = ``{held since}#{transfer}`` |
| stored reply | ``{tenant}#idem#{hash}`` | ``reply`` | |
| dead letter | ``{tenant}#dead`` | ``{queue}#{event or transfer}`` | |
| memory of a destination | ``{tenant}#memory#{destination}`` | ``value#`` or ``claim#``, keyed hash (``memory``) | |
| faults of a queue message | ``{tenant}#fault`` | ``{queue}#{message}`` | |
| counter of people | ``{tenant}#volumes`` | ``{law}#{year}`` (``volumes``) | |

The key of an event holds its id, so that it is found by its id. The sort key holds its conversation, so that the keys-only
index can be narrowed to a conversation without reading content. TTL (``ttl``, seconds) is late by days: every reader
filters on ``expires_at`` (milliseconds). TTL deletes events, ``NET`` after the end of their life. Events under a legal hold
have no ``ttl``.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from ..core import times
from ..core.decide.retention import AFTER_EXPIRY
from ..core.delivery import lane_order
from ..core.envelope import NONCE_BYTES
from ..core.errors import OurError, Unavailable
from . import lists, restriction
from .event_rows import EventKey, EventRow, LargeContent
from .items import MALFORMED, Item, Table, batch_get, call, write
from .lane_numbers import renumbered
from .ttl import AWAITED_NET, NET, ttl

CONTENT_VERSION = 1
DUE_SHARDS = 8
INSERTS_A_CALL = 25
WAITING_A_PAGE = 25
_LISTED = {"#day": "day", "#at": "at"}


def lane_of(tenant: str, destination: str, conversation: str, delivery: str | None = None) -> str:
    """Name a lane: destination and conversation, or one delivery where the destination wants no order."""
    return f"{tenant}#{destination}#{delivery or conversation}"


def due_shard(name: str) -> str:
    """Return the part of the index of due times that a lane or a destination is in."""
    return f"due#{zlib.crc32(name.encode()) % DUE_SHARDS}"


def list_of(tenant: str, destination: str) -> str:
    """Name the list of lanes that wait for their destination."""
    return f"{tenant}#listed#{destination}"


def day_of(tenant: str, day: str) -> str:
    """Name the list of the events that a tenant received on a day, ``YYYY-MM-DD``, of which more may follow."""
    return f"{tenant}#{day[:10]}"


class DataStore:
    """Read and write events, lanes, stored replies and dead letters, all of which have a lifetime."""

    NONCE_BYTES = NONCE_BYTES

    def __init__(self, table: Table, insert: str, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.table = table
        self._insert = insert
        self._lists = lists.ListPartitions(table, monotonic_s)

    # Events

    def _event_values(self, row: EventRow) -> dict[str, Any]:
        received = times.text(row.received_at)
        return {
            **row.key.key,
            "day": self._lists.place(day_of(row.key.tenant, received), row.key.event, int(row.received_at.timestamp())),
            "at": f"{received}#{row.key.event}",
            "expires_at": times.millis(row.expires_at),
            "ttl": None if row.held else ttl(row.expires_at + (NET if row.lives_until is None else AWAITED_NET)),
            "minute": row.minute,
            "owner": row.owner,
            "body": row.sealed,
            "object": row.large.name if row.large is not None else None,
            "object_key": row.large.sealed_key if row.large is not None else None,
            "v": CONTENT_VERSION,
            "missing": json.dumps(row.missing) if row.missing else None,
            "lives_until": times.millis(row.lives_until) if row.lives_until is not None else None,
            "region": self.table.region,
        }

    def insert_events(self, rows: Iterable[EventRow]) -> list[Exception | None]:
        """Store events that are not there yet; stored ones stay. Each row has its own outcome, in order."""
        rows = list(rows)
        if self._insert == "put":
            return list(self.table.insert_each(self._event_values(row) for row in rows))
        outcomes: list[Exception | None] = []
        for start in range(0, len(rows), INSERTS_A_CALL):
            outcomes.extend(self._insert_batch(rows[start : start + INSERTS_A_CALL]))
        return outcomes

    def _insert_batch(self, rows: list[EventRow]) -> list[Exception | None]:
        statements = []
        for row in rows:
            item = write(self._event_values(row))
            value = ",".join(f"'{name}':?" for name in item)
            statement = f'INSERT INTO "{self.table.name}" VALUE {{{value}}}'
            statements.append({"Statement": statement, "Parameters": list(item.values())})
        try:
            answer = call(self.table.client.batch_execute_statement, Statements=statements)
        except Unavailable as error:
            return [error] * len(rows)
        outcomes: list[Exception | None] = []
        for response in answer["Responses"]:
            code = response.get("Error", {}).get("Code")
            stored = code in (None, "DuplicateItem", "DuplicateItemException")
            fault = OurError if code in MALFORMED else Unavailable
            outcomes.append(None if stored else fault(f"an event was not stored: {code}"))
        return outcomes

    def read_event(self, item: Item, now: datetime) -> EventRow | None:
        """Read an event's row; None once it is past its life, even if the table still holds it."""
        expires_at = times.from_millis(item["expires_at"])
        if expires_at <= now:
            return None
        tenant, _, event = item["pk"].partition("#")
        return EventRow(
            key=EventKey(tenant, event, item["sk"]),
            received_at=times.parse(item["at"].partition("#")[0]),
            expires_at=expires_at,
            minute=item["minute"],
            owner=item.get("owner"),
            sealed=item.get("body") if "restricted" not in item else None,
            missing=json.loads(item["missing"]) if item.get("missing") else {},
            restriction=restriction.read(item),
            lives_until=times.from_millis(item["lives_until"]) if item.get("lives_until") is not None else None,
            held="ttl" not in item,
            large=LargeContent(item["object"], item.get("object_key")) if item.get("object") else None,
        )

    def event(self, tenant: str, event: str, now: datetime) -> EventRow | None:
        """Find an event of a tenant by its id."""
        for item in self.table.query("pk = :p", {":p": f"{tenant}#{event}"}, limit=1):
            return self.read_event(item, now)
        return None

    def events(self, keys: Iterable[EventKey], now: datetime) -> dict[str, EventRow]:
        """Read events by their keys, by event id; at most 100."""
        found = batch_get(self.table.client, ((self.table.name, k.key) for k in keys), self.table.region)
        rows = (self.read_event(item, now) for item in found.get(self.table.name, ()))
        return {row.key.event: row for row in rows if row is not None}

    def event_keys(
        self,
        tenant: str,
        day: str,
        *,
        before: str | None = None,
        after: str = "",
        parts: Collection[str] | None = None,
    ) -> Iterator[tuple[EventKey, str]]:
        """Yield the keys of a tenant's events received on a day, newest first, with their place in the list.

        Args:
            day: ``YYYY-MM-DD``.
            before: only places before this one (exclusive); ``after``: only places from this one on.
            parts: as ``with_parts`` has returned for days with this one; asked for unless given.
        """
        bound = {":a": after or day, ":b": before or f"{day}T99"}
        condition = "#at BETWEEN :a AND :b"
        name = day_of(tenant, day)
        for item in lists.read(self.table, name, condition, bound, ascending=False, parts=parts):
            if item["at"] != before:
                owner, _, event = item["pk"].partition("#")
                yield EventKey(owner, event, item["sk"]), item["at"]

    def with_parts(self, tenant: str, days: Iterable[str]) -> frozenset[str]:
        """Return the lists of those days of a tenant that have parts."""
        return lists.with_parts(self.table, (day_of(tenant, day) for day in days))

    def first_minute(self, tenant: str, event: str, minute: int, expires_at: datetime) -> int:
        """Return the minute in which an event without a platform's time was first seen: this one, or the one stored."""
        key = {"pk": f"seen#{tenant}#{event}", "sk": "seen"}
        if self.table.insert({**key, "minute": minute, "ttl": ttl(expires_at)}):
            return minute
        stored = self.table.get(key)
        return int(stored["minute"]) if stored else minute

    def erase_content(self, key: EventKey) -> bool:
        """Remove an event's content and leave its empty row, so that a redelivery cannot bring it back.

        The name of its object stays, so that a repeated erasure deletes the object, too.
        """
        names = {"#owner": "owner"}
        return self.table.update(key.key, "REMOVE body, object_key, #owner", {}, names=names) is not None

    # Lanes

    def lane_keys(self, lane: str) -> tuple[str, dict[str, str]]:
        """Return table and key of a lane's head."""
        return self.table.name, {"pk": f"lane#{lane}", "sk": "head"}

    def park(self, lane: str, sequence: str, waiting: Mapping[str, Any], expires_at: datetime, held: bool) -> None:
        """Put a delivery into its lane; one that is there already stays as it is."""
        index = {}
        if held:
            now_s = int(times.parse(waiting["held_since"]).timestamp())
            place = self._lists.place(f"{waiting['tenant']}#held", waiting["transfer"], now_s)
            index = {"day": place, "at": f"{waiting['held_since']}#{waiting['transfer']}"}
        self.table.insert(
            {
                "pk": f"lane#{lane}",
                "sk": f"p#{sequence}",
                "waiting": json.dumps(waiting),
                "ttl": ttl(expires_at + AFTER_EXPIRY),
                **index,
            }
        )

    def make_head(self, lane: str, due_at: datetime, listed: str | None = None) -> None:
        """Mark a lane as parked, to be looked at ``due_at``; a head that is there keeps its time and its list.

        The head has no TTL: it is removed when the lane is empty, and never while something waits.

        Args:
            listed: the list (``list_of``) of a lane that waits for its destination, and is woken when that is back.
        """
        bound = {":due": f"{times.text(due_at)}#{lane}", ":shard": due_shard(lane), ":region": self.table.region}
        expression, names = "SET due_at = :due, due_shard = :shard, #region = :region", {"#region": "region"}
        if listed is not None:
            bound[":listed"] = self._lists.place(listed, lane, int(due_at.timestamp()))
            expression, names = expression + ", #day = :listed, #at = :due", names | _LISTED
        key = {"pk": f"lane#{lane}", "sk": "head"}
        self.table.update(key, expression, bound, condition="attribute_not_exists(pk)", names=names)

    def move_head(self, lane: str, due_at: datetime, seen: str, listed: str | None = None) -> None:
        """Set when a parked lane is looked at next, unless another process has moved it since it was seen due at ``seen``.

        The condition keeps a request to look at once (``wake_at``) that arrives while the lane is being looked at. The lane leaves
        its list, and joins ``listed`` if that is given.
        """
        bound = {":due": f"{times.text(due_at)}#{lane}", ":seen": f"{seen}#{lane}"}
        expression = "SET due_at = :due" + (", #day = :listed, #at = :due" if listed else " REMOVE #day, #at")
        if listed is not None:
            bound[":listed"] = self._lists.place(listed, lane, int(due_at.timestamp()))
        key = {"pk": f"lane#{lane}", "sk": "head"}
        self.table.update(key, expression, bound, condition="due_at = :seen", names=_LISTED)

    def wake_at(self, lane: str, due_at: datetime) -> bool:
        """Move a parked lane's due time; False if it is not parked any more."""
        bound = {":d": f"{times.text(due_at)}#{lane}"}
        expression = "SET due_at = :d REMOVE #day, #at"
        return self.table.update({"pk": f"lane#{lane}", "sk": "head"}, expression, bound, names=_LISTED) is not None

    def listed(self, tenant: str, destination: str, limit: int | None = None) -> Iterator[tuple[str, str]]:
        """Yield the lanes that wait for their destination, those that have waited longest first, with their due times.

        Args:
            limit: how many to read a call, where few are wanted.
        """
        for item in lists.read(self.table, list_of(tenant, destination), limit=limit):
            yield item["pk"].removeprefix("lane#"), item["at"].partition("#")[0]

    def waiting(self, lane: str) -> Iterator[Item]:
        """Yield the deliveries that wait in a lane, in order, page by page as they are asked for."""
        bound = {":p": f"lane#{lane}", ":s": "p#"}
        for item in self.table.query("pk = :p AND begins_with(sk, :s)", bound, limit=WAITING_A_PAGE):
            yield {"sequence": item["sk"][2:], **json.loads(item["waiting"])}

    def to_drain(self, lane: str) -> Iterator[Item]:
        """Yield the same for the process that drains the lane; rows of earlier releases get their place first."""
        found = self.waiting(lane)
        first = next(found, None)
        if first is None or lane_order.is_of_sqs(first["sequence"]) or not renumbered(self.table, lane):
            return chain([first] if first else [], found)
        return self.waiting(lane)

    def update_waiting(self, lane: str, sequence: str, waiting: Mapping[str, Any], held: bool) -> None:
        """Store the new state of a waiting delivery: another attempt, or no longer held."""
        expression = "SET waiting = :w" + ("" if held else " REMOVE #day, #at")
        values = {k: v for k, v in waiting.items() if k != "sequence"}
        self.table.update(
            {"pk": f"lane#{lane}", "sk": f"p#{sequence}"},
            expression,
            {":w": json.dumps(values)},
            names=None if held else {"#day": "day", "#at": "at"},
        )

    def remove_waiting(self, lane: str, sequence: str) -> None:
        """Take a delivery out of its lane."""
        self.table.delete({"pk": f"lane#{lane}", "sk": f"p#{sequence}"})

    def remove_head(self, lane: str) -> None:
        """Mark a lane as no longer parked."""
        self.table.delete({"pk": f"lane#{lane}", "sk": "head"})

    def due_lanes(self, now: datetime, limit: int) -> Iterator[tuple[str, str]]:
        """Yield lanes whose time has come, with the due time, at most ``limit`` of each shard."""
        bound = times.text(now + timedelta(milliseconds=1))
        for shard in range(DUE_SHARDS):
            found = self.table.query(
                "due_shard = :s AND due_at < :n", {":s": f"due#{shard}", ":n": bound}, index="due", limit=limit
            )
            for number, item in enumerate(found):
                if number >= limit:
                    break
                due, _, lane = item["due_at"].partition("#")
                yield lane, due

    def held(self, tenant: str, after: str = "") -> Iterator[tuple[str, str]]:
        """Yield the lanes in which a tenant's transfers are held, with their place in the list."""
        for item in lists.read(self.table, f"{tenant}#held", "#at > :a", {":a": after or " "}):
            yield item["pk"].removeprefix("lane#"), item["at"]

    # Stored replies, faults and dead letters

    def insert_reply(self, tenant: str, key_hash: str, values: Mapping[str, Any], expires_at: datetime) -> bool:
        """Claim an idempotency key. Return False if another request holds it."""
        return self.table.insert({"pk": f"{tenant}#idem#{key_hash}", "sk": "reply", "ttl": ttl(expires_at), **values})

    def reply(self, tenant: str, key_hash: str) -> Item | None:
        """Return the row of an idempotency key."""
        return self.table.get({"pk": f"{tenant}#idem#{key_hash}", "sk": "reply"})

    def finish_reply(self, tenant: str, key_hash: str, sealed: bytes) -> None:
        """Store the sealed reply under a claimed idempotency key."""
        key = {"pk": f"{tenant}#idem#{key_hash}", "sk": "reply"}
        self.table.update(key, "SET body = :b", {":b": sealed})

    def take_reply(
        self, tenant: str, key_hash: str, claimed_at: int, values: Mapping[str, Any], expires_at: datetime
    ) -> bool:
        """Take over a claim whose holder died or whose time is up. Return False if another request was faster.

        Args:
            claimed_at: the claim's ``claimed_at`` as it was read; ``values`` has the new one.
        """
        names = {f"#{name}": name for name in (*values, "ttl")}
        bound = {f":{name}": value for name, value in {**values, "ttl": ttl(expires_at)}.items()}
        done = self.table.update(
            {"pk": f"{tenant}#idem#{key_hash}", "sk": "reply"},
            "SET " + ", ".join(f"#{name} = :{name}" for name in (*values, "ttl")) + " REMOVE body",
            {**bound, ":seen": claimed_at},
            condition="claimed_at = :seen",
            names=names,
        )
        return done is not None

    def drop_reply(self, tenant: str, key_hash: str) -> None:
        """Give a claimed idempotency key back: the request changed nothing."""
        self.table.delete({"pk": f"{tenant}#idem#{key_hash}", "sk": "reply"})

    def dead(self, tenant: str, after: str = "", limit: int | None = None) -> Iterator[Item]:
        """Yield a tenant's parked dead letters, in the order of their sort keys.

        Args:
            after: only those after this sort key.
            limit: how many to read a call, where few are wanted.
        """
        yield from self.table.query("pk = :p AND sk > :a", {":p": f"{tenant}#dead", ":a": after or " "}, limit=limit)

    def remove_dead(self, tenant: str, queue: str, thing: str) -> None:
        """Delete a dead letter that was sent again or whose content was erased."""
        self.table.delete({"pk": f"{tenant}#dead", "sk": f"{queue}#{thing}"})

    def insert_dead(self, tenant: str, queue: str, thing: str, values: Mapping[str, Any], expires_at: datetime) -> None:
        """Park a dead letter for a person to look at."""
        place = {"pk": f"{tenant}#dead", "sk": f"{queue}#{thing}"}
        self.table.insert({**place, "ttl": ttl(expires_at), "queue": queue, "thing": thing, **values})

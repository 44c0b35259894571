"""Read the audit log's tables: one entry by its id, or the entries of an event, a subject or a time.

One table a year, ``{prefix}-audit-{year}``. Rows of it:

| row | ``pk`` | ``sk`` | attributes |
|---|---|---|---|
| entry | ``{tenant}#{minute}#{shard}`` | entry id | ``leaf`` (deflated), ``v``, ``log``, ``subject`` |
| bucket | ``{tenant}#minutes#{yyyy-mm-dd}`` | ``{minute}#{shard}`` | none: the row says that the partition is not empty |

``subject`` is the key of a sparse, keys-only index. Bucket rows let entries be listed by time without a scan.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from ..core import ids, times
from ..core.errors import AuditBroken, WrongRegion
from ..core.log.audit import logs_of, minute_of, partition, partition_of, shard, subject_of
from ..core.log.entry_types import Entry
from ..core.log.leaf import VERSION, inflate, verify_entry
from ..core.log.transfers import PREFIX_LENGTH, entry_prefix
from .items import BATCH_GET, Item, batch_get, call, code_of, read, write

PAGE_CALLS = 200
NEWEST_AT_ONCE = 10
_DAY = 24 * 60

Key = tuple[str, Mapping[str, str]]


@dataclass(frozen=True)
class Page:
    """Entries in ascending order of id; ``next`` is the ``start`` of the next page, None on the last one.

    A page may hold fewer entries than asked for, or none, and still have a ``next``. ``calls`` are those that it took.
    """

    entries: tuple[Entry, ...]
    next: str | None
    calls: int = field(default=0, compare=False)


class Entries:
    """Read entries; every row is inflated within bounds and checked against its key.

    Args:
        client: a low-level DynamoDB client of the home region.
        prefix: the prefix of the cell's table names.
        sleep: waits, in seconds, between tries.

    Raises:
        WrongRegion: the client is of another region.
    """

    def __init__(self, client: Any, prefix: str, region: str, sleep: Callable[[float], None] = time.sleep) -> None:
        if client.meta.region_name != region:
            raise WrongRegion("the audit log has a client of the home region only")
        self._client = client
        self._prefix = prefix
        self._region = region
        self._sleep = sleep

    def table(self, log: str) -> str:
        """Return the name of a log's table."""
        return f"{self._prefix}-audit-{log}"

    def key(self, tenant: str, entry_id: str, log: str) -> Key:
        """Return an entry's table and key, to be read together with other rows (``items.batch_get``)."""
        return self.table(log), {"pk": partition_of(tenant, entry_id), "sk": entry_id}

    def read_item(self, item: Item) -> Entry:
        """Read an entry's row (plain values, as ``items.read`` gives them).

        Raises:
            AuditBroken: the row does not hold the entry that its key names.
            WrongRegion: the entry is about an event that another region keeps.
        """
        data = item.get("leaf")
        if item.get("v") != VERSION or not isinstance(data, bytes):
            raise AuditBroken("an audit row of an unknown version")
        entry = verify_entry(inflate(data), later=True)
        told = (partition_of(entry["tenant"], entry["id"]), entry["id"], entry["log"], subject_of(entry))
        if told != (item.get("pk"), item.get("sk"), item.get("log"), item.get("subject")):
            raise AuditBroken("an audit row holds another entry than its key names")
        if entry["kind"] == "decided" and entry["receipt"]["store"]["region"] != self._region:
            raise WrongRegion("an audit row is about an event that another region keeps")
        return entry

    def get(self, tenant: str, entry_id: str, log: str) -> Entry | None:
        """Read one entry, consistently; None if that log does not hold it. Raises as ``read_item``, and ``Unavailable``."""
        return self.get_many(tenant, [(entry_id, log)]).get(entry_id)

    def get_many(self, tenant: str, wanted: Iterable[tuple[str, str]]) -> dict[str, Entry]:
        """Read entries by id and log, consistently. Missing ones are left out. Raises as ``get``."""
        keys = [self.key(tenant, entry_id, log) for entry_id, log in wanted if ids.is_id(entry_id, "ent")]
        entries = (self._entry(table, item) for table, item in self._get(keys))
        return {entry["id"]: entry for entry in entries}

    def of_event(self, tenant: str, minute: int, event: str, now: datetime) -> list[Entry]:
        """Read all entries of an event in order of time. Raises as ``get``.

        Args:
            minute: that of the event's entries.
            now: the clock: acts and new decisions on an old event are in later years' logs.
        """
        return self._of_prefix(tenant, entry_prefix(minute, event), now)

    def of_transfer(self, tenant: str, transfer: str, now: datetime) -> list[Entry]:
        """Read all entries of the event that a transfer belongs to, in order of time. Raises as ``get``."""
        return self._of_prefix(tenant, transfer[4 : 4 + PREFIX_LENGTH], now) if ids.is_id(transfer, "trf") else []

    def _of_prefix(self, tenant: str, prefix: str, now: datetime) -> list[Entry]:
        low, high = f"ent_{prefix}", f"ent_{prefix}{'z' * (ids.LENGTH - PREFIX_LENGTH)}"
        minute = minute_of(low)
        entries: list[Entry] = []
        for log in logs_of(minute, minute, now):
            entries.extend(self._range(log, partition(tenant, minute, shard(low)), low, high))
        return sorted(entries, key=lambda entry: (entry["at"], entry["id"]))

    def of_subject(
        self,
        tenant: str,
        subject: str,
        after: datetime,
        before: datetime,
        *,
        now: datetime,
        limit: int = 100,
        start: str | None = None,
        since: datetime | None = None,
    ) -> Page:
        """Read the entries whose first subject this is, by the minute in their ids, ``after`` included, ``before`` not.

        The index is late by a second or so and may miss the newest entries. ``since`` as in ``between``. Raises as ``get``.
        """
        low, high = _span(after, before, start)
        keys: dict[str, tuple[str, str]] = {}
        logs = _written(logs_of(minute_of(low), minute_of(high), now), since)
        for log in logs:
            rows = self._query(
                log,
                index="subject",
                names={"#h": "subject", "#r": "sk"},
                values={":h": subject, ":a": low, ":b": high},
                limit=limit + 1,
            )
            keys |= {row["sk"]: (row["sk"], log) for row in rows if row["pk"].startswith(f"{tenant}#")}
        chosen = sorted(keys)[: limit + 1]
        found = self.get_many(tenant, [keys[entry_id] for entry_id in chosen[:limit]])
        entries = tuple(found[entry_id] for entry_id in chosen[:limit] if entry_id in found)
        return Page(entries, chosen[limit - 1] if len(chosen) > limit else None, len(logs))

    def newest_of_subject(self, tenant: str, subject: str, since: datetime, now: datetime) -> Iterator[Entry]:
        """Yield all entries whose first subject this is, log by log, in each log the latest minutes first.

        Entries are read a page at a time. The index is late as for ``of_subject``, and the errors are the same.

        Args:
            since: skip logs that cannot hold an entry written from this time on.
        """
        for log in reversed(logs_of(times.minute(since), times.minute(now), now)):
            rows = self._query(
                log,
                index="subject",
                names={"#h": "subject", "#r": "sk"},
                values={":h": subject, ":a": "ent_", ":b": "ent_~"},
                ascending=False,
            )
            mine = (row["sk"] for row in rows if row["pk"].startswith(f"{tenant}#"))
            while some := list(itertools.islice(mine, NEWEST_AT_ONCE)):
                found = self.get_many(tenant, [(entry_id, log) for entry_id in some])
                yield from (found[entry_id] for entry_id in some if entry_id in found)

    def between(
        self,
        tenant: str,
        after: datetime,
        before: datetime,
        *,
        now: datetime,
        limit: int = 100,
        start: str | None = None,
        since: datetime | None = None,
    ) -> Page:
        """Read entries by the minute in their ids, ``after`` included, ``before`` not. Raises as ``get``.

        A page makes about ``PAGE_CALLS`` calls at most: over a thin stretch it ends early, with a ``next``.

        Args:
            since: when the tenant was made; logs of earlier years hold nothing of it and are not read.
        """
        low, high = _span(after, before, start)
        entries: list[Entry] = []
        calls = 0
        for day in range(minute_of(low) // _DAY, minute_of(high) // _DAY + 1):
            logs = _written(logs_of(day * _DAY, day * _DAY + _DAY - 1, now), since)
            calls += len(logs)
            for bucket, holders in sorted(self._buckets(tenant, day, logs, low, high).items()):
                calls += len(holders)
                found: list[Entry] = []
                for log in holders:
                    name = f"{tenant}#{bucket}"
                    found.extend(self._range(log, name, low, high, limit + 1 - len(entries)))
                entries.extend(sorted(found, key=lambda entry: str(entry["id"])))
                if len(entries) > limit:
                    return Page(tuple(entries[:limit]), entries[limit - 1]["id"], calls)
                if calls >= PAGE_CALLS:
                    return Page(tuple(entries), _last_id(bucket[:6], int(bucket[7:])), calls)
            if calls >= PAGE_CALLS and day < minute_of(high) // _DAY:
                return Page(tuple(entries), _last_id(ids.encode(day * _DAY + _DAY - 1, 6), 7), calls)
        return Page(tuple(entries), None, calls)

    def day_buckets(self, tenant: str, log: str, day: int) -> list[str]:
        """Return the buckets of a log that hold entries of a day (since 1970), in order. Raises ``Unavailable``."""
        low, high = f"ent_{ids.encode(day * _DAY, 6)}{'0' * 20}", _last_id(ids.encode(day * _DAY + _DAY - 1, 6), 7)
        return sorted(self._buckets(tenant, day, (log,), low, high))

    def partition_page(
        self, tenant: str, log: str, name: str, after: str, limit: int
    ) -> tuple[list[tuple[str, bytes]], str | None]:
        """Return a page of the ids and leaves of a log partition, as they are stored (consistent): one call.

        Nothing but the compression is checked: a row that cannot be inflated has an empty leaf. Raises ``Unavailable``.

        Args:
            name: ``{minute}#{shard}``.
            after: the id that the page before ended with; empty for the first page.
            limit: at most so many; a page also ends at 1 MB.

        Returns:
            The rows, and ``after`` for the next page, None if this is the last one.
        """
        asked = self._asked(
            log,
            names={"#h": "pk", "#r": "sk", "#l": "leaf", "#v": "v"},
            values={":h": f"{tenant}#{name}", ":a": f"{after}0" if after else f"ent_{'0' * ids.LENGTH}", ":b": _LAST},
        )
        try:  # each attribute that is read costs the SDK CPU
            answer = call(self._client.query, **asked, Limit=limit, ProjectionExpression="#r, #l, #v")
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return [], None
            raise
        rows = [_stored(read(item, self._region)) for item in answer.get("Items", ())]
        last = answer.get("LastEvaluatedKey")
        return rows, None if last is None else str(last["sk"]["S"])

    def partition_count(self, tenant: str, log: str, name: str) -> int:
        """Count the rows of a log partition, without reading them into memory. Newest ones may be missing. Raises ``Unavailable``."""
        asked = self._asked(
            log,
            names={"#h": "pk", "#r": "sk"},
            values={":h": f"{tenant}#{name}", ":a": f"ent_{'0' * ids.LENGTH}", ":b": _LAST},
        )
        number = 0
        while True:
            try:
                answer = call(self._client.query, **asked | {"Select": "COUNT", "ConsistentRead": False})
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return 0
                raise
            number += int(answer["Count"])
            if "LastEvaluatedKey" not in answer:
                return number
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _buckets(self, tenant: str, day: int, logs: Iterable[str], low: str, high: str) -> dict[str, list[str]]:
        """Return the non-empty partitions of a day, each with the logs that have it."""
        found: dict[str, list[str]] = {}
        values = {
            ":h": day_key(tenant, day * _DAY),
            ":a": f"{low[4:10]}#{shard(low)}",
            ":b": f"{high[4:10]}#{shard(high)}",
        }
        for log in logs:
            for row in self._query(log, names={"#h": "pk", "#r": "sk"}, values=values):
                found.setdefault(row["sk"], []).append(log)
        return found

    def _range(self, log: str, bucket: str, low: str, high: str, limit: int | None = None) -> Iterator[Entry]:
        values = {":h": bucket, ":a": low, ":b": high}
        for row in self._query(log, names={"#h": "pk", "#r": "sk"}, values=values, limit=limit):
            yield self._entry(self.table(log), row)

    def _query(
        self,
        log: str,
        *,
        names: Mapping[str, str],
        values: Mapping[str, str],
        index: str | None = None,
        limit: int | None = None,
        ascending: bool = True,
    ) -> Iterator[Item]:
        """Yield at most ``limit`` rows of one partition and range in key order; none where there is no such log."""
        where = {"IndexName": index, "ConsistentRead": False} if index else {}
        arguments = self._asked(log, names, values) | {"ScanIndexForward": ascending} | where
        given = 0
        while True:
            if limit is not None:
                arguments["Limit"] = limit - given
            try:
                answer = call(self._client.query, **arguments)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return
                raise
            for item in answer.get("Items", ()):
                yield read(item, self._region)
                given += 1
            if "LastEvaluatedKey" not in answer or given == limit:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _asked(self, log: str, names: Mapping[str, str], values: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments of a consistent query of one partition and range."""
        return {
            "TableName": self.table(log),
            "KeyConditionExpression": "#h = :h AND #r BETWEEN :a AND :b",
            "ExpressionAttributeNames": dict(names),
            "ExpressionAttributeValues": write(values),
            "ConsistentRead": True,
        }

    def _get(self, keys: Iterable[Key]) -> Iterator[tuple[str, Item]]:
        """Yield the rows at keys, consistently, with their tables; none where there is no such log."""
        tables: dict[str, list[Key]] = {}
        for key in keys:
            tables.setdefault(key[0], []).append(key)
        for table, here in tables.items():
            for start in range(0, len(here), BATCH_GET):
                try:
                    found = batch_get(self._client, here[start : start + BATCH_GET], self._region, self._sleep)
                except ClientError as error:
                    if code_of(error) == "ResourceNotFoundException":
                        break
                    raise
                for item in found[table]:
                    yield table, item

    def _entry(self, table: str, item: Item) -> Entry:
        entry = self.read_item(item)
        if self.table(entry["log"]) != table:
            raise AuditBroken("an audit row is in another log's table")
        return entry


_LAST = f"ent_{'z' * ids.LENGTH}"


def _stored(row: Item) -> tuple[str, bytes]:
    """Return the id and the leaf of a row; an empty leaf where there is none."""
    data = row.get("leaf")
    try:
        leaf = inflate(data) if isinstance(data, bytes) and row.get("v") == VERSION else b""
    except AuditBroken:
        leaf = b""
    return row["sk"], leaf


@lru_cache(1024)  # entries of one minute come together, and so do those of one tenant
def day_key(tenant: str, minute: int) -> str:
    """Return the partition of the bucket rows of a minute's day."""
    return f"{tenant}#minutes#{times.EARLIEST + timedelta(minutes=minute):%Y-%m-%d}"


def _written(logs: Iterable[str], since: datetime | None) -> list[str]:
    """Return the logs that a tenant can have entries in. A log takes entries until a week after its year."""
    first = f"{(since - timedelta(days=60)).year:04d}" if since is not None else ""
    return [log for log in logs if log >= first]


def _last_id(minute: str, shard: int) -> str:
    """Return the highest id that a bucket can hold."""
    return f"ent_{minute}{ids.ALPHABET[shard << 2 | 3]}{'z' * 19}"


def _span(after: datetime, before: datetime, start: str | None) -> tuple[str, str]:
    """Return the lowest and the highest id of a time, the lowest above ``start``."""
    first = max(0, times.minute(after.astimezone(UTC)))
    last = max(first, times.minute(before.astimezone(UTC) - timedelta(milliseconds=1)))
    low, high = f"ent_{ids.encode(first, 6)}{'0' * 20}", f"ent_{ids.encode(last, 6)}{'z' * 20}"
    return (max(low, f"{start}0") if start else low), high

"""Appending to the audit log: entries are inserted once; nothing here can change or remove one. Rows: ``store.entries``."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from ..core import times
from ..core.errors import AuditConflict, AuditUnavailable, Misconfigured, Unavailable, WaybillError, WrongRegion
from ..core.log.audit import earlier_logs, minute_of, natural_key, partition_of, shard, subject_of
from ..core.log.entry_types import Entry
from ..core.log.leaf import VERSION, deflate, leaf
from ..threads import PROCESS_THREADS, Threads
from .entries import Entries, Key, day_key
from .items import FAILED_CALLS, MALFORMED, code_of, each, is_unavailable, write

BATCH_INSERT = 25
ATTEMPTS = 5
BACKOFF_S = 0.05
KNOWN_BUCKETS = 10_000

Touched = dict[tuple[str, str], dict[str, int]]
"""By tenant and log: how many entries were stored in each bucket, ``{minute}#{shard}``."""

_STORED = ""
_UNKNOWN = "unknown"  # the call ended without an answer: written or not
_DUPLICATE = frozenset({"DuplicateItem", "DuplicateItemException", "ConditionalCheckFailedException"})
_AGAIN = frozenset(
    {
        _UNKNOWN, "ProvisionedThroughputExceeded", "ThrottlingError", "RequestLimitExceeded", "InternalServerError",
        "TransactionConflict",
    }
)  # fmt: skip
"""Codes of single statements of a batch have no ``Exception`` at the end.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html (read 2026-11-22).
"""


@dataclass(frozen=True)
class StoredEntry:
    """An entry of the log. Where ``new`` is False, another writer was first and the caller MUST follow ``entry``."""

    entry: Entry
    new: bool


@dataclass(frozen=True)
class _AuditRow:
    entry: Entry
    table: str
    item: Mapping[str, Any]
    bucket: Mapping[str, str]


class AuditStore(Entries):
    """Append entries and read them.

    Args:
        client: a low-level DynamoDB client of the home region.
        prefix: the prefix of the cell's table names.
        insert: ``partiql`` needs only the right to insert; ``put``, a conditional put, is for engines whose INSERT
            overwrites.
        sleep: waits, in seconds, between tries.
        threads: gathers entries that threads append one by one at the same time: a batch of deliveries ends so.

    Raises:
        WrongRegion: the client is of another region.
    """

    def __init__(
        self,
        client: Any,
        prefix: str,
        region: str,
        insert: Literal["partiql", "put"],
        sleep: Callable[[float], None] = time.sleep,
        threads: Threads = PROCESS_THREADS,
    ) -> None:
        super().__init__(client, prefix, region, sleep)
        self._one = threads.gathered(self.append_many, BATCH_INSERT)
        self._send = {"partiql": self._send_statements, "put": self._send_puts}[insert]
        self._known: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._touched: Touched = {}
        self._lock = threading.Lock()

    def take_touched(self) -> Touched:
        """Return the buckets in which entries were stored, or found, since this was last asked, and how many in each."""
        with self._lock:
            touched, self._touched = self._touched, {}
        return touched

    def touch_again(self, touched: Touched) -> None:
        """Put back partitions for which no seal request could be sent."""
        with self._lock:
            for log, buckets in touched.items():
                here = self._touched.setdefault(log, {})
                for bucket, number in buckets.items():
                    here[bucket] = here.get(bucket, 0) + number

    def append(self, entry: Entry) -> StoredEntry:
        """Append one entry; see ``append_many``.

        Raises:
            Misconfigured: the entry may not be written; it is never tried again.
            AuditConflict: another entry stands at its key. Nothing may be sent.
            AuditUnavailable: it is not known to be stored; the same call may succeed later.
            AuditBroken: the entry that stands there cannot be read.
        """
        outcome = self._one(entry)
        if isinstance(outcome, WaybillError):
            raise outcome
        return outcome

    def append_many(self, entries: Sequence[Entry]) -> list[StoredEntry | WaybillError]:
        """Append entries in the order given, each with its own outcome. A failed entry is an outcome, not an exception.

        An entry is reported as stored only when its bucket row is known to be there, too. Errors are those of ``append``.
        """
        outcomes: list[StoredEntry | WaybillError | None] = [None] * len(entries)
        rounds: list[dict[tuple[str, str, str], tuple[int, _AuditRow]]] = []
        for index, entry in enumerate(entries):
            try:
                row = self._row(entry)
            except WaybillError as fault:
                outcomes[index] = fault
                continue
            # One call may not name a key twice: a repeated key is appended after the first and finds its entry.
            key = (row.table, row.item["pk"], row.item["sk"])
            place = next((r for r in rounds if key not in r), None)
            if place is None:
                rounds.append(place := {})
            place[key] = (index, row)
        for one in rounds:
            rows = list(one.values())
            for (index, row), outcome in zip(rows, self._append([row for _, row in rows]), strict=True):
                outcomes[index] = outcome
                if isinstance(outcome, StoredEntry):
                    # An entry that was there already may come from a process that crashed before it notified the sealer.
                    log = outcome.entry["log"]
                    self.touch_again({(row.entry["tenant"], log): {row.bucket["sk"]: 1}})
        return [outcome for outcome in outcomes if outcome is not None]

    def _row(self, entry: Entry) -> _AuditRow:
        data = leaf(entry)
        if entry["kind"] == "decided" and entry["receipt"]["store"]["region"] != self._region:
            raise WrongRegion("an entry is about an event that another region keeps")
        entry_id, minute = entry["id"], minute_of(entry["id"])
        item = {
            "pk": partition_of(entry["tenant"], entry_id),
            "sk": entry_id,
            "leaf": deflate(data),
            "v": VERSION,
            "log": entry["log"],
            "subject": subject_of(entry),
        }
        bucket = {"pk": day_key(entry["tenant"], minute), "sk": f"{entry_id[4:10]}#{shard(entry_id)}"}
        return _AuditRow(entry, self.table(entry["log"]), item, bucket)

    def _append(self, rows: list[_AuditRow]) -> list[StoredEntry | WaybillError]:
        """Append rows with distinct keys: 1 look into earlier logs, 2 insert, 3 read back the entries of the first writer."""
        outcomes: dict[int, StoredEntry | WaybillError] = {}
        found: dict[int, Key] = {}
        for index, row in enumerate(rows):  # 1
            entry = row.entry
            for log in earlier_logs(minute_of(entry["id"]), times.parse(entry["at"]), entry["log"]):
                found[index] = self.key(entry["tenant"], entry["id"], log)
                outcomes.update(self._first_there({index: row}, found))
                if index in outcomes:
                    break
        waiting = [index for index in range(len(rows)) if index not in outcomes]
        for table in dict.fromkeys(rows[index].table for index in waiting):  # 2
            here = [index for index in waiting if rows[index].table == table]
            buckets = self._unknown_buckets(table, [rows[i] for i in here])
            items = [*buckets, *(rows[i].item for i in here)]
            codes = self._insert(table, items)
            missing: dict[tuple[str, str], str] = {}
            for bucket, code in zip(buckets, codes, strict=False):
                if code == _STORED or code in _DUPLICATE:
                    self._learn(table, bucket)
                else:
                    missing[bucket["pk"], bucket["sk"]] = code
            duplicates: dict[int, Key] = {}
            for index, code in zip(here, codes[len(buckets) :], strict=True):
                bucket = rows[index].bucket
                bad = missing.get((bucket["pk"], bucket["sk"]))
                if code == _STORED and bad is None:
                    outcomes[index] = StoredEntry(rows[index].entry, new=True)
                elif code == _STORED or code in _DUPLICATE:
                    if bad is None:
                        item = rows[index].item
                        duplicates[index] = (table, {"pk": item["pk"], "sk": item["sk"]})
                    else:
                        outcomes[index] = _fault(bad)
                else:
                    outcomes[index] = _fault(code)
            if duplicates:  # 3
                outcomes.update(self._first_there({i: rows[i] for i in duplicates}, duplicates))
                for index in duplicates:
                    outcomes.setdefault(index, AuditUnavailable("an audit entry is taken and cannot be read yet"))
        return [outcomes[index] for index in range(len(rows))]

    def _first_there(
        self, rows: Mapping[int, _AuditRow], keys: Mapping[int, Key]
    ) -> dict[int, StoredEntry | WaybillError]:
        """Compare rows with the stored rows of the same keys; rows without a stored one are left out."""
        try:
            items = {(table, item["sk"]): item for table, item in self._get([keys[i] for i in rows])}
        except (Unavailable, ClientError):
            return dict.fromkeys(rows, AuditUnavailable("the audit log cannot be read; try again"))
        outcomes: dict[int, StoredEntry | WaybillError] = {}
        for index, row in rows.items():
            item = items.get((keys[index][0], row.item["sk"]))
            if item is None:
                continue
            try:
                stored = self.read_item(item)
            except WaybillError as fault:
                outcomes[index] = fault
                continue
            same = stored["kind"] == row.entry["kind"] and natural_key(stored) == natural_key(row.entry)
            outcomes[index] = (
                StoredEntry(stored, new=False)
                if same
                else AuditConflict("another audit entry stands where this one belongs")
            )
        return outcomes

    def _unknown_buckets(self, table: str, rows: Iterable[_AuditRow]) -> list[Mapping[str, Any]]:
        # An attempt is filed with its decision, which is not stored without its bucket row.
        wanted = {(r.bucket["pk"], r.bucket["sk"]): r.bucket for r in rows if r.entry["kind"] != "attempted"}
        with self._lock:
            return [bucket for key, bucket in wanted.items() if (table, *key) not in self._known]

    def _learn(self, table: str, bucket: Mapping[str, Any]) -> None:
        with self._lock:
            self._known[table, bucket["pk"], bucket["sk"]] = None
            if len(self._known) > KNOWN_BUCKETS:
                self._known.popitem(last=False)

    def _insert(self, table: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """Insert items, and again the same bytes where it is not known or not yet. Return the code of each."""
        codes = [_UNKNOWN] * len(items)
        pending = list(range(len(items)))
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(BACKOFF_S * 2 ** (attempt - 1))
            for start in range(0, len(pending), BATCH_INSERT):
                chunk = pending[start : start + BATCH_INSERT]
                for index, code in zip(chunk, self._send(table, [items[i] for i in chunk]), strict=True):
                    codes[index] = code
            pending = [index for index in pending if codes[index] in _AGAIN]
            if not pending:
                break
        return codes

    def _send_statements(self, table: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
        statements = []
        for item in items:
            written = write(item)
            names = ", ".join(f"'{name}': ?" for name in written)
            statements.append(
                {"Statement": f'INSERT INTO "{table}" VALUE {{{names}}}', "Parameters": list(written.values())}
            )
        try:
            answer = self._client.batch_execute_statement(Statements=statements)
        except FAILED_CALLS as error:
            return [_code(error)] * len(items)
        return [response.get("Error", {}).get("Code", _STORED) for response in answer["Responses"]]

    def _send_puts(self, table: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
        condition = {"TableName": table, "ConditionExpression": "attribute_not_exists(pk)"}
        outcomes = each(self._client, "put_item", ({**condition, "Item": write(item)} for item in items))
        return [_code(outcome) if isinstance(outcome, Exception) else _STORED for outcome in outcomes]


def _code(error: Exception) -> str:
    return code_of(error) if isinstance(error, ClientError) and not is_unavailable(error) else _UNKNOWN


def _fault(code: str) -> WaybillError:
    if code in MALFORMED:
        return Misconfigured("the audit table does not take an entry of this form")
    return AuditUnavailable(f"the audit table did not take an entry ({code}); try again")

"""Seal: give new entries their place in their tenant's log, publish them, and sign the log's checkpoint.

``collect`` says which logs are due. Their tasks come from a FIFO queue whose groups are the logs, so that one sealer works on
a log. For one log: 1 publish the last seal, if a crash left it unpublished → 2 read a piece of the partitions → 3 sort, extend
the tree → 4 write the batch, **commit** by inserting the seal → 5 to 8 publish it (``publish``), and again from 2. Each step can
be repeated; before 4's commit a crash leaves an orphan batch, after it the next run finishes. Of two concurrent sealers one
inserts the seal, and the other looks at the log again.

A run holds one piece in memory. What it does not reach becomes a seal request.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ...core import times
from ...core.errors import AuditBroken, AuditUnavailable, WaybillError
from ...core.log import audit, seal, tiles
from ...core.log.seal import EntryRow, Seal
from ...observe import about_each, count, error, measure
from ...runtime import Runtime
from ...store.log import SealedLog
from ...store.queues import Refused
from ...store.seal_requests import ReconcileTask, SealRequest, SealTask
from ..messages import QueueMessage
from .publish import publish, sealed_log
from .reconcile import proceed

LAG = timedelta(seconds=5)
"""Younger entries are left for the next seal: another writer's clock may be a little behind."""
UNTIL_S = 90
"""Of a run of 120 s: one piece takes some seconds."""
BACK_OFF_MAX_S = 120
READERS = 16
"""So many partitions are read at once."""
PIECE_BYTES = 32 * 1024 * 1024
TRIES = 8


def handle(runtime: Runtime, messages: Sequence[QueueMessage]) -> list[str]:
    """Seal the logs that tasks name. Return the ids of the messages that failed; they come back after a while."""
    back: list[str] = []
    sealed: set[tuple[str, str]] = set()
    until = runtime.monotonic() + UNTIL_S
    for message in about_each(messages):
        reconciling = ReconcileTask.from_document(message.body)
        if reconciling is not None:
            if not _reconciled(runtime, reconciling, until):
                _retry_later(runtime, message)
                back.append(message.id)
            continue
        task = SealTask.from_document(message.body)
        if task is None:
            continue
        if task.since is not None:
            measure("seal_lag_s", (runtime.now() - task.since).total_seconds())
        try:
            work(runtime, task, until)
            sealed.add((task.tenant, task.log))
        except Exception as fault:  # noqa: BLE001  (one log's fault is not another's; its task comes back)
            error("seal_failed", fault, tenant=task.tenant, log=task.log)
            count("audit_broken" if isinstance(fault, AuditBroken) else "seals_failed")
            _retry_later(runtime, message)
            back.append(message.id)
    if runtime.settings.witnesses:  # few cells have one: the others do not load what asks it
        from .witnesses import submit

        submit(runtime, sealed)
    return back


def _reconciled(runtime: Runtime, task: ReconcileTask, until: float) -> bool:
    try:
        proceed(runtime, task, until)
    except Exception as fault:  # noqa: BLE001  (its task comes back)
        error("reconciliation_failed", fault, tenant=task.tenant)
        count("audit_broken" if isinstance(fault, AuditBroken) else "reconciliations_failed")
        return False
    return True


def _retry_later(runtime: Runtime, message: QueueMessage) -> None:
    try:
        runtime.sealing.retry_in(message.receipt_handle, min(BACK_OFF_MAX_S, 2 ** min(message.receives, 10)))
    except (WaybillError, Refused) as fault:
        error("not_given_back", fault)  # it returns by itself when its visibility ends


def work(runtime: Runtime, task: SealTask, until: float) -> None:
    """Seal the partitions of a task, and request a seal of those that are left.

    Raises:
        AuditBroken, AuditUnavailable: as ``seal_log``.
        Unavailable: the request was not taken.
    """
    left = seal_log(runtime, task.tenant, task.log, task.partitions, until=until)
    if left:
        runtime.seal_requests.send([SealRequest(task.tenant, task.log, tuple(left), 0, since=task.since)])
    count("logs_sealed")


def seal_log(
    runtime: Runtime,
    tenant: str,
    log: str,
    partitions: Iterable[str],
    batch_entries: int = seal.BATCH_ENTRIES,
    until: float = math.inf,
) -> list[str]:
    """Seal the entries of some partitions, piece by piece. Return the partitions with entries that are left.

    Args:
        batch_entries: at most so many in one seal, and three times as many in memory.
        until: read no further piece after this time of the runtime's monotonic clock.

    Raises:
        AuditBroken: the stored data contradict themselves; nothing is signed.
        AuditUnavailable: try again later.
    """
    one = sealed_log(runtime, tenant, log)
    last = _published(runtime, one)  # 1
    base = last  # no seal after it holds an entry that this run has not read: each was made here
    reader = _PartitionReader(runtime, one, partitions, batch_entries)
    left: set[str] = set()
    carried: list[EntryRow] = []
    tries = 0
    while reader.due(until) or carried:
        horizon = runtime.now() - LAG
        read = reader.read() if reader.due(until) else []
        rows, young = _unsealed(runtime, one, base, read, horizon)  # 2
        left |= young
        more = reader.due(until)
        rows = sorted([*carried, *rows])
        carried = []
        while rows:
            number = _number(last, len(rows), batch_entries, more=more)
            if number == 0:
                break
            made, data = seal.integrate(last, rows[:number], horizon)  # 3
            compact = runtime.settings.evidence_compact
            runtime.evidence.put(one.prefix + made.batch, data, compressed=compact)  # 4
            if one.seals.insert(tenant, log, made):
                publish(runtime, one, made)
                count("entries_sealed", made.count)
                last, rows = made, rows[number:]
                continue
            tries += 1
            if tries == TRIES:
                raise AuditUnavailable("other sealers keep being faster; the next run goes on")
            last = base = _published(runtime, one)
            known = one.indexes({row.id: row.at for row in rows}, last)
            rows = [row for row in rows if row.id not in known]
        carried = rows
    return sorted(left | {name for name, _ in reader.waiting})


def _published(runtime: Runtime, one: SealedLog) -> Seal | None:
    """Return the newest seal, after publishing it."""
    last = one.last()
    if last is not None:
        publish(runtime, one, last)
    return last


def _number(last: Seal | None, waiting: int, batch_entries: int, *, more: bool) -> int:
    """Return how many entries the next seal takes; 0 where they wait for ``more``.

    Where more comes in this run, a seal ends where a tile does: the next one then needs no entry of an earlier batch.
    """
    if not more:
        return min(waiting, batch_entries)
    if waiting < batch_entries:
        return 0
    size = last.size if last else 0
    whole = (size + batch_entries) // tiles.WIDTH * tiles.WIDTH - size
    return whole if batch_entries >= 4 * tiles.WIDTH else batch_entries


class _PartitionReader:
    """The stored entries of partitions, in pieces that fit into memory. ``waiting`` holds the partitions that are not read.

    A piece is pages of some partitions. It ends with at least ``entries``, before twice as many, or soon after ``PIECE_BYTES``.
    """

    def __init__(self, runtime: Runtime, one: SealedLog, partitions: Iterable[str], entries: int) -> None:
        self.waiting = deque((name, "") for name in sorted(set(partitions)))
        self._runtime, self._one = runtime, one
        self._entries = entries
        self._page = max(1, entries // READERS)

    def due(self, until: float) -> bool:
        """Say whether another piece is to be read."""
        return bool(self.waiting) and self._runtime.monotonic() <= until

    def read(self) -> list[tuple[str, str, bytes]]:
        """Return partition, id and leaf of the next entries."""
        found: list[tuple[str, str, bytes]] = []
        size = 0
        while self.waiting and len(found) < self._entries and size < PIECE_BYTES:
            some = [self.waiting.popleft() for _ in range(min(READERS, len(self.waiting)))]
            unfinished = []
            pages = self._runtime.threads.map(READERS, self._page_of, some)
            for (name, _), (rows, after) in zip(some, pages, strict=True):
                found += [(name, entry_id, leaf) for entry_id, leaf in rows]
                size += sum(len(leaf) for _, leaf in rows)
                if after is not None:
                    unfinished.append((name, after))
            self.waiting.extendleft(reversed(unfinished))  # a partition is read to its end before others begin
        return found

    def _page_of(self, place: tuple[str, str]) -> tuple[list[tuple[str, bytes]], str | None]:
        name, after = place
        return self._runtime.audit.partition_page(self._one.tenant, self._one.log, name, after, self._page)


def _unsealed(
    runtime: Runtime, one: SealedLog, base: Seal | None, read: Iterable[tuple[str, str, bytes]], horizon: datetime
) -> tuple[list[EntryRow], set[str]]:
    """Return the entries of a piece that no seal up to ``base`` holds, and the partitions of entries that are too young."""
    limit = times.text(horizon) if base is None else max(times.text(horizon), base.horizon)
    rows, young = list[EntryRow](), set[str]()
    for name, entry_id, leaf in read:
        try:
            if audit.partition_name(entry_id) != name:
                raise AuditBroken("an audit row is in another partition than its own")
            row = seal.row(entry_id, one.tenant, one.log, leaf)
        except AuditBroken as fault:
            error("audit_row_broken", fault, tenant=one.tenant, log=one.log, entry=entry_id)
            count("audit_broken")
            continue  # no proof will cover it: reconcile names it in every run
        if row.at > limit:
            young.add(name)
        else:
            rows.append(row)
    known = one.indexes({row.id: row.at for row in rows}, base)
    return [row for row in rows if row.id not in known], young

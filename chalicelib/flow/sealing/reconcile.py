"""Reconcile: find entries that wait longer to be sealed than they may, and queue another seal request for them.

A seal request can be lost with the process that was to send it. Each day each tenant's entries of the two days before
are compared with its logs, and with them every 28th of the days further back, so that four weeks cover all days.
Unsealed entries are counted, which raises an alarm, and sealed.

Seals count their entries by partition, so that a partition is compared by its number of rows. Its entries are read only where
the numbers differ, as with seals of earlier releases, which count nothing. What a run of the sweep does not reach goes to a
sealer as a task that says how far the run has come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ...core import ids, times
from ...core.errors import AuditBroken
from ...core.log import audit, seal
from ...core.tenant.records import Tenant
from ...observe import count, warning
from ...runtime import Runtime
from ...store.log import SealedLog
from ...store.seal_requests import ReconcileTask, SealRequest
from .publish import sealed_log

PATIENCE = timedelta(minutes=30)
"""An entry that waits longer than this, and than twice its tenant's interval, is late."""
RECENT_DAYS = 2
"""Two, so that a run that failed is made good by the next."""
ROUND_DAYS = 28
BACK_DAYS = 400
"""A log takes entries of its year, of the December before it and of the week after it."""
CHUNK = 5_000
SLICE = 512
"""So many partitions are compared at once; between them a run looks at the time."""
COUNTERS = 32
INLINE_S = 20
"""So long the sweep compares the entries of one tenant; sealers do the rest."""
ROUNDS_MAX = 10
"""Lambda stops a function that feeds its own queue after 16 rounds.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html (read 2026-11-30).
"""
_DAY = 24 * 60


def due(tenant: str, now: datetime) -> bool:
    """Say whether a tenant's daily run is due in this hour."""
    return hashlib.sha256(tenant.encode()).digest()[0] % 24 == now.astimezone(UTC).hour


def days(tenant: Tenant, now: datetime) -> Iterator[int]:
    """Yield the days, since 1970, to compare today."""
    today = times.minute(now.astimezone(UTC)) // _DAY
    first = max(today - BACK_DAYS, times.minute(tenant.created_at.astimezone(UTC)) // _DAY - 1)
    yield from (
        day for day in range(first, today) if day >= today - RECENT_DAYS or day % ROUND_DAYS == today % ROUND_DAYS
    )


def interval(runtime: Runtime, minutes: int | None) -> timedelta:
    """Return how long an entry waits at most, where its tenant says so many minutes or nothing."""
    return timedelta(minutes=minutes) if minutes is not None else timedelta(seconds=runtime.settings.seal_s)


def reconcile(runtime: Runtime, tenant: Tenant) -> int:
    """Compare a tenant's entries with its logs. Return how many were found to wait too long.

    Raises:
        AuditBroken: a log cannot be read back.
        Unavailable: to be tried again.
    """
    now = runtime.now()
    until = runtime.monotonic() + INLINE_S
    patience = max(PATIENCE, 2 * interval(runtime, tenant.seal_minutes))
    return sum(
        proceed(runtime, ReconcileTask(tenant.id, log, day, now - patience), until)
        for day in days(tenant, now)
        for log in audit.logs_of(day * _DAY, day * _DAY + _DAY - 1, now)
    )


def proceed(runtime: Runtime, task: ReconcileTask, until: float) -> int:
    """Compare a day of a log from where a task stands. Return how many entries were found to wait too long.

    Args:
        until: a time of the runtime's monotonic clock after which the rest becomes a task for another run.

    Raises:
        AuditBroken, Unavailable: as ``reconcile``.
    """
    one = sealed_log(runtime, task.tenant, task.log)
    names = [name for name in runtime.audit.day_buckets(task.tenant, task.log, task.day) if name > task.after]
    late, after = 0, task.after
    for start in range(0, len(names), SLICE):
        if runtime.monotonic() > until:
            if task.rounds == ROUNDS_MAX:
                count("reconciliations_late")  # tomorrow's run begins again
            else:
                rest = replace(task, after=after, rounds=task.rounds + 1)
                runtime.sealing.send([rest.message(runtime.random(16).hex())])
            return late
        some = names[start : start + SLICE]
        late += _compared(runtime, one, some, times.text(task.limit))
        after = some[-1]
    return late


def _compared(runtime: Runtime, one: SealedLog, names: Sequence[str], limit: str) -> int:
    """Request a seal of the partitions with entries that wait too long. Return how many entries these are."""
    numbers = runtime.threads.map(
        COUNTERS, lambda name: runtime.audit.partition_count(one.tenant, one.log, name), names
    )
    stored = dict(zip(names, numbers, strict=True))
    first = times.EARLIEST + timedelta(minutes=ids.decode(names[0][:6])) - timedelta(days=1)
    sealed = one.counts(stored, times.text(first))
    found: dict[str, int] = {}
    for chunk in _chunks(runtime, one, [name for name in names if stored[name] != sealed[name]], limit):
        known = one.indexes({entry: at for entry, (at, _) in chunk.items()}, one.last())
        for name in (name for entry, (_, name) in chunk.items() if entry not in known):
            found[name] = found.get(name, 0) + 1
    if not found:
        return 0
    number = sum(found.values())
    warning("entries_unsealed", tenant=one.tenant, log=one.log, entries=number)
    count("entries_unsealed", number)
    runtime.seal_requests.send([SealRequest(one.tenant, one.log, tuple(sorted(found)), number)])
    return number


def tell_all(runtime: Runtime, tenant: str, now: datetime) -> None:
    """Queue seal requests for all that a tenant's log got in the last days, sealed or not: no later run looks at it again.

    Raises:
        Unavailable: try again later.
    """
    today = times.minute(now.astimezone(UTC)) // _DAY
    for day in range(today - RECENT_DAYS, today + 1):
        for log in audit.logs_of(day * _DAY, day * _DAY + _DAY - 1, now):
            buckets = tuple(runtime.audit.day_buckets(tenant, log, day))
            if buckets:
                runtime.seal_requests.send([SealRequest(tenant, log, buckets, 0)])


def _rows(runtime: Runtime, one: SealedLog, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the ids and leaves of a log partition, a page at a time."""
    after: str | None = ""
    while after is not None:
        rows, after = runtime.audit.partition_page(one.tenant, one.log, name, after, CHUNK)
        yield from rows


def _chunks(runtime: Runtime, one: SealedLog, names: Iterable[str], limit: str) -> Iterator[dict[str, tuple[str, str]]]:
    """Yield time and partition of the entries that should be sealed, by their ids, some thousands at a time."""
    chunk: dict[str, tuple[str, str]] = {}
    for name in names:
        for entry_id, leaf in _rows(runtime, one, name):
            try:
                at = seal.row(entry_id, one.tenant, one.log, leaf).at
            except AuditBroken:
                count("audit_broken")  # no proof will ever cover it: every run counts it again
                continue
            if at < limit:
                chunk[entry_id] = at, name
            if len(chunk) >= CHUNK:
                yield chunk
                chunk = {}
    if chunk:
        yield chunk

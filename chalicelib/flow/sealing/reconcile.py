"""Reconcile: find entries that wait longer to be sealed than they may, and queue another seal request for them.

A seal request can be lost with the process that was to send it. Each day each tenant's entries of the two days before
are compared with its logs, and with them every 28th of the days further back, so that four weeks cover all days.
Sealed entries cost reads only. Unsealed ones are counted, which raises an alarm, and sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ...core import times
from ...core.errors import AuditBroken
from ...core.log import audit, seal
from ...core.tenant.records import Tenant
from ...observe import count, warning
from ...runtime import Runtime
from ...store.log import SealedLog
from ...store.seal_requests import SealRequest
from .collect import interval
from .seal import sealed_log

PATIENCE = timedelta(minutes=30)
"""An entry that waits longer than this, and than twice its tenant's interval, is late."""
RECENT_DAYS = 2
"""Two, so that a run that failed is made good by the next."""
ROUND_DAYS = 28
BACK_DAYS = 400
"""A log takes entries of its year, of the December before it and of the week after it."""
CHUNK = 5_000
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


def reconcile(runtime: Runtime, tenant: Tenant) -> int:
    """Compare a tenant's entries with its logs. Return how many wait too long.

    Raises:
        AuditBroken: a log cannot be read back.
        Unavailable: to be tried again.
    """
    now = runtime.now()
    patience = max(PATIENCE, 2 * interval(runtime, tenant.seal_minutes))
    limit = times.text(now - patience)
    late = 0
    for day in days(tenant, now):
        for log in audit.logs_of(day * _DAY, day * _DAY + _DAY - 1, now):
            one = sealed_log(runtime, tenant.id, log)
            found: dict[str, int] = {}
            for chunk in _chunks(runtime, one, day, limit):
                known = one.indexes({entry: at for entry, (at, _) in chunk.items()}, one.last())
                for bucket in (bucket for entry, (_, bucket) in chunk.items() if entry not in known):
                    found[bucket] = found.get(bucket, 0) + 1
            if found:
                number = sum(found.values())
                warning("entries_unsealed", tenant=tenant.id, log=log, entries=number)
                count("entries_unsealed", number)
                runtime.seal_requests.send([SealRequest(tenant.id, log, tuple(sorted(found)), number)])
                late += number
    return late


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


def _chunks(runtime: Runtime, one: SealedLog, day: int, limit: str) -> Iterator[dict[str, tuple[str, str]]]:
    """Yield the time and the bucket of a day's entries that should be sealed, by their ids, some thousands at a time."""
    chunk: dict[str, tuple[str, str]] = {}
    for bucket in runtime.audit.day_buckets(one.tenant, one.log, day):
        for entry_id, leaf in _rows(runtime, one, bucket):
            try:
                at = seal.row(entry_id, one.tenant, one.log, leaf).at
            except AuditBroken:
                count("audit_broken")  # no proof will ever cover it: every run counts it again
                continue
            if at < limit:
                chunk[entry_id] = at, bucket
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = {}
    if chunk:
        yield chunk

"""Warn a tenant before a declared record ends, when it has ended, of an unreadable one, and of a source that is silent.

Each hour's sweep calls this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ...channels import capabilities_of
from ...core.event.event import OPERATIONAL
from ...core.tenant.activity import Activity
from ...core.tenant.configuration import WHOLE, Configuration, RecordExpiry
from ...core.tenant.records import Source
from ...runtime import Runtime
from ...store.snapshot import Snapshot
from .. import notices, source_counts
from ..source_ends import expires

MARKS = (0, 1, 7, 30)
"""Days before the end at which the tenant is warned; 0 is the end."""
SOURCE = "source"
"""The kind of a source's end, which is warned of from 7 days on: platforms give subscriptions for days, not for years."""
LATE_DAYS = 7
"""A record that ended earlier was told of, or ended before there were warnings."""


def due(ends: Iterable[RecordExpiry], now: datetime) -> Iterator[tuple[RecordExpiry, int]]:
    """Yield each record of which the tenant must be warned now, with the mark that it has reached."""
    today = now.date()
    for end in ends:
        left, marks = (end.day - today).days, MARKS[:-1] if end.kind == SOURCE else MARKS
        if -LATE_DAYS <= left <= marks[-1]:
            yield end, next(mark for mark in marks if left <= mark)


def _source_ends(snapshot: Snapshot) -> Iterator[RecordExpiry]:
    for source in snapshot.configuration.sources.values():
        day = expires(snapshot, source) if source.closed_at is None else None
        if day is not None:
            yield RecordExpiry(source.id, SOURCE, day)


def tell(runtime: Runtime, tenant: str, now: datetime) -> None:
    """Publish the warnings that are due and not published yet: 1 the event, 2 the mark. A crash in between repeats 1, as once.

    Raises:
        NotFound: the tenant is closed.
        Unavailable: some are not published; the next run publishes them.
    """
    snapshot = runtime.config.snapshot(tenant)
    configuration = snapshot.configuration
    ends = (*configuration.record_ends, *_source_ends(snapshot))
    found, silences = list(due(ends, now)), list(_silences(runtime, configuration))
    lost = [one for one in configuration.unreadable if one.field == WHOLE]
    told = runtime.lifetimes.told(tenant) if found or silences or lost else frozenset()
    for source, activity in silences:
        name = f"{source.id}#{activity.last_received_at}"
        if name not in told:
            notices.silent(
                runtime, tenant, source.id, activity, capabilities_of(source.channel).unsubscribes_after_h
            )  # 1
            runtime.lifetimes.tell(tenant, name, now)  # 2
    for one in lost:
        name = f"{one.record}#{WHOLE}"
        if name not in told:
            notices.record_unreadable(runtime, tenant, one)  # 1
            runtime.lifetimes.tell(tenant, name, now)  # 2
    for end, mark in found:
        name = f"{end.record}#{end.day.isoformat()}#{mark}"
        if name not in told:
            notices.record_ends(runtime, tenant, end.record, end.kind, end.day, mark)  # 1
            runtime.lifetimes.tell(tenant, name, now)  # 2


def _silences(runtime: Runtime, configuration: Configuration) -> Iterator[tuple[Source, Activity]]:
    for source in configuration.sources.values():
        if source.channel != OPERATIONAL and source.closed_at is None:
            found = source_counts.read(runtime, configuration.tenant.id, source.id)
            if found.silent:
                yield source, found

"""Warn a tenant before a declared record ends, when it has ended, of an unreadable one, and of a source that is silent.

Each hour's sweep calls this.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ...core.event.event import OPERATIONAL
from ...core.tenant.activity import UNSUBSCRIBES_AFTER_H, Activity
from ...core.tenant.configuration import WHOLE, Configuration, RecordExpiry
from ...core.tenant.records import Source
from ...runtime import Runtime
from .. import notices, source_counts

MARKS = (0, 1, 7, 30)
"""Days before the end at which the tenant is warned; 0 is the end."""
LATE_DAYS = 7
"""A record that ended earlier was told of, or ended before there were warnings."""


def due(configuration: Configuration, now: datetime) -> Iterator[tuple[RecordExpiry, int]]:
    """Yield each record of which the tenant must be warned now, with the mark that it has reached."""
    today = now.date()
    for end in configuration.record_ends:
        left = (end.day - today).days
        if -LATE_DAYS <= left <= MARKS[-1]:
            yield end, next(mark for mark in MARKS if left <= mark)


def tell(runtime: Runtime, tenant: str, now: datetime) -> None:
    """Publish the warnings that are due and not published yet: 1 the event, 2 the mark. A crash in between repeats 1, as once.

    Raises:
        NotFound: the tenant is closed.
        Unavailable: some are not published; the next run publishes them.
    """
    configuration = runtime.config.snapshot(tenant).configuration
    found, silences = list(due(configuration, now)), list(_silences(runtime, configuration))
    lost = [one for one in configuration.unreadable if one.field == WHOLE]
    told = runtime.lifetimes.told(tenant) if found or silences or lost else frozenset()
    for source, activity in silences:
        name = f"{source.id}#{activity.last_received_at}"
        if name not in told:
            notices.silent(runtime, tenant, source.id, activity, UNSUBSCRIBES_AFTER_H.get(source.channel))  # 1
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

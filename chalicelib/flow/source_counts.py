"""Count what sources send, and read it back. A process writes its counts of a source at most once a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..core.event.event import OPERATIONAL
from ..core.tenant.activity import HABIT, Activity, activity
from ..observe import error
from ..runtime import Runtime

if TYPE_CHECKING:  # for an annotation only
    from .routed import RoutedEvent

EVERY_S = 60
SOURCES_MAX = 10_000
"""Sources whose counts one process keeps; above that it forgets the counts that it has not written."""


def note(runtime: Runtime, tenant: str, source: str, counts: Mapping[str, int]) -> None:
    """Count, and write the counts of this source if that is due. Never raises: no event fails for its count."""
    now_s, of = runtime.monotonic(), (tenant, source)
    if of not in runtime.source_counts and len(runtime.source_counts) >= SOURCES_MAX:
        runtime.source_counts.clear()
    written_s, waiting = runtime.source_counts.get(of, (now_s - EVERY_S, {}))
    waiting = {word: waiting.get(word, 0) + counts.get(word, 0) for word in {*waiting, *counts}}
    if now_s - written_s < EVERY_S:
        runtime.source_counts[of] = (written_s, waiting)
        return
    runtime.source_counts[of] = (now_s, {})
    try:
        runtime.source_count_store.add(tenant, source, runtime.now(), waiting)
    except Exception as fault:  # noqa: BLE001  (no event fails for its count)
        error("source_not_counted", fault, tenant=tenant, source=source)


def note_routed(runtime: Runtime, works: Iterable[RoutedEvent]) -> None:
    """Count the events of a batch of route. Operational events are the cell's own."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for work in works:
        if work.document["channel"] != OPERATIONAL:
            found = counts.setdefault((work.tenant, str(work.document["source"])), Counter())
            found.update(["accepted"] if work.entry["routes"] else ["accepted", "unrouted"])
    for (tenant, source), found in counts.items():
        note(runtime, tenant, source, found)


def read(runtime: Runtime, tenant: str, source: str) -> Activity:
    """Return the activity of a source."""
    now = runtime.now()
    return activity(runtime.source_count_store.hours(tenant, source, now - HABIT), now)

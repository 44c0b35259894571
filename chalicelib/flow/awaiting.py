"""Events that are stored sealed, since a ground for storing them is missing: list, release and destroy them.

Route lists such an event. A declared record, a consent and each hour's sweep have it decided again: it is released if it has
a ground now. If it has none when its hold ends, it is destroyed: 1 the entry, 2 its row, 3 its place in the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from ..core import times
from ..core.law.decision import awaits_ground
from ..core.log import audit
from ..core.tenant.legal_holds import LegalHold, covering
from ..observe import count
from ..runtime import Runtime
from ..store.awaiting import AwaitingRow
from ..store.event_rows import EventRow
from ..store.snapshot import Snapshot
from . import notices
from .redecision import consents_of, deciding, facts_now, grounds_now

if TYPE_CHECKING:  # for an annotation only
    from .routed import RoutedEvent

SETTLED_MAX = 200
"""Events that one call decides again; the others wait for the next hour."""
_AT_ONCE = 100


def remember(runtime: Runtime, work: RoutedEvent, row: EventRow) -> None:
    """List a stored event that awaits a ground."""
    if row.lives_until is None or work.plan is None:
        return
    plan, routed = work.plan, bool(work.entry["routes"])
    rules = [{**rule, "verdict": "held"} for rule in plan.store_rules]
    runtime.awaiting.insert(row, work.document["source"], rules, plan.store_missing, routed=routed)


def settle(runtime: Runtime, tenant: str, limit: int = SETTLED_MAX) -> None:
    """Decide again on a tenant's events that await a ground, the oldest first.

    Raises:
        NotFound: the tenant is closed.
        Unavailable: some are not decided again; a later call completes this one.
    """
    listed = list(islice(runtime.awaiting.list(tenant), limit))
    if not listed:
        return
    snapshot, now = runtime.config.snapshot(tenant), runtime.now()
    holds: Sequence[LegalHold] = ()
    if any(one.waits_until <= now for one in listed):
        holds = tuple(runtime.legal_holds.standing(tenant))
    for start in range(0, len(listed), _AT_ONCE):
        some = listed[start : start + _AT_ONCE]
        # As of long ago, so that rows whose wait is over are read, too.
        rows = runtime.data.events([one.key for one in some], times.EARLIEST)
        waiting = [(one, rows[one.key.event]) for one in some if _awaits(rows.get(one.key.event))]
        for one in some:
            if not _awaits(rows.get(one.key.event)):
                runtime.awaiting.remove(one)  # released, erased or gone
        _release(runtime, snapshot, [pair for pair in waiting if pair[0].waits_until > now], now)
        for one, row in waiting:
            if one.waits_until <= now:
                _destroy(runtime, one, row, holds, now)


def _awaits(row: EventRow | None) -> bool:
    return row is not None and row.lives_until is not None and row.sealed is not None


def _release(
    runtime: Runtime, snapshot: Snapshot, pairs: Iterable[tuple[AwaitingRow, EventRow]], now: datetime
) -> None:
    pairs, region = list(pairs), runtime.settings.region
    owners = {row.owner for _, row in pairs if row.owner is not None}
    people = runtime.people.get_many((owner, snapshot.keys) for owner in owners) if owners else {}
    for one, row in pairs:
        if row.owner not in people or one.source not in snapshot.configuration.sources:
            continue
        document = row.open(people[row.owner].key, region, None)
        grounds = grounds_now(snapshot, document, consents_of(runtime, snapshot, document))
        received = times.text(row.received_at)
        base = facts_now(runtime, snapshot, one.source, received, document, now, grounds)
        store = deciding(runtime, one.key.tenant, base)(base)
        if store.verdict == "refused" or awaits_ground(store):
            continue
        runtime.awaiting.release(row)
        runtime.awaiting.remove(one)
        count("events_released")


def _destroy(runtime: Runtime, one: AwaitingRow, row: EventRow, holds: Iterable[LegalHold], now: datetime) -> None:
    tenant, event, _ = row.key
    if covering(holds, row.key.conversation, row.owner, row.received_at) is not None:
        return
    entry = audit.act(
        "expired",
        tenant=tenant,
        minute=row.minute,
        at=now,
        actor=("service", "sweep"),
        request="awaiting",
        event=event,
        reason="hold_expired",
    )
    runtime.audit.append(entry)  # 1
    if row.owner is not None:
        runtime.person_ends.ask(row.owner, now)
    if runtime.awaiting.destroy(one, now) and row.large is not None:  # 2
        runtime.contents.delete(row.large.name)
    runtime.awaiting.remove(one)  # 3
    count("events_destroyed")
    notices.destroyed(runtime, one, now)

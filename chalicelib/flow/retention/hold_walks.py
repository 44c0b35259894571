"""Walk over the events of legal holds: those under a new hold leave TTL, those of a released one come back to it.

Each minute the function ``jobs`` does pieces of the walks that are due. A walk has two rounds. The first begins at once, with
what was received first and so ends first. The second begins when no process is left that had read the holds before
(``SETTLED``): it finds what such a process has stored since the first one passed.

For each page: 1 the people of covered events may not end before the sweep has read the log → 2 the events leave TTL → 3 the
progress. A piece that runs twice has the same effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from ...core import times
from ...core.errors import NotFound
from ...core.tenant.legal_holds import HoldPeriod, LegalHold, covering
from ...observe import count, error
from ...runtime import Runtime
from ...store.event_rows import EventKey, EventRow
from ...store.hold_walks import HoldWalk
from ..messages import NO_CONVERSATION

SETTLED = timedelta(minutes=30)
"""Longer than any invocation, and longer than a configuration is kept in memory."""
LEASE = timedelta(minutes=2)
AGAIN = timedelta(minutes=1)
"""The pause after a piece that failed."""
ROUNDS = 2
PAGE = 50
"""Events of one page; twice as many at most."""
OF_A_PERSON = 100
DUE = 100


def work(runtime: Runtime, until_s: float) -> None:
    """Do pieces of all due walks, one of each in turn, until none is due or the time is over.

    Args:
        until_s: on the monotonic clock.
    """
    took = 1
    while took and (due := list(runtime.hold_walks.due(runtime.now(), DUE))):
        took = 0
        for tenant, hold, seen in due:
            if runtime.monotonic() >= until_s:
                return
            walk = runtime.hold_walks.take(tenant, hold, seen, runtime.now() + LEASE)
            if walk is not None:
                took += 1
                _piece(runtime, walk)


def _piece(runtime: Runtime, walk: HoldWalk) -> None:
    try:
        place = _page(runtime, walk)
    except NotFound:  # the tenant is gone, and its holds
        runtime.hold_walks.done(walk)
        return
    except Exception as fault:  # noqa: BLE001  (one hold's fault is not another's)
        error("hold_walk_failed", fault, tenant=walk.tenant, hold=walk.hold)
        count("hold_walks_failed")
        runtime.hold_walks.save(walk, runtime.now() + AGAIN)
        return
    if place is not None:
        runtime.hold_walks.save(replace(walk, place=place), runtime.now())
    elif walk.round < ROUNDS:
        due = max(walk.begun + SETTLED, runtime.now())
        runtime.hold_walks.save(replace(walk, place="", round=walk.round + 1), due)
    else:
        if walk.mode == "secure":
            runtime.legal_holds.secure(walk.tenant, walk.hold, runtime.now())
        runtime.hold_walks.done(walk)
        count("hold_walks_done", mode=walk.mode)


def _page(runtime: Runtime, walk: HoldWalk) -> str | None:
    """Work on the next page of a round. Return the place of the page after it; None after the last."""
    hold = runtime.legal_holds.get(walk.tenant, walk.hold)
    keys, following = _of_person(runtime, walk, hold) if hold.scope == "subject" else _by_day(runtime, walk, hold)
    # As of long ago, so that rows whose life is over are read, too.
    rows = list(runtime.data.events(keys, times.EARLIEST).values()) if keys else []
    if walk.mode == "secure":
        _secure(runtime, [row for row in rows if hold.covers(row.key.conversation, row.owner, row.received_at)])
    else:
        _release(runtime, walk.tenant, rows)
        if following is None and hold.person is not None:
            runtime.person_ends.ask(hold.person, runtime.now())
    return following


def _by_day(runtime: Runtime, walk: HoldWalk, hold: LegalHold) -> tuple[list[EventKey], str | None]:
    """Return the next events in order of receipt, of the hold's conversation or period."""
    after = runtime.config.tenant(walk.tenant).record.created_at - timedelta(days=1)
    before = walk.begun + SETTLED
    if isinstance(hold.value, HoldPeriod):
        after, before = max(after, hold.value.after), min(before, hold.value.before)
    place = walk.place or times.text(after)
    page, following = runtime.jobs.events(walk.tenant, place, before, PAGE)
    only = hold.value if hold.scope == "conversation" else None
    return [key for key, _ in page if only in (None, key.conversation)], following


def _of_person(runtime: Runtime, walk: HoldWalk, hold: LegalHold) -> tuple[list[EventKey], str | None]:
    """Return the next events of the hold's person, as the log lists them. The place is how many were listed before."""
    since, seen = runtime.config.tenant(walk.tenant).record.created_at, int(walk.place or 0)
    entries = runtime.audit.newest_of_subject(walk.tenant, str(hold.value), since, runtime.now())
    page = list(islice(entries, seen, seen + OF_A_PERSON))
    keys = {
        entry["event"]: EventKey(walk.tenant, entry["event"], entry["receipt"]["conversation"] or NO_CONVERSATION)
        for entry in page
        if entry["kind"] == "decided"
    }
    return list(keys.values()), str(seen + len(page)) if len(page) == OF_A_PERSON else None


def _secure(runtime: Runtime, rows: list[EventRow]) -> None:
    for owner in dict.fromkeys(row.owner for row in rows if row.owner is not None):
        runtime.person_ends.doubt(owner)  # 1
    runtime.lifetimes.keep(row.key for row in rows if not row.held)  # 2


def _release(runtime: Runtime, tenant: str, rows: Iterable[EventRow]) -> None:
    now, standing = runtime.now(), runtime.legal_holds.standing(tenant)
    free = [
        row for row in rows if row.held and covering(standing, row.key.conversation, row.owner, row.received_at) is None
    ]
    for owner in dict.fromkeys(row.owner for row in free if row.owner is not None):
        runtime.person_ends.ask(owner, now)
    runtime.lifetimes.end((row.key for row in free if row.expires_at <= now), now)
    runtime.lifetimes.let_go(row for row in free if row.expires_at > now)

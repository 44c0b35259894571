"""Expiry: each hour, delete events past their life, and the keys of people without data left.

For each length of life that a tenant's events have, the run checks the events that have reached that age since the last run,
by the index of days: 1 remember the length of an event that lives longer → 2 take events under a legal hold out of the
table's own TTL, and keep them → 3 list the people of the others → 4 delete their rows → 5 store the progress. The events of
a released legal hold are checked once more.

For the listed people: 6 if the log has no living or held content of theirs, mark their row → 7 some time later, if there is
still none and the mark is still there, delete key and ref and append an entry.

If a run crashes, the next one repeats its piece. Readers filter expired rows themselves, so a late run exposes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ...core import times
from ...core.errors import WaybillError
from ...core.log import audit
from ...core.log.entry_types import Act
from ...core.tenant.legal_holds import LegalHold, covering
from ...core.tenant.records import Source, Tenant
from ...observe import count, error, info
from ...runtime import Runtime
from ...store.event_rows import EventKey, EventRow
from ...store.lifetimes import DAY, EndingPerson, LifeLength, ReleasedHold, in_days
from .. import awaiting
from ..messages import NO_CONVERSATION
from . import warnings

PAGE = 50
"""Events of one piece; twice as many at most."""
NEWEST = 3
"""Entries of a person that are checked before the person is listed: an active person has a living one among them."""
BETWEEN = timedelta(minutes=30)
"""Between a person's mark and the end: longer than any invocation that may have read the person without it."""


def handle(runtime: Runtime, tenants: Iterable[Tenant], left_s: Callable[[], float]) -> None:
    """Work through the expired events of each tenant, a piece of one after a piece of another, while there is time."""
    waiting = deque((tenant.id, _pieces(runtime, tenant)) for tenant in tenants)
    while waiting:
        if left_s() <= 0:
            count("expiry_late")
            return
        tenant, pieces = waiting.popleft()
        try:
            next(pieces)
        except StopIteration:
            continue
        except Exception as fault:  # noqa: BLE001  (one tenant's fault is not another's)
            error("expiry_failed", fault, tenant=tenant)
            count("expiry_failed")
            continue
        waiting.append((tenant, pieces))


@dataclass
class TenantRun:
    """The state of one run for a tenant: the remembered lengths of life, and the checked people.

    A person alive at the run's ``now``, or listed already, needs no second check: erasing lists people itself.
    """

    days: set[int]
    people: set[str] = field(default_factory=set)


def _pieces(runtime: Runtime, tenant: Tenant) -> Iterator[None]:
    now = runtime.now()
    if tenant.state == "active":
        _settle_and_warn(runtime, tenant.id, now)
    lengths, released = runtime.lifetimes.to_look_at(tenant.id)
    sources: Iterable[Source] = (row.record for row in runtime.config.list(tenant.id, "src"))
    used = {tenant.retention.default_days, *(s.retention_days for s in sources if s.retention_days is not None)}
    if used - {one.days for one in lengths}:
        for days in used:
            runtime.lifetimes.use(tenant.id, days, tenant.created_at - DAY)  # the clock of hooks may have been late
        lengths, released = runtime.lifetimes.to_look_at(tenant.id)
    known = TenantRun({one.days for one in lengths})
    for length in lengths:
        yield from _look(runtime, tenant.id, length, now - length.days * DAY, now, known)
    for one in released:
        hold = runtime.legal_holds.get(tenant.id, one.hold)
        only = str(hold.value) if hold.scope == "conversation" else None
        yield from _look(runtime, tenant.id, one, one.before, now, known, only)
        runtime.lifetimes.done(tenant.id, one)
    for ending in runtime.lifetimes.asked(tenant.id):
        yield None
        _person(runtime, tenant, ending)


def _settle_and_warn(runtime: Runtime, tenant: str, now: datetime) -> None:
    try:
        awaiting.settle(runtime, tenant)
        warnings.tell(runtime, tenant, now)
    except WaybillError as fault:  # the next hour completes it; the tenant's expired events do not wait for that
        error("tenant_not_warned", fault, tenant=tenant)


# Events


def _look(
    runtime: Runtime,
    tenant: str,
    one: LifeLength | ReleasedHold,
    before: datetime,
    now: datetime,
    known: TenantRun,
    only: str | None = None,
) -> Iterator[None]:
    """Look at the events received up to a time, from where the last run came to.

    Args:
        only: those of one conversation.
    """
    place, end = one.place, times.text(before)
    while place < end:
        page, following = runtime.jobs.events(tenant, place, before, PAGE)
        keys = [key for key, _ in page if only in (None, key.conversation)]
        if keys:
            _settle(runtime, tenant, keys, now, known)
        place = following or end
        if page or place[:10] != one.place[:10]:  # a quiet hour writes nothing
            runtime.lifetimes.move(tenant, one, place)  # 5
        yield None


def _settle(runtime: Runtime, tenant: str, keys: list[EventKey], now: datetime, known: TenantRun) -> None:
    # As of long ago, so that rows whose life is over are read, too.
    rows = runtime.data.events(keys, times.EARLIEST).values()
    for row in rows:
        days = in_days(row.received_at, row.expires_at)
        if row.expires_at > now and days not in known.days:
            runtime.lifetimes.use(tenant, days, now - days * DAY)  # 1
            known.days.add(days)
    over = [row for row in rows if row.expires_at <= now]
    if not over:
        return
    # Read after ``now``: a hold that is placed later finds these over already.
    holds = runtime.legal_holds.standing(tenant)
    held = [row.key for row in over if _holding(holds, row) is not None]
    runtime.lifetimes.keep(held)  # 2
    gone = [row for row in over if row.key not in held]
    people = {
        *(row.owner for row in gone if row.owner is not None),
        *_others(runtime, tenant, gone, now),
    } - known.people
    _ask_for(runtime, tenant, people, holds, now)  # 3
    known.people |= people
    ended = runtime.lifetimes.end((row.key for row in gone), now)  # 4
    if ended:
        count("events_ended", ended)


def _others(runtime: Runtime, tenant: str, rows: Iterable[EventRow], now: datetime) -> Iterable[str]:
    """Return the people of events other than their owner: members, who may never have written."""
    wanted = []
    for row in rows:
        entry = audit.received_id(row.minute, row.key.event)
        wanted += [(entry, log) for log in audit.logs_of(row.minute, row.minute, now)]
    found = runtime.audit.get_many(tenant, wanted).values()
    refs = {ref for entry in found for ref in entry["receipt"]["subjects"][1:]}
    return runtime.people.of_refs(tenant, refs).values() if refs else ()


def _holding(holds: Iterable[LegalHold], row: EventRow) -> LegalHold | None:
    return covering(holds, row.key.conversation, row.owner, row.received_at)


# People


def _ask_for(runtime: Runtime, tenant: str, people: set[str], holds: Iterable[LegalHold], now: datetime) -> None:
    since = runtime.config.tenant(tenant).record.created_at
    for person, ref in runtime.people.refs(people).items() if people else ():
        # Content without a subject is under its conversation's key, which goes with the tenant.
        if not ref.startswith("sub_"):
            continue
        newest = runtime.audit.newest_of_subject(tenant, ref, since, now)
        if not any(_lives(runtime, entry, person, holds, now) for entry in islice(newest, NEWEST)):
            runtime.lifetimes.ask(tenant, person)


def _lives(runtime: Runtime, entry: Mapping[str, Any], person: str, holds: Iterable[LegalHold], now: datetime) -> bool:
    """Return whether a person's entry belongs to content that is stored and alive, or held."""
    if entry["kind"] == "decided":
        receipt = entry["receipt"]
        received_at = times.parse(receipt["received_at"])
        over = times.parse(entry["expires_at"]) <= now
        if over and covering(holds, receipt["conversation"] or NO_CONVERSATION, person, received_at) is None:
            return False
    elif entry["kind"] != "restricted":  # which may have made a life longer than its decision says
        return False
    row = runtime.data.event(entry["tenant"], entry["event"], times.EARLIEST)
    if row is None or (row.sealed is None and row.restriction is None):
        return False
    return row.expires_at > now or _holding(holds, row) is not None


def _person(runtime: Runtime, tenant: Tenant, one: EndingPerson) -> None:
    now = runtime.now()
    ref = runtime.people.refs([one.person]).get(one.person) if one.ref is None else one.ref
    if ref is None or not ref.startswith("sub_"):
        runtime.lifetimes.looked(tenant.id, one)
        return
    if one.since is not None and times.from_millis(one.since) + BETWEEN > now:
        return
    holds = runtime.legal_holds.standing(tenant.id)
    entries = runtime.audit.newest_of_subject(tenant.id, ref, tenant.created_at, now)
    if any(_lives(runtime, entry, one.person, holds, now) for entry in entries):
        runtime.lifetimes.looked(tenant.id, one)
    elif one.since is None:
        since = times.millis(now)
        if runtime.people.ends(one.person, since):  # 6
            runtime.lifetimes.ends(tenant.id, one.person, ref, since)
    else:
        if runtime.people.end(tenant.id, one.person, ref, one.since):  # 7
            runtime.audit.append(_ended(tenant.id, ref, times.from_millis(one.since), now))
            count("people_ended")
            info("person_ended", tenant=tenant.id, subject=ref)
        runtime.lifetimes.looked(tenant.id, one)


def _ended(tenant: str, ref: str, since: datetime, now: datetime) -> Act:
    return audit.act(
        "expired",
        tenant=tenant,
        minute=times.minute(since),
        at=now,
        actor=("service", "sweep"),
        request="sweep",
        subject=ref,
        reason="retention",
    )

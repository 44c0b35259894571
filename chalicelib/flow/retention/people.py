"""End people of whom nothing is left: delete their keys and refs, slot by slot, as the index of ends lists them.

TTL deletes the events of these people. A person whose bound is known and past costs a few batched calls for a hundred people:
1 read their rows → 2 delete those that are unchanged → 3 the entries → 4 delete the rows that lead back, which are in the
index. A run that dies leaves the latter, and the next one completes 3 and 4.

A person may be *unsure*: something was erased or held, or the row is of an earlier release. Then the sweep reads the log
first. If content lives or is held, it looks again when that ends. If not, it lowers the bound, so that a process that stores
something raises it again; looks once more, an hour later at the earliest; and ends the person if there is still nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from ...core import times
from ...core.errors import NotFound, WaybillError
from ...core.log import audit
from ...core.log.entry_types import Act
from ...core.tenant.legal_holds import LegalHold, covering
from ...observe import count, error
from ...runtime import Runtime
from ...store import person_ends
from ...store.person_ends import SLOT, DuePerson, end_of, slot_of
from ..messages import NO_CONVERSATION

SETTLED = timedelta(minutes=10)
"""After the end of a slot: longer than clocks differ, and than an index is behind its table."""
LATE = timedelta(hours=12)
"""A slot that has people left so long after its end is late: people are promised to end within a day."""
HELD = timedelta(days=7)
"""When a person under a legal hold is looked at again, if no release asks for it earlier."""
WORKERS = 16
ADOPTED = 200
"""Rows of earlier releases in one page."""


@dataclass(frozen=True)
class EndingTenant:
    """A tenant as one run sees it. ``holds`` were read after the run's time: a later one finds its content over already."""

    created_at: datetime
    holds: tuple[LegalHold, ...]

    @property
    def secured(self) -> bool:
        """Whether all that the holds cover is marked, so that no person needs to wait for a walk."""
        return all(hold.secured_at is not None for hold in self.holds)


@dataclass
class Run:
    """One run of the sweep: its time, whether rows say all that they should, and the tenants that it has read."""

    now: datetime
    adopted: bool
    left_s: Callable[[], float]
    tenants: dict[str, EndingTenant | None] = field(default_factory=dict)

    def tenant(self, runtime: Runtime, tenant: str) -> EndingTenant | None:
        """Return a tenant; None once it is erased."""
        if tenant not in self.tenants:
            try:
                record = runtime.config.tenant(tenant).record
            except NotFound:
                self.tenants[tenant] = None
            else:
                holds = tuple(runtime.legal_holds.standing(tenant))
                self.tenants[tenant] = EndingTenant(record.created_at, holds)
        return self.tenants[tenant]

    @property
    def over(self) -> int:
        """A bound up to which people have ended, in milliseconds."""
        return times.millis(self.now - SETTLED)


def handle(runtime: Runtime, left_s: Callable[[], float]) -> None:
    """End the people who are due, the oldest slot first, while there is time."""
    now = runtime.now()
    place = runtime.lifetimes.slot()
    slot = oldest = place if place is not None else slot_of(now) - SLOT
    run = Run(now, _adopted(runtime, now, oldest, left_s), left_s)
    while slot <= now - SETTLED and left_s() > 0:
        look = partial(_shard, runtime, run, slot)
        done = all(list(runtime.threads.map(WORKERS, look, range(person_ends.SHARDS))))
        slot += SLOT
        if done and slot == oldest + SLOT:
            oldest = slot
            runtime.lifetimes.move(oldest)
    if oldest < now - LATE:
        count("expiry_late")


def _shard(runtime: Runtime, run: Run, slot: datetime, shard: int) -> bool:
    """Look at the people of a shard. Return whether all of them were looked at."""
    done = True
    try:
        for ways in runtime.person_ends.due(slot, shard):
            if run.left_s() <= 0:
                return False
            done = _tried(runtime, run, slot, ways) and done
    except Exception as fault:  # noqa: BLE001  (one shard's fault is not another's)
        error("people_not_listed", fault, slot=times.text(slot), shard=shard)
        count("expiry_failed")
        return False
    return done


def _tried(runtime: Runtime, run: Run, slot: datetime, ways: list[str]) -> bool:
    """Look at people, after a fault tenant by tenant. Return whether all of them were looked at."""
    try:
        _look(runtime, run, slot, ways)
    except Exception as fault:  # noqa: BLE001  (one tenant's fault is not another's)
        tenants = dict.fromkeys(way.partition("#")[0] for way in ways)
        if len(tenants) > 1:
            done = [_tried(runtime, run, slot, [way for way in ways if way.startswith(f"{t}#")]) for t in tenants]
            return all(done)
        error("expiry_failed", fault, tenant=next(iter(tenants)), slot=times.text(slot), people=len(ways))
        count("expiry_failed")
        return False
    return True


def _look(runtime: Runtime, run: Run, slot: datetime, ways: list[str]) -> None:
    over: list[DuePerson] = []
    gone: list[DuePerson] = []
    for one in runtime.person_ends.people(ways):  # 1
        tenant = run.tenant(runtime, one.tenant)
        if not one.there:
            gone.append(one)
        elif tenant is None:  # erased, and all content of its people with it
            over += [one] if one.ends_at is not None else _lowered(runtime, run, one)
        elif one.ends_at is not None and one.ends_at > run.over and not one.unsure:
            runtime.person_ends.look(one.way, one.ends_at)
        elif one.unsure or not run.adopted:
            if _is_over(runtime, run, tenant, one):
                over.append(one)
        elif not tenant.secured:
            runtime.person_ends.look(one.way, end_of(run.now, run.now))
        else:
            over.append(one)
    ended = runtime.person_ends.end(over)  # 2
    told = [one for one in ended if run.tenant(runtime, one.tenant) is not None]
    told += [one for one in gone if _was_known(runtime, run, one)]
    for outcome in runtime.audit.append_many([_ended(one, slot, run.now) for one in told]):  # 3
        if isinstance(outcome, WaybillError):
            raise outcome
    runtime.person_ends.forget([one.way for one in (*ended, *gone)])  # 4
    if ended:
        count("people_ended", len(ended))


def _was_known(runtime: Runtime, run: Run, one: DuePerson) -> bool:
    """Return whether the log knows a person without a row: a run died after 2. If not, a process died before it made the row."""
    tenant = run.tenant(runtime, one.tenant)
    if tenant is None:
        return False
    entries = runtime.audit.newest_of_subject(one.tenant, one.ref, tenant.created_at, run.now)
    return any(True for _ in islice(entries, 1))


def _is_over(runtime: Runtime, run: Run, tenant: EndingTenant, one: DuePerson) -> bool:
    """Ask the log about a person. Return whether to end the person now; else set when to look again."""
    living = _lives_until(runtime, run, tenant, one)
    if living is not None:
        runtime.person_ends.look(one.way, end_of(living, run.now))
        return False
    if one.ends_at is not None and one.ends_at <= run.over:
        return True
    _lowered(runtime, run, one)
    return False


def _lowered(runtime: Runtime, run: Run, one: DuePerson) -> list[DuePerson]:
    soon = end_of(run.now, run.now)
    runtime.person_ends.lower(one, soon)
    runtime.person_ends.look(one.way, soon)
    return []


def _lives_until(runtime: Runtime, run: Run, tenant: EndingTenant, one: DuePerson) -> datetime | None:
    """Return when some content of a person ends that is stored, and alive or held; None if there is none."""
    for entry in runtime.audit.newest_of_subject(one.tenant, one.ref, tenant.created_at, run.now):
        end = _end_of_entry(runtime, run, tenant, entry, one.person)
        if end is not None:
            return end
    return None


def _end_of_entry(
    runtime: Runtime, run: Run, tenant: EndingTenant, entry: Mapping[str, Any], person: str
) -> datetime | None:
    """Return when the content of a person's entry ends that is stored, and alive or held; None if it is not."""
    if entry["kind"] == "decided":
        receipt = entry["receipt"]
        received_at = times.parse(receipt["received_at"])
        over = times.parse(entry["expires_at"]) <= run.now
        if over and covering(tenant.holds, receipt["conversation"] or NO_CONVERSATION, person, received_at) is None:
            return None
    elif entry["kind"] != "restricted":  # which may have made a life longer than its decision says
        return None
    row = runtime.data.event(entry["tenant"], entry["event"], times.EARLIEST)
    if row is None or (row.sealed is None and row.restriction is None):
        return None
    if covering(tenant.holds, row.key.conversation, row.owner, row.received_at) is not None:
        return run.now + HELD
    end = max(row.expires_at, row.lives_until or row.expires_at)
    return end if end > run.now else None


def _ended(one: DuePerson, slot: datetime, now: datetime) -> Act:
    return audit.act(
        "expired",
        tenant=one.tenant,
        minute=times.minute(slot),
        at=now,
        actor=("service", "sweep"),
        request="sweep",
        subject=one.ref,
        reason="retention",
    )


# People of earlier releases


def _adopted(runtime: Runtime, now: datetime, oldest: datetime, left_s: Callable[[], float]) -> bool:
    """Adopt people of earlier releases while there is time. Return whether all are.

    Until then the sweep reads the log before it ends anyone.
    """
    state = runtime.lifetimes.adopting()
    while state is not None and state[1] <= now and left_s() > 0:
        doubt = state[1] > times.EARLIEST
        following = runtime.person_ends.adopt(state[0], ADOPTED, oldest, lambda ref: _spread(ref, now), doubt=doubt)
        runtime.lifetimes.adopt(following or "", None if following is None else state[1])
        state = runtime.lifetimes.adopting()
    return state is None


def _spread(ref: str, now: datetime) -> int:
    """Spread people over four slots, so that not all are due at once."""
    return end_of(now + sum(ref.encode()) % 4 * SLOT, now)


def take_over(runtime: Runtime, tenant: str, now: datetime) -> None:
    """Take over what a sweep of the release before has left, if one has run: its lists, and all that has no end yet."""
    if not runtime.lifetimes.left_by_the_release_before(tenant):
        return
    # A day later no process of that release runs any longer: these store content without an end, and held content with a TTL.
    later = now + timedelta(days=1)
    runtime.lifetimes.adopt("", later)
    for hold in runtime.legal_holds.standing(tenant):
        runtime.hold_walks.begin(tenant, hold.id, "secure", later)
    for listed in runtime.lifetimes.forget_the_release_before(tenant):
        if listed.startswith("hld_"):
            runtime.hold_walks.begin(tenant, listed, "release", now)
        else:
            runtime.person_ends.ask(listed, now)

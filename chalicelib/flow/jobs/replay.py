"""Replay: send an ended transfer or a dead letter again. A replay is an act, a new decision and a new transfer.

A transfer is replayed once: its act's id follows from its own, so that two concurrent or repeated requests have one
effect. To send it once more, replay the replay. A job replays many under one act. Its decision on an event is named by
that act, so that a piece that runs twice decides and sends once.

An inbox letter goes back to the inbox; route decides its event again and names the act.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ...core import times
from ...core.decide.plan import PlannedTransfer, recipient_of
from ...core.errors import Conflict, Invalid, NotFound, WaybillError
from ...core.job import Job
from ...core.log import audit
from ...core.log.entry_types import Decided, Entry
from ...core.log.transfers import Transfer, delivery_id, of_entries, transfer_id
from ...core.tenant.configuration import Configuration
from ...runtime import Runtime
from ...store.event_rows import EventRow
from ...store.items import Item
from ...store.queues import OutgoingMessage, body
from ...store.snapshot import Snapshot
from ..dead import off_the_record
from ..deliveries import deliveries
from ..delivery.attempt import decided_anew
from ..redecision import facts_now, grounds_now, redecide
from ..request import Request
from ..seal_requests import notify_sealer_or_log
from . import requests

ENDED = ("rejected", "gave_up", "refused", "expired", "delivered")
"""The outcomes that can be replayed, while the content of the event is stored."""
OUTCOMES: Mapping[str, tuple[str, ...]] = {**{o: (o,) for o in ENDED}, "any": (*ENDED, "erased")}
"""The outcomes that a job looks for, by the requested one; erased ones only to report that they are gone."""
WAITING = ("pending", "held")
PAGE = 25
"""Events in one piece of a job; twice as many at most."""
RATE_PER_S = 50
"""Replays of one job: new deliveries go out beside them."""
_REQUEST = "replay"
"""Takes the place of a request or job id in the act, as an act's key contains one: each transfer has one such act."""


class AlreadyReplayed(Conflict):
    """Another transfer has taken this one up again."""


# Dead letters


def letters(runtime: Runtime, tenant: str) -> Iterator[Item]:
    """Yield a tenant's parked dead letters, oldest name first: ``queue``, ``thing`` (an event or a transfer), ``parked_at``."""
    yield from runtime.data.dead(tenant)


def redrive(runtime: Runtime, tenant: str, letter: Item, actor: tuple[str, str]) -> None:
    """Send one dead letter on its way again, then delete it. Running it twice sends it once.

    Raises:
        Conflict: its event expired, was erased or was off the record, or its route or destination was removed.
    """
    order = json.loads(letter["message"])
    if letter["queue"] == "inbox":
        _inbox(runtime, order, letter, actor)
    else:
        with contextlib.suppress(AlreadyReplayed):  # by its id: nothing is left for the letter to do
            again(runtime, tenant, order["transfer"], actor, runtime.now(), "dead_letter")
    notify_sealer_or_log(runtime)
    runtime.data.remove_dead(tenant, str(letter["queue"]), str(letter["thing"]))


def _inbox(runtime: Runtime, order: Mapping[str, Any], letter: Item, actor: tuple[str, str]) -> None:
    row = runtime.data.event(order["tenant"], order["event"], runtime.now())
    if row is not None and row.sealed is None:  # it was stored before its message was given up
        raise Conflict("the content of this event is gone: it was erased, or sealed until it may be")
    if off_the_record(runtime, order["tenant"], int(letter["minute"]), order["event"]):  # decided since it was parked
        runtime.data.remove_dead(order["tenant"], "inbox", order["event"])
        raise Conflict("this event was off the record and is not stored")
    entry = audit.act(
        "replayed",
        tenant=order["tenant"],
        minute=int(letter["minute"]),
        at=runtime.now(),
        actor=actor,
        request=f"redrive:{letter['parked_at']}",
        event=order["event"],
        reason="dead_letter",
    )
    by = runtime.audit.append(entry).entry["id"]
    once = hashlib.sha256(f"redrive\n{by}".encode()).hexdigest()
    runtime.inbox.send([OutgoingMessage(body({**order, "replayed_by": by}), str(letter["group"]), once)])


# One transfer


def again(runtime: Runtime, tenant: str, transfer: str, actor: tuple[str, str], at: datetime, reason: str) -> Transfer:
    """Replay a transfer that has ended; return the new one, which may be refused or held.

    1 the act → 2 the decision → 3 the outbox. A repeated request completes the missing steps and returns the same transfer.

    Args:
        at: when it was requested; a second try of the same request has the first one's.

    Raises:
        NotFound: there is no such transfer.
        AlreadyReplayed: its replay has ended, too, or another act replayed it.
        Conflict: it still waits; the event is gone; its route is gone or disabled, or its destination gone.
    """
    old, new, entries = _read(runtime, tenant, transfer)
    act_id = audit.entry_id(audit.minute_of(old.decided), old.event, f"replayed\n{_REQUEST}\n{transfer}")
    if new is None and old.outcome in WAITING:
        raise Conflict(f"this transfer is {old.outcome}: it can be replayed when it has ended")
    if new is not None and not _is_own(entries, new, act_id, actor, at):
        raise AlreadyReplayed(f"this transfer was replayed as {new.id}, which is {new.outcome}: replay that one")
    snapshot = runtime.config.snapshot(tenant)
    row = runtime.data.event(tenant, old.event, runtime.now())
    opened = _opened(runtime, snapshot, [row] if row is not None else [])
    if row is None or row.owner is None or row.key.event not in opened:
        raise Conflict("the content of this event is gone: it has expired or was erased")
    if not _leads(snapshot.configuration, old):
        raise Conflict("its route was removed or is disabled, or its destination was removed")
    act = audit.act(
        "replayed",
        tenant=tenant,
        minute=row.minute,
        at=at,
        actor=actor,
        request=_REQUEST,
        event=old.event,
        object=("transfer", transfer),
        reason=reason,
    )
    by = runtime.audit.append(act).entry["id"]  # 1
    first = next(e for e in entries if e["id"] == old.decided)
    decision = _decided(runtime, snapshot, first, (old,), opened[old.event], row.owner, by, runtime.now())
    entry = runtime.audit.append(decision).entry  # 2
    runtime.outbox.send(deliveries(snapshot.configuration, entry, row.owner, runtime.now()))  # 3
    return _read(runtime, tenant, entry["routes"][0]["transfer"])[0]


def _read(runtime: Runtime, tenant: str, transfer: str) -> tuple[Transfer, Transfer | None, list[Entry]]:
    """Return a transfer, its replay if there is one, and the entries of its event."""
    now = runtime.now()
    entries = runtime.audit.of_transfer(tenant, transfer, now)
    events = {e["event"] for e in entries if e["kind"] == "decided" for r in e["routes"] if r["transfer"] == transfer}
    mine = [e for e in entries if e["event"] in events]
    found = {t.id: t for t in of_entries(mine, {}, now)}
    if transfer not in found:
        raise NotFound("no such transfer")
    one = found[transfer]
    return one, found.get(one.replayed_by or ""), mine


def _is_own(entries: Sequence[Entry], new: Transfer, act: str, actor: tuple[str, str], at: datetime) -> bool:
    """Say whether this request made a replay, or is making it now beside a concurrent copy of itself."""
    by = next(e["by"] for e in entries if e["kind"] == "decided" and new.id in {r["transfer"] for r in e["routes"]})
    if by != act:
        return False
    stored = next(e for e in entries if e["id"] == act)
    same = (stored["at"], stored["actor"]) == (times.text(at), {"kind": actor[0], "id": actor[1]})
    return same or new.outcome in WAITING


# What both have in common


def _opened(runtime: Runtime, snapshot: Snapshot, rows: Sequence[EventRow]) -> dict[str, dict[str, Any]]:
    """Return the documents of the events whose content is there; large ones shortened, which are decided alike."""
    now = runtime.now()
    live = [(row, row.owner) for row in rows if row.sealed is not None and row.owner and row.expires_at > now]
    people = runtime.people.get_many((owner, snapshot.keys) for _, owner in live)
    region = runtime.settings.region
    return {row.key.event: row.open(people[owner].key, region, None) for row, owner in live if owner in people}


def _leads(configuration: Configuration, one: Transfer) -> bool:
    """Say whether a transfer's route and destination still exist."""
    route = configuration.routes.get(one.route)
    return route is not None and route.enabled and one.destination in configuration.destinations


def _decided(
    runtime: Runtime,
    snapshot: Snapshot,
    first: Mapping[str, Any],
    ended: Sequence[Transfer],
    document: Mapping[str, Any],
    owner: str,
    by: str,
    now: datetime,
) -> Decided:
    """Decide an event again along the routes of transfers that have ended."""
    configuration = snapshot.configuration
    planned = []
    receipt = first["receipt"]
    consents = runtime.consents.of_person(owner) if snapshot.consents else ()
    grounds = grounds_now(snapshot, document, consents)
    base = facts_now(runtime, snapshot, receipt["source"], receipt["received_at"], document, now, grounds)
    for one in ended:
        transfer = transfer_id(audit.minute_of(first["id"]), one.event, f"{one.route}\n{by}")
        judgement = redecide(runtime, snapshot, one.route, one.destination, base, grounds)
        recipient = recipient_of(configuration, configuration.destinations[one.destination])
        planned.append(
            PlannedTransfer(one.route, transfer, delivery_id(transfer), one.destination, recipient, judgement),
        )
    return decided_anew(runtime, first, base, tuple(planned), snapshot, now, cause="replayed", by=by)


# Many transfers


def begin(request: Request, destination: str, after: datetime | None, before: datetime | None, outcome: str) -> Job:
    """Start to replay a destination's transfers that have one outcome.

    Args:
        after: events received from then on; as long ago as the tenant keeps events unless given.
        before: events received before then; now unless given.
        outcome: one of ``OUTCOMES``.

    Raises:
        NotFound: there is no such destination.
        Invalid: the time is empty, or longer than the tenant keeps events.
        Conflict: this destination is being replayed already.
        TooMany: the tenant has too many open jobs.
    """
    runtime, tenant = request.runtime, request.tenant.id
    runtime.config.get(tenant, destination)
    sources = runtime.config.snapshot(tenant).configuration.sources.values()
    longest = max([request.tenant.retention.default_days, *(s.retention_days or 0 for s in sources)])
    kept = timedelta(days=longest)
    before = min(before or request.at, request.at)
    after = after if after is not None else max(before, times.EARLIEST + kept) - kept
    if after >= before:
        raise _invalid("body.before", "not_after", "before must be later than after, and after must have passed")
    if before - after > kept:
        text = f"ask for {longest} days at most: events are not kept for longer"
        raise _invalid("body.after", "too_long", text)
    for job in requests.open_jobs(request):
        if job.kind == "replay" and job.asked["destination"] == destination:
            raise Conflict(f"this destination is being replayed already by {job.id}; wait for it to end")
    act = audit.act(
        "replayed",
        tenant=tenant,
        minute=times.minute(request.at),
        at=request.at,
        actor=request.actor,
        request=request.new_id("job"),
        object=("destination", destination),
        range={"after": times.text(after), "before": times.text(before), "count": None},
        reason="controller_request",
    )
    asked = {
        "destination": destination,
        "after": times.text(after),
        "before": times.text(before),
        "outcome": outcome,
        "by": runtime.audit.append(act).entry["id"],
    }
    return requests.begin(request, "replay", asked, _summary(asked, Counter()))


def _invalid(loc: str, code: str, text: str) -> Invalid:
    return Invalid(text, [{"loc": loc, "code": code, "msg": text}])


def _summary(asked: Mapping[str, Any], counted: Mapping[str, int]) -> dict[str, Any]:
    return {
        "destination": asked["destination"],
        "replayed": counted.get("replayed", 0),
        "held": counted.get("held", 0),
        "refused": counted.get("refused", 0),
        "skipped": {"gone": counted.get("gone", 0), "no_route": counted.get("no_route", 0)},
    }


@dataclass(frozen=True)
class _ReplayEvent:
    """An event of a page: its decision, stored or new, and its place in the order."""

    place: tuple[str, str, str]
    owner: str
    entry: Entry


def step(runtime: Runtime, job: Job) -> Job:
    """Replay the matching transfers of the next page of events, in order of receipt.

    Raises:
        Conflict: the destination was removed. The replays that this job had decided by then still go on to their end.
        NotFound: the tenant was closed.
        Unavailable: a store did not answer; the page can be done again.
    """
    asked = job.asked
    snapshot = runtime.config.snapshot(job.tenant)
    position = job.cursor or asked["after"]
    page, following = runtime.jobs.events(job.tenant, position, times.parse(asked["before"]), PAGE)
    # As of long ago, so that expired rows are read, too, and the summary can report them as gone.
    rows = runtime.data.events([key for key, _ in page], times.EARLIEST)
    opened = _opened(runtime, snapshot, list(rows.values()))
    counted: Counter[str] = Counter()
    works = []
    for key, received_at in page:
        row = rows.get(key.event)
        if row is not None:
            place = (times.text(received_at), str(opened.get(key.event, {}).get("occurred_at", "")), key.event)
            works += _work(runtime, snapshot, row, opened.get(key.event), asked, place, counted)
    works.sort(key=lambda work: work.place)
    stored = []
    for work, outcome in zip(works, runtime.audit.append_many([w.entry for w in works]), strict=True):
        if isinstance(outcome, WaybillError):
            raise outcome
        stored.append((work, outcome.entry))
    now = runtime.now()
    runtime.outbox.send(m for work, e in stored for m in deliveries(snapshot.configuration, e, work.owner, now))
    if asked["destination"] not in snapshot.configuration.destinations:
        raise Conflict("the destination was removed")
    words = {"allowed": "replayed", "redacted": "replayed", "held": "held", "refused": "refused"}
    counted.update(words[route["decision"]] for _, entry in stored for route in entry["routes"])
    for name, number in _flat(job.summary).items():
        counted[name] += number
    sent = sum(len(entry["routes"]) for _, entry in stored)
    return replace(
        job,
        state="running" if following is not None else "done",
        cursor=following or position,
        done=job.done + len(page),
        summary=_summary(asked, counted),
        due_at=now + timedelta(seconds=sent / RATE_PER_S),
    )


def _flat(summary: Mapping[str, Any]) -> dict[str, int]:
    return {name: summary[name] for name in ("replayed", "held", "refused")} | dict(summary["skipped"])


def _work(
    runtime: Runtime,
    snapshot: Snapshot,
    row: EventRow,
    document: Mapping[str, Any] | None,
    asked: Mapping[str, Any],
    place: tuple[str, str, str],
    counted: Counter[str],
) -> list[_ReplayEvent]:
    """Select the transfers of one event to decide again, if any; count the skipped ones."""
    now = runtime.now()
    tenant, event = row.key.tenant, row.key.event
    entries = runtime.audit.of_event(tenant, row.minute, event, now)
    entries = [entry for entry in entries if entry["event"] == event]
    done = next((e for e in entries if e["kind"] == "decided" and e["by"] == asked["by"]), None)
    if done is not None:  # by this job, which died before it could say so
        return [_ReplayEvent(place, row.owner or "", done)]
    if asked["destination"] not in snapshot.configuration.destinations:
        return []
    wanted = [
        one
        for one in of_entries(entries, {}, now)
        if one.destination == asked["destination"]
        and one.replayed_by is None
        and one.outcome in OUTCOMES[asked["outcome"]]
    ]
    if document is None or row.owner is None:
        counted["gone"] += len(wanted)
        return []
    ended = [one for one in wanted if _leads(snapshot.configuration, one)]
    counted["no_route"] += len(wanted) - len(ended)
    if not ended:
        return []
    first = next(e for e in entries if e["id"] == ended[0].decided)
    return [
        _ReplayEvent(place, row.owner, _decided(runtime, snapshot, first, ended, document, row.owner, asked["by"], now))
    ]

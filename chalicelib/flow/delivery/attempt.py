"""One attempt: decide again, send if the event may still leave, and write the outcome.

1 the decision in force → 2 decide again; write the decision that replaces it → 3 send → 4 ``attempted``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ...core import times
from ...core.decide.plan import Facts, PlannedTransfer, RouteDecision, entry_facts, recipient_of, routes_of
from ...core.decide.retention import hold_ends_at
from ...core.delivery.retry import (
    DEFAULT_DELAYS_S,
    LOST_ACCESS,
    THROTTLED,
    UNCOUNTED,
    Outcome,
    next_attempt,
    outcome_of,
)
from ...core.delivery.task import DeliveryTask
from ...core.errors import OurError
from ...core.log import audit
from ...core.log.entry_types import Decided, EntryRecipient
from ...core.pattern.redaction import redact
from ...core.tenant.records import Destination
from ...destinations.base import SendingClients
from ...destinations.limits import NoTurn
from ...observe import count
from ...runtime import Runtime
from ...store.snapshot import Snapshot
from ..clients import clients_of
from ..pacing import is_block, pause
from ..published import keep_published
from ..redecision import facts_now, grounds_now, redecide
from ..seal_requests import notify_sealer
from ..state import Batch, DeliveryState
from . import admission
from .sending import exchange

UNCOUNTED_WAIT = timedelta(seconds=2)
"""The wait after an attempt that other deliveries were in the way of."""
LOOK_AGAIN = timedelta(hours=1)
"""How often a held transfer is decided again without an event that wakes its lane."""


@dataclass(frozen=True)
class EndedTransfer:
    """The transfer has ended."""


@dataclass(frozen=True)
class WaitingTransfer:
    """The transfer waits until ``due_at``; ``task`` is its state from now on.

    ``listed``: it waits for its destination, and pump wakes its lane as soon as the destination takes deliveries again.
    ``uncounted``: its last attempt used up none of the schedule.
    """

    due_at: datetime
    task: DeliveryTask
    attempts: int
    listed: bool = False
    uncounted: bool = False


def delays_of(batch: Batch, task: DeliveryTask) -> tuple[int, ...]:
    """Return the waits between the attempts of a task. Off the record there are none."""
    if task.otr:
        return ()
    snapshot = batch.snapshot(task.tenant)
    destination = snapshot.configuration.destinations.get(task.destination) if snapshot else None
    return destination.retry.delays_s if destination and destination.retry else DEFAULT_DELAYS_S


def deliver(
    batch: Batch, task: DeliveryTask, state: DeliveryState, held_since: datetime | None, *, woken: bool = False
) -> EndedTransfer | WaitingTransfer:
    """Decide again, and send if the event may leave and the destination takes deliveries now.

    Args:
        woken: the task has waited in its lane.
    """
    runtime = batch.runtime
    now = runtime.now()
    if task.otr:
        return _lost(batch, task, state, now)
    snapshot = batch.snapshot(task.tenant)
    if snapshot is None:
        ended = expire(batch, task, "tenant_closed", now)
        notify_sealer(runtime)  # before its row is gone: an erased tenant's log is not reconciled
        return ended
    if state.row is None:
        held_out = task.decision == "held" and now >= times.parse(task.received_at) + _hold(snapshot)
        return expire(batch, task, "hold_expired" if held_out else "retention", now)
    if state.row.sealed is None or state.data_key is None:
        if state.row.restriction is not None:  # it ended all waiting transfers: this one was replayed at the same time
            _act(batch, task, "erased", state.row.restriction.ground, now)
        return EndedTransfer()  # erased: that act's entry ends all transfers of the event
    destination = snapshot.configuration.destinations.get(task.destination)
    route = snapshot.configuration.routes.get(task.route)
    if {task.destination, task.route} & snapshot.configuration.lost:  # they are not gone: it waits until they are cured
        return WaitingTransfer(now + LOOK_AGAIN, task, state.made)
    if destination is None or route is None:
        if task.decision == "held":  # not allowed to leave, hence not attempted
            return expire(batch, task, "removed", now)
        return attempted(batch, task, state, "no_destination", 0, (), None, None, now)
    expires_at = times.parse(task.expires_at)
    if held_since is not None and hold_ends_at(snapshot.configuration.tenant, held_since, expires_at) <= now:
        return expire(batch, task, "hold_expired", now)  # regardless of a new decision
    document = state.row.open(state.data_key, runtime.settings.region, None)
    grounds = grounds_now(snapshot, document, state.consents)
    base = facts_now(runtime, snapshot, task.source, task.received_at, document, now, grounds)
    judgement = redecide(runtime, snapshot, task.route, task.destination, base, grounds, held_since)
    if judgement.verdict == "held" and task.decision == "held":
        _held_anew(runtime, snapshot, task, state, document)
        return _still_held(snapshot, task, judgement, held_since or now, now)
    # The law's own limit: it counts where the law is changed to a shorter one than the tenant's.
    if held_since is not None and any(r["id"] == "ANY.hold-expired" for r in judgement.rules):
        return expire(batch, task, "hold_expired", now)
    recipient = recipient_of(snapshot.configuration, destination)
    decided = (judgement.verdict, tuple(sorted(judgement.classes_out)), recipient)
    while decided != (task.decision, task.classes_out, task.recipient):  # again where another process was faster
        task = _redecide(batch, task, snapshot, base, judgement, recipient, now)
        if task.decision == "refused":
            return EndedTransfer()
    if task.decision == "held":
        _held_anew(runtime, snapshot, task, state, document)
        return _still_held(snapshot, task, judgement, now, now)
    if state.row.lives_until is not None:
        runtime.awaiting.release(state.row)  # it has a ground for being stored, too
    leave = admission.admit(batch, task, destination, woken=woken)
    if isinstance(leave, datetime):
        return WaitingTransfer(leave, task, state.made, listed=True)
    if state.row.large is not None:
        document = state.row.open(state.data_key, runtime.settings.region, runtime.contents.get)
    return send(batch, task, state, snapshot, destination, document, judgement, probe=leave)


def _hold(snapshot: Snapshot) -> timedelta:
    return timedelta(hours=snapshot.configuration.tenant.hold_hours)


def _held_anew(
    runtime: Runtime, snapshot: Snapshot, task: DeliveryTask, state: DeliveryState, document: dict[str, Any]
) -> None:
    """Ask for a consent when a task is held for the first time: decided again, or by a replay."""
    if task.held_since is not None:
        return
    from .. import consent_requests  # loads what few events need: most are not held

    entry = runtime.audit.get(task.tenant, task.decided, task.log)
    if entry is not None:
        consent_requests.request(runtime, snapshot, document, entry, state.consents)


def _still_held(
    snapshot: Snapshot, task: DeliveryTask, judgement: RouteDecision, held_since: datetime, now: datetime
) -> WaitingTransfer:
    ends_at = hold_ends_at(snapshot.configuration.tenant, held_since, times.parse(task.expires_at))
    due_at = min(now + LOOK_AGAIN, ends_at)
    if judgement.retry_at is not None:
        due_at = min(due_at, max(times.parse(judgement.retry_at), now))
    return WaitingTransfer(due_at, replace(task, held_since=times.text(held_since)), 0)


def _act(batch: Batch, task: DeliveryTask, kind: str, reason: str, now: datetime) -> Mapping[str, Any]:
    entry = audit.act(
        kind,
        tenant=task.tenant,
        minute=task.minute,
        at=now,
        actor=("service", "deliver"),
        request=task.decided,
        event=task.event,
        object=("transfer", task.transfer),
        reason=reason,
    )
    stored: Mapping[str, Any] = batch.runtime.audit.append(entry).entry
    return stored


def _lost(batch: Batch, task: DeliveryTask, state: DeliveryState, now: datetime) -> EndedTransfer:
    """End an off-the-record transfer that hooks has not ended in time. It may have been sent; its content is gone."""
    decided = batch.runtime.audit.get(task.tenant, task.decided, task.log)
    if decided is None:
        return EndedTransfer()  # never decided, hence never sent; its platform posts it again
    if not decided["facts"].get("otr"):
        return EndedTransfer()  # first posted on the record: that task is on its way
    if task.decision == "held":
        return expire(batch, task, "off_record", now)
    attempted(batch, task, state, "lost", 0, task.classes_out, None, None, now)
    return EndedTransfer()


def expire(batch: Batch, task: DeliveryTask, reason: str, now: datetime) -> EndedTransfer:
    """End a transfer without sending anything."""
    _act(batch, task, "expired", reason, now)
    count("transfers", outcome="expired")
    return EndedTransfer()


def _redecide(
    batch: Batch,
    task: DeliveryTask,
    snapshot: Snapshot,
    base: Facts,
    judgement: RouteDecision,
    recipient: EntryRecipient | None,
    now: datetime,
) -> DeliveryTask:
    """Write the decision that replaces the first. Return the task under it, or under the one that a crash left."""
    first = batch.runtime.audit.get(task.tenant, task.decided, task.log)
    if first is None:
        raise OurError("the decision of a delivery is not in the log")
    by = None
    if task.decision == "held" and judgement.verdict in ("allowed", "redacted"):
        by = _act(batch, task, "released", "basis_given", now)["id"]
    planned = PlannedTransfer(task.route, task.transfer, task.delivery, task.destination, recipient, judgement)
    cause = "released" if by else "rechecked"
    entry = decided_anew(
        batch.runtime, first, base, (planned,), snapshot, now, cause=cause, by=by, supersedes=task.decided
    )
    return task.under(batch.runtime.audit.append(entry).entry)


def decided_anew(
    runtime: Runtime,
    first: Mapping[str, Any],
    base: Facts,
    planned: tuple[PlannedTransfer, ...],
    snapshot: Snapshot,
    now: datetime,
    *,
    cause: str,
    by: str | None = None,
    supersedes: str | None = None,
) -> Decided:
    """Make the entry of a later decision on the event of ``first``, for some of its routes.

    The caller appends it, and acts on the entry that then stands in the log.

    Args:
        base: the facts of the decision.
    """
    keep_published(runtime, snapshot)
    return audit.decided(
        tenant=first["tenant"],
        minute=audit.minute_of(first["id"]),
        at=now,
        event=first["event"],
        receipt=first["receipt"],
        expires_at=times.parse(first["expires_at"]),
        facts=entry_facts(base, tuple(p.judgement for p in planned)),
        rules_hash=runtime.law.hash.removeprefix("sha256:"),
        config_hash=snapshot.configuration.hash,
        routes=routes_of(planned),
        cause=cause,
        by=by,
        supersedes=supersedes,
    )


def send(
    batch: Batch,
    task: DeliveryTask,
    state: DeliveryState,
    snapshot: Snapshot,
    destination: Destination,
    document: dict[str, Any],
    judgement: RouteDecision,
    *,
    probe: bool,
    clients: SendingClients | None = None,
) -> EndedTransfer | WaitingTransfer:
    """Send an event along a route once, and write the attempt's entry.

    Args:
        document: the whole event; fields that may not leave are removed here.
        clients: the clients to send through; the destination's usual ones unless given.
    """
    runtime = batch.runtime
    if judgement.redact:
        document = redact(document, judgement.redact, snapshot.keys.pseudonyms(destination.recipient))
    started = runtime.monotonic()
    limits = admission.account_limits(batch, task, destination)
    clients = clients or clients_of(runtime, task.tenant, snapshot.keys, destination, limits, admitted=True)
    sent = exchange(runtime, task, state.made + 1, snapshot, destination, document, judgement.classes_out, clients)
    fault, code = sent.fault, sent.code
    took_ms = int((runtime.monotonic() - started) * 1000)
    retry_after, now = fault.retry_after_s if fault else None, runtime.now()
    block = code == "denied" and is_block(runtime, task.tenant, limits, now)
    code = "throttled" if block else code
    paused_until = None
    method = clients.pace.method if clients.pace is not None and not block else ""
    if code in THROTTLED and not isinstance(fault, NoTurn):
        paused_until = pause(
            runtime, task.tenant, task.destination, limits, now, retry_after, method=method, block=block
        )
    result = attempted(batch, task, state, code, took_ms, sent.classes, sent.size_bytes, retry_after, now, paused_until)
    if task.otr:
        return result  # hooks changes nothing but the log
    admission.record_result(
        batch,
        task,
        destination,
        code,
        sent=fault is None or fault.sent,
        probe=probe,
        gone=fault is not None and fault.gone,
        retry_after_s=retry_after,
        now=now,
        paused_until=paused_until,
    )
    return result


def attempted(
    batch: Batch,
    task: DeliveryTask,
    state: DeliveryState,
    code: str,
    took_ms: int,
    classes: tuple[str, ...],
    size_bytes: int | None,
    retry_after_s: float | None,
    now: datetime,
    paused_until: datetime | None = None,
) -> EndedTransfer | WaitingTransfer:
    """Write an attempt's entry. Where another outcome is already there, write this one as the next take.

    An attempt that does not count is made again under its number, and has one entry however often it is made.

    Args:
        paused_until: the end of the pause of a throttled account or destination.
    """
    delays = delays_of(batch, task)
    made, lost_access = state.made + 1, code in LOST_ACCESS
    counted = state.counted + (not lost_access)
    uncounted = code in UNCOUNTED and not task.otr
    outcome = Outcome.FAILED if uncounted else outcome_of(code, made, delays, None if task.otr else counted)
    entry = None
    for take in range(100):
        entry = audit.attempted(
            tenant=task.tenant,
            at=now,
            decided=task.decided,
            log=task.log,
            event=task.event,
            transfer=task.transfer,
            destination=task.destination,
            attempt=made,
            take=take,
            outcome=outcome.value,
            code=code,
            took_ms=took_ms,
            classes=classes,
            size_bytes=size_bytes,
        )
        stored = batch.runtime.audit.append(entry)
        if stored.new or (stored.entry["outcome"] == outcome and (stored.entry["code"] in UNCOUNTED) == uncounted):
            break
    count("attempts", outcome=outcome.value)
    if uncounted:
        until = paused_until or now + max(UNCOUNTED_WAIT, timedelta(seconds=retry_after_s or 0))
        return WaitingTransfer(until, task, state.made, listed=paused_until is not None, uncounted=True)
    due_at = next_attempt(
        made, delays, outcome, now, task.delivery, retry_after_s, counted=counted, lost_access=lost_access
    )
    return EndedTransfer() if due_at is None else WaitingTransfer(due_at, task, made)

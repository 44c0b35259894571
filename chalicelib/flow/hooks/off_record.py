"""Off the record: decide and send an event once, before its platform is answered, and store its content nowhere.

1 whether the law lets the conversation be off the record → 2 refs, plan → 3 a waiting task for each transfer, which ends
it if this process does not → 4 ``decided`` → 5 send once, ``attempted`` → 6 remove the waiting task. Content is in memory
only. Before 4 nothing is sent, and a platform without an answer posts again. A process that finds the decision already
there sends nothing. Deliver ends transfers that have not ended after ``ENDS_AFTER``.

Hooks loads this module for the first conversation that is off the record, and with it the modules of route and deliver.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...channels import CHANNELS
from ...core import times
from ...core.decide.off_record import forbidden_by
from ...core.delivery.breaker import Permission, may_send
from ...core.delivery.task import DeliveryTask, WaitingTask
from ...core.envelope import unpack
from ...core.errors import AuditUnavailable, NotFound, WaybillError
from ...core.event.event import Draft
from ...core.tenant.records import Destination
from ...destinations.base import Memory, SendingClients
from ...destinations.tokens import PREFIX
from ...destinations.vetted import Limits
from ...observe import count, error
from ...runtime import Runtime
from ...store.data import lane_of
from ...store.source_cache import SourceContext
from ..clients import clients_of
from ..deliveries import tasks_of
from ..delivery.attempt import attempted, expire, send
from ..messages import QueueMessage
from ..pacing import stored_limits
from ..person_ends import keep_people
from ..published import keep_published
from ..routed import RoutedEvent
from ..routing.people import find_people
from ..routing.route import plan_of
from ..seal_requests import notify_sealer_or_log
from ..state import Batch, DeliveryState
from .packing import pack_event

ENDS_AFTER = timedelta(seconds=60)
"""When deliver ends a transfer that hooks has not ended. No invocation of hooks lasts as long."""
MARGIN_S = 0.5
"""Time kept after the last attempt, of the time that a channel gives for an answer."""
LEAST_S = 1.0
"""The least time for attempts, however late it is: a platform that posts again does no harm."""
WAITING = 0.4
"""The share of the time for an attempt in which its calls may wait for turns of the vendor's limit."""
THREADS = 16
_SEQUENCE = "0"


# Which are


def split(
    runtime: Runtime, door: SourceContext, drafts: Sequence[Draft], off: Collection[str], now: datetime
) -> tuple[list[Draft], list[RoutedEvent]]:
    """Separate drafts on the record from events off the record.

    Where the law now forbids it, a conversation is on the record although it has asked to be off.

    Args:
        off: the conversations that have asked to be off the record now.

    Raises:
        Unavailable: the store did not answer; nothing may be kept or sent.
        TooLarge: an event off the record is over the limit for events.
    """
    snapshot = runtime.config.snapshot(door.tenant, fresh=False)
    configuration = snapshot.configuration
    source = configuration.sources.get(door.source.id)
    if source is None:
        raise NotFound("no such source")
    if forbidden_by(configuration, source, runtime.cell, runtime.decider.decide, now):  # 1
        return list(drafts), []
    works = []
    for draft in (draft for draft in drafts if draft.conversation.id in off):
        event, inline, whole = pack_event(door, draft, now)
        message = QueueMessage(event, None, "", "", "", times.millis(now), 1)  # not from a queue
        works.append(RoutedEvent(message, snapshot, {**unpack(whole or inline), "otr": True}, now))
    return [draft for draft in drafts if draft.conversation.id not in off], works


# Deciding and sending them


@dataclass(frozen=True)
class _Transfer:
    """One event and its task for one destination."""

    work: RoutedEvent
    task: DeliveryTask


def take(runtime: Runtime, works: list[RoutedEvent], started_s: float) -> None:
    """Decide events, send each transfer once and write the attempts' entries.

    Args:
        started_s: when the webhook arrived, on the monotonic clock.

    Raises:
        WaybillError: an event is not decided. Its platform MUST be answered so that it posts again.
    """
    now = runtime.now()
    people = find_people(runtime, works)  # 2
    for work in works:
        plan_of(runtime, work, people, now)
    for fault in keep_people(runtime, works, people, now).values():
        raise fault
    keep_published(runtime, works[0].snapshot)
    transfers = {work.document["id"]: [_Transfer(work, task) for task in _tasks(work, now)] for work in works}
    for transfer in (one for several in transfers.values() for one in several):
        _end_later(runtime, transfer.task, now)  # 3
    outcomes = runtime.audit.append_many([work.entry for work in works])  # 4
    unclear = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, AuditUnavailable)]
    # Once more: an entry may be written though the store did not answer, and only a known entry may be sent.
    for number, again in zip(unclear, runtime.audit.append_many([works[p].entry for p in unclear]), strict=True):
        outcomes[number] = again
    fresh = []
    for work, outcome in zip(works, outcomes, strict=True):
        # The commitment is unique to this call: an equal entry that is already there was written by this call.
        if not isinstance(outcome, WaybillError) and (outcome.new or outcome.entry == work.entry):
            fresh += transfers[work.document["id"]]
            count("events", channel=str(work.document["channel"]))
    _send_all(runtime, fresh, _until(runtime, works[0], started_s))
    notify_sealer_or_log(runtime)
    for outcome in outcomes:
        if isinstance(outcome, WaybillError):
            raise outcome


def _until(runtime: Runtime, work: RoutedEvent, started_s: float) -> float:
    """Return the end of the time for attempts, on the monotonic clock."""
    within_s = runtime.settings.off_record_s
    limit_s = CHANNELS[work.document["channel"]].CAPABILITIES.answer_within_s
    if limit_s is not None:
        within_s = min(within_s, limit_s - MARGIN_S)
    return max(started_s + within_s, runtime.monotonic() + LEAST_S)


def _tasks(work: RoutedEvent, now: datetime) -> Iterable[DeliveryTask]:
    """Yield a task for each route that a plan allows or holds, each in a lane of its own, where no other task waits."""
    for task in tasks_of(work.snapshot.configuration, work.entry, work.owner, now):
        lane = lane_of(task.tenant, task.destination, task.conversation, task.delivery)
        yield replace(task, lane=lane, otr=True)


def _end_later(runtime: Runtime, task: DeliveryTask, now: datetime) -> None:
    due_at = now + ENDS_AFTER
    runtime.data.make_head(task.lane, due_at)
    row = WaitingTask(task, times.text(due_at)).row()
    runtime.data.park(task.lane, _SEQUENCE, row, times.parse(task.expires_at), held=False)


def _send_all(runtime: Runtime, transfers: list[_Transfer], until_s: float) -> None:
    """Send to all destinations at once, and to each in order."""
    batch = Batch(runtime)
    lanes: dict[str, list[_Transfer]] = {}
    for transfer in transfers:
        lanes.setdefault(transfer.task.destination, []).append(transfer)
    if len(lanes) < 2:
        for lane in lanes.values():
            _lane(batch, lane, until_s)
        return
    calls = [functools.partial(_lane, batch, lane, until_s) for lane in lanes.values()]
    # Later lanes are not waited for: their entries count if they still write them, else deliver writes ``lost``.
    for ended in runtime.threads.run("off-record", THREADS, calls, until_s - runtime.monotonic() + MARGIN_S):
        ended.result()


def _lane(batch: Batch, transfers: list[_Transfer], until_s: float) -> None:
    for transfer in transfers:
        task = transfer.task
        try:
            _once(batch, transfer, until_s)  # 5
            batch.runtime.data.remove_waiting(task.lane, _SEQUENCE)  # 6
            batch.runtime.data.remove_head(task.lane)
        except Exception as fault:  # noqa: BLE001  (each transfer has its own outcome; deliver ends it when it is due)
            error("off_record_failed", fault, tenant=task.tenant, transfer=task.transfer)


def _once(batch: Batch, transfer: _Transfer, until_s: float) -> None:
    work, task, now = transfer.work, transfer.task, batch.runtime.now()
    if task.decision == "held":
        expire(batch, task, "off_record", now)
        return
    snapshot = work.snapshot
    destination = snapshot.configuration.destinations.get(task.destination)
    left_s = until_s - batch.runtime.monotonic()
    if destination is None or left_s <= 0 or not _takes(batch.runtime, work, task, destination, now):
        attempted(batch, task, DeliveryState(), "off_record", 0, (), None, None, now)
        return
    assert work.plan is not None
    judgement = next(t.judgement for t in work.plan.transfers if t.transfer == task.transfer)
    clients = _clients(batch.runtime, work, destination, left_s)
    send(batch, task, DeliveryState(), snapshot, destination, work.document, judgement, probe=False, clients=clients)


def _takes(runtime: Runtime, work: RoutedEvent, task: DeliveryTask, destination: Destination, now: datetime) -> bool:
    """Say whether a destination accepts a delivery now. Nothing may be stored to wait for it."""
    if not destination.enabled or work.snapshot.configuration.routes[task.route].mode == "restrict":
        return False
    tenant = task.tenant
    if may_send(runtime.destination_state.get(tenant, destination.id).state, now) is not Permission.YES:
        return False
    limit = destination.rate_limit_per_s
    return limit is None or runtime.rate_limits.take_turn(tenant, destination.id, limit, now, 0) is not None


# Clients to send through


class _TokenMemory:
    """A destination's memory that stores access tokens only: they are the destination's own and hold no personal data."""

    def __init__(self, memory: Memory) -> None:
        self.get, self.claim, self.release = memory.get, memory.claim, memory.release
        self._put = memory.put

    def put(self, name: str, value: str, for_s: int) -> None:
        if name.startswith(PREFIX):
            self._put(name, value, for_s)


def _clients(runtime: Runtime, work: RoutedEvent, destination: Destination, left_s: float) -> SendingClients:
    paced = stored_limits(work.snapshot, destination)
    wait_s = left_s * WAITING if paced else 0.0
    left_s -= wait_s
    clients = clients_of(runtime, work.tenant, work.snapshot.keys, destination, paced, within_s=wait_s)
    usual = clients.limits
    limits = Limits(min(usual.resolve_s, left_s), min(usual.connect_s, left_s), min(usual.total_s, left_s))
    memory = _TokenMemory(clients.memory) if clients.memory is not None else None
    return replace(clients, limits=limits, memory=memory)

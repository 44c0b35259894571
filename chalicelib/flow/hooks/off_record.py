"""Off the record: what a conversation wants kept nowhere is decided, sent once and forgotten before its platform is answered.

1 whether the law lets the conversation be off the record → 2 refs, plan → 3 an order for each transfer that ends
it should this process not → 4 ``decided`` → 5 send once, ``attempted`` → 6 take the order back. Content is in memory and nowhere
else. Until 4 nothing has left, and a platform that is not answered posts again; whoever finds a decision already there sends
nothing. What has not ended in ``ENDS_AFTER`` is ended by deliver.

Loaded for the first conversation that is off the record, and with it all that ``route`` and ``deliver`` need.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...channels import CHANNELS
from ...core import times
from ...core.decide.off_record import forbidden_by
from ...core.delivery.breaker import Permission, may_send
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
from ..deliveries import deliveries
from ..delivery.attempt import attempted, expire, send
from ..messages import QueueMessage
from ..published import keep_published
from ..routing.route import Work, find_people, plan_of
from ..seal_requests import notify_sealer_or_log
from ..state import Batch, DeliveryState, Order
from .packing import pack_event

ENDS_AFTER = timedelta(seconds=60)
"""When a transfer is ended for a process that has not ended it: no invocation of the door lasts as long."""
MARGIN_S = 0.5
"""What is left of the time that a channel gives for what is done after the last attempt."""
LEAST_S = 1.0
"""What attempts are given however late it is: a platform that posts again does no harm."""
THREADS = 16
_SEQUENCE = "0"


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="off-record")


# Which are


def split(
    runtime: Runtime, door: SourceContext, drafts: Sequence[Draft], off: Collection[str], now: datetime
) -> tuple[list[Draft], list[Work]]:
    """Tell what is on the record from what is off.

    A conversation that the law lets be on the record only, by now, is on the record, whatever was asked for before.

    Args:
        off: the conversations that have asked to be off the record now.

    Raises:
        Unavailable: nobody can say; nothing may be kept or sent.
        TooLarge: an event that is off the record is over the limit of one that is kept.
    """
    snapshot = runtime.config.snapshot(door.tenant)
    configuration = snapshot.configuration
    source = configuration.sources.get(door.source.id)
    if source is None:
        raise NotFound("no such source")
    if forbidden_by(configuration, source, runtime.cell, runtime.decider.decide, now):  # 1
        return list(drafts), []
    works = []
    for draft in (draft for draft in drafts if draft.conversation.id in off):
        event, content = pack_event(door, draft, now)
        message = QueueMessage(event, None, "", "", "", times.millis(now), 1)  # it comes from no queue
        works.append(Work(message, snapshot, {**unpack(content), "otr": True}, now))
    return [draft for draft in drafts if draft.conversation.id not in off], works


# What is done with them


@dataclass(frozen=True)
class _Transfer:
    """One event on its only way to one destination."""

    work: Work
    order: Order


def take(runtime: Runtime, works: list[Work], started_s: float) -> None:
    """Decide events, send each transfer once and write down what came of it.

    Args:
        started_s: when the webhook was begun with, on the monotonic clock.

    Raises:
        WaybillError: an event is not decided: its platform MUST be told to post again.
    """
    now = runtime.now()
    people = find_people(runtime, works)  # 2
    # Nothing that is kept will ever lead the sweep to them.
    for tenant, person in dict.fromkeys((work.tenant, person) for work in works for person in work.people):
        runtime.lifetimes.ask(tenant, person)
    for work in works:
        plan_of(runtime, work, people, now)
    keep_published(runtime, works[0].snapshot)
    transfers = {work.document["id"]: [_Transfer(work, order) for order in _orders(work, now)] for work in works}
    for transfer in (one for several in transfers.values() for one in several):
        _end_later(runtime, transfer.order, now)  # 3
    outcomes = runtime.audit.append_many([work.entry for work in works])  # 4
    unclear = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, AuditUnavailable)]
    # Once more: what is written and was not answered could else not be sent.
    for place, again in zip(unclear, runtime.audit.append_many([works[p].entry for p in unclear]), strict=True):
        outcomes[place] = again
    fresh = []
    for work, outcome in zip(works, outcomes, strict=True):
        # Its commitment is of this call alone: what is there already and equal was written by it and not answered.
        if not isinstance(outcome, WaybillError) and (outcome.new or outcome.entry == work.entry):
            fresh += transfers[work.document["id"]]
            count("events", channel=str(work.document["channel"]))
    _send_all(runtime, fresh, _until(runtime, works[0], started_s))
    notify_sealer_or_log(runtime)
    for outcome in outcomes:
        if isinstance(outcome, WaybillError):
            raise outcome


def _until(runtime: Runtime, work: Work, started_s: float) -> float:
    """Say until when attempts may take, on the monotonic clock."""
    within_s = runtime.settings.off_record_s
    limit_s = getattr(CHANNELS[work.document["channel"]], "ANSWER_WITHIN_S", None)
    if limit_s is not None:
        within_s = min(within_s, limit_s - MARGIN_S)
    return max(started_s + within_s, runtime.monotonic() + LEAST_S)


def _orders(work: Work, now: datetime) -> Iterable[Order]:
    """Yield what a plan lets through or holds, each in a lane of its own, behind which nothing waits."""
    for outgoing in deliveries(work.snapshot.configuration, work.entry, work.owner, now):
        order = json.loads(outgoing.body)
        lane = lane_of(order["tenant"], order["destination"], order["conversation"], order["delivery"])
        yield {**order, "lane": lane, "otr": True}


def _end_later(runtime: Runtime, order: Order, now: datetime) -> None:
    due_at = now + ENDS_AFTER
    runtime.data.make_head(order["lane"], due_at)
    waiting = {**order, "due_at": times.text(due_at)}
    runtime.data.park(order["lane"], _SEQUENCE, waiting, times.parse(order["expires_at"]), held=False)


def _send_all(runtime: Runtime, transfers: list[_Transfer], until_s: float) -> None:
    """Send to all destinations at once, to each of them in order."""
    batch = Batch(runtime)
    lanes: dict[str, list[_Transfer]] = {}
    for transfer in transfers:
        lanes.setdefault(transfer.order["destination"], []).append(transfer)
    if len(lanes) < 2:
        for lane in lanes.values():
            _lane(batch, lane, until_s)
        return
    running = [_threads().submit(_lane, batch, lane, until_s) for lane in lanes.values()]
    # Whoever is not done by then is not waited for: what it still writes counts, else deliver writes that it is lost.
    done, _ = wait(running, timeout=until_s - runtime.monotonic() + MARGIN_S)
    for ended in done:
        ended.result()


def _lane(batch: Batch, transfers: list[_Transfer], until_s: float) -> None:
    for transfer in transfers:
        order = transfer.order
        try:
            _once(batch, transfer, until_s)  # 5
            batch.runtime.data.remove_waiting(order["lane"], _SEQUENCE)  # 6
            batch.runtime.data.remove_head(order["lane"])
        except Exception as fault:  # noqa: BLE001  (each transfer has its own outcome; deliver ends it when it is due)
            error("off_record_failed", fault, transfer=order["transfer"])


def _once(batch: Batch, transfer: _Transfer, until_s: float) -> None:
    work, order, now = transfer.work, transfer.order, batch.runtime.now()
    if order["decision"] == "held":
        expire(batch, order, "off_record", now)
        return
    snapshot = work.snapshot
    destination = snapshot.configuration.destinations.get(order["destination"])
    left_s = until_s - batch.runtime.monotonic()
    if destination is None or left_s <= 0 or not _takes(batch.runtime, work, order, destination, now):
        attempted(batch, order, DeliveryState(), "off_record", 0, (), None, None, now)
        return
    assert work.plan is not None
    judgement = next(t.judgement for t in work.plan.transfers if t.transfer == order["transfer"])
    clients = _clients(batch.runtime, work, destination, left_s)
    send(batch, order, DeliveryState(), snapshot, destination, work.document, judgement, probe=False, clients=clients)


def _takes(runtime: Runtime, work: Work, order: Order, destination: Destination, now: datetime) -> bool:
    """Say whether a destination takes something at this moment, without anything that is kept."""
    if not destination.enabled or work.snapshot.configuration.routes[order["route"]].mode == "restrict":
        return False
    tenant = order["tenant"]
    if may_send(runtime.destination_state.get(tenant, destination.id).state, now) is not Permission.YES:
        return False
    limit = destination.rate_limit_per_s
    return limit is None or runtime.destination_state.take_turn(tenant, destination.id, limit, now, 0) is not None


# What they are sent through


class _TokensOnly:
    """A destination's memory that gets to know nothing of people; tokens are the destination's own, and are renewed."""

    def __init__(self, memory: Memory) -> None:
        self.get, self.claim, self.release = memory.get, memory.claim, memory.release
        self._put = memory.put

    def put(self, name: str, value: str, for_s: int) -> None:
        if name.startswith(PREFIX):
            self._put(name, value, for_s)


def _clients(runtime: Runtime, work: Work, destination: Destination, left_s: float) -> SendingClients:
    clients = clients_of(runtime, work.tenant, work.snapshot.keys, destination)
    usual = clients.limits
    limits = Limits(min(usual.resolve_s, left_s), min(usual.connect_s, left_s), min(usual.total_s, left_s))
    memory = _TokensOnly(clients.memory) if clients.memory is not None else None
    return replace(clients, limits=limits, memory=memory)

"""Deliver: bring what was allowed to its destination, in lane order, and write down every try.

For one delivery: 1 look for its own ``attempted`` entries and its lane's head (one consistent round trip for the whole
batch) → 2 decide again → 3 send → 4 ``attempted`` → 5 park or clean up → 6 acknowledge.

Deliver, inside a lane's FIFO group, is the only writer of the lane's rows: one writer, hence the order. A lane with a head
is parked: what arrives is put behind what waits, and only a wake (from pump) drains it. Held transfers wait in their lanes
like failed ones, so that nothing overtakes them. What has been tried is known from the log alone: rows hold no counters.

A lane whose destination takes nothing now (its breaker is open, it has asked for time, its limit is reached, it is disabled)
is *listed*: pump wakes it when the destination is back, and otherwise hardly ever.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from ...core import times
from ...core.delivery.retry import Outcome, next_attempt
from ...core.errors import Unavailable
from ...observe import count, error
from ...runtime import Runtime
from ...store.data import list_of
from ..messages import RECEIVES_MAX, QueueMessage, send_back
from ..seal_requests import notify_sealer
from ..state import FIRST_ATTEMPTS, Batch, DeliveryState, Order, look, up_to_date
from .attempt import Ended, Waits, delays_of, deliver

SHORT_WAIT_S = 10
"""The longest first wait that uses the message's visibility instead of a parked row."""
SHORT_WAITS = 3
"""How often a message is given back because its destination asks for a few seconds: a queue gives up on what comes back ten
times."""
LOOK_AT_LISTED = timedelta(hours=6)
"""How often a listed lane is looked at without being asked for, so that nothing waits for ever whatever was missed, and what
expires is ended within the day."""
WAITED_S = 60
"""What has waited this long in the outbox is parked, so that one slow group cannot stop the cell."""
THREADS = 32
"""At most; an invocation has ten lanes, the local cell several invocations at once."""


@functools.cache
def _threads() -> ThreadPoolExecutor:
    # Kept, since making ten threads costs more CPU than the ten deliveries that they make.
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="lane")


def handle(runtime: Runtime, messages: list[QueueMessage]) -> list[str]:
    """Deliver up to ten messages, each lane in its own thread. Return the ids of those that must come back."""
    batch = Batch(runtime)
    readable = [m for m in messages if m.body is not None and m.body.get("v") == 1]
    failed: dict[str, float | None] = dict.fromkeys({m.id for m in messages} - {m.id for m in readable})
    lanes: dict[str, list[QueueMessage]] = {}
    for message in readable:
        lanes.setdefault(message.group, []).append(message)
    try:
        orders = [dict(m.body) for m in readable if m.body and "wake" not in m.body]
        batch.load({str(m.body["tenant"]) for m in readable if m.body})
        found = look(batch, orders, attempts=FIRST_ATTEMPTS)
    except Unavailable as fault:
        error("deliver_failed", fault)
        return send_back(runtime.outbox, messages, {m.id: None for m in messages})
    except Exception as fault:  # noqa: BLE001  (one of them cannot be read: each lane looks for itself)
        error("deliver_failed", fault)
        found = {}
    if len(lanes) == 1:
        results = [_lane(batch, group, found) for group in lanes.values()]
    else:
        running = [_threads().submit(_lane, batch, group, found) for group in lanes.values()]
        wait(running)  # nothing of this invocation goes on after it, whatever one of the lanes meets
        results = [lane.result() for lane in running]
    for result in results:
        failed.update(result)
    try:
        notify_sealer(batch.runtime)
    except Unavailable as fault:
        error("notice_not_sent", fault)
        failed = {m.id: None for m in messages}  # all come back; their entries are found, and nothing is sent again
    return send_back(runtime.outbox, messages, failed)


def _lane(batch: Batch, messages: list[QueueMessage], found: Mapping[str, DeliveryState]) -> dict[str, float | None]:
    """Take one lane's messages in order. Return those that come back, and when each wants to (seconds; None where nobody can
    say): those that failed for the last time, which stop nothing; one that stopped the lane, and all that nobody looked at."""
    parked: bool | None = None
    failed: dict[str, float | None] = {}
    for place, message in enumerate(messages):
        body = dict(message.body or {})
        try:
            if batch.late:
                if "wake" in body or not message.is_last_try:
                    return {**failed, **_in(1, messages[place:])}
                park(batch, message.sequence, Waits(batch.runtime.now(), body, 0))
                parked = True
                continue
            if "wake" in body:
                drain(batch, body["wake"], body["due"])
                parked, found = None, {}
                continue
            if body["transfer"] not in found:  # a wake, or its double, came before it: things are not as they were
                found = look(batch, [body], attempts=FIRST_ATTEMPTS)
            one = found[body["transfer"]]
            found = {transfer: other for transfer, other in found.items() if transfer != body["transfer"]}
            parked = one.parked if parked is None else parked
            waits = _first(batch, message, body, one, parked)
            if waits is None:
                continue
            wait_s = (waits.due_at - batch.runtime.now()).total_seconds()
            short = not parked and wait_s <= SHORT_WAIT_S and not message.is_last_try
            if short and _comes_back(waits, wait_s, message.receives):
                return {**failed, **_in(wait_s, messages[place:])}
            park(batch, message.sequence, waits)
            parked = True
        except Exception as fault:  # noqa: BLE001  (each lane has its own outcome)
            error("deliver_failed", fault)
            if not message.is_last_try:
                return {**failed, **_in(None, messages[place:])}
            failed[message.id] = None
            parked, found = None, {}
    return failed


def _in(wait_s: float | None, messages: list[QueueMessage]) -> dict[str, float | None]:
    return dict.fromkeys((message.id for message in messages), wait_s)


def _comes_back(waits: Waits, wait_s: float, receives: int) -> bool:
    """Say whether a message that has not long to wait waits in the queue."""
    if waits.listed:
        return wait_s > 0 and receives <= SHORT_WAITS
    return waits.attempts == 1 and waits.order["decision"] != "held"


def _first(batch: Batch, message: QueueMessage, order: Order, one: DeliveryState, parked: bool) -> Waits | None:
    """Deliver a message that is not parked yet; None where its transfer has ended."""
    runtime = batch.runtime
    now = runtime.now()
    if one.made < FIRST_ATTEMPTS:
        order, one = up_to_date(batch, order, one, FIRST_ATTEMPTS)
    if one.ended or order["decision"] == "refused":
        return None
    if parked:
        return Waits(now, order, one.made)
    if one.made >= 2:  # twice tried, not parked: a crash came between the entry and the row
        return _after(batch, order, one, now)
    overdue = now - times.from_millis(message.sent_ms) > timedelta(seconds=WAITED_S)
    if one.made == 0 and overdue:
        return Waits(now, order, 0)
    result = deliver(batch, order, one, held_since=None)
    return result if isinstance(result, Waits) else None


def _after(batch: Batch, order: Order, one: DeliveryState, now: datetime) -> Waits:
    """Work out when an order is due whose last attempt failed and was logged."""
    delays = delays_of(batch, order)
    last = one.attempts[one.made]
    due = next_attempt(one.made, delays, Outcome.FAILED, times.parse(last["at"]), order["delivery"])
    return Waits(due or now, order, one.made)


def park(batch: Batch, sequence: str, waits: Waits) -> None:
    """Put an order into its lane, behind what waits there; the head says when the lane is looked at."""
    order = waits.order
    held = order["decision"] == "held"
    waiting = {**order, "due_at": times.text(waits.due_at)}
    if held:
        waiting.setdefault("held_since", times.text(batch.runtime.now()))
    # The head first: a row without one would be looked at by nobody, a head without a row is removed when it is due.
    batch.runtime.data.make_head(order["lane"], *_place(batch, waits))
    batch.runtime.data.park(order["lane"], sequence, waiting, times.parse(order["expires_at"]), held)
    count("parked", state="held" if held else "listed" if waits.listed else "retry")


def _place(batch: Batch, waits: Waits) -> tuple[datetime, str | None]:
    """Say when a lane is looked at, and in which list it waits till then."""
    if not waits.listed:
        return waits.due_at, None
    order = waits.order
    # Not all of them at once: a destination may have a hundred thousand lanes.
    spread = timedelta(seconds=zlib.crc32(order["lane"].encode()) % 3600)
    look_at = batch.runtime.now() + LOOK_AT_LISTED + spread
    return min(look_at, times.parse(order["expires_at"])), list_of(order["tenant"], order["destination"])


# Draining a lane


def drain(batch: Batch, lane: str, due: str) -> None:
    """Work off a parked lane in order until it is empty, not due, or the time is over.

    Args:
        due: when the lane was due, as pump saw it.
    """
    runtime = batch.runtime
    for waiting in runtime.data.waiting(lane):
        sequence = waiting.pop("sequence")
        now = runtime.now()
        due_at = times.parse(waiting["due_at"])
        # What is held is looked at whenever its lane is woken: a basis may have come before its hour.
        if batch.late or (due_at > now and waiting["decision"] != "held"):
            runtime.data.move_head(lane, now if batch.late else due_at, due)
            return
        result = _waiting_or_given_up(batch, sequence, waiting)
        if isinstance(result, Waits):
            held = result.order["decision"] == "held"
            state = {**result.order, "due_at": times.text(result.due_at)}
            if not held:
                state.pop("held_since", None)
            if not result.listed or result.due_at > now or {**state, "due_at": waiting["due_at"]} != waiting:
                runtime.data.update_waiting(lane, sequence, state, held)
            look_at, listed = _place(batch, result)
            runtime.data.move_head(lane, look_at, due, listed)
            return
        runtime.data.remove_waiting(lane, sequence)
    runtime.data.remove_head(lane)


def _waiting_or_given_up(batch: Batch, sequence: str, waiting: Order) -> Ended | Waits:
    """Look at one waiting order. One that fails as often as a message may, for a reason of its own, is given up as that is: it
    would else keep from leaving what waits behind it."""
    try:
        return _waiting(batch, waiting)
    except Unavailable:
        raise  # no fault of this order
    except Exception as fault:
        if waiting.get("otr"):
            raise  # nothing of it is parked, and its row is gone soon
        tries = waiting.get("tries", 0) + 1
        if tries < RECEIVES_MAX:
            batch.runtime.data.update_waiting(
                waiting["lane"], sequence, {**waiting, "tries": tries}, waiting["decision"] == "held"
            )
            raise
        from . import dead  # loads what only a dead letter needs

        error("deliver_failed", fault)
        dead.give_up(batch.runtime, _order_of(waiting), waiting["lane"])
        return Ended()


def _order_of(waiting: Order) -> Order:
    return {k: v for k, v in waiting.items() if k not in ("due_at", "tries")}


def _waiting(batch: Batch, waiting: Order) -> Ended | Waits:
    """Look at one waiting order: what the log says of it decides what is next."""
    order = _order_of(waiting)
    attempts = len(delays_of(batch, order)) + 1
    order, one = up_to_date(batch, order, look(batch, [order], attempts)[order["transfer"]], attempts)
    if one.ended or order["decision"] == "refused":
        return Ended()
    if one.made:
        waits = _after(batch, order, one, batch.runtime.now())
        if waits.due_at > batch.runtime.now() and times.parse(waiting["due_at"]) < waits.due_at:
            return waits  # a crash came between the entry and the row
    held_since = None
    if order["decision"] == "held":
        held_since = times.parse(order.get("held_since") or times.text(batch.runtime.now()))
    return deliver(batch, order, one, held_since, woken=True)

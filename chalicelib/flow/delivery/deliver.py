"""Deliver: bring allowed events to their destinations, in the order of each lane, and write an entry for every attempt.

For one task: 1 read its ``attempted`` entries and its lane's head (one consistent round trip for the whole batch) → 2 decide
again → 3 send → 4 ``attempted`` → 5 park or clean up → 6 acknowledge.

Deliver, inside a lane's FIFO group, is the only writer of the lane's rows, which keeps their order. A lane with a head is
parked: new tasks are stored behind the waiting ones, and only a wake (from pump) drains the lane. Held transfers wait in
their lanes like failed ones, so that nothing overtakes them. The log alone says what was tried: rows count no attempts.

A lane whose destination takes no deliveries now (its breaker is open, it has asked for time, its limit is reached, it is
disabled) is *listed*: pump wakes it when the destination takes deliveries again, and otherwise every few hours.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from ...core import times
from ...core.delivery.retry import LOST_ACCESS, Outcome, next_attempt
from ...core.delivery.task import DeliveryTask, WaitingTask
from ...core.errors import Misconfigured, Unavailable, is_outage
from ...observe import about_each, count, error
from ...runtime import Runtime
from ...store import message_counts
from ...store.data import list_of
from ..alone import BEGINNINGS_MAX, Waits, handled
from ..messages import FAULTS_MAX, GIVEN_UP, SUSPECT_RECEIVES, QueueMessage, wait_after
from ..seal_requests import notify_sealer
from ..state import FIRST_ATTEMPTS, Batch, DeliveryState, look, up_to_date
from .attempt import EndedTransfer, WaitingTransfer, delays_of, deliver

SHORT_WAIT_S = 10
"""The longest first wait that uses the message's visibility instead of a parked row."""
SHORT_WAITS = 3
"""How often a message goes back to the queue because its destination asks for a few seconds, and how often a wake does
because a service of ours does not answer."""
LOOK_AT_LISTED = timedelta(hours=6)
"""How often a listed lane is drained without a wake for its destination. A missed wake then delays a lane by hours only, and
expired tasks end within the day."""
WAITED_S = 60
"""A task that has waited this long in the outbox is parked, so that one slow group cannot stop the cell."""
THREADS = 32
"""At most; an invocation has ten lanes, the local cell several invocations at once."""


def handle(runtime: Runtime, messages: list[QueueMessage]) -> list[str]:
    """Deliver up to ten messages, each lane in its own thread. Return the ids of those that must come back."""
    return handled(runtime, "outbox", runtime.outbox, messages, _handle, _end)


def _handle(runtime: Runtime, messages: list[QueueMessage]) -> Waits:
    batch = Batch(runtime)
    waits: dict[str, float | None] = {}
    lanes: dict[str, list[QueueMessage]] = {}
    stopped: set[str] = set()
    down = _load(batch, messages)
    for message in about_each(messages):
        fault = (
            down.get(message.task["tenant"]) if message.task else Misconfigured("an outbox message is not one of ours")
        )
        if fault is not None:
            error("deliver_failed", fault)
            waits[message.id] = _wait_after(runtime, message, fault)
            if waits[message.id] != GIVEN_UP:
                stopped.add(message.group)
        elif message.group not in stopped:
            lanes.setdefault(message.group, []).append(message)
    readable = [message for lane in lanes.values() for message in lane]
    try:
        tasks = {m.id: DeliveryTask.from_body(m.task) for m in readable if m.task and "wake" not in m.task}
        states = look(batch, list(tasks.values()), attempts=FIRST_ATTEMPTS)
    except Unavailable as fault:
        for message in about_each(readable):
            error("deliver_failed", fault)
            waits[message.id] = _wait_after(runtime, message, fault)
        return waits
    except Exception as fault:  # noqa: BLE001  (one task cannot be read: each lane reads and looks again)
        for _ in about_each(messages):
            error("deliver_failed", fault)
        tasks, states = {}, {}
    if len(lanes) == 1:
        results = [_lane(batch, group, tasks, states) for group in lanes.values()]
    else:
        calls = [functools.partial(_lane, batch, group, tasks, states) for group in lanes.values()]
        # All are waited for, even if one fails: no thread may run on after the invocation.
        results = [lane.result() for lane in runtime.threads.run("lane", THREADS, calls)]
    for result in results:
        waits.update(result)
    try:
        notify_sealer(batch.runtime)
    except Unavailable as fault:
        for message in about_each(messages):  # all come back; their entries show that they were sent
            error("notice_not_sent", fault)
            waits[message.id] = _wait_after(runtime, message, fault)
    return waits


def _load(batch: Batch, messages: list[QueueMessage]) -> dict[str, Exception]:
    """Read the configurations of the tenants. Return the outages that stopped it, by tenant."""
    down: dict[str, Exception] = {}
    for tenant in dict.fromkeys(message.task["tenant"] for message in messages if message.task):
        try:
            batch.load((tenant,))
        except Exception as fault:  # noqa: BLE001  (one tenant's fault is not another's; each lane reads it again)
            if is_outage(fault):
                down[tenant] = fault
    return down


def _wait_after(runtime: Runtime, message: QueueMessage, fault: Exception) -> float | None:
    """Return in how many seconds a failed message comes back; None if it has ended."""
    if message.task and "wake" in message.task:
        # Pump sends another wake as long as the lane is due or listed, each minute: these must not pile up.
        ends = message.receives >= (SHORT_WAITS if is_outage(fault) else FAULTS_MAX)
        return None if ends else min(WAITED_S, 2.0**message.receives)
    return wait_after(runtime, "outbox", message, fault, functools.partial(_end, runtime, message))


def _end(runtime: Runtime, message: QueueMessage) -> None:
    from .. import dead  # loads what only a dead letter needs

    assert message.body is not None
    dead.end_delivery(runtime, message.body, message.group)
    notify_sealer(runtime)


def _lane(
    batch: Batch, messages: list[QueueMessage], tasks: Mapping[str, DeliveryTask], states: Mapping[str, DeliveryState]
) -> dict[str, float | None]:
    """Deliver one lane's messages in order.

    Args:
        tasks: the tasks that are read already, by message.
        states: their states, by transfer.

    Returns:
        The messages that must come back, with the seconds until then: the message that stopped the lane, and all messages
        behind it; and messages that are given up, which stop nothing.
    """
    parked: bool | None = None
    failed: dict[str, float | None] = {}
    fresh = dict(states)  # a copy: the other lanes use the same states
    for number, message in enumerate(about_each(messages)):
        body = message.body or {}
        try:
            if batch.late:
                if "wake" in body or not message.received_often:
                    return {**failed, **_in(1, messages[number:])}
                park(batch, message.sequence, WaitingTransfer(batch.runtime.now(), DeliveryTask.from_body(body), 0))
                parked = True
                continue
            if "wake" in body:
                drain(batch, body["wake"], body["due"], suspect=message.receives >= SUSPECT_RECEIVES)
                parked, fresh = None, {}
                continue
            task = tasks.get(message.id) or DeliveryTask.from_body(body)
            # A wake, or a copy of the message, that came before it has changed its state.
            if task.transfer not in fresh:
                fresh = look(batch, [task], attempts=FIRST_ATTEMPTS)
            state = fresh.pop(task.transfer)
            parked = state.parked if parked is None else parked
            waits = _first(batch, message, task, state, parked)
            if waits is None:
                continue
            wait_s = (waits.due_at - batch.runtime.now()).total_seconds()
            short = not parked and wait_s <= SHORT_WAIT_S and not message.received_often
            if short and _comes_back(waits, wait_s, message.receives):
                return {**failed, **_in(wait_s, messages[number:])}
            park(batch, message.sequence, waits)
            parked = True
        except Exception as fault:  # noqa: BLE001  (each lane has its own outcome)
            error("deliver_failed", fault)
            back_in_s = _wait_after(batch.runtime, message, fault)
            if back_in_s is not None and back_in_s != GIVEN_UP:
                return {**failed, **_in(back_in_s, messages[number:])}
            if back_in_s == GIVEN_UP:
                failed[message.id] = GIVEN_UP
            parked, fresh = None, {}
    return failed


def _in(wait_s: float, messages: list[QueueMessage]) -> dict[str, float | None]:
    return dict.fromkeys((message.id for message in messages), wait_s)


def _comes_back(waits: WaitingTransfer, wait_s: float, receives: int) -> bool:
    """Say whether a message with a short wait goes back to the queue."""
    if waits.listed or waits.uncounted:
        return wait_s > 0 and receives <= SHORT_WAITS
    return waits.attempts == 1 and waits.task.decision != "held"


def _first(
    batch: Batch, message: QueueMessage, task: DeliveryTask, state: DeliveryState, parked: bool
) -> WaitingTransfer | None:
    """Deliver a task that is not parked yet. Return None where its transfer has ended."""
    runtime = batch.runtime
    now = runtime.now()
    if state.made < FIRST_ATTEMPTS:
        task, state = up_to_date(batch, task, state, FIRST_ATTEMPTS)
    if state.ended or task.decision == "refused":
        return None
    if parked:
        return WaitingTransfer(now, task, state.made)
    if state.made >= 2:  # twice tried, not parked: a crash came between the entry and the row
        return _after(batch, task, state, now)
    overdue = now - times.from_millis(message.sent_ms) > timedelta(seconds=WAITED_S)
    if state.made == 0 and overdue:
        return WaitingTransfer(now, task, 0)
    result = deliver(batch, task, state, held_since=None)
    return result if isinstance(result, WaitingTransfer) else None


def _after(batch: Batch, task: DeliveryTask, state: DeliveryState, now: datetime) -> WaitingTransfer:
    """Return when a task is due whose last attempt failed and is logged."""
    delays = delays_of(batch, task)
    last = state.attempts[state.made]
    due = next_attempt(
        state.made,
        delays,
        Outcome.FAILED,
        times.parse(last["at"]),
        task.delivery,
        counted=state.counted,
        lost_access=last["code"] in LOST_ACCESS,
    )
    return WaitingTransfer(due or now, task, state.made)


def park(batch: Batch, sequence: str, waits: WaitingTransfer) -> None:
    """Store a task as the last row of its lane. The lane's head says when the lane is drained."""
    task = waits.task
    held = task.decision == "held"
    if held and task.held_since is None:
        task = replace(task, held_since=times.text(batch.runtime.now()))
    waiting = WaitingTask(task, times.text(waits.due_at)).row()
    # The head first: a row without a head would never be drained; a head without a row is removed when it is due.
    batch.runtime.data.make_head(task.lane, *_place(batch, waits))
    batch.runtime.data.park(task.lane, sequence, waiting, times.parse(task.expires_at), held)
    count("parked", state="held" if held else "listed" if waits.listed else "retry")


def _place(batch: Batch, waits: WaitingTransfer) -> tuple[datetime, str | None]:
    """Return when a lane is drained next, and the list that it waits in until then."""
    if not waits.listed:
        return waits.due_at, None
    task = waits.task
    # Not all lanes at once: a destination may have a hundred thousand.
    spread = timedelta(seconds=zlib.crc32(task.lane.encode()) % 3600)
    look_at = batch.runtime.now() + LOOK_AT_LISTED + spread
    return min(look_at, times.parse(task.expires_at)), list_of(task.tenant, task.destination)


# Draining a lane


def drain(batch: Batch, lane: str, due: str, *, suspect: bool = False) -> None:
    """Deliver a parked lane's tasks in order until the lane is empty, a task is not due, or the time is over.

    Args:
        due: when the lane was due, as pump has read it.
        suspect: one of its tasks may end the process.
    """
    runtime = batch.runtime
    for row in runtime.data.to_drain(lane):
        sequence = row.pop("sequence")
        waiting = WaitingTask.from_row(row)
        now = runtime.now()
        # A held task is decided again at each wake: its basis may have come before its time.
        if batch.late or (waiting.due > now and waiting.task.decision != "held"):
            runtime.data.move_head(lane, now if batch.late else waiting.due, due)
            return
        result = _waiting_or_given_up(batch, sequence, waiting, suspect)
        if isinstance(result, WaitingTransfer):
            held = result.task.decision == "held"
            task = result.task if held else replace(result.task, held_since=None)
            if not result.listed or result.due_at > now or WaitingTask(task, waiting.due_at) != waiting:
                runtime.data.update_waiting(lane, sequence, WaitingTask(task, times.text(result.due_at)).row(), held)
            look_at, listed = _place(batch, result)
            runtime.data.move_head(lane, look_at, due, listed)
            return
        runtime.data.remove_waiting(lane, sequence)
    runtime.data.remove_head(lane)


def _waiting_or_given_up(
    batch: Batch, sequence: str, waiting: WaitingTask, suspect: bool
) -> EndedTransfer | WaitingTransfer:
    """Deliver a waiting task. Give it up once it has failed, for a reason of its own, as often as a message may.

    Else it would block the tasks behind it.
    """
    task = waiting.task
    try:
        return _marked(batch, sequence, waiting) if suspect and not task.otr else _waiting(batch, waiting)
    except Exception as fault:
        if is_outage(fault):
            raise  # not the task's fault
        if task.otr:
            raise  # its content is stored nowhere, and its row expires soon
        tries = waiting.tries + 1
        if tries < FAULTS_MAX:
            row = replace(waiting, tries=tries).row()
            batch.runtime.data.update_waiting(task.lane, sequence, row, task.decision == "held")
            raise
        from .. import dead  # loads what only a dead letter needs

        error("deliver_failed", fault, tenant=task.tenant, event_id=task.event, transfer=task.transfer)
        dead.end_delivery(batch.runtime, task.body(), task.lane)
        return EndedTransfer()


def _marked(batch: Batch, sequence: str, waiting: WaitingTask) -> EndedTransfer | WaitingTransfer:
    """Deliver a waiting task between its marks, as ``alone`` handles a message. End it if it ends its process."""
    task, table = waiting.task, batch.runtime.data.table
    place = (task.tenant, "lane", f"{task.lane}#{sequence}")
    if message_counts.count_beginning(table, *place, batch.runtime.now()) > BEGINNINGS_MAX:
        from .. import dead  # loads what only a dead letter needs

        fault = Misconfigured("the task has ended its process each time it was delivered")
        error("ended_its_process", fault, tenant=task.tenant, event_id=task.event, transfer=task.transfer)
        dead.end_delivery(batch.runtime, task.body(), task.lane)
        return EndedTransfer()
    try:
        result = _waiting(batch, waiting)
    except Exception:
        message_counts.forget_beginnings(table, *place)
        raise
    message_counts.forget_beginnings(table, *place)
    return result


def _waiting(batch: Batch, waiting: WaitingTask) -> EndedTransfer | WaitingTransfer:
    """Deliver a waiting task from where the log says that it is."""
    attempts = len(delays_of(batch, waiting.task)) + 1
    state = look(batch, [waiting.task], attempts)[waiting.task.transfer]
    task, state = up_to_date(batch, waiting.task, state, attempts)
    if state.ended or task.decision == "refused":
        return EndedTransfer()
    if state.made:
        waits = _after(batch, task, state, batch.runtime.now())
        if waits.due_at > batch.runtime.now() and waiting.due < waits.due_at:
            return waits  # a crash came between the entry and the row
    held_since = None
    if task.decision == "held":
        held_since = times.parse(task.held_since or times.text(batch.runtime.now()))
    return deliver(batch, task, state, held_since, woken=True)

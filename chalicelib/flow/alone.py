"""Handle messages one at a time that have come back often, and end those that end their process.

A process that dies (memory, a crash of the interpreter, its time limit) says nothing about the message that it died of. So a
message that was received often is handled alone, between two writes: its beginning is counted, and the count is taken back
when it ends in any way. A message with more beginnings than ``BEGINNINGS_MAX`` becomes a dead letter.

An outage costs nothing: while DynamoDB does not answer, no beginning is counted, and an outage of another service ends the
call with an error, which takes the count back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..core.errors import Misconfigured, WaybillError
from ..observe import about_each, error
from ..runtime import Runtime
from ..store import message_counts
from ..store.queues import Queue
from .messages import GIVEN_UP, SUSPECT_RECEIVES, QueueMessage, back_off_s, forget_beginnings, gave_up_after, send_back

BEGINNINGS_MAX = 5
"""How often a message may begin without an end. With its first receipts this is less than an hour."""
STARTS_UNTIL_S = 15
"""No message is begun later than this in one invocation. A call that hangs takes up to 42 s, and the limit is 60 s."""
Waits = Mapping[str, float | None]
"""In how many seconds each failed message comes back, as ``messages.send_back`` takes it."""
Handle = Callable[[Runtime, list[QueueMessage]], Waits]
End = Callable[[Runtime, QueueMessage], None]


def handled(
    runtime: Runtime, name: str, queue: Queue, messages: list[QueueMessage], handle: Handle, end: End
) -> list[str]:
    """Handle a batch. Return the ids of messages that must come back.

    Args:
        name: the name under which dead letters of the queue are stored.
        handle: handles a batch in which any message may share the fate of the others.
        end: writes the end of a message and stores its dead letter.
    """
    groups = {message.group for message in messages if message.receives >= SUSPECT_RECEIVES}
    if not groups:
        return send_back(queue, messages, handle(runtime, messages))
    others = [message for message in messages if message.group not in groups]
    back = send_back(queue, others, handle(runtime, others)) if others else []
    until = runtime.monotonic() + STARTS_UNTIL_S
    stopped: set[str] = set()
    for message in about_each(message for message in messages if message.group in groups):
        if message.group in stopped:
            waits: Waits = {message.id: 0.0}  # its group stays blocked by the one before
        elif runtime.monotonic() >= until:
            waits = {message.id: back_off_s(message)}
        else:
            waits = _one(runtime, name, message, handle, end)
        back += send_back(queue, [message], waits)
        if waits.get(message.id, GIVEN_UP) not in (None, GIVEN_UP):
            stopped.add(message.group)
    return back


def _one(runtime: Runtime, name: str, message: QueueMessage, handle: Handle, end: End) -> Waits:
    """Handle one message between its marks."""
    tenant = message.tenant
    if tenant is None or not message.is_marked:
        return handle(runtime, [message])
    try:
        begun = message_counts.count_beginning(runtime.data.table, tenant, name, message.id, runtime.now())
    except WaybillError as fault:
        error("beginning_not_counted", fault)
        return {message.id: back_off_s(message)}
    if begun > BEGINNINGS_MAX:
        error("ended_its_process", Misconfigured("the message has ended its process each time it was handled"))
        return {message.id: gave_up_after(lambda: end(runtime, message), message)}
    waits = handle(runtime, [message])
    if not waits:  # else the fault has taken the count back
        forget_beginnings(runtime, name, message)
    return waits

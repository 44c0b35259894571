"""Dead letters: end each message that failed too often with an entry, then park it for a person.

The functions of the queues end messages that failed for a reason of their own. The consumers of the dead-letter queues
end those that the function could not end, such as a message that names no tenant. Nothing ends without an entry. A
consumer that cannot append leaves the message in its queue.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from ..core.decide.retention import expires_at
from ..core.delivery.retry import ATTEMPTS_MAX, Outcome
from ..core.delivery.task import DeliveryTask
from ..core.envelope import decrypt, unpack
from ..core.errors import Misconfigured, NotFound, Unavailable, WaybillError
from ..core.log import audit
from ..observe import about_each, count, error, warning
from ..runtime import Runtime
from ..store.queues import body
from .messages import QueueMessage, with_followers
from .seal_requests import notify_sealer
from .state import Batch, look, up_to_date


def handle_inbox(runtime: Runtime, messages: list[QueueMessage]) -> list[str]:
    """End events that could not be routed. Return the ids of messages that must stay."""
    return _each(runtime, messages, end_event)


def handle_outbox(runtime: Runtime, messages: list[QueueMessage]) -> list[str]:
    """End deliveries that could not be made. Return the ids of messages that must stay."""
    return _each(runtime, messages, end_delivery)


def _each(
    runtime: Runtime, messages: list[QueueMessage], end: Callable[[Runtime, Mapping[str, Any], str], None]
) -> list[str]:
    failed = []
    for message in about_each(messages):
        try:
            if message.body is None:
                raise Misconfigured("a dead letter is not one of ours")
            # Of any version: a letter is stored as it came, so that the release that reads it sends it again.
            end(runtime, message.body, message.group)
        except Exception as fault:  # noqa: BLE001  (each message has its own outcome)
            error("dead_letter_not_ended", fault)
            failed.append(message.id)
    try:
        notify_sealer(runtime)
    except Unavailable as fault:
        for _ in about_each(messages):
            error("notice_not_sent", fault)
        return [message.id for message in messages]
    return with_followers(messages, failed, {message.id for message in messages if message.received_often})


def off_the_record(runtime: Runtime, tenant: str, minute: int, event: str) -> bool:
    """Say whether an event was decided off the record when it was first received.

    Args:
        minute: that of the event's entries.

    Raises:
        Unavailable: the store did not answer.
    """
    first = audit.received_id(minute, event)
    entries = runtime.audit.of_event(tenant, minute, event, runtime.now())
    return any(entry["facts"].get("otr") for entry in entries if entry["id"] == first)


def _park(
    runtime: Runtime, queue: str, letter: Mapping[str, Any], group: str, thing: str, minute: int, expires_at: datetime
) -> None:
    tenant = str(letter["tenant"])
    values = {
        "message": body(letter),
        "group": group,
        "minute": minute,
        "parked_at": times.text(runtime.now()),
    }
    runtime.data.insert_dead(tenant, queue, thing, values, expires_at)
    count("dead_letters")
    warning("dead_letter", queue=queue, tenant=tenant, thing=thing)


def end_event(runtime: Runtime, letter: Mapping[str, Any], group: str) -> None:
    """Write the final entry of an event that could not be routed, then store its dead letter.

    Args:
        letter: the body of an inbox message.
        group: the message's group.
    """
    tenant, event = str(letter["tenant"]), str(letter["event"])
    received_at = times.parse(str(letter["received_at"]))
    try:
        snapshot = runtime.config.snapshot(tenant)
    except NotFound:
        return  # the tenant is closed: nothing of it is kept, and its log says so
    minute = times.minute(received_at)
    ends = received_at + timedelta(days=snapshot.configuration.tenant.retention.default_days)
    try:
        sealed = base64.b64decode(str(letter["sealed"]))
        document = unpack(decrypt(snapshot.keys.queue, sealed, f"{runtime.settings.region}/{event}"))
        if not document["occurred_at_is_receipt"]:
            minute = times.minute(times.parse(document["occurred_at"]))
        source = snapshot.configuration.sources.get(document["source"])
        ends = expires_at(snapshot.configuration.tenant, source, received_at) if source else ends
    except (WaybillError, ValueError) as fault:
        error("dead_letter_unreadable", fault)  # it is ended all the same, under the minute of its receipt
    if off_the_record(runtime, tenant, minute, event):
        return  # its platform had posted it off the record before: of this copy nothing is kept either
    entry = audit.act(
        "expired",
        tenant=tenant,
        minute=minute,
        at=runtime.now(),
        actor=("service", "dead_letter"),
        request="dead_letter",
        event=event,
        reason="dead_letter",
    )
    runtime.audit.append(entry)
    if "object" in letter:
        from . import large_contents  # loads what few letters need

        letter = large_contents.parked(runtime, letter, ends)
    _park(runtime, "inbox", letter, group, event, minute, ends)
    # Only now: an erasure removes the letter last, so one of the two sees the other's work.
    row = runtime.data.event(tenant, event, times.EARLIEST)
    if row is not None and row.sealed is None:
        runtime.data.remove_dead(tenant, "inbox", event)


def end_delivery(runtime: Runtime, letter: Mapping[str, Any], group: str) -> None:
    """Store the dead letter of a delivery, then write its final entry. A wake just ends.

    In this order: once the entry exists, no retry looks at the delivery again.

    Args:
        letter: the body of an outbox message.
        group: the message's group.
    """
    if "wake" in letter:
        return  # the lane's head is still due: pump wakes the lane again
    ends = times.parse(letter["expires_at"])
    _park(runtime, "outbox", letter, group, letter["transfer"], letter["minute"], ends)
    batch, task = Batch(runtime), DeliveryTask.from_body(letter)
    state = look(batch, [task], ATTEMPTS_MAX)[task.transfer]
    task, state = up_to_date(batch, task, state, ATTEMPTS_MAX)  # a later decision may have ended it
    open_ = not state.ended and task.decision != "refused" and batch.snapshot(task.tenant) is not None
    if open_ and task.decision == "held":  # not allowed to leave, hence not attempted
        entry = audit.act(
            "expired",
            tenant=task.tenant,
            minute=task.minute,
            at=runtime.now(),
            actor=("service", "dead_outbox"),
            request=task.decided,
            event=task.event,
            object=("transfer", task.transfer),
            reason="dead_letter",
        )
        runtime.audit.append(entry)
    elif open_:
        last = audit.attempted(
            tenant=task.tenant,
            at=runtime.now(),
            decided=task.decided,
            log=task.log,
            event=task.event,
            transfer=task.transfer,
            destination=task.destination,
            attempt=state.made + 1,
            outcome=Outcome.GAVE_UP.value,
            code="dead_letter",
            took_ms=0,
        )
        runtime.audit.append(last)

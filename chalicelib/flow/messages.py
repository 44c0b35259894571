"""Queue messages as the flow sees them, and the one rule for failing them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.delivery import lane_order
from ..core.errors import WaybillError, is_outage
from ..observe import about_each, error
from ..runtime import Runtime
from ..store import message_counts
from ..store.queues import Queue, Refused

READABLE = (1, 2)
"""The versions of messages that this release reads, one ahead of those that it writes: a later release writes 2 only with all
the fields of 1. So a rollback finds messages that it can read."""
FAULTS_MAX = 10
"""How often a message may fail for a reason of its own. Then its function ends it as a dead letter."""
RECEIVES_MAX = 200
"""How often a queue gives a message out before it moves it to its dead-letter queue. An outage of a day costs fewer
receipts. This limit alone bounds a message that names no tenant."""
SUSPECT_RECEIVES = 4
"""From this receipt on a message is handled alone, and its beginnings are counted: it may end its process (``flow.alone``)."""
FAULT_WAIT_MAX_S = 60.0
OUTAGE_WAIT_MAX_S = 600.0
"""The longest wait before a message is tried again while a service of ours does not answer."""
GIVEN_UP = -1.0
"""In place of a wait: no entry can end this message, so its queue moves it to its dead-letter queue soon."""
NO_CONVERSATION = "-"
"""Stands for the conversation of an event that has none."""


@dataclass(frozen=True)
class QueueMessage:
    """One message of a FIFO queue. ``body`` is None where it is not a JSON object.

    ``sequence`` sorts, as text, in the order in which the messages of a group were sent.
    """

    id: str
    body: Mapping[str, Any] | None
    group: str
    sequence: str
    receipt_handle: str
    sent_ms: int
    receives: int

    @property
    def tenant(self) -> str | None:
        """The tenant that the body names; None where it names none, so that no entry can end the message."""
        tenant = self.body.get("tenant") if self.body is not None else None
        return tenant if isinstance(tenant, str) else None

    @property
    def task(self) -> Mapping[str, Any] | None:
        """The body, if it names its tenant and is of a version that this release reads; else None."""
        body = self.body
        return body if body is not None and body.get("v") in READABLE and self.tenant is not None else None

    @property
    def received_often(self) -> bool:
        """Whether it was received as often as a message may fail."""
        return self.receives >= FAULTS_MAX

    @property
    def is_marked(self) -> bool:
        """Whether its beginnings are counted. Those of a wake are counted for the waiting task that it is about."""
        return self.receives >= SUSPECT_RECEIVES and self.tenant is not None and "wake" not in (self.body or {})

    def names(self) -> dict[str, object]:
        """Return the ids that each log line about this message carries."""
        body = self.body or {}
        found: dict[str, object] = {name: body.get(name) for name in ("tenant", "source", "transfer")}
        return {"message_id": self.id, "event_id": body.get("event"), "lane": body.get("wake"), **found}


def from_lambda(event: Mapping[str, Any]) -> list[QueueMessage]:
    """Read the records that Lambda's SQS mapping hands over."""
    messages = []
    for record in event["Records"]:
        attributes = record["attributes"]
        sent_ms = int(attributes["SentTimestamp"])
        messages.append(
            QueueMessage(
                id=record["messageId"],
                body=_object(record["body"]),
                group=attributes["MessageGroupId"],
                sequence=lane_order.place(attributes["SequenceNumber"], sent_ms),
                receipt_handle=record["receiptHandle"],
                sent_ms=sent_ms,
                receives=int(attributes["ApproximateReceiveCount"]),
            )
        )
    return messages


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def wait_after(
    runtime: Runtime, queue: str, message: QueueMessage, fault: BaseException, end: Callable[[], None]
) -> float | None:
    """Return in how many seconds a failed message comes back; None if it has ended as a dead letter.

    An outage of our own services never ends a message. Faults of the message are counted in ``data``: the receipts of a
    queue count outages, too.

    Args:
        queue: the name under which dead letters of this queue are stored.
        end: writes the end of the message and stores its dead letter.
    """
    forget_beginnings(runtime, queue, message)
    if is_outage(fault):
        return back_off_s(message)
    wait_s = back_off_s(message, FAULT_WAIT_MAX_S)
    tenant = message.tenant
    if tenant is None:
        return GIVEN_UP if message.received_often else wait_s
    try:
        if message_counts.count_fault(runtime.data.table, tenant, queue, message.id, runtime.now()) < FAULTS_MAX:
            return wait_s
    except Exception as second:  # noqa: BLE001  (the message stays, and its queue keeps it)
        return _not_ended(second, message)
    return gave_up_after(end, message)


def gave_up_after(end: Callable[[], None], message: QueueMessage) -> float | None:
    """End a message as a dead letter. Return in how many seconds it comes back if that failed; None if it has ended."""
    try:
        end()
    except Exception as second:  # noqa: BLE001  (the message stays, and its queue keeps it)
        return _not_ended(second, message)
    return None


def _not_ended(fault: Exception, message: QueueMessage) -> float:
    error("dead_letter_not_ended", fault)
    return back_off_s(message) if is_outage(fault) else GIVEN_UP


def back_off_s(message: QueueMessage, most_s: float = OUTAGE_WAIT_MAX_S) -> float:
    """Return in how many seconds a message comes back: longer after each receipt."""
    return min(most_s, 2.0 ** min(message.receives, 20))


def forget_beginnings(runtime: Runtime, queue: str, message: QueueMessage) -> None:
    """Take the count of a message's beginnings back, because its process lives. A count that stays is forgotten next time."""
    if message.is_marked and message.tenant is not None:
        try:
            message_counts.forget_beginnings(runtime.data.table, message.tenant, queue, message.id)
        except WaybillError as fault:
            error("beginning_not_forgotten", fault)


def with_followers(messages: Iterable[QueueMessage], failed: Iterable[str], alone: Collection[str] = ()) -> list[str]:
    """Return the ids that go back to the queue: each failed message and every later one of its group, in order.

    Args:
        alone: failed messages behind which their group goes on.
    """
    failed = set(failed)
    stopped: set[str] = set()
    back = []
    for message in messages:
        if message.id in failed or message.group in stopped:
            back.append(message.id)
            if message.id not in alone:
                stopped.add(message.group)
    return back


def send_back(queue: Queue, messages: list[QueueMessage], waits: Mapping[str, float | None]) -> list[str]:
    """Give failed messages and their followers back, to return together; return their ids.

    A group is blocked while any of its messages is in flight, so that the followers come back when the failed one does.

    Args:
        waits: of each failed message, the seconds until it comes back, or ``GIVEN_UP``; None if it has ended, so that only
            its followers come back.
    """
    alone = {name for name, wait_s in waits.items() if wait_s == GIVEN_UP}
    ended = {name for name, wait_s in waits.items() if wait_s is None}
    back = [name for name in with_followers(messages, waits, alone) if name not in ended]
    groups: dict[str, float] = {}
    for message in about_each(message for message in messages if message.id in back):
        wait_s = 0.0 if message.id in alone else groups.setdefault(message.group, waits.get(message.id) or 0.0)
        try:
            queue.retry_in(message.receipt_handle, max(0, round(wait_s)))
        except (WaybillError, Refused) as fault:
            error("not_given_back", fault)  # it returns by itself when its visibility ends
    return back


def answer(back: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return the partial batch response."""
    return {"batchItemFailures": [{"itemIdentifier": i} for i in back]}

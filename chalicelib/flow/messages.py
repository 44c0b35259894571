"""Queue messages as the flow sees them, and the one rule for failing them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import WaybillError
from ..observe import about, error
from ..store.queues import Queue, Refused

READABLE = (1, 2)
"""The versions of messages that this release reads, one ahead of those that it writes: a later release writes 2 only with all
the fields of 1. So a rollback finds messages that it can read."""
BACK_OFF_MAX_S = 60.0
RECEIVES_MAX = 10
"""How often a message is tried: then its queue gives it up, and what follows in its group, if its function could say that
it failed, goes on."""
NO_CONVERSATION = "-"
"""Stands for the conversation of an event that has none."""


@dataclass(frozen=True)
class QueueMessage:
    """One message of a FIFO queue. ``body`` is None where it is not a JSON object."""

    id: str
    body: Mapping[str, Any] | None
    group: str
    sequence: str
    receipt_handle: str
    sent_ms: int
    receives: int

    @property
    def is_readable(self) -> bool:
        """Whether the body is an object of a version that this release reads."""
        return self.body is not None and self.body.get("v") in READABLE

    @property
    def is_last_try(self) -> bool:
        """Whether the queue gives it up if it fails now."""
        return self.receives >= RECEIVES_MAX

    @property
    def names(self) -> dict[str, object]:
        """The ids that each log line about this message carries."""
        body = self.body or {}
        found: dict[str, object] = {name: body.get(name) for name in ("tenant", "source", "transfer")}
        return {"message_id": self.id, "event_id": body.get("event"), "lane": body.get("wake"), **found}


def in_turn(messages: Iterable[QueueMessage]) -> Iterator[QueueMessage]:
    """Yield each message. The lines that are logged until the next one carry its ids."""
    for message in messages:
        with about(**message.names):
            yield message


def from_lambda(event: Mapping[str, Any]) -> list[QueueMessage]:
    """Read the records that Lambda's SQS mapping hands over."""
    messages = []
    for record in event["Records"]:
        attributes = record["attributes"]
        messages.append(
            QueueMessage(
                id=record["messageId"],
                body=_object(record["body"]),
                group=attributes["MessageGroupId"],
                sequence=attributes["SequenceNumber"],
                receipt_handle=record["receiptHandle"],
                sent_ms=int(attributes["SentTimestamp"]),
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


def with_followers(messages: Iterable[QueueMessage], failed: Iterable[str]) -> list[str]:
    """Return the ids that go back to the queue: each failed message and every later one of its group, in order.

    One that was tried for the last time goes alone: its queue gives it up, and those behind it, which came as often, too.
    Of these the caller MUST name those that he has not worked on.
    """
    failed = set(failed)
    stopped: set[str] = set()
    back = []
    for message in messages:
        if message.id in failed or message.group in stopped:
            back.append(message.id)
            if not message.is_last_try:
                stopped.add(message.group)
    return back


def send_back(queue: Queue, messages: list[QueueMessage], failed: Mapping[str, float | None]) -> list[str]:
    """Give failed messages and their followers back, to return together soon; return their ids.

    A group is blocked while any of its messages is in flight, so that the followers come back when the failed one does.

    Args:
        failed: seconds until a message wants to come back; None for a fault, which waits longer each time.
    """
    back = with_followers(messages, failed)
    waits: dict[str, float] = {}
    for message in in_turn(messages):
        if message.id not in back:
            continue
        wait_s = failed.get(message.id)
        if wait_s is None and message.is_last_try:
            wait_s = 0.0  # given up as soon as somebody asks for it
        else:
            if wait_s is None:
                wait_s = min(BACK_OFF_MAX_S, 2.0**message.receives)
            wait_s = waits.setdefault(message.group, wait_s)
        try:
            queue.retry_in(message.receipt_handle, max(0, round(wait_s)))
        except (WaybillError, Refused) as fault:
            error("not_given_back", fault)  # it returns by itself when its visibility ends
    return back


def answer(back: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return the partial batch response."""
    return {"batchItemFailures": [{"itemIdentifier": i} for i in back]}

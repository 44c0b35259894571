"""FIFO and standard queues as SQS documents them: group order, one batch of a group in flight, deduplication, redrive.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
(read 2026-11-22).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

VISIBILITY_S = 360.0
RECEIVES_MAX = 200
"""As the template has it."""
DEDUPLICATION_S = 300.0
NUMBERS_FROM = 18_849_496_460_467_696_128
"""A sequence number in SQS's documentation: all of its numbers have 20 digits."""


@dataclass
class QueuedMessage:
    """A message in a queue. ``handle`` is that of its last receipt: earlier handles have expired.

    ``copies`` counts how often the queue delivered the message again after it was deleted.
    """

    body: str
    group: str
    deduplication: str
    id: str
    number: int
    sent_s: float
    visible_s: float
    receives: int = 0
    handle: str = ""
    copies: int = 0

    def record(self, start_ms: int) -> dict[str, Any]:
        """Return the message as ``receive_message`` gives it."""
        return {
            "MessageId": self.id,
            "ReceiptHandle": self.handle,
            "Body": self.body,
            "MD5OfBody": "",
            "Attributes": {
                "MessageGroupId": self.group,
                "MessageDeduplicationId": self.deduplication,
                "SequenceNumber": str(NUMBERS_FROM + self.number),
                "SentTimestamp": str(start_ms + int(self.sent_s * 1000)),
                "ApproximateReceiveCount": str(self.receives),
            },
        }


class Fifo:
    """A FIFO queue.

    ``on_ready`` is called with the time at which a message may be received, ``on_sent`` with each message that is added.
    ``sent`` counts the messages that were added.
    """

    def __init__(self, name: str, dead: Fifo | None = None) -> None:
        self.name = name
        self.dead = dead
        self.on_ready: Callable[[float], None] = lambda _at_s: None
        self.on_sent: Callable[[Fifo, QueuedMessage], None] = lambda _queue, _message: None
        self.sent = 0
        self._groups: dict[str, deque[QueuedMessage]] = {}
        self._seen: dict[str, float] = {}
        self._receipts = 0

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[QueuedMessage]:
        for group in self._groups.values():
            yield from group

    def send(self, body: str, group: str, deduplication: str, now_s: float) -> str:
        """Accept a message and return its id; drop it if its deduplication id was used within five minutes."""
        last = self._seen.get(deduplication)
        if last is not None and now_s - last <= DEDUPLICATION_S:
            return f"{self.name}-dropped"
        self._seen[deduplication] = now_s
        return self.add(body, group, deduplication, now_s)

    def add(self, body: str, group: str, deduplication: str, now_s: float) -> str:
        """Add a message and return its id, regardless of earlier messages: redrive knows no deduplication."""
        self.sent += 1
        message = QueuedMessage(body, group, deduplication, f"{self.name}-{self.sent}", self.sent, now_s, now_s)
        self._groups.setdefault(group, deque()).append(message)
        self.on_sent(self, message)
        self.on_ready(now_s)
        return message.id

    def copy(self, message: QueuedMessage, now_s: float) -> None:
        """Deliver a message again, as at-least-once delivery allows."""
        again = replace(message, id=f"{message.id}x", visible_s=now_s, handle="", copies=message.copies + 1)
        self._groups.setdefault(message.group, deque()).appendleft(again)
        self.on_ready(now_s)

    def receive(self, limit: int, now_s: float, visibility_s: float = VISIBILITY_S) -> list[QueuedMessage]:
        """Receive up to ``limit`` messages, in order within each group; a group with one in flight gives none."""
        batch: list[QueuedMessage] = []
        for name in list(self._groups):
            group = self._groups[name]
            if any(message.visible_s > now_s for message in group):
                continue
            for message in list(group):
                if len(batch) == limit:
                    break
                message.receives += 1
                if message.receives > RECEIVES_MAX and self.dead is not None:
                    group.remove(message)
                    self.dead.add(message.body, message.group, message.deduplication, now_s)
                    continue
                self._receipts += 1
                message.handle = f"{message.id}-r{self._receipts}"
                message.visible_s = now_s + visibility_s
                batch.append(message)
            if not group:
                del self._groups[name]
            if len(batch) == limit:
                break
        if batch:
            self._groups.update(
                {g: self._groups.pop(g) for g in {m.group: 0 for m in batch}}
            )  # the other groups come first next time
            self.on_ready(now_s + visibility_s)
        return batch

    def _find(self, handle: str, now_s: float) -> QueuedMessage | None:
        for group in self._groups.values():
            for message in group:
                if message.handle == handle and message.visible_s > now_s:
                    return message
        return None

    def delete(self, handle: str, now_s: float) -> QueuedMessage | None:
        """Delete a message by its last receipt; an expired one deletes nothing."""
        message = self._find(handle, now_s)
        if message is not None:
            group = self._groups[message.group]
            group.remove(message)
            if not group:
                del self._groups[message.group]
            self.on_ready(now_s)
        return message

    def change_visibility(self, handle: str, seconds: float, now_s: float) -> bool:
        """Change when a message becomes visible again; return False if the receipt has expired."""
        message = self._find(handle, now_s)
        if message is None:
            return False
        message.visible_s = now_s + seconds
        self.on_ready(message.visible_s)
        return True


class Standard:
    """A standard queue: at least once, in no order. ``on_sent`` and ``sent`` are as in ``Fifo``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._messages: dict[str, QueuedMessage] = {}
        self.on_sent: Callable[[QueuedMessage], None] = lambda _message: None
        self.sent = 0
        self._receipts = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[QueuedMessage]:
        yield from self._messages.values()

    def send(self, body: str, now_s: float) -> QueuedMessage:
        """Accept a message."""
        self.sent += 1
        message = QueuedMessage(body, "", "", f"{self.name}-{self.sent}", self.sent, now_s, now_s)
        self._messages[message.id] = message
        self.on_sent(message)
        return message

    def receive(self, limit: int, now_s: float, visibility_s: float = VISIBILITY_S) -> list[QueuedMessage]:
        """Receive up to ``limit`` messages."""
        batch = [m for m in self._messages.values() if m.visible_s <= now_s][:limit]
        for message in batch:
            self._receipts += 1
            message.receives += 1
            message.handle = f"{message.id}/{self._receipts}"
            message.visible_s = now_s + visibility_s
        return batch

    def delete(self, handle: str, now_s: float) -> QueuedMessage | None:
        """Delete a message by any of its receipts; return it, or None if it is gone."""
        return self._messages.pop(handle.partition("/")[0], None)

    def change_visibility(self, handle: str, seconds: float, now_s: float) -> bool:
        """Change when a message becomes visible again; return False if it is gone or was received since."""
        message = self._messages.get(handle.partition("/")[0])
        if message is None or message.handle != handle:
            return False
        message.visible_s = now_s + seconds
        return True

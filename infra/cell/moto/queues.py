"""moto's FIFO queues with a faster search: moto looks at each message some dozen times for every send or receive.

With a thousand messages waiting, a receipt takes moto most of a second. Here one pass finds the receivable messages, and
the numbers of messages, which SQS calls approximate, are not counted for every call. Several messages of a group that
were given back together come again in their order; moto gives out the last one first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from moto.core.utils import unix_time_millis
from moto.sqs import models


class Queue(models.Queue):
    """A queue of moto. One that is not FIFO is as moto has it."""

    @property
    def messages(self) -> list[models.Message]:
        """The messages that may be received now: visible, and of a group without a message in flight."""
        if not self.fifo_queue:
            return super().messages
        now_ms = unix_time_millis()
        busy = self._busy(now_ms)
        return [m for m in self._messages if m.visible_at < now_ms and m.group_id not in busy]

    @property
    def pending_message_groups(self) -> set[str]:
        """The groups with a message in flight."""
        return self._busy(unix_time_millis()) if self.fifo_queue else super().pending_message_groups

    def _busy(self, now_ms: float) -> set[str]:
        # moto frees returned messages one by one while it gives them out, and so skips all but the last of a group.
        self._pending_messages -= {m for m in self._pending_messages if m.visible_at < now_ms}
        return {m.group_id for m in self._pending_messages if m.group_id is not None}

    @property
    def approximate_number_of_messages(self) -> int:
        """How many are not in flight."""
        if not self.fifo_queue:
            return super().approximate_number_of_messages
        return len(self._messages) - self.approximate_number_of_messages_not_visible

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        """The number of messages in flight, including those that returned since the last look."""
        if not self.fifo_queue:
            return super().approximate_number_of_messages_not_visible
        return len(self._pending_messages)

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        """None: messages of a FIFO queue have no delay of their own, and a cell's queues have none."""
        return 0 if self.fifo_queue else super().approximate_number_of_messages_delayed


@contextlib.contextmanager
def searched() -> Iterator[None]:
    """Make moto create queues of this kind until the block ends."""
    before = models.Queue
    models.Queue = Queue  # type: ignore[misc]
    try:
        yield
    finally:
        models.Queue = before  # type: ignore[misc]

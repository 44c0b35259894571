"""The heartbeat of messages in hand: each is invisible for some seconds only, which a thread extends while work on it runs.

So the conversations of a killed process continue elsewhere within half a minute. Lambda takes its messages back itself; there
the queues' own visibility timeout stays.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chalicelib.observe import error

VISIBILITY_S: Final = 24
BEAT_S: Final = 5.0
"""Several beats may fail before another process takes the messages."""
HOLD_MAX_S: Final = 360.0
"""How long work may hold its messages, as on Lambda: after that it counts as dead."""


@dataclass(frozen=True)
class _Holding:
    url: str
    receipts: Sequence[str]
    since_s: float


class Heartbeat:
    """Extend the visibility of the messages that this process has in hand."""

    def __init__(self, sqs: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sqs = sqs
        self._monotonic = monotonic
        self._holdings: dict[int, _Holding] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def holding(self, url: str, receipts: Sequence[str]) -> Iterator[None]:
        """Hold at most ten received messages of a queue while the block runs."""
        held = _Holding(url, receipts, self._monotonic())
        with self._lock:
            self._holdings[id(held)] = held
        try:
            yield
        finally:
            with self._lock:
                del self._holdings[id(held)]

    def beat(self) -> None:
        """Extend all once. A message that was given back or deleted meanwhile is refused, which is no fault."""
        with self._lock:
            holdings = list(self._holdings.values())
        for held in holdings:
            if self._monotonic() - held.since_s > HOLD_MAX_S:
                continue
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": VISIBILITY_S}
                for number, receipt in enumerate(held.receipts)
            ]
            try:
                self._sqs.change_message_visibility_batch(QueueUrl=held.url, Entries=entries)
            except Exception as fault:  # noqa: BLE001  (one queue's fault is not another's; the next beat is the retry)
                error("heartbeat_failed", fault)

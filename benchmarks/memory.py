"""``python -m benchmarks.memory``: the most memory that hooks, route and deliver take together, in MB.

One process loads what a function loads, makes the clients of AWS, and takes the largest batch: ten events, each as large as an event
may be, from their webhooks to their destination. Each of the three functions takes less, since the other two and the
stand-ins for AWS share the process.
"""

from __future__ import annotations

import contextlib
import io
import re
import resource
import secrets
import sys
from pathlib import Path
from typing import Any

import app
from chalicelib.store.region import Clients
from simulation import memory

from . import warm

TEXT_BYTES = 190_000
"""With the rest of the event a little less than ``packing.EVENT_LIMIT_BYTES``, the most that an event may have."""
BATCHES = 3
SERVICES = ("dynamodb", "sqs", "kms", "s3")


class Text(str):
    """A text that is not repeated, so that it stays as large when it is compressed."""

    def __mul__(self, number: Any) -> Text:
        """Return the text once."""
        return self


class Large(warm.Warm):
    """A cell that gets the largest messages."""

    def webhook(self, chat: int) -> dict[str, Any]:
        """Make a webhook with a text that cannot be compressed much."""
        text, warm.TEXT = warm.TEXT, Text(secrets.token_urlsafe(TEXT_BYTES * 3 // 4))
        try:
            return super().webhook(chat)
        finally:
            warm.TEXT = text


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB.

    Raises:
        RuntimeError: a message was smaller than it should be: then the figure would mean nothing.
    """
    assert app.app is not None
    real = Clients(warm.REGION)
    clients = [real.get(name) for name in SERVICES]
    cell = Large(memory.Memory(warm.REGION).client)
    with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
        for _ in range(BATCHES):
            cell.batch()
    largest = max(len(str(call.arguments.get("MessageBody", ""))) for call in cell.meter.calls) if clients else 0
    if largest < 190_000:
        raise RuntimeError(f"the largest message has {largest} bytes only")
    if sys.platform == "linux":  # ``ru_maxrss`` also counts the process that this one was forked from
        (peak_kb,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
        return int(peak_kb) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)


if __name__ == "__main__":
    print(round(peak_mb()))

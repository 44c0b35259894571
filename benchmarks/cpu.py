"""Our own CPU an event, receive to delivery: botocore replaced by dicts that answer at once, the network by a 204.

The clients' own time is subtracted. The figure is that of the best batch of ten: the others measure the machine. The floor
is the work that no version can avoid: JSON, HMAC and AES over the same bytes, once a stage.
"""

from __future__ import annotations

import contextlib
import hmac
import io
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from simulation import memory

from . import matching, warm
from .results import Result

BUDGET_MS = 1.0
KEY = bytes(32)
NONCE = bytes(12)


def floor_us() -> float:
    """Measure JSON, HMAC and AES over a webhook's bytes, once for each of the three stages."""
    cell = warm.Warm(memory.Memory(warm.REGION).client)
    document = json.loads(warm.body_of(cell.webhook(1)))
    cipher = AESGCM(KEY)

    def stage() -> None:
        plain = json.dumps(document).encode()
        hmac.digest(KEY, plain, "sha256")
        json.loads(cipher.decrypt(NONCE, cipher.encrypt(NONCE, plain, None), None))

    return len(warm.STAGES) * matching.best_us(stage, repeat=10, number=200)


def measure(batches: int) -> dict[str, float]:
    """Return the microseconds of CPU an event that each stage took in its best batch."""
    cell = warm.Warm(memory.Memory(warm.REGION).client)
    best: dict[str, float] = {}

    def timed(stage: str, act: Callable[[], Any]) -> None:
        clients_s, began = cell.meter.cpu_s, time.process_time()
        act()
        took = time.process_time() - began - (cell.meter.cpu_s - clients_s)
        best[stage] = min(best.get(stage, took), took)

    with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
        for _ in range(3):
            cell.batch()
        for _ in range(batches):
            cell.batch(timed)
    return {stage: seconds / warm.BATCH * 1e6 for stage, seconds in best.items()}


def run(quick: bool = False) -> list[Result]:
    """Measure."""
    found, floor = measure(10 if quick else 150), floor_us()
    total = Result(
        "own CPU: receive, route and deliver", sum(found.values()) / 1000, "ms/event", BUDGET_MS, floor / 1000
    )
    each = floor / len(warm.STAGES)
    return [
        total,
        *(Result(f"own CPU: {stage}", us / 1000, "ms/event", None, each / 1000) for stage, us in found.items()),
    ]

"""Pump: find the lanes whose time has come and wake each through the outbox, into the lane's own group.

A wake carries no data but the lane's name; only deliver, inside the group, touches the lane's rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

from ..core import times
from ..observe import count
from ..shell import Shell
from ..store.queues import ENTRIES_A_CALL, Outgoing, body

LANES_A_SHARD = 2000
UNTIL_S = 45
"""A run ends before the next one begins."""


def handle(shell: Shell) -> int:
    """Wake every due lane. Return how many were woken."""
    started = shell.monotonic()
    now = shell.now()
    wakes = _wakes(shell, times.text(now)[:16])
    woken = 0
    while shell.monotonic() - started < UNTIL_S:
        batch = list(islice(wakes, ENTRIES_A_CALL))
        if not batch:
            break
        shell.outbox.send(batch)
        woken += len(batch)
    if woken:
        count("wakes", woken)
    return woken


def _wakes(shell: Shell, minute: str) -> Iterator[Outgoing]:
    for lane, due in shell.data.due_lanes(shell.now(), LANES_A_SHARD):
        tenant = lane.partition("#")[0]
        # Never an id that was used within five minutes: SQS takes such a message and drops it.
        once = hashlib.sha256(f"wake\n{lane}\n{due}\n{minute}".encode()).hexdigest()
        yield Outgoing(body({"v": 1, "wake": lane, "due": due, "tenant": tenant}), lane, once)

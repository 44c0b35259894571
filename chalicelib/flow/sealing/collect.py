"""Collect: read the seal requests each minute, and give each log that is due to a sealer.

1 receive requests → 2 gather them by log → 3 send a task for each log that is due → 4 make one request of those of a log that
is not → 5 remove what 3 and 4 replaced. A death between 3 and 5 repeats requests: a partition that has nothing new costs a read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from ...core.errors import NotFound
from ...observe import count, error, measure
from ...runtime import Runtime
from ...store.queues import ENTRIES_A_CALL, OutgoingMessage
from ...store.seal_requests import PARTITIONS_A_REQUEST, ReceivedSealRequest, SealRequest, SealTask
from .reconcile import interval
from .seal import LAG

ENTRIES = 256
"""So many waiting entries are sealed at once, however young."""
UNTIL_S = 20
"""Of a run of 60 s: so long requests are received."""
HIDDEN_S = 120
REQUESTS = 60_000
"""At most so many requests in a run, which bounds its memory."""
AT_ONCE = 32
EMPTY = 3
"""SQS short polling samples servers; only this many empty rounds in a row mean that the queue is empty."""

Log = tuple[str, str]


def handle(runtime: Runtime) -> int:
    """Give every log that is due to a sealer. Return how many they were."""
    waiting: dict[Log, list[ReceivedSealRequest]] = {}
    for one in _received(runtime):  # 1
        waiting.setdefault((one.notice.tenant, one.notice.log), []).append(one)  # 2
    now = runtime.now()
    if waiting:
        first = min(one.since for requests in waiting.values() for one in requests)
        measure("seal_lag_s", (now - first).total_seconds())
    replaced = [one.receipt for one in waiting.pop(("", ""), ())]  # no requests
    back: list[str] = []
    tasks: list[OutgoingMessage] = []
    merged: list[SealRequest] = []
    dues = runtime.threads.map(AT_ONCE, lambda log: _due(runtime, log, waiting[log], now), list(waiting))
    due = {log for log, is_due in zip(waiting, list(dues), strict=True) if is_due}
    for log, requests in waiting.items():
        taken = _ready(requests, now) if log in due else []
        left = [one for one in requests if one not in taken] if taken else requests
        tasks += _tasks(runtime, log, taken)
        replaced += [one.receipt for one in taken]
        if len(left) > 1:
            merged.append(_merged(log, left))
            replaced += [one.receipt for one in left]
        else:
            back += [one.receipt for one in left]
    runtime.sealing.send(tasks)  # 3
    runtime.seal_requests.send(merged)  # 4
    _each(runtime, runtime.seal_requests.remove, replaced)  # 5
    _each(runtime, runtime.seal_requests.give_back, back)
    if due:
        count("logs_due", len(due))
    return len(due)


def _received(runtime: Runtime) -> list[ReceivedSealRequest]:
    """Receive requests, more at once while there are many."""
    until = runtime.monotonic() + UNTIL_S
    received: list[ReceivedSealRequest] = []
    empty, at_once = 0, 1
    while empty < EMPTY and len(received) < REQUESTS and runtime.monotonic() < until:
        rounds = runtime.threads.map(AT_ONCE, lambda _: runtime.seal_requests.receive(HIDDEN_S), range(at_once))
        found = [one for some in rounds for one in some]
        full = len(found) == at_once * ENTRIES_A_CALL
        at_once = min(AT_ONCE, at_once * 2) if full else 1
        empty = 0 if found else empty + 1
        received += found
    return received


def _ready(requests: Sequence[ReceivedSealRequest], now: datetime) -> list[ReceivedSealRequest]:
    """Return the requests that cover everything they stand for: their senders' windows are over."""
    return [one for one in requests if one.notice.until is None or one.notice.until + LAG <= now]


def _due(runtime: Runtime, log: Log, requests: Sequence[ReceivedSealRequest], now: datetime) -> bool:
    """Say whether a log's waiting entries are many enough, or have waited long enough."""
    ready = _ready(requests, now)
    if sum(one.notice.count for one in ready) >= ENTRIES:
        return True
    if not ready:
        return False
    try:
        minutes = runtime.config.tenant(log[0]).record.seal_minutes
    except NotFound:
        minutes = None  # erased; its log is sealed all the same
    except Exception as fault:  # noqa: BLE001  (one log's fault is not another's; its requests wait)
        error("seal_failed", fault, tenant=log[0], log=log[1])
        count("seals_failed")
        return False
    return min(one.since for one in ready) + interval(runtime, minutes) <= now


def _tasks(runtime: Runtime, log: Log, requests: Sequence[ReceivedSealRequest]) -> Iterator[OutgoingMessage]:
    names = _partitions(requests)
    for start in range(0, len(names), PARTITIONS_A_REQUEST):
        some = names[start : start + PARTITIONS_A_REQUEST]
        yield SealTask(*log, some, min(one.since for one in requests)).message(runtime.random(16).hex())


def _merged(log: Log, requests: Sequence[ReceivedSealRequest]) -> SealRequest:
    """Make one request of several: it waits for the last of their windows, and is as old as the oldest."""
    untils = [one.notice.until for one in requests if one.notice.until is not None]
    since = min(one.since for one in requests)
    entries = sum(one.notice.count for one in requests)
    return SealRequest(*log, _partitions(requests), entries, max(untils, default=None), since)


def _partitions(requests: Iterable[ReceivedSealRequest]) -> tuple[str, ...]:
    return tuple(sorted({name for one in requests for name in one.notice.buckets}))


def _each(runtime: Runtime, act: Callable[[Sequence[str]], None], receipts: Sequence[str]) -> None:
    calls = [receipts[start : start + ENTRIES_A_CALL] for start in range(0, len(receipts), ENTRIES_A_CALL)]
    for _ in runtime.threads.map(AT_ONCE, act, calls):
        pass

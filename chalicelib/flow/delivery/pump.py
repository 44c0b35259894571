"""Pump: find the lanes whose time has come and wake each through the outbox, into the lane's own group.

A wake carries no data but the lane's name; only deliver, inside the group, touches the lane's rows. Lanes that wait for
their destination have no time of their own that matters: their destination's has come when it may be probed, is back, or
has free turns, and they are woken a few each second, those that have waited longest first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile

from ...core import times
from ...core.delivery import breaker
from ...core.delivery.breaker import BreakerState
from ...core.errors import Unavailable
from ...observe import count, error
from ...runtime import Runtime
from ...store.queues import ENTRIES_A_CALL, OutgoingMessage, body

LANES_A_SHARD = 2000
UNTIL_S = 45
"""A run ends before the next one begins."""
HEALTH = "health#"


@dataclass
class DueDestination:
    """A destination that is due: its listed lanes, and how many of them are woken a second. ``again`` says that a woken lane
    may list itself again, because it found no turn."""

    tenant: str
    destination: str
    lanes: Iterator[tuple[str, str]]
    per_s: int
    goes_on: bool
    again: bool
    found: bool = False


def handle(runtime: Runtime) -> int:
    """Wake every due lane, then the listed lanes for the rest of the minute. Return how many were woken."""
    started = runtime.monotonic()
    now = runtime.now()
    destinations: list[str] = []
    wakes = _due(runtime, now, destinations)
    woken = 0
    while runtime.monotonic() - started < UNTIL_S:
        batch = list(islice(wakes, ENTRIES_A_CALL))
        if not batch:
            break
        runtime.outbox.send(batch)
        woken += len(batch)
    woken += _listed(runtime, now, started, destinations)
    if woken:
        count("wakes", woken)
    return woken


def _due(runtime: Runtime, now: datetime, destinations: list[str]) -> Iterator[OutgoingMessage]:
    """Yield wakes of due lanes; note the destinations that are found among them."""
    for name, due in runtime.data.due_lanes(now, LANES_A_SHARD):
        if name.startswith(HEALTH):
            destinations.append(name)
        else:
            yield _wake(name, due, now)


def _wake(lane: str, due: str, now: datetime) -> OutgoingMessage:
    tenant = lane.partition("#")[0]
    # Never an id that was used within five minutes: SQS takes such a message and drops it.
    once = hashlib.sha256(f"wake\n{lane}\n{due}\n{times.text(now)[:16]}".encode()).hexdigest()
    return OutgoingMessage(body({"v": 1, "wake": lane, "due": due, "tenant": tenant}), lane, once)


def _listed(runtime: Runtime, now: datetime, started: float, destinations: list[str]) -> int:
    """Wake listed lanes, second by second, as long as there are any and this run may last. Return how many were woken."""

    def in_time(_: object) -> bool:
        # Asked before each: there may be thousands, and the rest is due in the next run.
        return runtime.monotonic() - started < UNTIL_S

    found = (_open(runtime, name, now) for name in takewhile(in_time, destinations))
    running = [one for one in found if one is not None]
    woken = 0
    for _ in range(UNTIL_S):
        woken += sum(_a_second(runtime, one, now) for one in takewhile(in_time, running))
        running = [more for one in running if (more := _rest(runtime, one)) is not None]
        if not running or not in_time(None):
            break
        runtime.sleep(1)
    return woken


def _rest(runtime: Runtime, one: DueDestination) -> DueDestination | None:
    """Return the destination while lanes of it may be listed."""
    if one.goes_on or not (one.found and one.again):
        return one if one.goes_on else None
    return _open(runtime, f"{HEALTH}{one.tenant}#{one.destination}", runtime.now())


def _open(runtime: Runtime, name: str, now: datetime) -> DueDestination | None:
    _, tenant, destination = name.split("#")
    try:
        per_s, goes_on = breaker.wakes(runtime.destination_state.get(tenant, destination).state, now)
    except Unavailable as fault:  # one destination's is not another's; the next run looks again
        error("destination_not_looked_at", fault, tenant=tenant, destination=destination)
        return None
    if not per_s:
        return None  # moved since the index showed it
    lanes = runtime.data.listed(tenant, destination, None if goes_on else 1)
    return DueDestination(tenant, destination, lanes, per_s, goes_on, goes_on and per_s < breaker.WAKES_PER_S)


def _a_second(runtime: Runtime, one: DueDestination, now: datetime) -> int:
    """Wake a destination's lanes for a second. After a failure the next run does the rest."""
    try:
        return _woken(runtime, one, now)
    except Unavailable as fault:
        error("lanes_not_woken", fault, tenant=one.tenant, destination=one.destination)
        one.goes_on = False
        return 0


def _woken(runtime: Runtime, one: DueDestination, now: datetime) -> int:
    lanes = list(islice(one.lanes, one.per_s))
    runtime.outbox.send(_wake(lane, due, now) for lane, due in lanes)
    first, one.found = not one.found, one.found or bool(lanes)
    one.goes_on = one.goes_on and len(lanes) == one.per_s
    if first:
        seen = runtime.destination_state.get(one.tenant, one.destination)
        runtime.destination_state.change(one.tenant, one.destination, seen, now, lambda s: _looked(s, one.found, now))
    return len(lanes)


def _looked(state: BreakerState, found: bool, now: datetime) -> BreakerState:
    # A state that has changed since, such as the time of the next probe, stays.
    return breaker.checked(state, found, now) if breaker.wakes(state, now)[0] else state

"""How destinations have done lately, and their turns: rows of the ``data`` table, only of destinations that need one.

| row | ``pk`` | ``sk`` | holds |
|---|---|---|---|
| health | ``health#{tenant}#{destination}`` | ``health`` | ``state``, ``version``; while lanes are to be woken ``due_shard``, ``due_at`` = ``{wake at}#{pk}`` |
| turns | ``turns#{tenant}#{destination}`` | ``turns`` | ``free_at``: the first free moment, in microseconds since 1970 |

Both are written by conditions on what was read. TTL forgets what nobody has written for a month: the destination is then
taken for healthy, which is where every doubt ends.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from ..core.delivery import breaker
from ..core.delivery.breaker import BreakerState
from .data import due_shard, ttl
from .items import Item, Table

KEPT = timedelta(days=30)
TRIES = 12
"""How often a change is tried while others change the row. What is then not counted is counted by the next attempt."""
RESERVE = 1.05
"""Turns are this much further apart than the limit asks, since the way to a destination is not equally long each time."""


@dataclass(frozen=True)
class StoredState:
    """A state as it was read; version 0 where there is no row."""

    state: BreakerState = BreakerState()  # noqa: RUF009  (frozen)
    version: int = 0


class DestinationStateStore:
    """Read and change how destinations are."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._free_at: dict[str, int] = {}
        self._lock = threading.Lock()

    def key(self, tenant: str, destination: str) -> tuple[str, dict[str, str]]:
        """Return table and key of a destination's row."""
        return self._table.name, {"pk": f"health#{tenant}#{destination}", "sk": "health"}

    def read(self, item: Item | None) -> StoredState:
        """Read a row; None is the row of a destination that nothing is wrong with."""
        if item is None:
            return StoredState()
        return StoredState(breaker.from_document(json.loads(item["state"])), item["version"])

    def get(self, tenant: str, destination: str) -> StoredState:
        """Read how a destination is, consistently."""
        return self.read(self._table.get(self.key(tenant, destination)[1]))

    def change(
        self,
        tenant: str,
        destination: str,
        seen: StoredState,
        now: datetime,
        step: Callable[[BreakerState], BreakerState],
    ) -> tuple[StoredState, bool]:
        """Put ``step(state)`` in the place of a state, whoever else changes it; nothing is written where they are the same.

        Args:
            seen: the state as it was read last, to begin with.

        Returns:
            The state as it now is, and whether this call has changed it.
        """
        for _ in range(TRIES):
            state = step(seen.state)
            if state == seen.state:
                return seen, False
            made = StoredState(state, seen.version + 1)
            if self._put(tenant, destination, made, now):
                return made, True
            seen = self.get(tenant, destination)
        return seen, False

    def _put(self, tenant: str, destination: str, made: StoredState, now: datetime) -> bool:
        key = self.key(tenant, destination)[1]
        values: dict[str, Any] = {
            **key,
            "state": json.dumps(breaker.document(made.state), separators=(",", ":")),
            "version": made.version,
            "ttl": ttl(now + KEPT),
        }
        if made.state.wake_at is not None:
            values["due_shard"] = due_shard(key["pk"])
            values["due_at"] = f"{times.text(made.state.wake_at)}#{key['pk']}"
        if made.version == 1:
            return self._table.insert(values)
        return self._table.replace(values, "version = :v", {":v": made.version - 1})

    def enable(self, tenant: str, destination: str, now: datetime, per_s: int | None) -> None:
        """Forget how a destination was, and have what waits for it woken."""
        self.change(tenant, destination, self.get(tenant, destination), now, lambda _: breaker.enabled(now, per_s))

    def let_go(self, tenant: str, destination: str, now: datetime) -> None:
        """Have what waits for a destination that is no more woken, to end; then nobody looks for it any further.

        Also where it has no row: for one that its tenant has disabled lanes wait though nothing was wrong with it.
        """
        self.enable(tenant, destination, now, None)

    def take_turn(self, tenant: str, destination: str, per_s: int, now: datetime, within_s: float) -> float | None:
        """Take the next turn of a destination with a rate limit.

        Turns are evenly spaced, whichever process takes them, so that no second holds more than ``per_s``.

        Returns:
            Seconds until the turn, or None where none is free ``within_s`` from now: nothing is taken then.
        """
        apart = -(-int(RESERVE * 1_000_000) // per_s)
        now_us = times.millis(now) * 1000
        last = now_us + int(within_s * 1_000_000)
        pk = f"turns#{tenant}#{destination}"
        # Of the two conditions the one that lately held is tried first, so that a turn is mostly one write.
        queued = self._free_at.get(pk, 0) >= now_us
        for number in range(3):
            free = self._append(pk, apart, now_us, last, now) if queued else self._begin(pk, apart, now_us, now)
            if free is not None:
                self._remember(pk, free)
                return max(0.0, (free - apart - now_us) / 1_000_000)
            if queued and number:
                break  # nothing is free now, and nothing in time: a free moment is never moved back
            queued = not queued
        self._remember(pk, last)
        return None

    def _append(self, pk: str, apart: int, now_us: int, last: int, now: datetime) -> int | None:
        """Take the turn behind those that are taken already; None where that is too late, or none is taken."""
        bound = {":apart": apart, ":now": now_us, ":last": last, ":ttl": ttl(now + KEPT)}
        item = self._table.update(
            {"pk": pk, "sk": "turns"},
            "SET free_at = free_at + :apart, #ttl = :ttl",
            bound,
            condition="free_at BETWEEN :now AND :last",
            names={"#ttl": "ttl"},
        )
        return int(item["free_at"]) if item else None

    def _begin(self, pk: str, apart: int, now_us: int, now: datetime) -> int | None:
        """Take a turn at once; None where one is taken that is still to come."""
        bound: dict[str, Any] = {":free": now_us + apart, ":now": now_us, ":ttl": ttl(now + KEPT)}
        bound[":region"] = self._table.region
        item = self._table.update(
            {"pk": pk, "sk": "turns"},
            "SET free_at = :free, #ttl = :ttl, #region = :region",
            bound,
            condition="attribute_not_exists(free_at) OR free_at < :now",
            names={"#ttl": "ttl", "#region": "region"},
        )
        return int(item["free_at"]) if item else None

    def _remember(self, pk: str, free: int) -> None:
        with self._lock:
            if len(self._free_at) > 10_000:
                self._free_at.clear()
            self._free_at[pk] = free

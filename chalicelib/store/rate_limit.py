"""The rate limits of destinations, kept as turns: a delivery takes the next one. A destination without a limit has no row.

The row is in the ``data`` table under ``pk`` = ``turns#{tenant}#{destination}``, ``sk`` = ``turns``. It holds ``free_at``, the
first free moment, in microseconds since 1970. A limit above ``ROW_PER_S`` has several rows, ``turns#…#{1…}``, each with an equal
share of the turns, so that no row is written more often than one partition takes. A process uses them in rotation.

A write is conditional on ``free_at``. TTL deletes a row a month after its last write, long after its last turn.
"""

from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from .data import ttl
from .items import Table

KEPT = timedelta(days=30)
RESERVE = 1.05
"""Turns are this much further apart than the limit asks, since requests do not all take equally long to arrive."""
ROW_PER_S = 200
"""The most turns a second of one row. A refused turn is a write, too, so this is a fifth of what a partition takes."""
REMEMBERED_MAX = 10_000
"""Past this number a process forgets all free moments that it has seen. That costs one more write a destination."""


class RateLimitStore:
    """Take turns of destinations."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._free_at: dict[str, int] = {}
        self._turns = itertools.count()
        self._lock = threading.Lock()

    def take_turn(self, tenant: str, destination: str, per_s: int, now: datetime, within_s: float) -> float | None:
        """Take the next turn of a destination with a rate limit.

        The turns of all processes are evenly spaced, so that no second holds more than ``per_s``.

        Returns:
            Seconds until the turn. None where no turn is free within ``within_s`` seconds; then no turn is taken.
        """
        rows = -(-per_s // ROW_PER_S)
        apart = -(-int(RESERVE * 1_000_000) * rows // per_s)
        now_us = times.millis(now) * 1000
        last = now_us + int(within_s * 1_000_000)
        row = next(self._turns) % rows
        pk = f"turns#{tenant}#{destination}" + (f"#{row}" if row else "")
        # The condition that held last is tried first, so that most turns cost one write.
        queued = self._free_at.get(pk, 0) >= now_us
        for number in range(3):
            free = self._append(pk, apart, now_us, last, now) if queued else self._begin(pk, apart, now_us, now)
            if free is not None:
                self._remember(pk, free)
                return max(0.0, (free - apart - now_us) / 1_000_000)
            if queued and number:
                break  # no turn is free in time: a free moment is never moved back
            queued = not queued
        self._remember(pk, last)
        return None

    def _append(self, pk: str, apart: int, now_us: int, last: int, now: datetime) -> int | None:
        """Take the turn behind the last one. Return None where that is too late, or the last one has passed."""
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
        """Take a turn at once. Return None where a later turn is already taken."""
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
            if len(self._free_at) > REMEMBERED_MAX:
                self._free_at.clear()
            self._free_at[pk] = free

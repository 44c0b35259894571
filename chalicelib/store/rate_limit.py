"""Rate limits, kept as turns: a delivery or a call takes the next one.

The row is in the ``data`` table under ``pk`` = ``turns#{tenant}#{place}``, ``sk`` = ``turns``. The place is a destination with
a limit of its own, or the keyed hash of an account at a vendor. It holds ``free_at``, the first free moment, in microseconds
since 1970. A vendor that asks for less moves it to the end of the pause. Then the row has ``throttles``, ``throttled_at`` and
``paused_until`` as well (milliseconds). A limit above ``ROW_PER_S`` has several rows, ``turns#…#{1…}``, each with an equal
share of the turns, so that no row is written more often than one partition takes. A process uses them in rotation.

A write is conditional on ``free_at``. TTL deletes a row a month after its last write, long after its last turn.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from ..core.delivery.throttling import Throttle, slower
from ..core.errors import Unavailable
from .items import Item, Table
from .ttl import ttl

KEPT = timedelta(days=30)
RESERVE = 1.05
"""Turns are this much further apart than the limit asks, since requests do not all take equally long to arrive."""
ROW_PER_S = 200
"""The most turns a second of one row. A refused turn is a write, too, so this is a fifth of what a partition takes."""
REMEMBERED_MAX = 10_000
"""Past this number a process forgets all free moments that it has seen. That costs one more write a destination."""


TRIES = 8
"""How often a pause is tried while other processes change the row."""


class RateLimitStore:
    """Take turns of destinations and accounts, and pause them."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._free_at: dict[str, int] = {}
        self._throttles: dict[str, Throttle] = {}
        self._turns = itertools.count()
        self._lock = threading.Lock()

    def take_turn(self, tenant: str, place: str, per_s: float, now: datetime, within_s: float) -> float | None:
        """Take the next turn of a destination or an account.

        The turns of all processes are evenly spaced, so that no second holds more than ``per_s``.

        Returns:
            Seconds until the turn. None where no turn is free within ``within_s`` seconds; then no turn is taken.
        """
        rows = math.ceil(per_s / ROW_PER_S)
        between = math.ceil(int(RESERVE * 1_000_000) * rows / per_s)
        now_us = times.millis(now) * 1000
        last = now_us + int(within_s * 1_000_000)
        row = next(self._turns) % rows
        pk = _pk(tenant, place) + (f"#{row}" if row else "")
        apart = between * slower(self._throttles.get(pk, Throttle()), now)
        # The condition that held last is tried first, so that most turns cost one write.
        queued = self._free_at.get(pk, 0) >= now_us
        for number in range(3):
            free = self._append(pk, apart, now_us, last, now) if queued else self._begin(pk, apart, now_us, now)
            if free is not None:
                return max(0.0, (free - apart - now_us) / 1_000_000)
            if queued and number:
                break  # no turn is free in time: a free moment is never moved back
            queued = not queued
        self._remember(pk, last)
        return None

    def free_at(self, tenant: str, place: str) -> datetime | None:
        """Return the first free moment; None where no turn was taken yet (one consistent read)."""
        row = self._table.get({"pk": _pk(tenant, place), "sk": "turns"})
        return times.from_millis(int(row["free_at"]) // 1000) if row else None

    def throttle(self, tenant: str, place: str) -> Throttle:
        """Return how often an account was throttled lately (one consistent read)."""
        return _throttle(self._table.get({"pk": _pk(tenant, place), "sk": "turns"}))

    def pause(self, tenant: str, place: str, now: datetime, step: Callable[[Throttle], Throttle]) -> Throttle:
        """Replace an account's throttle by ``step(throttle)``, and take no turn before its end.

        Raises:
            Unavailable: other processes changed the row each time.
        """
        key = {"pk": _pk(tenant, place), "sk": "turns"}
        for _ in range(TRIES):
            row = self._table.get(key)
            seen = _throttle(row)
            made = step(seen)
            if made == seen:
                return seen
            until, at = (times.millis(moment or now) for moment in (made.until, made.at))
            free = max(until * 1000, int(row["free_at"]) if row else 0)
            bound: dict[str, Any] = {
                ":number": made.number, ":at": at, ":until": until, ":free": free,
                ":seen": seen.number, ":ttl": ttl(times.from_millis(until) + KEPT), ":region": self._table.region,
            }  # fmt: skip
            stored = self._table.update(
                key,
                "SET free_at = :free, throttles = :number, throttled_at = :at, paused_until = :until, #ttl = :ttl, "
                "#region = :region",
                bound,
                condition="(attribute_not_exists(free_at) OR free_at <= :free) AND "
                "(attribute_not_exists(throttles) OR throttles = :seen)",
                names={"#ttl": "ttl", "#region": "region"},
            )
            if stored:
                self._remember(key["pk"], free, made)
                return made
        raise Unavailable("the pause of an account was not stored")

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
        return self._seen(pk, item)

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
        return self._seen(pk, item)

    def _seen(self, pk: str, item: Item | None) -> int | None:
        if item is None:
            return None
        free = int(item["free_at"])
        self._remember(pk, free, _throttle(item))
        return free

    def _remember(self, pk: str, free: int, throttle: Throttle | None = None) -> None:
        with self._lock:
            if len(self._free_at) > REMEMBERED_MAX:
                self._free_at.clear()
                self._throttles.clear()
            self._free_at[pk] = free
            if throttle is not None:
                self._throttles[pk] = throttle


def _pk(tenant: str, place: str) -> str:
    return f"turns#{tenant}#{place}"


def _throttle(row: Item | None) -> Throttle:
    if row is None or "throttles" not in row:
        return Throttle()
    at, until = (times.from_millis(int(row[name])) for name in ("throttled_at", "paused_until"))
    return Throttle(int(row["throttles"]), at, until)

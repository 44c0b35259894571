"""The state of destinations: how their deliveries have gone lately. A healthy destination has no row.

The row is in the ``data`` table under ``pk`` = ``health#{tenant}#{destination}``, ``sk`` = ``health``. It holds ``state`` and
``version``; and while its lanes wait for a wake, ``due_shard`` and ``due_at`` = ``{wake at}#{pk}``.

A write is conditional on the version that was read. TTL deletes a row a month after its last write: the destination then
counts as healthy, as in every case of doubt.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from ..core.delivery import breaker
from ..core.delivery.breaker import BreakerState
from .data import due_shard
from .items import Item, Table
from .ttl import ttl

KEPT = timedelta(days=30)
TRIES = 12
"""How often a change is tried while other processes change the row. If all fail, the next attempt to deliver changes it."""


@dataclass(frozen=True)
class StoredState:
    """A state as it was read; version 0 where there is no row."""

    state: BreakerState = BreakerState()  # noqa: RUF009  (frozen)
    version: int = 0


class DestinationStateStore:
    """Read and change the states of destinations."""

    def __init__(self, table: Table) -> None:
        self._table = table

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
        """Replace a state by ``step(state)``, also under concurrent changes. An equal state is not written.

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

    def enable(self, tenant: str, destination: str, now: datetime, per_s: float | None) -> None:
        """Reset a destination's state, and wake its waiting lanes."""
        self.change(tenant, destination, self.get(tenant, destination), now, lambda _: breaker.enabled(now, per_s))

    def let_go(self, tenant: str, destination: str, now: datetime) -> None:
        """Wake the lanes of a deleted destination, so that they end; afterwards no process looks for them.

        Also where it has no row: for one that its tenant has disabled lanes wait though nothing was wrong with it.
        """
        self.enable(tenant, destination, now, None)

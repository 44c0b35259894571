"""The lanes and destinations of a cell that wait, counted once a minute: a gauge of what deliver still has to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from chalicelib.core import times
from chalicelib.flow.delivery.pump import HEALTH
from chalicelib.runtime import Runtime

COUNT_S: Final = 60.0
A_SHARD: Final = 500
"""How many lanes of each of the eight shards are counted: a census never reads a backlog as a whole."""
BREAKERS: Final = 100
"""How many breakers are looked at; all others count as ``unknown``."""
_EVER: Final = timedelta(days=3650)


@dataclass
class Census:
    """The last count.

    ``lanes`` counts parked lanes: ``due`` ones, whose time has come, and ``waiting`` ones. ``lag_s`` says for how long the
    oldest due lane has been due. ``breakers`` counts destinations that take no deliveries now, or only some: ``open``,
    ``waking`` (their backlog is on its way) and ``waiting`` (they have asked for time, or their limit is reached).
    """

    cell: Runtime
    lanes: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(("due", "waiting"), 0))
    lag_s: float = 0.0
    breakers: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(("open", "waking", "waiting"), 0))

    def count(self) -> None:
        """Count again."""
        now = self.cell.now()
        lanes = Counter(due=0, waiting=0)
        breakers = Counter(open=0, waking=0, waiting=0)
        lag_s, looked = 0.0, 0
        for name, due in self.cell.data.due_lanes(now + _EVER, A_SHARD):
            if name.startswith(HEALTH):
                looked += 1
                breakers[self._breaker(name) if looked <= BREAKERS else "unknown"] += 1
                continue
            late_s = (now - times.parse(due)).total_seconds()
            lanes["due" if late_s >= 0 else "waiting"] += 1
            lag_s = max(lag_s, late_s)
        self.lanes, self.breakers, self.lag_s = lanes, breakers, lag_s

    def _breaker(self, name: str) -> str:
        _, tenant, destination = name.split("#")
        state = self.cell.destination_state.get(tenant, destination).state
        return "open" if state.opened_at is not None else "waking" if state.wake_at is not None else "waiting"

"""Keep to the rate limits of destinations and of the vendors behind them, and pause what a vendor throttles."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.delivery import throttling
from ..core.envelope import TenantKeys
from ..core.tenant.records import Destination
from ..destinations import of_kind
from ..destinations.limits import NoTurn
from ..runtime import Runtime
from ..store.snapshot import Snapshot

TURNS = 3
WAIT_MAX_S = 8.0
"""The longest that the calls of one attempt wait for their turns, all together."""


@dataclass(frozen=True)
class AccountLimit:
    """A vendor's limit as it holds for one destination. All destinations with the same ``place`` share its turns."""

    place: str
    per_s: float
    method: str = ""


def limits_of(tenant: str, keys: TenantKeys, kind: str, config: Any) -> tuple[AccountLimit, ...]:
    """Return the limits that a destination's calls count towards.

    Args:
        config: the configuration, as the kind reads it.
    """
    found = []
    for limit in of_kind(kind).CAPABILITIES.limits:
        key = limit.key(config)
        if key is not None:
            text = f"limit\0{tenant}\0{kind}\0{limit.by}\0{limit.method}\0{key}".encode("utf-8", "surrogatepass")
            place = f"{kind}:{hmac.digest(keys.people, text, 'sha256')[:16].hex()}"
            found.append(AccountLimit(place, limit.per_s, limit.method))
    return tuple(found)


def stored_limits(snapshot: Snapshot, destination: Destination) -> tuple[AccountLimit, ...]:
    """Return the limits of a stored destination; none where its kind no longer takes its configuration."""
    module = of_kind(destination.kind)
    if not module.CAPABILITIES.limits:
        return ()
    try:
        config = module.Config.model_validate(snapshot.secrets(destination.id)["config"], extra="ignore")
    except ValueError:
        return ()  # the attempt says so
    return limits_of(snapshot.configuration.tenant.id, snapshot.keys, destination.kind, config)


def slowest(destination: Destination, limits: Iterable[AccountLimit]) -> float | None:
    """Return the most deliveries a second that the limits of a destination allow; None where there is no limit."""
    rates = [limit.per_s for limit in limits if not limit.method]
    rates += [destination.rate_limit_per_s] if destination.rate_limit_per_s is not None else []
    return min(rates, default=None)


def wait_for_turn(runtime: Runtime, tenant: str, place: str, per_s: float, within_s: float) -> float | None:
    """Wait for a turn. Return the seconds that it took, or None if no turn is near. A missed turn is dropped."""
    started = runtime.now()
    for _ in range(TURNS):
        now = runtime.now()
        wait_s = runtime.rate_limits.take_turn(tenant, place, per_s, now, within_s)
        if wait_s is None:
            return None
        if wait_s:
            runtime.sleep(wait_s)
        if (runtime.now() - now).total_seconds() <= wait_s + 1 / per_s:
            return (runtime.now() - started).total_seconds()
    return None


class AccountPace:
    """Paces the calls of one attempt; satisfies ``destinations.limits.Pace``.

    Args:
        admitted: the attempt has taken the turns of its first call.
        within_s: how long all calls together may wait.
    """

    def __init__(
        self, runtime: Runtime, tenant: str, limits: Sequence[AccountLimit], *, admitted: bool, within_s: float
    ) -> None:
        self._runtime = runtime
        self._tenant = tenant
        self._limits = limits
        self._admitted = admitted
        self._left_s = within_s
        self.method = ""

    def wait(self, method: str = "") -> float:
        """Wait for a turn of each limit that counts a call. Return the seconds that it took.

        Raises:
            NoTurn: no turn is near.
        """
        admitted, self._admitted, self.method = self._admitted, False, method
        all_s = 0.0
        for limit in self._limits:
            if limit.method != method if limit.method else admitted:
                continue
            waited_s = wait_for_turn(self._runtime, self._tenant, limit.place, limit.per_s, self._left_s)
            if waited_s is None:
                free = self._runtime.rate_limits.free_at(self._tenant, limit.place)
                raise NoTurn((free - self._runtime.now()).total_seconds() if free else 0.0)
            self._left_s = max(0.0, self._left_s - waited_s)
            all_s += waited_s
        return all_s


def is_block(runtime: Runtime, tenant: str, limits: Sequence[AccountLimit], now: datetime) -> bool:
    """Say whether a refusal of rights is the vendor's block after a throttle. Only vendors with limits block."""
    return any(throttling.is_block(runtime.rate_limits.throttle(tenant, limit.place), now) for limit in limits)


def pause(
    runtime: Runtime,
    tenant: str,
    destination: str,
    limits: Sequence[AccountLimit],
    now: datetime,
    asked_s: float | None,
    *,
    method: str = "",
    block: bool = False,
) -> datetime:
    """Pause the account of a destination that was throttled, and return the end of the pause.

    The limit of the method is paused, else the first one of all calls. Without any, the destination is its own account.

    Args:
        asked_s: the wait that the vendor named.
        method: that of the call that was throttled.
        block: the vendor refuses everything because of earlier throttles.
    """
    counting = [limit.place for limit in limits if limit.method == method] or [limit.place for limit in limits]
    place = counting[0] if counting else destination
    made = runtime.rate_limits.pause(
        tenant,
        place,
        now,
        lambda seen: throttling.blocked(seen, now) if block else throttling.throttled(seen, now, asked_s),
    )
    return made.until or now

"""The gate of a destination: whether an attempt may be made now, and what an attempt has told of the destination.

What a healthy destination takes costs nothing here: its row, which is not there, is read in the round trip that ``look``
makes anyway, and nothing is written. ``core.delivery.breaker`` has the states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from ...core import times
from ...core.delivery import breaker
from ...core.delivery.breaker import AttemptResult, BreakerState, HealthNotice, Permission, may_send
from ...core.delivery.retry import CODES, Outcome
from ...core.errors import NotFound, PreconditionFailed
from ...core.log import audit
from ...core.tenant.operational import source_id
from ...core.tenant.records import Destination
from ...observe import warning
from ..notify import notify
from ..state import Batch, Order

TURN_FIRST_S, TURN_WOKEN_S = 1.0, 2.5
"""How far ahead a turn is taken where a limit is set. What was woken looks further than what has just come, so that new
deliveries cannot starve those that wait."""
TURNS = 3
_SLOWING = frozenset({"http_429", "http_503", "throttled"})


def admit(batch: Batch, order: Order, destination: Destination, *, woken: bool) -> bool | datetime:
    """Ask for leave to make an attempt, and wait for its turn where that is near.

    Args:
        woken: the order has waited in its lane.

    Returns:
        When the lane may be looked at again, if no attempt may be made; else whether the attempt is a probe.
    """
    runtime = batch.runtime
    now = runtime.now()
    if batch.health(order).state.notices:
        publish_health_events(batch, order)
    state = batch.health(order).state
    if not destination.enabled:
        _change(batch, order, now, lambda s: breaker.paused(s, now))
        return now
    permission = may_send(state, now)
    if permission is Permission.NO:
        return max(now, state.not_before or now)
    limit = destination.rate_limit_per_s
    if limit is not None and not _wait_for_turn(batch, order, limit, TURN_WOKEN_S if woken else TURN_FIRST_S):
        _change(batch, order, now, lambda s: breaker.wait_listed(s, now, limit))
        return now
    if permission is Permission.PROBE:
        return _leased(batch, order, now) or now
    return False


def _wait_for_turn(batch: Batch, order: Order, per_s: int, within_s: float) -> bool:
    """Wait for a turn of the destination; False where none is near. A turn that is slept through is let go."""
    runtime = batch.runtime
    for _ in range(TURNS):
        now = runtime.now()
        wait_s = runtime.destination_state.take_turn(order["tenant"], order["destination"], per_s, now, within_s)
        if wait_s is None:
            return False
        if wait_s:
            runtime.sleep(wait_s)
        if (runtime.now() - now).total_seconds() <= wait_s + 1 / per_s:
            return True
    return False


def _leased(batch: Batch, order: Order, now: datetime) -> bool:
    """Take the lease of the probe; False where somebody else has it."""

    def lease(state: BreakerState) -> BreakerState:
        return breaker.leased(state, now) if may_send(state, now) is Permission.PROBE else state

    return _change(batch, order, now, lease)


def _change(batch: Batch, order: Order, now: datetime, step: Callable[[BreakerState], BreakerState]) -> bool:
    tenant, destination = order["tenant"], order["destination"]
    stored, done = batch.runtime.destination_state.change(tenant, destination, batch.health(order), now, step)
    batch.healths[tenant, destination] = stored
    return done


def result_of(code: str, sent: bool) -> AttemptResult:
    """Say what an attempt's code tells of the destination: what it refuses it has at least answered."""
    if CODES[code] is Outcome.FAILED:
        # Another delivery of ours was in the way.
        return AttemptResult.NOTHING if code == "contended" else AttemptResult.FAILED
    return AttemptResult.TAKEN if sent else AttemptResult.NOTHING


def record_result(
    batch: Batch,
    order: Order,
    destination: Destination,
    code: str,
    *,
    sent: bool,
    probe: bool,
    gone: bool,
    retry_after_s: float | None,
    now: datetime,
) -> None:
    """Note what an attempt has told of its destination, once its entry is written; disable it where that is the end.

    A crash before this costs one failure that is not counted, or a probe whose lease ends by its time.
    """
    answer = result_of(code, sent)
    limit = destination.rate_limit_per_s

    def step(state: BreakerState) -> BreakerState:
        state = breaker.after(state, answer, order["lane"], now, probe=probe, per_s=limit)
        if retry_after_s and code in _SLOWING:
            state = breaker.backed_off(state, now + _seconds(retry_after_s), now, limit)
        return breaker.gone(state, now) if gone else state

    _change(batch, order, now, step)
    state = batch.health(order).state
    if gone:
        disable(batch, order, "gone")
    elif answer is AttemptResult.FAILED and breaker.is_given_up(state):
        disable(batch, order, "failing")
    if state.notices:
        publish_health_events(batch, order)


def _seconds(seconds: float) -> timedelta:
    return min(timedelta(seconds=min(seconds, 1e9)), breaker.SLOW_MAX)


def publish_health_events(batch: Batch, order: Order) -> None:
    """Tell the tenant what is to be told of a destination. Operational events cause none: what is to be told then waits."""
    if order["source"] == source_id(order["tenant"]):
        return
    told = batch.health(order).state.notices
    for notice in told:
        if notice.type in _DISABLED:
            _write_down(batch, order, notice)
        once = f"{order['destination']}\n{times.text(notice.since)}\n{notice.percent}"
        data = _data(order["destination"], notice)
        notify(batch.runtime, order["tenant"], _TYPES.get(notice.type, notice.type), data, once, order["destination"])
    _change(batch, order, batch.runtime.now(), lambda state: breaker.without(state, told))


_TYPES = {"destination.gone": "destination.disabled"}
_DISABLED: Mapping[str, Literal["gone", "failing"]] = {"destination.gone": "gone", "destination.disabled": "failing"}
"""The notices of what ends in a disabled destination, and why it is."""


def _data(destination: str, notice: HealthNotice) -> dict[str, Any]:
    data: dict[str, Any] = {"destination": destination}
    if notice.type == "destination.gone":
        return {**data, "because": _DISABLED[notice.type], "at": times.text(notice.since)}
    data["failing_since"] = times.text(notice.since)
    if notice.percent:
        data["percent"] = notice.percent
    if notice.type in _DISABLED:
        data["because"] = _DISABLED[notice.type]
    return data


def disable(batch: Batch, order: Order, because: Literal["gone", "failing"]) -> None:
    """Disable a destination that takes nothing any more. What arrives for it waits in its lanes until it expires.

    A crash before its entry leaves the notice, and whoever tells of that writes the entry first.
    """
    tenant, destination = order["tenant"], order["destination"]
    try:
        row = batch.runtime.config.get(tenant, destination)
        changed = row.record.model_copy(update={"enabled": False, "disabled_because": because})
        if not row.record.enabled:
            return
        batch.runtime.config.replace(tenant, changed, row.version)
    except (NotFound, PreconditionFailed):
        return  # deleted or changed meanwhile: the next attempt sees it as it is then
    warning("destination_disabled", tenant=tenant, destination=destination, because=because)
    for notice in batch.health(order).state.notices:
        if _DISABLED.get(notice.type) == because:
            _write_down(batch, order, notice)


def _write_down(batch: Batch, order: Order, notice: HealthNotice) -> None:
    """Write the entry of a destination that was disabled, once for each reason, however often it is asked for."""
    tenant, destination, because = order["tenant"], order["destination"], _DISABLED[notice.type]
    try:
        if batch.runtime.config.get(tenant, destination).record.disabled_because != because:
            return  # it was deleted, or changed by somebody meanwhile
    except NotFound:
        return
    entry = audit.act(
        "config_changed",
        tenant=tenant,
        minute=times.minute(notice.since),
        at=batch.runtime.now(),
        actor=("service", "deliver"),
        request=f"disable:{times.text(notice.since)}",
        object=("destination", destination),
        reason=f"destination_{because}",
    )
    batch.runtime.audit.append(entry)

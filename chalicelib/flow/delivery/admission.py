"""Admission: whether a destination takes an attempt now, and how an attempt changes the destination's state.

A healthy destination costs nothing: it has no row, and looking for one is part of ``look``'s round trip.
``core.delivery.breaker`` has the states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from ...core import times
from ...core.delivery import breaker
from ...core.delivery.breaker import AttemptResult, BreakerState, HealthNotice, Permission, may_send
from ...core.delivery.retry import CODES, LOST_ACCESS, UNCOUNTED, Outcome
from ...core.delivery.task import DeliveryTask
from ...core.errors import NotFound, PreconditionFailed
from ...core.log import audit
from ...core.tenant.operational import source_id
from ...core.tenant.records import Destination
from ...observe import warning
from ..notify import notify
from ..pacing import AccountLimit, slowest, stored_limits, wait_for_turn
from ..state import Batch

TURN_FIRST_S, TURN_WOKEN_S = 1.0, 2.5
"""How far ahead a turn is taken where a limit is set. Woken tasks look further than new ones, so that new deliveries cannot
starve waiting ones."""
ACCOUNT_FIRST_S, ACCOUNT_WOKEN_S = 0.5, 1.0
"""The same for a vendor's limit. Each later call of an attempt waits as long for its own turn."""
ACCOUNT_MAX_S = 4.0
"""A vendor's limit of less than one a second is waited for until its next turn, up to this long."""
NEAR = timedelta(seconds=3)
"""A turn that is further away is waited for without a wake."""
_FAILING = (AttemptResult.FAILED, AttemptResult.LOST_ACCESS, AttemptResult.REFUSED)


def admit(batch: Batch, task: DeliveryTask, destination: Destination, *, woken: bool) -> bool | datetime:
    """Say whether an attempt may be made now. Wait for its turn if the turn is near.

    Args:
        woken: the task has waited in its lane.

    Returns:
        If no attempt may be made, the time when the lane may be tried again. Else whether the attempt is a probe.
    """
    runtime = batch.runtime
    now = runtime.now()
    if batch.health(task).state.notices:
        publish_health_events(batch, task)
    state = batch.health(task).state
    if not destination.enabled:
        _change(batch, task, now, lambda s: breaker.paused(s, now))
        return now
    permission = may_send(state, now)
    if permission is Permission.NO:
        return max(now, state.not_before or now)
    waits_until = _without_turn(batch, task, destination, now, woken)
    if waits_until is not None:
        return waits_until
    if permission is Permission.PROBE:
        return _leased(batch, task, now) or now
    return False


def account_limits(batch: Batch, task: DeliveryTask, destination: Destination) -> tuple[AccountLimit, ...]:
    """Return the limits of a task's destination at its vendor. A batch reads them once."""
    place, snapshot = (task.tenant, task.destination), batch.snapshot(task.tenant)
    if place not in batch.limits:
        batch.limits[place] = stored_limits(snapshot, destination) if snapshot is not None else ()
    return batch.limits[place]


def _without_turn(
    batch: Batch, task: DeliveryTask, destination: Destination, now: datetime, woken: bool
) -> datetime | None:
    """Wait for a turn of the destination and of its vendor. Return when to try again where none is near."""
    runtime, tenant, own = batch.runtime, task.tenant, destination.rate_limit_per_s
    limits = account_limits(batch, task, destination)
    per_s = slowest(destination, limits)
    within_s = TURN_WOKEN_S if woken else TURN_FIRST_S
    if own is not None and wait_for_turn(runtime, tenant, task.destination, own, within_s) is None:
        return _listed(batch, task, now, now, per_s)
    for limit in limits:
        within_s = max(ACCOUNT_WOKEN_S if woken else ACCOUNT_FIRST_S, min(ACCOUNT_MAX_S, 1.2 / limit.per_s))
        if not limit.method and wait_for_turn(runtime, tenant, limit.place, limit.per_s, within_s) is None:
            free = runtime.rate_limits.free_at(tenant, limit.place) or now
            listed = _listed(batch, task, now, free if free - now > NEAR else now, per_s)
            return listed if woken else max(listed, free)  # a new delivery may come back by itself
    return None


def _listed(batch: Batch, task: DeliveryTask, now: datetime, until: datetime, per_s: float | None) -> datetime:
    """Note that a lane waits for its turn, and return when to try again."""
    if until > now:
        _change(batch, task, now, lambda s: breaker.backed_off(s, until, now, per_s))
    else:
        _change(batch, task, now, lambda s: breaker.wait_listed(s, now, per_s))
    return until


def _leased(batch: Batch, task: DeliveryTask, now: datetime) -> bool:
    """Take the lease of the probe. Return False where another process holds it."""

    def lease(state: BreakerState) -> BreakerState:
        return breaker.leased(state, now) if may_send(state, now) is Permission.PROBE else state

    return _change(batch, task, now, lease)


def _change(batch: Batch, task: DeliveryTask, now: datetime, step: Callable[[BreakerState], BreakerState]) -> bool:
    tenant, destination = task.tenant, task.destination
    stored, done = batch.runtime.destination_state.change(tenant, destination, batch.health(task), now, step)
    batch.healths[tenant, destination] = stored
    return done


def result_of(code: str, sent: bool) -> AttemptResult:
    """Return the result of an attempt by its code."""
    if code in UNCOUNTED:  # other deliveries were in the way
        return AttemptResult.NOTHING
    if code in LOST_ACCESS:
        return AttemptResult.LOST_ACCESS
    outcome = CODES[code]
    if outcome is Outcome.FAILED:
        return AttemptResult.FAILED
    if outcome is Outcome.DELIVERED:
        return AttemptResult.TAKEN
    return AttemptResult.REFUSED if sent else AttemptResult.NOTHING


def record_result(
    batch: Batch,
    task: DeliveryTask,
    destination: Destination,
    code: str,
    *,
    sent: bool,
    probe: bool,
    gone: bool,
    retry_after_s: float | None,
    now: datetime,
    paused_until: datetime | None = None,
) -> None:
    """Record an attempt's result in the destination's state, after its entry is written. Disable a destination that is gone.

    A crash before this leaves one failure uncounted, or a probe whose lease expires.

    Args:
        paused_until: the end of the pause that a throttle has caused.
    """
    answer = result_of(code, sent)
    limit = slowest(destination, account_limits(batch, task, destination))

    def step(state: BreakerState) -> BreakerState:
        state = breaker.after(state, answer, task.lane, now, probe=probe, per_s=limit)
        if paused_until is not None:
            state = breaker.backed_off(state, paused_until, now, limit)
        elif retry_after_s and code == "http_503":
            state = breaker.backed_off(state, now + _seconds(retry_after_s), now, limit)
        state = breaker.counted(state, code, task.transfer, now)
        return breaker.gone(state, now) if gone else state

    _change(batch, task, now, step)
    state = batch.health(task).state
    if gone:
        disable(batch, task, "gone")
    elif answer in _FAILING and breaker.is_given_up(state):
        disable(batch, task, "failing")
    if state.notices:
        publish_health_events(batch, task)


def _seconds(seconds: float) -> timedelta:
    return min(timedelta(seconds=min(seconds, 1e9)), breaker.SLOW_MAX)


def publish_health_events(batch: Batch, task: DeliveryTask) -> None:
    """Publish a destination's pending notices to its tenant.

    Deliveries of operational events publish nothing, so that they cannot feed themselves; their notices stay pending.
    """
    if task.source == source_id(task.tenant):
        return
    state = batch.health(task).state
    notices = state.notices
    for notice in notices:
        if notice.type in _DISABLED:
            _write_down(batch, task, notice)
        once = f"{task.destination}\n{times.text(notice.since)}\n{notice.percent}"
        data = _data(task.destination, notice, state)
        notify(batch.runtime, task.tenant, _TYPES.get(notice.type, notice.type), data, once, task.destination)
    _change(batch, task, batch.runtime.now(), lambda state: breaker.without(state, notices))


_TYPES = {"destination.gone": "destination.disabled"}
_DISABLED: Mapping[str, Literal["gone", "failing"]] = {"destination.gone": "gone", "destination.disabled": "failing"}
"""The notices of a disabled destination, and the reason of each."""


def _data(destination: str, notice: HealthNotice, state: BreakerState) -> dict[str, Any]:
    data: dict[str, Any] = {"destination": destination}
    if notice.type == breaker.REJECTING:
        seen = state.refusals
        counts = {"in_a_row": seen.in_a_row, "refused": seen.refused, "delivered": seen.taken}
        return {**data, "at": times.text(notice.since), "code": seen.code, "transfer": seen.transfer, **counts}
    if notice.type == "destination.gone":
        return {**data, "because": _DISABLED[notice.type], "at": times.text(notice.since)}
    data["failing_since"] = times.text(notice.since)
    if notice.percent:
        data["percent"] = notice.percent
    if notice.type in _DISABLED:
        data["because"] = _DISABLED[notice.type]
    return data


def disable(batch: Batch, task: DeliveryTask, because: Literal["gone", "failing"]) -> None:
    """Disable a destination that no longer takes deliveries. Its tasks wait in their lanes until they expire.

    A crash before its entry leaves the notice pending, and publishing that notice writes the entry first.
    """
    tenant, destination = task.tenant, task.destination
    try:
        row = batch.runtime.config.get(tenant, destination)
        changed = row.record.model_copy(update={"enabled": False, "disabled_because": because})
        if not row.record.enabled:
            return
        batch.runtime.config.replace(tenant, changed, row.version)
    except (NotFound, PreconditionFailed):
        return  # deleted or changed meanwhile: the next attempt reads it again
    warning("destination_disabled", tenant=tenant, destination=destination, because=because)
    for notice in batch.health(task).state.notices:
        if _DISABLED.get(notice.type) == because:
            _write_down(batch, task, notice)


def _write_down(batch: Batch, task: DeliveryTask, notice: HealthNotice) -> None:
    """Write the entry of a disabled destination. Repeated calls write one entry for each reason."""
    tenant, destination, because = task.tenant, task.destination, _DISABLED[notice.type]
    try:
        if batch.runtime.config.get(tenant, destination).record.disabled_because != because:
            return  # changed meanwhile
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

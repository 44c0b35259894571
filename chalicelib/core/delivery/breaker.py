"""The circuit breaker of a destination: when it pauses, which attempt probes it, and when it is disabled. Pure.

Ten failures in a row, on two lanes or more, within five minutes open it; so does one answer that no longer lets us in. Then
one attempt at a time, a *probe*, after 1, 2, 4 … 30 minutes, tests the destination. Only a delivery closes the breaker: a
refusal proves nothing about the deliveries that wait. A destination may also ask for time
(``not_before``), and may have a rate limit. In each case the waiting lanes are *listed*, and pump wakes the listed lanes,
``wake_per_s`` a second from ``wake_at`` on.

A healthy destination has the state ``BreakerState()``, which is never stored: health costs nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from .. import times
from . import refusals
from .refusals import Refusals
from .retry import CODES, LOST_ACCESS, Outcome, is_refusal

FAILURES = 10
LANES = 2
WINDOW = timedelta(minutes=5)
PROBE_FIRST = timedelta(minutes=1)
PROBE_MAX = timedelta(minutes=30)
ACCESS_PROBE_MAX = timedelta(hours=4)
"""The longest wait between probes while a destination does not let us in. Each is an attempt of a delivery that waits."""
LEASE = timedelta(minutes=2)
"""How long a probe may take before another one may be made: longer than any attempt."""
GIVE_UP = timedelta(days=5)
"""After so long a run of failures a destination is disabled."""
PAUSE_MAX = timedelta(hours=36)
"""Failures further apart than this are not one run: nothing was tried in between, though the schedule's longest wait is a day."""
STEPS = (50, 70, 90, 100)
"""Per cent of the way to being disabled at which the tenant gets an event."""
SLOW_MAX = timedelta(hours=24)
REJECTING = "destination.rejecting"
WAKES_PER_S = 25
WAKES_PER_S_MAX = 200
EMPTY_FOR = timedelta(minutes=5)
"""Pump stops looking once nothing was listed for this long: every lane that was being listed shows by then."""


class AttemptResult(StrEnum):
    """The result of an attempt, as far as it concerns the destination's health."""

    TAKEN = "taken"
    FAILED = "failed"
    REFUSED = "refused"
    """This event was refused. It says nothing about others."""
    LOST_ACCESS = "lost_access"
    NOTHING = "nothing"


class Permission(StrEnum):
    """Whether an attempt may be made now. The holder of the lease makes the probe."""

    YES = "yes"
    PROBE = "probe"
    NO = "no"


@dataclass(frozen=True)
class HealthNotice:
    """A pending notice to the tenant, once for each run of failures (``since``)."""

    type: str
    since: datetime
    percent: int = 0


@dataclass(frozen=True)
class BreakerState:
    """How a destination has done lately. ``recent`` are the last failures of the run, each with a tag of its lane.

    ``others`` are fields that a later release has stored. They are carried along.
    """

    failures: int = 0
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    recent: tuple[tuple[datetime, str], ...] = ()
    told: int = 0
    opened_at: datetime | None = None
    probes: int = 0
    probe_at: datetime | None = None
    leased_until: datetime | None = None
    not_before: datetime | None = None
    wake_at: datetime | None = None
    wake_per_s: int = 0
    emptied: bool = False
    notices: tuple[HealthNotice, ...] = ()
    refusals: Refusals = Refusals()  # noqa: RUF009  (frozen)
    others: Mapping[str, Any] = field(default_factory=dict)


def may_send(state: BreakerState, now: datetime) -> Permission:
    """Say whether an attempt may be made."""
    if state.not_before is not None and now < state.not_before:
        return Permission.NO
    if state.probe_at is None:
        return Permission.YES
    if now < state.probe_at or (state.leased_until is not None and now < state.leased_until):
        return Permission.NO
    return Permission.PROBE


def leased(state: BreakerState, now: datetime) -> BreakerState:
    """Return the state while a probe is under way."""
    return replace(state, leased_until=now + LEASE, wake_at=now + LEASE)


def after(
    state: BreakerState,
    answer: AttemptResult,
    lane: str,
    now: datetime,
    *,
    probe: bool = False,
    per_s: float | None = None,
) -> BreakerState:
    """Return the state after an attempt; the same object where nothing changes.

    Args:
        probe: the attempt was made with the lease.
        per_s: the destination's rate limit.
    """
    if answer is AttemptResult.TAKEN:
        return _taken(state, now, per_s)
    lost_access = answer is AttemptResult.LOST_ACCESS
    if lost_access or answer is AttemptResult.FAILED:
        # An attempt that was under way when the breaker opened fails late and says nothing about the time since.
        return _failed(state, lane, now, lost_access) if probe or state.probe_at is None else state
    if probe and answer is AttemptResult.REFUSED:
        return _failed(state, lane, now, lost_access)
    return replace(state, leased_until=None, wake_at=now) if probe else state


def _taken(state: BreakerState, now: datetime, per_s: float | None) -> BreakerState:
    if not state.failures and state.probe_at is None:
        return state
    notices = state.notices
    since = state.failing_since or now
    if state.probe_at is not None:
        notices = (*notices, HealthNotice("destination.closed", since))
    if state.told:
        notices = (*notices, HealthNotice("destination.recovered", since))
    # The tenth failure may be stored after the success that followed it; that success ends the run.
    kept = BreakerState(
        not_before=state.not_before,
        wake_at=state.wake_at,
        wake_per_s=state.wake_per_s,
        emptied=state.emptied,
        notices=notices,
        refusals=state.refusals,
        others=state.others,
    )
    return _wake(kept, now, per_s) if state.probe_at is not None else kept


def _failed(state: BreakerState, lane: str, now: datetime, lost_access: bool) -> BreakerState:
    goes_on = state.failed_at is not None and now - state.failed_at <= PAUSE_MAX
    since = state.failing_since if goes_on and state.failing_since is not None else now
    recent = (*(state.recent if goes_on else ()), (now, _tag(lane)))[-FAILURES:]
    told = state.told if goes_on else 0
    step = max((s for s in STEPS if (now - since) * 100 >= GIVE_UP * s), default=0)
    notices = state.notices
    if step > told:
        name = "destination.disabled" if step == STEPS[-1] else "destination.failing"
        notices = (*notices, HealthNotice(name, since, step))
    state = replace(
        state,
        failures=state.failures + 1 if goes_on else 1,
        failing_since=since,
        failed_at=now,
        recent=recent,
        told=max(step, told),
        notices=notices,
    )
    if state.probe_at is not None:
        wait = min(ACCESS_PROBE_MAX if lost_access else PROBE_MAX, PROBE_FIRST * 2 ** min(state.probes + 1, 10))
        return _until(replace(state, probes=state.probes + 1, leased_until=None), now + wait)
    return _opened(state, now) if lost_access or _is_over(recent) else state


def _tag(lane: str) -> str:
    return hashlib.sha256(lane.encode()).hexdigest()[:8]


def _is_over(recent: tuple[tuple[datetime, str], ...]) -> bool:
    moments = [at for at, _ in recent]  # clocks of several processes: not in order
    return (
        len(recent) == FAILURES and len({lane for _, lane in recent}) >= LANES and max(moments) - min(moments) <= WINDOW
    )


def _opened(state: BreakerState, now: datetime) -> BreakerState:
    notice = HealthNotice("destination.opened", state.failing_since or now)
    state = replace(state, opened_at=now, probes=0, leased_until=None, notices=(*state.notices, notice))
    return _until(state, now + PROBE_FIRST)


def _until(state: BreakerState, probe_at: datetime) -> BreakerState:
    wake_at = max(probe_at, state.not_before) if state.not_before is not None else probe_at
    return replace(state, probe_at=probe_at, wake_at=wake_at, emptied=False)


def backed_off(state: BreakerState, until: datetime, now: datetime, per_s: float | None = None) -> BreakerState:
    """Return the state of a destination that has asked for time: nothing is sent before ``until``, at most a day from now."""
    until = min(until, now + SLOW_MAX)
    if until <= now or (state.not_before is not None and until <= state.not_before):
        return state
    state = replace(state, not_before=until)
    return _until(state, state.probe_at) if state.probe_at is not None else _wake(state, until, per_s)


def counted(state: BreakerState, code: str, transfer: str, now: datetime) -> BreakerState:
    """Return the state with an attempt counted among the refusals or the deliveries; the same object where nothing changes.

    A notice is pending once the tenant must be told of the refusals.
    """
    counts = refusals.weight(state.refusals, transfer, now)
    if CODES[code] is Outcome.DELIVERED:
        seen = refusals.taken(state.refusals, now, counts)
        return state if seen is state.refusals else replace(state, refusals=seen)
    at_once = code in LOST_ACCESS
    if not is_refusal(code) or not (counts or at_once):
        return state
    seen, due = refusals.refused(state.refusals, code, transfer, now, counts, at_once=at_once)
    notices = (*state.notices, HealthNotice(REJECTING, now)) if due else state.notices
    return replace(state, refusals=seen, notices=notices)


def gone(state: BreakerState, now: datetime) -> BreakerState:
    """Return the state of a destination that has said that it will never take anything again."""
    if any(n.type == "destination.gone" for n in state.notices):
        return state
    return replace(state, notices=(*state.notices, HealthNotice("destination.gone", now)))


def without(state: BreakerState, told: tuple[HealthNotice, ...]) -> BreakerState:
    """Return the state without the notices that were published."""
    return replace(state, notices=tuple(n for n in state.notices if n not in told))


def enabled(now: datetime, per_s: float | None = None) -> BreakerState:
    """Return the state of a destination that was just enabled: a clean one that wakes its waiting lanes."""
    return _wake(BreakerState(), now, per_s)


def is_given_up(state: BreakerState) -> bool:
    """Return whether a destination has failed for so long that it must be disabled."""
    return state.told == STEPS[-1]


# Listed lanes


def _wake(state: BreakerState, at: datetime, per_s: float | None) -> BreakerState:
    rate = WAKES_PER_S if per_s is None else min(math.ceil(per_s), WAKES_PER_S_MAX)
    return replace(state, wake_at=at, wake_per_s=rate, emptied=False)


def wait_listed(state: BreakerState, now: datetime, per_s: float | None = None) -> BreakerState:
    """Return the state once a lane waits for its turn; the same object where its turn will come anyway."""
    if state.probe_at is not None or (state.wake_at is not None and not state.emptied):
        return state
    return _wake(state, now, per_s)


def wakes(state: BreakerState, now: datetime) -> tuple[int, bool]:
    """Return how many listed lanes pump wakes a second, and whether it goes on after the first second.

    Of an open breaker one lane is woken: it may become the probe.
    """
    if state.wake_at is None or now < state.wake_at:
        return 0, False
    return (1, False) if state.probe_at is not None else (max(1, state.wake_per_s), True)


def checked(state: BreakerState, found: bool, now: datetime) -> BreakerState:
    """Return the state after pump has looked at the listed lanes."""
    if found:
        return replace(state, emptied=False) if state.emptied else state
    if state.probe_at is not None:
        return replace(state, wake_at=now + PROBE_MAX)  # any later delivery may be the probe
    if not state.emptied:
        return replace(state, wake_at=now + EMPTY_FOR, emptied=True)
    return replace(state, wake_at=None, wake_per_s=0, emptied=False)


def paused(state: BreakerState, now: datetime) -> BreakerState:
    """Return the state of a disabled destination, whose lanes are not woken.

    A recent wake time stays: another process may have enabled the destination meanwhile.
    """
    if state.wake_at is None or now - state.wake_at < LEASE:
        return state
    return replace(state, wake_at=None, wake_per_s=0, emptied=False)


# How it is stored


def document(state: BreakerState) -> dict[str, Any]:
    """Return a state as JSON values, without the defaults of ``BreakerState()``; times in milliseconds since 1970."""
    clean = BreakerState()
    own = {name: _plain(getattr(state, name)) for name in _STORED if getattr(state, name) != getattr(clean, name)}
    return {**state.others, **own}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return times.millis(value)
    if isinstance(value, Refusals):
        return refusals.document(value)
    if isinstance(value, HealthNotice):
        return [value.type, times.millis(value.since), value.percent]
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


_STORED = tuple(f.name for f in fields(BreakerState) if f.name != "others")
_TIMES = ("failing_since", "failed_at", "opened_at", "probe_at", "leased_until", "not_before", "wake_at")


def from_document(values: Mapping[str, Any]) -> BreakerState:
    """Read what ``document`` wrote."""
    read: dict[str, Any] = {
        name: times.from_millis(value) if name in _TIMES else value for name, value in values.items() if name in _STORED
    }
    if others := {name: value for name, value in values.items() if name not in _STORED}:
        read["others"] = others
    if "recent" in read:
        read["recent"] = tuple((times.from_millis(at), lane) for at, lane in read["recent"])
    if "refusals" in read:
        read["refusals"] = refusals.from_document(read["refusals"])
    if "notices" in read:
        read["notices"] = tuple(
            HealthNotice(kind, times.from_millis(at), percent) for kind, at, percent in read["notices"]
        )
    return BreakerState(**read)

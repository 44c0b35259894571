"""How long an account rests after its vendor has asked for less. Pure.

A vendor that names no time is left alone for a second, then for two, four … seconds, and gets fewer calls for some minutes:
other programs use the account, too. One that blocks the account, because
earlier answers were not heeded, is left alone for minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIRST_S = 1.0
MAX_S = 60.0
BLOCKED_FIRST_S = 60.0
BLOCKED_MAX_S = 600.0
ASKED_MAX_S = 86_400.0
FORGOTTEN = timedelta(minutes=5)
"""After so long without a throttle the next pause is the first again."""
BLOCK = timedelta(hours=1)
"""For how long after a throttle a refusal of rights counts as a block of the account."""
SLOWER_MAX = 4
"""A throttled account gets at most so many times fewer calls than otherwise."""
_DOUBLINGS_MAX = 20


@dataclass(frozen=True)
class Throttle:
    """How often a vendor has asked for less lately.

    Args:
        number: the pauses so far, each longer than the one before.
        at: when the vendor last said "too many requests".
        until: the end of the last pause.
    """

    number: int = 0
    at: datetime | None = None
    until: datetime | None = None


def throttled(state: Throttle, now: datetime, asked_s: float | None) -> Throttle:
    """Return the state after an answer that asks for less.

    Args:
        asked_s: the wait that the answer names.
    """
    state = replace(state, at=now)
    if asked_s is not None:
        return _until(state, now, max(FIRST_S, min(asked_s, ASKED_MAX_S)))
    return _grown(state, now, FIRST_S, MAX_S)


def blocked(state: Throttle, now: datetime) -> Throttle:
    """Return the state after an answer that refuses everything because of earlier throttles."""
    return _grown(state, now, BLOCKED_FIRST_S, BLOCKED_MAX_S)


def slower(state: Throttle, now: datetime) -> int:
    """Return how many times fewer calls an account gets because of its throttles; 1 where it was not throttled lately."""
    if state.until is None or now - state.until > FORGOTTEN:
        return 1
    return min(state.number + 1, SLOWER_MAX)


def is_block(state: Throttle, now: datetime) -> bool:
    """Say whether a refusal of rights may be the vendor's block after a throttle."""
    return state.at is not None and now - state.at <= BLOCK


def _grown(state: Throttle, now: datetime, least_s: float, most_s: float) -> Throttle:
    if state.until is not None and now < state.until:
        return _until(state, now, least_s)  # several calls were under way: one pause for all
    recent = state.until is not None and now - state.until <= FORGOTTEN
    number = state.number + 1 if recent else 1
    pause_s = FIRST_S * 2 ** min(number - 1, _DOUBLINGS_MAX)
    return _until(replace(state, number=number), now, max(least_s, min(pause_s, most_s)))


def _until(state: Throttle, now: datetime, pause_s: float) -> Throttle:
    until = now + timedelta(seconds=pause_s)
    return replace(state, until=until if state.until is None else max(until, state.until))

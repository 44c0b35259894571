"""A destination's turns when the process that waits for one sleeps longer than it asked to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from chalicelib.flow.delivery import deliver
from chalicelib.flow.pacing import TURNS
from chalicelib.flow.routing import route
from tests.support.world import START, World, world

LIMIT = 10


def watched(w: World) -> tuple[list[float], list[float]]:
    """Return the moments of the turns that are taken, and of the attempts that are made, in seconds, as they come."""
    turns: list[float] = []
    attempts: list[float] = []
    take = w.runtime.rate_limits.take_turn

    def taken(tenant: str, place: str, per_s: float, now: datetime, within_s: float) -> float | None:
        wait_s = take(tenant, place, per_s, now, within_s)
        if wait_s is not None:
            turns.append((now - START).total_seconds() + wait_s)
        return wait_s

    def answer(_: object) -> tuple[int, dict[str, str]]:
        attempts.append(w.now_s)
        return 204, {}

    w.runtime.rate_limits.take_turn = taken  # type: ignore[method-assign]
    w.receiver.answer = answer
    return turns, attempts


def oversleeping(
    w: World, by_s: Callable[[], float], meanwhile: Callable[[], object] = lambda: None
) -> Callable[[float], None]:
    """Return a sleep that takes longer than asked, and in which another process does something."""

    def sleep(seconds: float) -> None:
        w.clock += timedelta(seconds=seconds + by_s())
        meanwhile()

    return sleep


def test_another_turn_is_taken_when_the_first_was_slept_through() -> None:
    with world() as w:
        w.connect(destination={"rate_limit_per_s": LIMIT})
        turns, attempts = watched(w)
        late = iter([3.0])
        w.runtime.sleep = oversleeping(w, lambda: next(late, 0.0))
        for number in range(3):
            w.post(number)

        w.settle()

        assert w.receiver.texts() == ["m0", "m1", "m2"]
        assert len(turns) == 4
        assert attempts == pytest.approx([turns[0], *turns[2:]])
        assert attempts[1] > 3


def test_lane_is_listed_and_nothing_is_sent_when_every_turn_was_slept_through() -> None:
    with world() as w:
        w.connect(destination={"rate_limit_per_s": LIMIT})
        take = w.runtime.rate_limits.take_turn
        turns, attempts = watched(w)
        w.runtime.sleep = oversleeping(w, lambda: 3.0, lambda: take(w.tenant, w.destination, LIMIT, w.clock, 1.0))
        take(w.tenant, w.destination, LIMIT, w.clock, 1.0)
        w.post(1)

        w.inbox.run(route.handle)
        w.outbox.run(deliver.handle)

        assert attempts == []
        assert len(turns) == TURNS
        assert len(list(w.runtime.data.listed(w.tenant, w.destination))) == 1
        w.runtime.sleep = oversleeping(w, lambda: 0.0)
        w.run(timedelta(minutes=2))
        assert w.receiver.texts() == ["m1"]

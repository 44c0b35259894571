"""A destination's limit, with many invocations at once in simulated time."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.flow.routing import route
from infra.cell import engines
from tests.support.breaker import LONG
from tests.support.simultaneous import Simultaneous
from tests.support.world import START

LIMIT, EVENTS, CHATS = 10, 40, 16


def oversleeping(now_s: float, seconds: float) -> float:
    """Return how long a sleep takes: no lane is woken in two of each five seconds."""
    wakes = (now_s + seconds) % 5
    return seconds + (2 - wakes if 0.1 < wakes < 2 else 0)


@pytest.mark.parametrize("invocations", [1, 4])
def test_no_second_holds_more_than_the_limit_when_many_invocations_deliver_at_once(
    invocations: int,
) -> None:
    arrived: list[tuple[datetime, str]] = []
    turns: list[float] = []
    with engines.moto() as engine:
        w = Simultaneous()
        w.nap_s = oversleeping
        w.start(engine)
        w.connect(destination={"rate_limit_per_s": LIMIT, "retry": LONG})
        for number in range(EVENTS):
            w.post(number, chat=100 + number % CHATS)
        while w.inbox.run(route.handle):
            pass

        def answer(body: dict[str, Any]) -> tuple[int, dict[str, str]]:
            arrived.append((w.now(), body["data"]["message"]["text"]))
            return 204, {}

        take = w.runtime.rate_limits.take_turn

        def taken(tenant: str, place: str, per_s: float, now: datetime, within_s: float) -> float | None:
            wait_s = take(tenant, place, per_s, now, within_s)
            if wait_s is not None:
                turns.append((now - START).total_seconds() + wait_s)
            return wait_s

        w.runtime.rate_limits.take_turn = taken  # type: ignore[method-assign]
        w.receiver.answer = answer
        w.deliver_until(lambda: len(arrived) == EVENTS, invocations, 300)

        texts = [text for _, text in arrived]
        assert sorted(texts) == sorted(f"m{n}" for n in range(EVENTS))
        for chat in range(CHATS):
            assert [t for t in texts if int(t[1:]) % CHATS == chat] == [f"m{n}" for n in range(chat, EVENTS, CHATS)]
        turns.sort()
        assert len(turns) >= EVENTS
        assert min(after - before for before, after in itertools.pairwise(turns)) > 1 / LIMIT
        moments = [at for at, _ in arrived]
        seconds = [sum(1 for at in moments if first <= at < first + timedelta(seconds=1)) for first in moments]
        assert max(seconds) <= LIMIT + 1  # a request leaves at most one turn's length late
        assert {e["attempt"] for e in w.of_kind("attempted")} == {1}
        w.close()

"""A destination whose attempts have failed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.breaker import AttemptResult, BreakerState
from chalicelib.core.tenant.records import Retry
from tests.support.world import World

LONG = Retry(delays_s=(5, 300, 1800, *[7200] * 17))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def failed(w: World, times: int) -> None:
    """Note failures on two lanes, as so many attempts would."""

    def step(state: BreakerState) -> BreakerState:
        for number in range(times):
            state = breaker.after(state, AttemptResult.FAILED, f"lane {number % 2}", w.clock)
        return state

    health = w.runtime.destination_state
    health.change(w.tenant, w.destination, health.get(w.tenant, w.destination), w.clock, step)


def all_ended_once_in_order(w: World, texts: list[list[str]]) -> None:
    """Every transfer has one end, every lane (given by its texts) its order, and no row is left over."""
    transfers = {r["transfer"] for e in w.of_kind("decided") for r in e["routes"]}
    assert ends(w) == dict.fromkeys(transfers, 1)
    arrived = list(dict.fromkeys(w.receiver.texts()))
    for lane in texts:
        assert [t for t in arrived if t in lane] == lane
    assert len(arrived) == sum(map(len, texts))
    assert not w.inbox.messages
    assert not w.outbox.messages
    assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def state_of(w: World) -> BreakerState:
    return w.runtime.destination_state.get(w.tenant, w.destination).state


def ends(w: World) -> Counter[str]:
    """How often each allowed transfer has ended."""
    found = Counter(e["transfer"] for e in w.of_kind("attempted") if e["outcome"] != "failed")
    acts = w.of_kind("expired")
    found.update(e["object"]["id"] for e in acts if e["object"] is not None)
    over = {e["event"] for e in acts if e["object"] is None}  # ends every transfer that the event still has under way
    left = {r["transfer"] for e in w.of_kind("decided") if e["event"] in over for r in e["routes"]}
    found.update(left - found.keys())
    return found

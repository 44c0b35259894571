"""A destination whose attempts have failed."""

from __future__ import annotations

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.breaker import AttemptResult, BreakerState
from tests.support.world import World


def failed(w: World, times: int) -> None:
    """Note failures on two lanes, as so many attempts would."""

    def step(state: BreakerState) -> BreakerState:
        for number in range(times):
            state = breaker.after(state, AttemptResult.FAILED, f"lane {number % 2}", w.clock)
        return state

    health = w.runtime.destination_state
    health.change(w.tenant, w.destination, health.get(w.tenant, w.destination), w.clock, step)

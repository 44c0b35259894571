"""The turns of destinations with a rate limit, on every engine that is found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.store.items import Table
from chalicelib.store.rate_limit import RateLimitStore
from tests.support.engines import Engine
from tests.support.stores import NOW, new_id, table

SECOND = timedelta(seconds=1)


@pytest.fixture
def data(engine: Engine) -> Table:
    return table(engine, "data")


@pytest.fixture
def limits(data: Table) -> RateLimitStore:
    return RateLimitStore(data)


def test_turns_are_evenly_spaced_when_several_processes_take_them(data: Table) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    processes = [RateLimitStore(data) for _ in range(3)]

    waits = [processes[n % 3].take_turn(tenant, destination, 10, NOW, 0.5) for n in range(8)]

    assert waits == [0.0, 0.105, 0.21, 0.315, 0.42, None, None, None]
    assert processes[0].take_turn(tenant, destination, 10, NOW + SECOND, 0.5) == 0.0
    assert processes[1].take_turn(tenant, destination, 10, NOW + SECOND, 2) == 0.105


def test_what_waits_gets_a_turn_when_new_deliveries_take_every_near_one(limits: RateLimitStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    while limits.take_turn(tenant, destination, 4, NOW, 1.0) is not None:
        pass

    woken = limits.take_turn(tenant, destination, 4, NOW, 2.5)

    assert woken is not None
    assert 1.0 < woken <= 2.5

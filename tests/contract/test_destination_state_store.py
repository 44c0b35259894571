"""The stored state of destinations, and the lists of lanes that wait for them, on every engine that is found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.breaker import AttemptResult, BreakerState
from chalicelib.store.data import DataStore, due_shard, lane_of, list_of
from chalicelib.store.destination_state import DestinationStateStore, StoredState
from tests.support.engines import Engine
from tests.support.stores import NOW, index, new_id, table

SECOND = timedelta(seconds=1)


@pytest.fixture
def data(engine: Engine) -> DataStore:
    indexes = [index("day", "day", "at"), index("due", "due_shard", "due_at")]
    return DataStore(table(engine, "data", indexes=indexes), engine.insert_mode)


@pytest.fixture
def health(data: DataStore) -> DestinationStateStore:
    return DestinationStateStore(data.table)


def failed(state: BreakerState) -> BreakerState:
    return breaker.after(state, AttemptResult.FAILED, "lane", NOW)


def test_nothing_is_stored_when_nothing_changes(health: DestinationStateStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")

    stored, done = health.change(tenant, destination, health.get(tenant, destination), NOW, lambda state: state)

    assert (stored, done) == (StoredState(), False)
    assert health.get(tenant, destination).version == 0


def test_every_change_counts_when_each_saw_an_older_state(health: DestinationStateStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    seen = health.get(tenant, destination)

    for _ in range(3):
        _, done = health.change(tenant, destination, seen, NOW, failed)
        assert done

    assert health.get(tenant, destination).state.failures == 3
    assert health.get(tenant, new_id("dst")) == StoredState()


def test_one_gets_the_lease_when_two_saw_the_same_state(health: DestinationStateStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    opened, _ = health.change(
        tenant, destination, StoredState(), NOW, lambda _: BreakerState(failures=10, probe_at=NOW, wake_at=NOW)
    )

    def lease(state: BreakerState) -> BreakerState:
        may = breaker.may_send(state, NOW) is breaker.Permission.PROBE
        return breaker.leased(state, NOW) if may else state

    done = [health.change(tenant, destination, opened, NOW, lease)[1] for _ in range(3)]

    assert done == [True, False, False]


def test_a_destination_is_due_when_its_lanes_are_to_be_woken(data: DataStore, health: DestinationStateStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    name = f"health#{tenant}#{destination}"
    assert due_shard(name).startswith("due#")

    health.enable(tenant, destination, NOW, None)
    assert name in dict(data.due_lanes(NOW + SECOND, 10_000))

    health.change(tenant, destination, health.get(tenant, destination), NOW, lambda _: BreakerState(failures=1))
    assert name not in dict(data.due_lanes(NOW + SECOND, 10_000))


def test_lanes_are_listed_in_order_until_they_are_moved(data: DataStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    lanes = [lane_of(tenant, destination, new_id("cnv")) for _ in range(3)]
    place = list_of(tenant, destination)
    for number, lane in enumerate(lanes):
        data.make_head(lane, NOW - number * SECOND, place)
    data.make_head(lane_of(tenant, destination, new_id("cnv")), NOW)

    found = list(data.listed(tenant, destination, 2))
    assert [lane for lane, _ in found] == lanes[::-1]
    dues = dict(found)
    data.move_head(lanes[0], NOW + SECOND, dues[lanes[0]])
    data.move_head(lanes[1], NOW + SECOND, dues[lanes[1]], place)
    data.move_head(lanes[1], NOW, "another time")  # another process has moved it since
    assert data.wake_at(lanes[2], NOW)

    assert [lane for lane, _ in data.listed(tenant, destination)] == [lanes[1]]

"""The turns of destinations with a rate limit, on every engine that is found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.core.delivery import throttling
from chalicelib.store.items import Table
from chalicelib.store.rate_limit import ROW_PER_S, RateLimitStore
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


@pytest.mark.parametrize("per_s", [ROW_PER_S, ROW_PER_S + 1, 500])
def test_turns_of_a_high_limit_are_shared_by_rows_and_stay_within_it(data: Table, per_s: int) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")
    processes, waits, refused = [RateLimitStore(data) for _ in range(3)], list[float](), 0
    while refused < 6:
        wait = processes[(len(waits) + refused) % 3].take_turn(tenant, destination, per_s, NOW, 0.2)
        refused += wait is None
        waits += [] if wait is None else [wait]

    rows = [data.get({"pk": f"turns#{tenant}#{destination}{part}", "sk": "turns"}) for part in ("", "#1", "#2", "#3")]
    assert len([row for row in rows if row]) == -(-per_s // ROW_PER_S)
    assert per_s * 0.2 * 0.9 < len(waits) <= per_s * 0.2 + 3


def test_turns_are_seconds_apart_when_the_rate_is_below_one(limits: RateLimitStore) -> None:
    tenant, destination = new_id("tnt"), new_id("dst")

    assert [limits.take_turn(tenant, destination, 0.5, NOW, 5) for _ in range(4)] == [0.0, 2.1, 4.2, None]


def test_no_process_gets_a_turn_before_the_end_of_a_pause_and_fewer_afterwards(data: Table) -> None:
    tenant, account = new_id("tnt"), "crm:1"
    ours, other = RateLimitStore(data), RateLimitStore(data)
    assert [ours.take_turn(tenant, account, 10, NOW, 1), other.take_turn(tenant, account, 10, NOW, 1)] == [0.0, 0.105]

    made = ours.pause(tenant, account, NOW, lambda seen: throttling.throttled(seen, NOW, 30.0))

    assert made.until == NOW + 30 * SECOND
    assert other.take_turn(tenant, account, 10, NOW + 29 * SECOND, 0.5) is None
    assert other.free_at(tenant, account) == made.until
    assert other.throttle(tenant, account) == made
    after = NOW + 31 * SECOND
    assert [other.take_turn(tenant, account, 10, after, 1) for _ in range(3)] == [0.0, 0.105, 0.105 + 0.105]


def test_pauses_grow_over_all_processes_and_slow_the_turns(data: Table) -> None:
    tenant, account = new_id("tnt"), "crm:1"
    processes = [RateLimitStore(data) for _ in range(3)]
    now, waits = NOW, list[float]()
    for process in processes:
        made = process.pause(tenant, account, now, lambda seen, at=now: throttling.throttled(seen, at, None))  # type: ignore[misc]
        assert made.until is not None
        waits.append((made.until - now).total_seconds())
        now = made.until

    assert waits == [1.0, 2.0, 4.0]
    turns = [processes[0].take_turn(tenant, account, 10, now + SECOND, 5) for _ in range(3)]
    assert turns[-1] == pytest.approx(turns[-2] + 4 * 0.105)  # type: ignore[operator]


def test_pause_is_stored_when_the_account_has_no_row_yet(limits: RateLimitStore) -> None:
    tenant, account = new_id("tnt"), "crm:1"

    limits.pause(tenant, account, NOW, lambda seen: throttling.throttled(seen, NOW, None))

    assert limits.take_turn(tenant, account, 10, NOW, 0.5) is None
    assert limits.take_turn(tenant, account, 10, NOW + SECOND, 0.5) == 0.0

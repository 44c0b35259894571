"""Lists of the index ``day`` that grow faster than one partition takes, on every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from chalicelib.core import times
from chalicelib.store import lists
from chalicelib.store.data import DataStore, lane_of, list_of
from chalicelib.store.event_rows import EventKey, EventRow
from chalicelib.store.jobs import JobStore
from chalicelib.store.keys import KeyStore
from tests.support.engines import Engine
from tests.support.stores import NOW, FakeKms, Ticks, index, new_id, table

DAY = times.text(NOW)[:10]
ROWS = 60


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def data(engine: Engine, ticks: Ticks) -> DataStore:
    indexes = [index("day", "day", "at"), index("due", "due_shard", "due_at")]
    return DataStore(table(engine, "data", indexes=indexes), engine.insert_mode, ticks)


def at(number: int) -> str:
    return times.text(NOW + timedelta(milliseconds=number))


def add_event(data: DataStore, tenant: str, number: int) -> None:
    received = NOW + timedelta(milliseconds=number)
    key = EventKey(tenant, f"evt_{number:026d}", "-")
    assert data.insert_events([EventRow(key, received, received + timedelta(days=30), 1, None, None, {})]) == [None]


def add_held(data: DataStore, tenant: str, number: int) -> None:
    waiting = {"tenant": tenant, "transfer": f"trf_{number:026d}", "held_since": at(number), "due_at": at(number)}
    data.park(lane_of(tenant, "dst_a", f"cnv_{number}"), "0001", waiting, NOW, held=True)


def add_listed(data: DataStore, tenant: str, number: int) -> None:
    due_at = NOW + timedelta(milliseconds=number)
    data.make_head(lane_of(tenant, "dst_a", f"cnv_{number}"), due_at, list_of(tenant, "dst_a"))


def add_moved(data: DataStore, tenant: str, number: int) -> None:
    due_at, lane = NOW + timedelta(milliseconds=number), lane_of(tenant, "dst_a", f"cnv_{number}")
    data.make_head(lane, NOW)
    data.move_head(lane, due_at, times.text(NOW), list_of(tenant, "dst_a"))


Found = Iterator[tuple[object, str]]
KINDS: dict[str, tuple[Callable[[DataStore, str, int], None], str, Callable[[DataStore, str], Found]]] = {
    "events of a day": (add_event, DAY, lambda data, tenant: data.event_keys(tenant, DAY)),
    "held transfers": (add_held, "held", lambda data, tenant: data.held(tenant)),
    "parked lanes": (add_listed, "listed#dst_a", lambda data, tenant: data.listed(tenant, "dst_a")),
    "lanes parked again": (add_moved, "listed#dst_a", lambda data, tenant: data.listed(tenant, "dst_a")),
}
"""Each list: what adds a row, the list's name behind the tenant, and what reads it."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_that_grows_fast_has_parts_and_is_read_whole_and_in_order(data: DataStore, kind: str) -> None:
    add, name, read = KINDS[kind]
    tenant = new_id("tnt")
    for number in range(ROWS):
        add(data, tenant, number)

    places = [place for _, place in read(data, tenant)]

    own = [f"{tenant}#{name}"]
    parts = [f"{tenant}#{name}#{part}" for part in range(lists.PARTS)]
    sizes = Counter(
        {place: sum(1 for _ in data.table.query("#day = :d", {":d": place}, index="day", names={"#day": "day"}))
         for place in own + parts}
    )  # fmt: skip
    assert sizes[own[0]] == lists.BURST, "the release before lists these"
    assert sum(sizes.values()) == len(places) == ROWS
    assert max(sizes[part] for part in parts) < ROWS / 4
    assert places == sorted(places, reverse=kind == "events of a day")


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_that_grows_slowly_is_one_partition_and_one_query(data: DataStore, ticks: Ticks, kind: str) -> None:
    add, name, read = KINDS[kind]
    tenant = new_id("tnt")
    for number in range(ROWS):
        ticks.now_s += 1 / lists.OWN_PER_S
        add(data, tenant, number)

    assert lists.with_parts(data.table, [f"{tenant}#{name}"]) == frozenset()
    assert len(list(read(data, tenant))) == ROWS


def test_a_page_begins_where_the_last_one_ended_in_a_list_with_parts(data: DataStore, ticks: Ticks) -> None:
    tenant = new_id("tnt")
    for number in range(ROWS):
        add_event(data, tenant, number)
    every = list(data.event_keys(tenant, DAY))
    parts = data.with_parts(tenant, [DAY, "2026-01-01"])

    assert parts == {f"{tenant}#{DAY}"}
    for cut in (1, 25, ROWS - 1):
        assert list(data.event_keys(tenant, DAY, before=every[cut - 1][1], parts=parts)) == every[cut:]
    keys = KeyStore(FakeKms, "alias/cell", data.table, ticks, lambda: NOW)
    jobs, found = JobStore(data.table, keys, ticks.random), list[EventKey]()
    position: str | None = DAY
    while position is not None:
        page, position = jobs.events(tenant, position, NOW + timedelta(days=1), 10)
        found += [key for key, _ in page]
    assert found == [key for key, _ in reversed(every)]


def test_held_transfers_go_on_behind_a_place_in_a_list_with_parts(data: DataStore) -> None:
    tenant = new_id("tnt")
    for number in range(ROWS):
        add_held(data, tenant, number)
    every = list(data.held(tenant))

    assert list(data.held(tenant, every[30][1])) == every[31:]


def test_mark_outlives_what_it_lists(data: DataStore) -> None:
    tenant = new_id("tnt")
    for number in range(ROWS):
        add_event(data, tenant, number)

    mark = data.table.get({"pk": f"parts#{tenant}#{DAY}", "sk": "parts"})

    assert mark is not None
    assert mark["ttl"] > (NOW + timedelta(days=3650)).timestamp()

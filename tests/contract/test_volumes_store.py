"""Counters of people, on every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.core.envelope import TenantKeys
from chalicelib.store import volumes
from chalicelib.store.items import Table
from chalicelib.store.people import PeopleStore, people_key
from chalicelib.store.volume_rows import CounterKey, Crossing
from chalicelib.store.volumes import VolumeStore
from chalicelib.threads import ProcessThreads
from tests.support.engines import Engine
from tests.support.stores import Ticks, new_id, table

KEYS = TenantKeys(b"m" * 32)
BOTH, ONE = frozenset({"subjects_ytd", "sensitive_ytd"}), frozenset({"subjects_ytd"})


@pytest.fixture
def data(engine: Engine) -> Table:
    return table(engine, "data")


@pytest.fixture
def rows(engine: Engine) -> Table:
    return table(engine, "people", range_key=False)


def met(rows: Table, tenant: str, *who: str) -> list[str]:
    """Make people, and return their rows."""
    places = [people_key(tenant, KEYS, "subject", "telegram", "src_a", one) for one in who]
    PeopleStore(rows, Ticks().random).find_or_make(dict.fromkeys(places, ("subject", KEYS)))
    return places


def nobody(crossing: Crossing) -> None:
    """Do nothing with a crossing."""


def test_each_person_counts_once_for_each_counter(data: Table, rows: Table) -> None:
    store, place = VolumeStore(data, rows, lambda _s: None), CounterKey(new_id("tnt"), "CN", 2026)
    one, two = met(rows, place.tenant, "1", "2")

    assert store.count(place, {one: ONE}, nobody) == {"subjects_ytd": 1, "sensitive_ytd": 0}
    assert store.count(place, {one: BOTH, two: ONE}, nobody) == {"subjects_ytd": 2, "sensitive_ytd": 1}
    assert store.count(place, {one: BOTH, two: ONE}, nobody) == {"subjects_ytd": 2, "sensitive_ytd": 1}

    last = CounterKey(place.tenant, "CN", 2025)
    assert store.get([place, last]) == {place: {"subjects_ytd": 2, "sensitive_ytd": 1}}
    assert store.of_tenant(place.tenant) == store.get([place])
    assert store.of_tenant(new_id("tnt")) == {}


def test_marks_come_with_the_person_and_stay_when_an_end_is_called_off(data: Table, rows: Table) -> None:
    store, place = VolumeStore(data, rows, lambda _s: None), CounterKey(new_id("tnt"), "CN", 2026)
    (one,) = met(rows, place.tenant, "1")
    store.count(place, {one: BOTH}, nobody)
    people = PeopleStore(rows, Ticks().random)
    marks = {place.mark(name) for name in BOTH}
    assert people.find_or_make({one: ("subject", KEYS)})[one].marks == marks

    rows.update({"pk": one}, "SET ending = :s", {":s": 1})

    assert people.find_or_make({one: ("subject", KEYS)})[one].marks == marks
    assert store.count(place, {one: BOTH}, nobody) == {"subjects_ytd": 1, "sensitive_ytd": 1}


def test_a_batch_of_many_people_counts_when_it_is_more_than_one_write_takes(data: Table, rows: Table) -> None:
    store, place = VolumeStore(data, rows, lambda _s: None), CounterKey(new_id("tnt"), "RU", 2026)
    people = met(rows, place.tenant, *(str(n) for n in range(60)))
    told: list[tuple[int, int]] = []

    counts = store.count(place, dict.fromkeys(people, ONE), lambda c: told.append((c.before, c.after)))

    assert (counts, told) == ({"subjects_ytd": 60}, [(0, 50), (50, 60)])


def test_the_count_is_right_when_several_count_at_once(data: Table, rows: Table) -> None:
    place = CounterKey(new_id("tnt"), "RU", 2026)
    people = met(rows, place.tenant, *(str(n) for n in range(8)))

    def count(number: int) -> None:
        wanted = dict.fromkeys((people[number % 8], people[(number + 3) % 8]), ONE)
        VolumeStore(data, rows, lambda _s: None).count(place, wanted, nobody)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count, range(16)))

    assert VolumeStore(data, rows, lambda _s: None).get([place])[place] == {"subjects_ytd": 8}


def test_a_busy_counter_gets_shards_and_stays_right_when_several_count_at_once(
    data: Table, rows: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "CONFLICTS_MAX", 1)
    place = CounterKey(new_id("tnt"), "RU", 2026)
    people = met(rows, place.tenant, *(str(n) for n in range(12)))
    stores = [VolumeStore(data, rows, lambda _s: None, threads=ProcessThreads()) for _ in range(3)]
    told: list[tuple[int, int]] = []

    def count(number: int) -> None:
        wanted = dict.fromkeys((people[(number + step) % 12] for step in range(4)), ONE)
        stores[number % 3].count(place, wanted, lambda c: told.append((c.before, c.after)))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count, range(24)))
    found = VolumeStore(data, rows, lambda _s: None)

    assert found.get([place])[place] == {"subjects_ytd": 12}
    assert found.of_tenant(place.tenant) == found.get([place])
    assert {n for before, after in told for n in range(before + 1, after + 1)} == set(range(1, 13))


def test_a_counter_with_shards_is_read_whole_by_a_process_that_does_not_know_of_them(
    data: Table, rows: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "CONFLICTS_MAX", 0)
    place = CounterKey(new_id("tnt"), "RU", 2026)
    people = met(rows, place.tenant, *(str(n) for n in range(40)))
    for pk in people:
        VolumeStore(data, rows, lambda _s: None).count(place, {pk: ONE}, nobody)
    shards = [data.get(VolumeStore(data, rows, lambda _s: None).key(place, n)[1]) for n in range(volumes.SHARDS)]

    assert len([row for row in shards if row]) > volumes.SHARDS / 2
    for read in (VolumeStore.get, VolumeStore.get_latest):
        assert read(VolumeStore(data, rows, lambda _s: None), [place]) == {place: {"subjects_ytd": 40}}
    assert VolumeStore(data, rows, lambda _s: None).of_tenant(place.tenant) == {place: {"subjects_ytd": 40}}


def test_a_decision_reads_a_counter_three_times_a_second_at_most(data: Table, rows: Table) -> None:
    ticks, place = Ticks(), CounterKey(new_id("tnt"), "RU", 2026)
    one, other = (VolumeStore(data, rows, lambda _s: None, ticks) for _ in range(2))
    people = met(rows, place.tenant, *(str(n) for n in range(5)))

    for number in range(volumes.READS_A_S):  # at a low rate each count is seen at once
        other.count(place, {people[number]: ONE}, nobody)
        assert one.get_latest([place]) == {place: {"subjects_ytd": number + 1}}
    other.count(place, {people[3]: ONE}, nobody)
    assert one.due_keys([place]) == []
    assert one.get_latest([place]) == {place: {"subjects_ytd": 3}}
    assert one.count(place, {people[4]: ONE}, nobody) == {"subjects_ytd": 5}
    assert one.get_latest([place]) == {place: {"subjects_ytd": 5}}
    ticks.now_s += 1
    assert len(one.due_keys([place])) == 1

"""Counters of people, on every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.core.envelope import TenantKeys
from chalicelib.store.items import Table
from chalicelib.store.people import PeopleStore, people_key
from chalicelib.store.volumes import CounterKey, Crossing, VolumeStore
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

    people.ends(one, 1)

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

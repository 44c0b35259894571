"""The sweep's own rows, and the end of rows and people, on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core.envelope import TenantKeys
from chalicelib.store.data import DataStore
from chalicelib.store.event_rows import EventKey, EventRow
from chalicelib.store.items import Table
from chalicelib.store.lifetimes import DAY, LifeLength, LifetimeStore, ReleasedHold, in_days
from chalicelib.store.people import PeopleStore, people_key
from chalicelib.store.restriction import Restriction
from tests.support.engines import Engine
from tests.support.stores import Ticks, index, new_id, table

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEYS = TenantKeys(b"m" * 32)


@pytest.fixture
def data(engine: Engine) -> Table:
    return table(engine, "data", indexes=[index("day", "day", "at"), index("due", "due_shard", "due_at")])


@pytest.fixture
def people(engine: Engine) -> PeopleStore:
    return PeopleStore(table(engine, "people", range_key=False), Ticks().random)


def stored(engine: Engine, data: Table, days: int = 1) -> EventRow:
    key = EventKey(new_id("tnt"), new_id("evt"), new_id("cnv"))
    row = EventRow(key, NOW, NOW + days * DAY, 1, owner="somebody", sealed=b"sealed")
    assert DataStore(data, engine.insert_mode).insert_events([row]) == [None]
    return row


def test_a_length_is_said_once_and_looked_at_from_where_it_was_left(data: Table) -> None:
    lifetimes, tenant = LifetimeStore(data), new_id("tnt")
    for days in (30, 2, 30):
        lifetimes.use(tenant, days, NOW)
    lifetimes.released(tenant, ReleasedHold("hld_a", "2026-01-01T00:00:00.000Z", NOW))
    first, released = lifetimes.to_look_at(tenant)

    lifetimes.move(tenant, first[0], "further")
    lifetimes.use(tenant, 2, NOW)
    lifetimes.done(tenant, released[0])

    assert [length.days for length in first] == [2, 30]
    assert released == [ReleasedHold("hld_a", "2026-01-01T00:00:00.000Z", NOW)]
    assert lifetimes.to_look_at(tenant) == ([LifeLength(2, "further"), first[1]], [])


def test_only_what_is_over_is_deleted(engine: Engine, data: Table) -> None:
    lifetimes, alive, over = LifetimeStore(data), stored(engine, data, 2), stored(engine, data)
    now = NOW + DAY

    ended = lifetimes.end([alive.key, over.key], now)

    left = DataStore(data, engine.insert_mode).events([alive.key, over.key], NOW)
    assert (ended, set(left)) == (1, {alive.key.event})


def test_content_is_sealed_once_and_ends_with_the_restriction(engine: Engine, data: Table) -> None:
    store, lifetimes, row = DataStore(data, engine.insert_mode), LifetimeStore(data), stored(engine, data, 9)
    rules = ({"id": "XX.1", "verdict": "refused", "ref": "art. 1"},)
    first = Restriction(NOW + 3 * DAY, "subject_request", rules)

    done = [lifetimes.restrict(row, why) for why in (first, Restriction(NOW + DAY, "unlawful", rules))]

    read = store.event(row.key.tenant, row.key.event, NOW)
    assert done == [True, False]
    assert read is not None
    assert (read.sealed, read.owner, read.restriction, read.expires_at) == (None, "somebody", first, first.until)


def test_content_is_not_sealed_when_it_was_erased(engine: Engine, data: Table) -> None:
    store, lifetimes, row = DataStore(data, engine.insert_mode), LifetimeStore(data), stored(engine, data)
    store.erase_content(row.key)

    assert not lifetimes.restrict(row, Restriction(NOW + DAY, "unlawful", ()))


def test_a_row_that_is_held_has_no_ttl(engine: Engine, data: Table) -> None:
    row = stored(engine, data)
    before = data.get(row.key.key)

    LifetimeStore(data).keep([row.key])

    after = data.get(row.key.key)
    assert before is not None and after is not None
    assert "ttl" in before
    assert {name: value for name, value in before.items() if name != "ttl"} == after


def test_who_is_asked_for_again_stays_asked_for(data: Table) -> None:
    lifetimes, tenant = LifetimeStore(data), new_id("tnt")
    lifetimes.ask(tenant, "somebody")
    (seen,) = lifetimes.asked(tenant)
    lifetimes.ends(tenant, "somebody", "sub_a", 5)

    lifetimes.ask(tenant, "somebody")
    lifetimes.looked(tenant, seen)
    (again,) = lifetimes.asked(tenant)
    lifetimes.looked(tenant, again)

    assert (again.ref, again.since) == (None, None)
    assert list(lifetimes.asked(tenant)) == []


def test_a_marked_person_ends_with_the_way_back(people: PeopleStore) -> None:
    tenant = new_id("tnt")
    place = people_key(tenant, KEYS, "subject", "telegram", "src_a", "77")
    person = people.find_or_make({place: ("subject", KEYS)})[place]
    marked = people.ends(place, 5)

    ended = [people.end(tenant, place, person.ref, 5) for _ in range(2)]  # the second completes nothing

    assert marked
    assert ended == [True, True]
    assert people.refs([place]) == {}
    assert people.of_ref(tenant, person.ref) is None
    assert not people.ends(place, 6)


def test_a_marked_person_who_is_seen_again_stays_the_same(people: PeopleStore) -> None:
    tenant = new_id("tnt")
    place = people_key(tenant, KEYS, "subject", "telegram", "src_a", "77")
    wanted = {place: ("subject", KEYS)}
    first = people.find_or_make(wanted)
    people.ends(place, 5)

    again = people.find_or_make(wanted)

    assert again == first
    assert not people.end(tenant, place, first[place].ref, 5)
    assert people.find_or_make(wanted) == first


def test_who_was_seen_marked_and_has_ended_is_made_anew(people: PeopleStore) -> None:
    tenant = new_id("tnt")
    place = people_key(tenant, KEYS, "subject", "telegram", "src_a", "77")
    wanted = {place: ("subject", KEYS)}
    first = people.find_or_make(wanted)[place]
    people.ends(place, 5)
    seen = people.table.get({"pk": place})
    assert seen is not None
    people.end(tenant, place, first.ref, 5)

    again = people.find_or_make(wanted, [seen])[place]  # another round trip had read the row before

    assert again.ref != first.ref
    assert again.key != first.key
    assert people.of_ref(tenant, again.ref) == place


@pytest.mark.parametrize(
    ("life", "days"),
    [(DAY, 1), (DAY + timedelta(milliseconds=1), 2), (timedelta(hours=1), 1), (30 * DAY, 30)],
)
def test_no_day_of_a_life_is_cut(life: timedelta, days: int) -> None:
    assert in_days(NOW, NOW + life) == days

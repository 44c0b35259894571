"""The store of people's refs and keys, on every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.core.envelope import TenantKeys
from chalicelib.core.errors import Misconfigured
from chalicelib.store.items import BATCH_GET, Table
from chalicelib.store.people import PeopleStore, people_key
from tests.support.engines import Engine
from tests.support.stores import Ticks, new_id, table

KEYS = TenantKeys(b"m" * 32)


@pytest.fixture
def rows(engine: Engine) -> Table:
    return table(engine, "people", range_key=False)


def pk(tenant: str, who: str, kind: str = "subject", source: str = "src_a") -> str:
    return people_key(tenant, KEYS, kind, "telegram", source, who)


def test_person_is_the_same_one_whenever_seen(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    wanted = {pk(tenant, "77"): ("subject", KEYS), pk(tenant, "77", "conversation"): ("conversation", KEYS)}

    first = people.find_or_make(wanted)
    again = PeopleStore(rows, Ticks().random).find_or_make(wanted)

    assert first == again
    assert {p.ref[:4] for p in first.values()} == {"sub_", "cnv_"}
    assert len({p.key for p in first.values()}) == 2
    assert people.get_many((k, KEYS) for k in wanted) == first


def test_everybody_is_found_when_they_are_more_than_one_call_may_ask_for(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    wanted = {pk(tenant, str(who)): ("subject", KEYS) for who in range(BATCH_GET + 1)}

    first = people.find_or_make(wanted)

    assert people.find_or_make(wanted) == first
    assert len({person.ref for person in first.values()}) == BATCH_GET + 1


def test_platform_id_is_nowhere_in_the_table(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    people.find_or_make({pk(tenant, "+491700000001"): ("subject", KEYS)})

    items = rows.client.scan(TableName=rows.name)["Items"]

    assert len(items) == 2  # the person, and the way back from the ref
    assert "491700000001" not in str(items)


def test_a_person_is_found_by_the_ref_until_the_row_is_gone(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    place = pk(tenant, "77")
    person = people.find_or_make({place: ("subject", KEYS)})[place]
    assert people.of_ref(tenant, person.ref) == place
    assert people.of_ref(new_id("tnt"), person.ref) is None

    rows.delete({"pk": place})
    assert people.of_ref(tenant, person.ref) is None

    people.find_or_make({place: ("subject", KEYS)})
    assert people.of_ref(tenant, person.ref) is None  # the place has a new person by now


def test_scope_of_a_person_is_the_channel_and_of_a_conversation_the_source() -> None:
    tenant = new_id("tnt")

    assert pk(tenant, "77", source="src_a") == pk(tenant, "77", source="src_b")
    assert pk(tenant, "77", "conversation", "src_a") != pk(tenant, "77", "conversation", "src_b")
    assert pk(tenant, "77") != pk(new_id("tnt"), "77")
    assert pk(tenant, "77") != people_key(tenant, TenantKeys(b"o" * 32), "subject", "telegram", "src_a", "77")


def test_deleted_person_comes_back_as_somebody_else(rows: Table) -> None:
    ticks = Ticks()
    people, tenant = PeopleStore(rows, ticks.random), new_id("tnt")
    wanted = {pk(tenant, "77"): ("subject", KEYS)}
    (before,) = people.find_or_make(wanted).values()

    rows.delete({"pk": before.pk})

    assert people.get_many([(before.pk, KEYS)]) == {}
    (after,) = people.find_or_make(wanted).values()
    assert after.ref != before.ref and after.key != before.key


def test_person_who_ended_and_came_back_after_the_read_is_not_taken_for_the_old_one(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    wanted = {pk(tenant, "77"): ("subject", KEYS)}
    (old,) = people.find_or_make(wanted).values()
    read = {**(rows.get({"pk": old.pk}) or {}), "ending": 1}  # by an invocation that is slow
    rows.delete({"pk": old.pk})
    (new,) = people.find_or_make(wanted).values()

    (found,) = people.find_or_make(wanted, [read]).values()

    assert found == new
    assert found.ref != old.ref and found.key != old.key


def test_person_whose_mark_another_took_away_after_the_read_stays(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    wanted = {pk(tenant, "77"): ("subject", KEYS)}
    (person,) = people.find_or_make(wanted).values()
    rows.update({"pk": person.pk}, "SET ending = :s", {":s": 1})
    read = rows.get({"pk": person.pk})
    assert read is not None
    people.find_or_make(wanted)

    assert people.find_or_make(wanted, [read]) == {person.pk: person}
    assert "ending" not in (rows.get({"pk": person.pk}) or {"ending": 1})


def test_key_opens_only_with_the_tenants_own(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    place = pk(tenant, "77")
    people.find_or_make({place: ("subject", KEYS)})

    with pytest.raises(Misconfigured):
        people.get_many([(place, TenantKeys(b"o" * 32))])


def test_racing_processes_agree_on_one_person(rows: Table) -> None:
    tenant = new_id("tnt")
    wanted = {pk(tenant, str(n)): ("subject", KEYS) for n in range(5)}

    def see(number: int) -> dict[str, str]:
        ticks = Ticks()
        seed = bytes([number])
        people = PeopleStore(rows, lambda size: (seed + ticks.random(size))[:size])
        return {k: p.ref for k, p in people.find_or_make(wanted).items()}

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(see, range(16)))

    assert all(one == seen[0] for one in seen)


def test_a_conversation_is_found_by_its_ref_with_its_source_where_a_way_back_was_wanted(rows: Table) -> None:
    people, tenant = PeopleStore(rows, Ticks().random), new_id("tnt")
    place, other = pk(tenant, "77", "conversation"), pk(tenant, "78", "conversation")

    made = people.find_or_make({place: ("conversation", KEYS), other: ("conversation", KEYS)}, sources={place: "src_a"})

    assert people.conversation(tenant, made[place].ref) == (place, "src_a")
    assert people.conversation(tenant, made[other].ref) is None
    assert people.conversation(new_id("tnt"), made[place].ref) is None
    person = people.find_or_make({pk(tenant, "79"): ("subject", KEYS)})[pk(tenant, "79")]
    assert people.conversation(tenant, person.ref) is None


def test_a_page_reads_each_row_once_and_returns_those_asked_for(rows: Table) -> None:
    people, tenant, other = PeopleStore(rows, Ticks().random), new_id("tnt"), new_id("tnt")
    wanted = {pk(one, str(who)): ("subject", KEYS) for one in (tenant, other) for who in range(6)}
    people.find_or_make(wanted)
    found, pages, start = list[str](), 0, None

    while pages == 0 or start is not None:
        items, start = rows.page("begins_with(pk, :t)", {":t": f"{tenant}#"}, 5, start)
        found += [item["pk"] for item in items if "key" in item]
        pages += 1

    assert sorted(found) == sorted(place for place in wanted if place.startswith(tenant))
    assert pages >= 5  # 24 rows, and each page reads five

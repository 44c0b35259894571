"""The ends of people, on every engine: the bound that writers raise, the index, and deletion while nothing has changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from chalicelib.core import times
from chalicelib.core.envelope import TenantKeys
from chalicelib.store.items import Table
from chalicelib.store.people import PeopleStore, PersonRow, people_key
from chalicelib.store.person_ends import SHARDS, SLOT, PersonEndStore, end_of, slot_of
from chalicelib.threads import PROCESS_THREADS
from tests.support.engines import Engine
from tests.support.stores import Ticks, index, new_id, table

KEYS = TenantKeys(b"m" * 32)
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
END = end_of(NOW, NOW)


@pytest.fixture
def rows(engine: Engine) -> Table:
    return table(engine, "people", range_key=False, indexes=[index("ends", "look_at", "pk")])


@pytest.fixture
def ends(engine: Engine, rows: Table) -> PersonEndStore:
    return PersonEndStore(rows, PROCESS_THREADS, batches=engine.insert_mode == "partiql")


def made(rows: Table, number: int = 1, end: int | None = END) -> list[PersonRow]:
    """People of one tenant."""
    tenant, people = new_id("tnt"), PeopleStore(rows, Ticks().random)
    wanted = {people_key(tenant, KEYS, "subject", "telegram", "src", str(n)): ("subject", KEYS) for n in range(number)}
    known = MappingProxyType({} if end is None else dict.fromkeys(wanted, end))
    return list(people.find_or_make(wanted, ends=known).values())


def ways(ends: PersonEndStore, end: int = END) -> list[str]:
    """The rows leading back to people who are due at an end."""
    return [way for n in range(SHARDS) for some in ends.due(times.from_millis(end), n) for way in some]


def mine(ends: PersonEndStore, people: list[PersonRow], end: int = END) -> list[str]:
    tenant = people[0].pk.partition("#")[0]
    return [way for way in ways(ends, end) if way.startswith(tenant)]


@pytest.mark.parametrize(
    ("at", "slot"),
    [
        ("2026-11-22T06:00:00.000Z", "2026-11-22T06:00:00.000Z"),
        ("2026-11-22T06:00:00.001Z", "2026-11-22T12:00:00.000Z"),
        ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"),
    ],
)
def test_ends_are_rounded_up(at: str, slot: str) -> None:
    assert times.text(slot_of(times.parse(at))) == slot


def test_an_end_is_never_sooner_than_an_invocation_lasts() -> None:
    late = NOW.replace(hour=11, minute=30)

    assert end_of(NOW - timedelta(days=9), late) == times.millis(slot_of(late) + SLOT)


def test_people_are_found_at_their_end_and_are_gone_after_it(rows: Table, ends: PersonEndStore) -> None:
    people = made(rows, 60)
    due = ends.people(mine(ends, people))

    ended = ends.end(due)
    ends.forget([one.way for one in ended])

    assert {one.ref for one in due} == {one.ref for one in ended} == {person.ref for person in people}
    assert [rows.get({"pk": person.pk}) for person in people] == [None] * 60
    assert mine(ends, people) == []


def test_a_person_whose_end_was_raised_or_doubted_stays(rows: Table, ends: PersonEndStore) -> None:
    raised, doubted, other = people = made(rows, 3)
    due = ends.people(mine(ends, people))
    later = END + times.millis(times.EARLIEST + SLOT)

    kept = ends.at_least(raised.pk, raised.ref, later)
    ref = ends.doubt(doubted.pk)
    ended = ends.end(due)

    assert (kept, ref) == (True, doubted.ref)
    assert [one.ref for one in ended] == [other.ref]
    assert {row["ref"] for person in people if (row := rows.get({"pk": person.pk}))} == {raised.ref, doubted.ref}


def test_a_doubted_person_ends_when_the_row_is_unchanged_since(rows: Table, ends: PersonEndStore) -> None:
    people = made(rows)
    ends.doubt(people[0].pk)
    due = ends.people(mine(ends, people))

    assert [one.unsure for one in due] == [True]
    assert ends.end(due) == due


def test_a_bound_is_never_lowered_by_a_writer(rows: Table, ends: PersonEndStore) -> None:
    (person,) = made(rows)

    assert ends.at_least(person.pk, person.ref, END - 1)
    assert (rows.get({"pk": person.pk}) or {})["ends_at"] == END


def test_a_person_who_has_ended_cannot_be_kept(rows: Table, ends: PersonEndStore) -> None:
    (person,) = people = made(rows)
    due = ends.people(mine(ends, people))
    ends.end(due)
    gone = ends.at_least(person.pk, person.ref, END + 1), ends.doubt(person.pk)
    again = PeopleStore(rows, lambda size: b"7" * size).find_or_make({person.pk: ("subject", KEYS)})[person.pk]

    other = ends.at_least(person.pk, person.ref, END + 1)

    assert gone == (False, None)
    assert again.ref != person.ref
    assert not other
    assert [one.there for one in ends.people([one.way for one in due])] == [False]
    assert ends.end(list(due)) == []
    assert rows.get({"pk": person.pk}) is not None


def test_a_bound_is_lowered_only_if_the_row_is_unchanged(rows: Table, ends: PersonEndStore) -> None:
    people = made(rows, 2, END + times.millis(times.EARLIEST + 9 * SLOT))
    first = ends.people(mine(ends, people, END + times.millis(times.EARLIEST + 9 * SLOT)))
    ends.at_least(first[0].person, None, first[0].ends_at + 1 if first[0].ends_at else 0)

    for one in first:
        ends.lower(one, END)

    bounds = {one.person: (rows.get({"pk": one.person}) or {}) for one in first}
    assert [bounds[one.person]["ends_at"] for one in first] == [(first[0].ends_at or 0) + 1, END]
    assert ["unsure" in bounds[one.person] for one in first] == [False, True]


def test_who_is_asked_for_is_looked_at_soon(rows: Table, ends: PersonEndStore) -> None:
    people = made(rows, 1, END + times.millis(times.EARLIEST + 9 * SLOT))

    ends.ask(people[0].pk, NOW)

    assert [one.unsure for one in ends.people(mine(ends, people))] == [True]


def test_people_of_an_earlier_release_are_adopted_a_page_at_a_time(rows: Table, ends: PersonEndStore) -> None:
    old, new = made(rows, 7, None), made(rows, 1)
    before = mine(ends, old)
    place: str | None = ""
    pages = 0
    while place is not None:
        place = ends.adopt(place, 4, NOW, lambda _: END, doubt=True)
        pages += 1

    assert before == []
    assert pages > 3
    assert {one.ref for one in ends.people(mine(ends, old))} == {person.ref for person in old}
    assert {(one.ends_at, one.unsure) for one in ends.people(mine(ends, old))} == {(None, True)}
    assert [(one.ends_at, one.unsure) for one in ends.people(mine(ends, new))] == [(END, True)]

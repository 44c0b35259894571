"""The sweep's own rows, and the end of rows and people, on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core import times
from chalicelib.store.data import DataStore
from chalicelib.store.event_rows import EventKey, EventRow
from chalicelib.store.items import Table
from chalicelib.store.lifetimes import LifetimeStore
from chalicelib.store.restriction import Restriction
from tests.support.engines import Engine
from tests.support.stores import index, new_id, table

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def data(engine: Engine) -> Table:
    return table(engine, "data", indexes=[index("day", "day", "at"), index("due", "due_shard", "due_at")])


def stored(engine: Engine, data: Table, days: int = 1) -> EventRow:
    key = EventKey(new_id("tnt"), new_id("evt"), new_id("cnv"))
    row = EventRow(key, NOW, NOW + days * DAY, 1, owner="somebody", sealed=b"sealed")
    assert DataStore(data, engine.insert_mode).insert_events([row]) == [None]
    return row


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


def test_a_row_that_is_let_go_has_the_ttl_of_its_life_again(engine: Engine, data: Table) -> None:
    row = stored(engine, data)
    before = data.get(row.key.key)
    lifetimes, store = LifetimeStore(data), DataStore(data, engine.insert_mode)
    lifetimes.keep([row.key])
    (held,) = store.events([row.key], NOW).values()

    lifetimes.let_go([held])

    assert (row.held, held.held) == (False, True)
    assert data.get(row.key.key) == before


def test_held_content_stays_out_of_ttl_when_it_is_restricted(engine: Engine, data: Table) -> None:
    row, other = stored(engine, data, 9), stored(engine, data, 9)
    lifetimes = LifetimeStore(data)
    lifetimes.keep([row.key])

    done = [lifetimes.restrict(one, Restriction(NOW + DAY, "unlawful", ())) for one in (row, other)]

    rows = [data.get(one.key.key) or {} for one in (row, other)]
    assert done == [True, True]
    assert ["ttl" in one for one in rows] == [False, True]


def test_an_event_stored_under_a_hold_has_no_ttl(engine: Engine, data: Table) -> None:
    key = EventKey(new_id("tnt"), new_id("evt"), new_id("cnv"))
    row = EventRow(key, NOW, NOW + DAY, 1, owner="somebody", sealed=b"sealed", held=True)

    assert DataStore(data, engine.insert_mode).insert_events([row]) == [None]

    assert "ttl" not in (data.get(key.key) or {"ttl": 0})


def test_progress_is_remembered(data: Table) -> None:
    lifetimes = LifetimeStore(data)
    before = lifetimes.slot(), lifetimes.adopting()
    lifetimes.move(NOW)
    lifetimes.adopt("place", NOW)
    during = lifetimes.slot(), lifetimes.adopting()
    lifetimes.adopt("", None)

    assert before == (None, ("", times.EARLIEST))
    assert during == (NOW, ("place", NOW))
    assert lifetimes.adopting() is None

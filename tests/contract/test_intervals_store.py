"""The store of intervals off the record, on every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.core.tenant.intervals import Change, Intervals, turned
from chalicelib.store.items import Table
from chalicelib.store.off_record_intervals import OffRecordIntervalStore
from tests.support.engines import Engine
from tests.support.stores import NOW, new_id, table


@pytest.fixture
def rows(engine: Engine) -> Table:
    return table(engine, "config")


def change(seconds: int = 0) -> Change:
    return Change(at=NOW + timedelta(seconds=seconds), actor=("key", "key_1"), request=f"req_{seconds}")


def test_what_is_read_is_what_was_put_there(rows: Table) -> None:
    store, tenant = OffRecordIntervalStore(rows), new_id("tnt")
    place, other, conversation = f"{tenant}#aa", f"{tenant}#bb", new_id("cnv")
    assert store.of(place) == ()

    on = store.change(tenant, conversation, place, lambda before: turned(before, True, change(0)))
    off = store.change(tenant, conversation, place, lambda before: turned(before, False, change(60)))

    assert on != off
    assert store.of(place) == off
    assert store.of_many([place, other, place]) == {place: off}
    assert store.of_many([]) == {}


def test_nothing_is_written_when_nothing_changes(rows: Table) -> None:
    store, tenant = OffRecordIntervalStore(rows), new_id("tnt")
    place, conversation = f"{tenant}#aa", new_id("cnv")
    store.change(tenant, conversation, place, lambda before: turned(before, True, change(0)))
    stored = rows.get({"pk": place, "sk": "otr"})

    store.change(tenant, conversation, place, lambda before: turned(before, True, change(60)))

    assert rows.get({"pk": place, "sk": "otr"}) == stored


def test_no_change_is_lost_when_many_come_at_once(rows: Table) -> None:
    store, tenant = OffRecordIntervalStore(rows), new_id("tnt")
    place, conversation = f"{tenant}#aa", new_id("cnv")

    def once(number: int) -> None:
        def step(before: Intervals) -> Intervals:
            return turned(turned(before, True, change(number)), False, change(number))

        store.change(tenant, conversation, place, step)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(4)))

    assert sorted(i.on.request for i in store.of(place)) == [f"req_{n}" for n in range(4)]


def test_the_tenant_is_marked_once_and_keeps_its_version(rows: Table) -> None:
    store, tenant = OffRecordIntervalStore(rows), new_id("tnt")
    rows.insert({"pk": tenant, "sk": "tenant", "config_version": 7})

    store.expect(tenant)
    store.expect(tenant)

    row = rows.get({"pk": tenant, "sk": "tenant"}) or {}
    assert (row["otr"], row["config_version"]) == (True, 7)


def test_nothing_is_left_when_the_tenant_is_erased(rows: Table) -> None:
    store, tenant = OffRecordIntervalStore(rows), new_id("tnt")
    for number in range(3):
        store.change(tenant, new_id("cnv"), f"{tenant}#{number}", lambda before: turned(before, True, change(0)))

    store.erase(tenant)

    items = rows.client.scan(TableName=rows.name)["Items"]
    assert [item for item in items if tenant in item["pk"]["S"]] == []

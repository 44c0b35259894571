"""The store of events, lanes and stored replies, on every engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.decide.retention import AFTER_EXPIRY
from chalicelib.core.delivery import lane_order
from chalicelib.core.envelope import NONCE_BYTES, pack
from chalicelib.core.errors import Misconfigured
from chalicelib.store.data import DataStore, lane_of
from chalicelib.store.event_rows import EventKey, EventRow, sealed_content
from chalicelib.store.ttl import NET
from tests.support.engines import Engine
from tests.support.stores import NOW, index, new_id, table

KEY, NONCE = b"k" * 32, b"n" * NONCE_BYTES


@pytest.fixture
def data(engine: Engine) -> DataStore:
    indexes = [index("day", "day", "at"), index("due", "due_shard", "due_at")]
    return DataStore(table(engine, "data", indexes=indexes), engine.insert_mode)


def event(
    tenant: str, data: DataStore, *, text: str = "hello", minutes: int = 0, days: int = 30, conversation: str = "-"
) -> EventRow:
    key = EventKey(tenant, new_id("evt"), conversation)
    received = NOW + timedelta(minutes=minutes)
    content = sealed_content(data.table.region, key, pack({"id": key.event, "text": text}), KEY, NONCE)
    return EventRow(
        key, received, received + timedelta(days=days), times.minute(received), "owner", content, {"trf_x": ["a"]}
    )


def test_event_is_read_as_it_was_stored_and_stored_once(data: DataStore) -> None:
    tenant = new_id("tnt")
    row = event(tenant, data)

    assert data.insert_events([row]) == [None]
    changed = EventRow(row.key, NOW, row.expires_at, 0, "another", b"other", {})
    assert data.insert_events([changed]) == [None]

    found = data.event(tenant, row.key.event, NOW)
    assert found == row and found is not None
    assert found.sealed == row.sealed
    assert found.open(KEY, data.table.region, None)["text"] == "hello"
    with pytest.raises(Misconfigured):
        found.open(b"x" * 32, data.table.region, None)
    assert data.event(new_id("tnt"), row.key.event, NOW) is None


def test_many_events_are_stored_and_read_together(data: DataStore) -> None:
    tenant = new_id("tnt")
    rows = [event(tenant, data, text=f"m{n}") for n in range(60)]

    outcomes = data.insert_events([*rows[:30], *rows])

    assert outcomes == [None] * 90
    found = data.events([r.key for r in rows], NOW)
    assert {e: r.open(KEY, data.table.region, None)["text"] for e, r in found.items()} == {
        r.key.event: f"m{n}" for n, r in enumerate(rows)
    }


def test_event_past_its_life_is_not_read_whatever_the_table_holds(data: DataStore) -> None:
    tenant = new_id("tnt")
    row = event(tenant, data, days=1)
    data.insert_events([row])

    late = row.expires_at

    assert data.event(tenant, row.key.event, late - timedelta(milliseconds=1)) is not None
    assert data.event(tenant, row.key.event, late) is None
    assert data.events([row.key], late) == {}


def test_keys_of_a_day_are_listed_newest_first_between_places(data: DataStore) -> None:
    tenant = new_id("tnt")
    rows = [event(tenant, data, minutes=n, conversation=f"cnv_{n % 2}") for n in range(4)]
    data.insert_events([*rows, event(new_id("tnt"), data)])
    day = times.text(NOW)[:10]

    places = list(data.event_keys(tenant, day))

    assert [k for k, _ in places] == [r.key for r in reversed(rows)]
    assert [k for k, _ in data.event_keys(tenant, day, before=places[1][1])] == [rows[1].key, rows[0].key]
    assert [k for k, _ in data.event_keys(tenant, day, after=times.text(rows[2].received_at))] == [
        rows[3].key,
        rows[2].key,
    ]
    assert list(data.event_keys(tenant, "2026-11-21")) == []


def test_erased_content_stays_away_when_the_event_is_stored_again(data: DataStore) -> None:
    tenant = new_id("tnt")
    row = event(tenant, data)
    data.insert_events([row])

    assert data.erase_content(row.key)
    assert data.erase_content(row.key)
    data.insert_events([row])

    found = data.event(tenant, row.key.event, NOW)
    assert found is not None and (found.sealed, found.owner) == (None, None)
    assert not data.erase_content(EventKey(tenant, new_id("evt"), "-"))


def test_first_minute_is_kept_when_an_event_comes_again(data: DataStore) -> None:
    tenant, one = new_id("tnt"), new_id("evt")

    assert data.first_minute(tenant, one, 7, NOW) == 7
    assert data.first_minute(tenant, one, 9, NOW) == 7


def waiting(tenant: str, **more: Any) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "transfer": new_id("trf"),
        "held_since": times.text(NOW),
        "due_at": times.text(NOW),
        **more,
    }


def test_lane_keeps_the_order_of_its_sequence_numbers(data: DataStore) -> None:
    tenant = new_id("tnt")
    lane = lane_of(tenant, "dst_a", "cnv_a")
    orders = {s: waiting(tenant) for s in ("0002", "0001", "0003")}

    for sequence, order in orders.items():
        data.park(lane, sequence, order, NOW, held=False)
    data.park(lane, "0001", waiting(tenant), NOW, held=False)
    data.update_waiting(lane, "0002", {**orders["0002"], "due_at": "later"}, held=False)
    data.remove_waiting(lane, "0003")

    found = list(data.waiting(lane))
    assert [w["sequence"] for w in found] == ["0001", "0002"]
    assert found[0]["transfer"] == orders["0001"]["transfer"]
    assert found[1]["due_at"] == "later"
    assert list(data.waiting(lane_of(tenant, "dst_a", "cnv_b"))) == []


def test_lane_keeps_its_order_when_an_earlier_release_has_parked_under_plain_numbers(data: DataStore) -> None:
    tenant = new_id("tnt")
    lane = lane_of(tenant, "dst_a", "cnv_a")
    before = ["9", "10", "99", "100", "1000"]
    orders = {number: waiting(tenant, received_at=times.text(NOW)) for number in [*before, "new"]}
    later_ms = times.millis(NOW) + 1
    # The queue has counted from 1 again, and the next release has parked a delivery.
    for number in sorted(before):
        data.park(lane, number, orders[number], NOW, held=number == "99")
    data.park(lane, lane_order.place("3", later_ms), orders["new"], NOW, held=False)

    found = [w["transfer"] for w in data.to_drain(lane)]
    first = next(data.to_drain(lane))
    data.update_waiting(lane, first["sequence"], {**first, "due_at": "later"}, held=False)

    assert found == [orders[number]["transfer"] for number in [*before, "new"]]
    assert [w["transfer"] for w in data.waiting(lane)] == found
    assert next(data.to_drain(lane))["due_at"] == "later"
    assert [at for at, _ in data.held(tenant)] == [lane]


def test_lane_is_due_from_its_time_on_until_its_head_is_gone(data: DataStore) -> None:
    tenant = new_id("tnt")
    lane, due = lane_of(tenant, "dst_a", "cnv_a"), times.text(NOW)
    data.make_head(lane, NOW)
    data.make_head(lane, NOW + timedelta(hours=9))

    assert list(data.due_lanes(NOW - timedelta(seconds=1), 10)) == []
    assert list(data.due_lanes(NOW, 10)) == [(lane, due)]
    data.move_head(lane, NOW + timedelta(hours=1), due)
    assert list(data.due_lanes(NOW, 10)) == []
    assert data.wake_at(lane, NOW)
    data.move_head(lane, NOW + timedelta(hours=1), times.text(NOW + timedelta(hours=2)))  # seen before it was woken
    assert [found for found, _ in data.due_lanes(NOW, 10)] == [lane]
    data.remove_head(lane)
    assert list(data.due_lanes(NOW, 10)) == []
    assert not data.wake_at(lane, NOW)


def test_held_transfers_are_listed_until_they_are_held_no_more(data: DataStore) -> None:
    tenant = new_id("tnt")
    orders = [waiting(tenant, held_since=times.text(NOW + timedelta(minutes=n))) for n in range(3)]
    lanes = [lane_of(tenant, "dst_a", f"cnv_{n}") for n in range(3)]
    for lane, order in zip(lanes, orders, strict=True):
        data.park(lane, "0001", order, NOW, held=True)
    data.park(lanes[0], "0002", waiting(tenant), NOW, held=False)

    places = list(data.held(tenant))

    assert [lane for lane, _ in places] == lanes
    assert [p.partition("#")[2] for _, p in places] == [o["transfer"] for o in orders]
    assert [lane for lane, _ in data.held(tenant, places[0][1])] == lanes[1:]
    data.update_waiting(lanes[1], "0001", orders[1], held=True)
    data.update_waiting(lanes[0], "0001", orders[0], held=False)
    data.remove_waiting(lanes[2], "0001")
    assert [lane for lane, _ in data.held(tenant)] == [lanes[1]]
    assert list(data.held(new_id("tnt"))) == []


def test_table_expires_a_row_only_after_its_last_reader(data: DataStore) -> None:
    tenant, ends = new_id("tnt"), NOW + timedelta(days=1)
    lane, row = lane_of(tenant, "dst_a", "cnv_a"), event(tenant, data)
    data.insert_events([row])
    data.first_minute(tenant, row.key.event, 7, ends)
    data.make_head(lane, NOW)
    data.park(lane, "0001", waiting(tenant), ends, held=False)
    data.insert_reply(tenant, "hash", {}, ends)
    data.insert_dead(tenant, "inbox", row.key.event, {"message": "{}"}, ends)

    def ttl(pk: str, sk: str) -> Any:
        item = data.table.get({"pk": pk, "sk": sk})
        assert item is not None
        return item.get("ttl")

    assert ttl(**row.key.key) > (row.expires_at + NET).timestamp()
    assert ttl(f"lane#{lane}", "p#0001") > (ends + AFTER_EXPIRY).timestamp()
    assert ttl(f"lane#{lane}", "head") is None
    for pk, sk in (
        (f"seen#{tenant}#{row.key.event}", "seen"),
        (f"{tenant}#idem#hash", "reply"),
        (f"{tenant}#dead", f"inbox#{row.key.event}"),
    ):
        assert ttl(pk, sk) > ends.timestamp()


def test_idempotency_key_has_one_holder_at_a_time(data: DataStore) -> None:
    tenant, ends = new_id("tnt"), NOW + timedelta(hours=24)
    claim = {"fingerprint": "f", "began_at": 1, "claimed_at": 1}

    assert data.insert_reply(tenant, "h", claim, ends)
    assert not data.insert_reply(tenant, "h", claim, ends)
    assert data.take_reply(tenant, "h", 1, {**claim, "claimed_at": 2}, ends)
    assert not data.take_reply(tenant, "h", 1, {**claim, "claimed_at": 3}, ends)
    data.finish_reply(tenant, "h", b"sealed")

    found = data.reply(tenant, "h")
    assert found is not None
    assert (found["claimed_at"], found["began_at"], found["body"]) == (2, 1, b"sealed")
    assert data.take_reply(tenant, "h", 2, {**claim, "claimed_at": 4}, ends)
    taken = data.reply(tenant, "h")
    assert taken is not None and "body" not in taken
    data.drop_reply(tenant, "h")
    assert data.reply(tenant, "h") is None
    assert data.reply(new_id("tnt"), "h") is None

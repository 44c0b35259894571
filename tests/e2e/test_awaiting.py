"""Events without a ground for being stored: sealed, listed, released by a record, else destroyed; and the tenant is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.tenant.records import Basis
from chalicelib.flow import awaiting
from chalicelib.flow.retention import sweep, warnings
from tests.support.world import START, World, world

HOUR = timedelta(hours=1)


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        made.connect()
        yield made


def bases(cell: World, kind: str) -> list[Basis]:
    rows = cell.runtime.config.list(cell.tenant, "bas")
    return [row.record for row in rows if row.record.kind == kind and row.record.withdrawn_at is None]


def withdraw(cell: World, kind: str) -> None:
    for basis in bases(cell, kind):
        cell.runtime.config.withdraw(cell.tenant, basis.model_copy(update={"withdrawn_at": cell.clock}))


def declare(cell: World, kind: str, **fields: Any) -> Basis:
    values = {"valid_from": "2026-01-01", "evidence": "sha256:ab", **fields}
    basis = Basis.model_validate(
        {
            "id": f"bas_{kind}_{len(list(cell.runtime.config.list(cell.tenant, 'bas')))}",
            "kind": kind,
            "created_at": cell.clock,
            **values,
        }
    )
    cell.runtime.config.insert(cell.tenant, basis)
    return basis


def released(cell: World) -> None:
    """Decide again, as a declared record does."""
    awaiting.settle(cell.runtime, cell.tenant)
    for lane, _ in list(cell.runtime.data.held(cell.tenant)):
        cell.runtime.data.wake_at(lane, cell.clock)


def event_row(cell: World) -> Any:
    (entry,) = (e for e in cell.of_kind("decided") if e["receipt"]["channel"] != "waybill" and e["cause"] == "received")
    return cell.runtime.data.event(cell.tenant, entry["event"], times.EARLIEST)


@pytest.mark.parametrize("kind", ["instruction", "contract"])
def test_a_message_waits_sealed_and_goes_on_when_a_record_that_was_missing_comes(cell: World, kind: str) -> None:
    withdraw(cell, kind)
    cell.post(1)
    cell.run(timedelta(minutes=3))

    assert cell.receiver.requests == []
    row = event_row(cell)
    assert row.sealed is not None
    assert row.lives_until is not None
    assert row.expires_at - row.received_at == 72 * HOUR
    assert [one.routed for one in cell.runtime.awaiting.list(cell.tenant)] == [True]
    assert len(list(cell.runtime.data.held(cell.tenant))) == 1
    declare(cell, kind)
    released(cell)
    cell.run(timedelta(minutes=3))

    assert cell.receiver.texts() == ["m1"]
    row = event_row(cell)
    assert row.lives_until is None
    assert row.expires_at - row.received_at > 72 * HOUR
    assert list(cell.runtime.awaiting.list(cell.tenant)) == []


def test_content_is_destroyed_with_an_entry_when_no_record_comes_in_time(cell: World) -> None:
    withdraw(cell, "instruction")
    cell.post(1)
    cell.run(timedelta(minutes=3))
    cell.clock += 73 * HOUR
    sweep.handle(cell.runtime)
    cell.run(timedelta(minutes=3))

    assert event_row(cell) is None
    assert {str(e["reason"]) for e in cell.of_kind("expired") if e["event"]} == {"hold_expired"}
    declare(cell, "instruction")
    released(cell)
    cell.run(timedelta(minutes=3))
    assert cell.receiver.requests == []


def test_one_event_tells_of_a_flow_that_stops_however_many_messages_it_stops(cell: World) -> None:
    withdraw(cell, "instruction")
    for number in range(1, 5):
        cell.post(number)
    cell.run(timedelta(minutes=3))

    events = [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "waybill"]
    assert len(events) == 1
    # It passes without the tenant's own records, so that it can say which is missing.
    assert all(r["decision"] in ("allowed", "redacted") for r in events[0]["routes"])
    row = cell.runtime.data.event(cell.tenant, events[0]["event"], cell.clock)
    assert row is not None
    assert row.lives_until is None


def test_a_tenant_is_warned_once_at_each_mark_when_a_record_ends(cell: World) -> None:
    end = (START + timedelta(days=40)).date()
    withdraw(cell, "instruction")
    declare(cell, "instruction", valid_until=end.isoformat())
    marks: list[int] = []
    for days in range(45):
        cell.clock = START + timedelta(days=days)
        before = cell.inbox.sent
        for _ in range(2):
            warnings.tell(cell.runtime, cell.tenant, cell.clock)
        if cell.inbox.sent > before:
            marks.append((end - cell.clock.date()).days)
            assert cell.inbox.sent == before + 1

    assert marks == [30, 7, 1, 0]


def test_a_tenant_is_not_warned_when_another_record_takes_the_place_of_one_that_ends(cell: World) -> None:
    declare(cell, "contract", valid_until=(START + timedelta(days=3)).date().isoformat())
    declare(cell, "contract", valid_until=None)

    found = warnings.due(cell.runtime.config.snapshot(cell.tenant).configuration.record_ends, cell.clock)

    assert [end for end, _ in found if end.kind == "contract" and end.day < date(2027, 1, 1)] == []

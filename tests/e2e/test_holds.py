"""Holds over the whole cell: how long a transfer waits for a ground, and that nothing leaves after that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.tenant.records import Contract
from chalicelib.core.verify.redecide import configuration_of
from chalicelib.flow.declare import changes
from tests.support.retained import asked
from tests.support.world import World, world

HOUR = timedelta(hours=1)


@pytest.fixture
def cell() -> Iterator[World]:
    """A cell whose recipient has no contract: its transfers are held."""
    with world() as made:
        made.connect(recipient={"contract": None})
        yield made


def declare(cell: World, hours: int) -> None:
    """Change how long transfers of the tenant wait, and wake the waiting ones, as the API does."""
    row = cell.runtime.config.tenant(cell.tenant)
    cell.runtime.config.replace_tenant(row.record.model_copy(update={"hold_hours": hours}), row.version)
    for lane, _ in list(cell.runtime.data.held(cell.tenant)):
        cell.runtime.data.wake_at(lane, cell.clock)


def give_contract(cell: World) -> None:
    cell.change(cell.recipient, contract=Contract(id="dpa", sha256="00" * 32, valid_from="2026-01-01"))


def reasons(cell: World) -> list[str]:
    return [str(e["reason"]) for e in cell.of_kind("expired")]


def test_a_hold_ends_when_the_tenants_own_time_is_over(cell: World) -> None:
    declare(cell, 2)
    cell.post(1)

    cell.run(2 * HOUR - timedelta(minutes=2))
    assert reasons(cell) == []
    cell.run(timedelta(minutes=4))

    assert reasons(cell) == ["hold_expired"]
    assert [r for r in cell.rows("data") if r["pk"]["S"].startswith("lane#")] == []
    give_contract(cell)
    cell.run(2 * HOUR)
    assert cell.receiver.requests == []


def test_what_waits_already_ends_at_once_when_the_time_is_shortened(cell: World) -> None:
    cell.post(1)
    cell.run(5 * HOUR, every=timedelta(minutes=30))

    declare(cell, 4)
    cell.run(timedelta(minutes=2))

    assert reasons(cell) == ["hold_expired"]


def test_what_waits_already_waits_on_when_the_time_is_lengthened_again(cell: World) -> None:
    declare(cell, 2)
    cell.post(1)
    cell.run(HOUR)

    declare(cell, 72)
    cell.run(3 * HOUR, every=timedelta(minutes=30))
    assert reasons(cell) == []
    give_contract(cell)
    cell.run(2 * HOUR)

    assert cell.receiver.texts() == ["m1"]


def test_a_change_counts_when_what_is_held_cannot_be_woken(cell: World) -> None:
    cell.post(1)
    cell.run(timedelta(minutes=2))
    give_contract(cell)
    cell.failing = lambda name: Unavailable("throttled") if name == "before UpdateItem" else None

    changes.wake_held(asked(cell))
    cell.failing = lambda name: None
    cell.run(timedelta(minutes=30))
    before = cell.receiver.texts()
    cell.run(HOUR)

    assert (before, cell.receiver.texts()) == ([], ["m1"])


def test_nothing_leaves_when_the_ground_comes_after_the_time_and_before_the_look(cell: World) -> None:
    declare(cell, 2)
    cell.post(1)
    cell.run(HOUR)

    cell.clock += 2 * HOUR  # nothing ran meanwhile
    give_contract(cell)
    cell.run(timedelta(minutes=5))

    assert reasons(cell) == ["hold_expired"]
    assert cell.receiver.requests == []


def test_the_configuration_names_the_time_only_when_it_is_not_the_laws(cell: World) -> None:
    before = cell.runtime.config.snapshot(cell.tenant).configuration.document
    assert "hold_hours" not in before["tenant"]
    assert configuration_of(before).tenant.hold_hours == 72

    declare(cell, 24)
    after = cell.runtime.config.snapshot(cell.tenant).configuration.document

    assert after["tenant"]["hold_hours"] == 24
    assert configuration_of(after).tenant.hold_hours == 24

"""A change reported to a tenant holds for every process, even if the first process asked has died."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.core.errors import NotFound
from chalicelib.core.tenant.records import Retry
from chalicelib.core.tenant.switches import SwitchSettings
from chalicelib.flow.declare import bases, connect, routes, switches
from chalicelib.flow.request import Request
from tests.support.counted import Crash
from tests.support.given_consents import request
from tests.support.world import World, world

Change = Callable[[World, Request], object]


def basis_withdrawn(cell: World, asked: Request) -> None:
    (found,) = [r.record.id for r in cell.runtime.config.list(cell.tenant, "bas") if r.record.kind == "instruction"]
    bases.withdraw_basis(asked, found)


def destination_disabled(cell: World, asked: Request) -> None:
    connect.enable_destination(asked, cell.destination, False, None)


def route_deleted(cell: World, asked: Request) -> None:
    with contextlib.suppress(NotFound):
        routes.delete_route(asked, cell.route)


def switch_thrown(cell: World, asked: Request) -> None:
    switches.throw(asked, SwitchSettings(scope="destination", value=cell.destination, reason="under review"))


CHANGES: dict[str, Change] = {
    "a basis is withdrawn": basis_withdrawn,
    "a destination is disabled": destination_disabled,
    "a route is deleted": route_deleted,
    "a switch is thrown": switch_thrown,
}


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.mark.parametrize("effect", range(1, 5))
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_counts_everywhere_when_the_first_process_died_over_it(cell: World, name: str, effect: int) -> None:
    cell.connect(destination={"retry": Retry(delays_s=(5, 3600))})
    cell.post(1)
    cell.settle()
    warm, sent = cell.runtime, cell.receiver.texts()
    asked = request(cell)
    cell.restart()
    cell.crash_at = len(cell.effects) + effect
    with contextlib.suppress(Crash):
        CHANGES[name](cell, replace(asked, runtime=cell.runtime))
    cell.crash_at = None

    cell.restart()
    CHANGES[name](cell, replace(asked, runtime=cell.runtime))
    cell.runtime = warm
    cell.post(2)
    cell.run(timedelta(seconds=30), every=timedelta(seconds=10))

    assert sent == cell.receiver.texts() == ["m1"]

"""A legal hold protects its rows by construction: no sweep runs here, and TTL deletes whatever it may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.tenant.legal_holds import LegalHoldSettings
from chalicelib.flow.jobs import worker
from chalicelib.flow.retention import hold_walks, legal_holds, sweep
from chalicelib.flow.routing import route
from chalicelib.store.config import ConfigStore
from tests.support.counted import Crash
from tests.support.retained import DAY, HOUR, asked, cell, decided, events, expire, held, people, subject, turned
from tests.support.world import START, World, world

__all__ = ["cell"]

SCOPES = ("conversation", "subject", "period")
PERIOD = {"after": times.text(START - DAY), "before": times.text(START + 9 * DAY)}


def worked(cell: World) -> None:
    """Let the walks of holds come to their end, which takes half an hour."""
    for _ in range(3):
        worker.handle(cell.runtime)
        cell.clock += HOUR / 2


def texts(cell: World) -> int:
    """How many events TTL leaves after a month."""
    now, cell.clock = cell.clock, cell.clock + 30 * DAY
    expire(cell)
    cell.clock = now
    return len(events(cell))


@pytest.mark.parametrize("scope", SCOPES)
def test_ttl_may_delete_no_row_that_a_hold_covers(cell: World, scope: str) -> None:
    cell.connect(days=2)
    for number in (1, 2, 3):
        cell.post(number)
        cell.clock += timedelta(minutes=1)
    cell.settle()
    hold = held(cell, scope, 1, **PERIOD)
    cell.post(4)
    cell.settle()
    now = [row for row in events(cell) if "ttl" not in row]

    worked(cell)

    assert len(now) == 1  # it came in under the hold
    assert [row for row in events(cell) if "ttl" in row] == []
    assert texts(cell) == 4
    assert cell.runtime.legal_holds.get(cell.tenant, hold).secured_at is not None


@pytest.mark.parametrize("scope", SCOPES)
def test_ttl_may_delete_no_row_that_a_process_has_stored_that_did_not_know_of_the_hold(
    cell: World, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    real = ConfigStore.snapshot
    old = real(cell.runtime.config, cell.tenant)
    cell.post(2)
    hold = held(cell, scope, 1, **PERIOD)
    worker.handle(cell.runtime)
    with monkeypatch.context() as slow:
        slow.setattr(ConfigStore, "snapshot", lambda *_, **__: old)
        cell.settle()
    between = cell.runtime.legal_holds.get(cell.tenant, hold).secured_at
    stored = [row for row in events(cell) if "ttl" in row]

    worked(cell)

    assert len(stored) == 1
    assert between is None
    assert texts(cell) == 2


def test_rows_that_no_hold_covers_keep_their_ttl(cell: World) -> None:
    cell.connect(days=2)
    for chat in (1, 2):
        cell.post(chat, chat=chat)
        cell.settle()
        cell.clock += HOUR
    held(cell, "conversation")

    worked(cell)
    cell.post(3, chat=2)
    cell.settle()

    assert texts(cell) == 1


def test_a_hold_that_an_earlier_release_placed_is_secured(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    hold = held(cell, "conversation")
    cell.runtime.lifetimes._table.delete({"pk": f"{cell.tenant}#walks", "sk": hold})

    sweep.handle(cell.runtime)
    worked(cell)

    assert texts(cell) == 1
    assert cell.runtime.legal_holds.get(cell.tenant, hold).secured_at is not None


def test_a_person_under_a_hold_that_is_not_secured_yet_waits(cell: World) -> None:
    sweep.handle(cell.runtime)
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    cell.clock += 2 * DAY - HOUR
    held(cell, "period", 1, **PERIOD)
    cell.clock += DAY
    sweep.handle(cell.runtime)  # the walk is late
    waiting = people(cell)
    worked(cell)
    for _ in range(4):
        cell.clock += 12 * HOUR
        turned(cell)

    assert len(waiting) == 1
    assert people(cell) == waiting


def test_after_the_last_release_rows_and_people_end(cell: World) -> None:
    sweep.handle(cell.runtime)
    cell.connect(days=2)
    for chat in (1, 2):
        cell.post(chat, chat=chat)
        cell.settle()
        cell.clock += HOUR
    holds = [held(cell, "period", 1, **PERIOD), held(cell, "conversation", 2)]
    worked(cell)
    cell.clock = START + DAY
    legal_holds.release(asked(cell, 3), holds[0])
    worked(cell)
    free = sorted("ttl" in row for row in events(cell))
    cell.clock = START + 5 * DAY
    turned(cell)
    between, kept = len(events(cell)), people(cell)

    legal_holds.release(asked(cell, 4), holds[1])
    for _ in range(4):
        turned(cell)
        cell.clock += 8 * HOUR

    assert free == [False, True]
    assert (between, kept) == (1, {subject(decided(cell)[0])})
    assert (events(cell), people(cell)) == ([], set())
    assert {e["subject"] for e in cell.of_kind("expired")} == {subject(e) for e in decided(cell)}


def _secured(crash_at: int | None, released: bool) -> tuple[int, Any]:
    with world() as cell:
        sweep.handle(cell.runtime)
        cell.connect(days=2)
        for number in (1, 2):
            cell.post(number)
        cell.settle()
        settings = {"scope": "conversation", "value": decided(cell)[0]["receipt"]["conversation"], "authority_ref": "7"}
        hold = ""
        cell.effects.clear()
        cell.crash_at = crash_at
        for act in ("place", "work", "release", "work") if released else ("place", "work"):
            for _ in range(4):
                try:
                    if act == "place":
                        hold = legal_holds.place(asked(cell), LegalHoldSettings.model_validate(settings)).id
                    elif act == "release":
                        legal_holds.release(asked(cell, 2), hold)
                    else:
                        worker.handle(cell.runtime)
                        cell.clock += HOUR / 2
                except Crash:
                    cell.restart()
        stored = cell.runtime.legal_holds.get(cell.tenant, hold)
        walks = cell.runtime.hold_walks.of_tenant(cell.tenant)
        return len(cell.effects), (["ttl" in row for row in events(cell)], stored.secured_at is not None, walks)


@pytest.mark.parametrize("released", [False, True])
def test_walks_are_completed_wherever_a_process_died(released: bool) -> None:
    number, whole = _secured(None, released)

    assert whole == ([released, released], True, {})
    for effect in range(1, number + 1):
        assert _secured(effect, released)[1] == whole, effect


def test_a_hold_whose_walk_fails_is_tried_again(cell: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    hold = held(cell, "conversation")
    with monkeypatch.context() as broken:
        broken.setattr(hold_walks, "_secure", lambda *_: (_ for _ in ()).throw(KeyError("bug")))
        worker.handle(cell.runtime)
    left = cell.runtime.hold_walks.of_tenant(cell.tenant)
    cell.clock += HOUR
    worked(cell)

    assert list(left) == [hold]
    assert texts(cell) == 1


def test_a_hold_that_cannot_be_read_covers_everything(cell: World) -> None:
    cell.connect(days=2)
    cell.runtime.config._table.insert({"pk": cell.tenant, "sk": "hld#hld_x", "doc": '{"scope": "unknown"}'})
    cell.runtime.config.count_again(cell.tenant)

    cell.post(1)
    cell.inbox.run(route.handle)

    assert ["ttl" in row for row in events(cell)] == [False]

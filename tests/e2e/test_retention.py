"""Expired rows are deleted: events by TTL, which the tests run, and people by the sweep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.envelope import content_key, decrypt
from chalicelib.core.errors import Unavailable
from chalicelib.flow.ask import read
from chalicelib.flow.retention import erase, sweep
from chalicelib.flow.retention import people as people_flow
from chalicelib.flow.routing import route
from chalicelib.store import person_ends
from chalicelib.store.person_ends import SLOT
from tests.support import deaths
from tests.support.counted import Crash
from tests.support.retained import (
    DAY,
    HOUR,
    asked,
    cell,
    decided,
    events,
    people,
    subject,
    swept,
    turned,
)
from tests.support.world import START, World, world

__all__ = ["cell"]

# The end of a life


def test_an_event_leaves_the_table_within_a_day_when_its_life_is_over(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()

    swept(cell, START + 2 * DAY)
    before = events(cell)
    swept(cell, START + 3 * DAY + HOUR)

    assert len(before) == 1
    assert events(cell) == []
    assert len(decided(cell)) == 1


def test_a_person_of_whom_nothing_is_left_ends_and_others_stay(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1, chat=1)
    cell.settle()
    cell.clock += DAY
    cell.post(2, chat=2)
    cell.settle()
    gone, stays = map(subject, decided(cell))

    swept(cell, START + 2 * DAY + 12 * HOUR)

    assert people(cell) == {stays}
    assert [
        e["receipt"]["subjects"] for e in decided(cell) if cell.runtime.data.event(cell.tenant, e["event"], cell.clock)
    ] == [[stays]]
    (ended,) = cell.of_kind("expired")
    assert (ended["subject"], ended["reason"], ended["event"]) == (gone, "retention", None)
    assert cell.runtime.people.of_ref(cell.tenant, gone) is None


def test_a_person_ends_within_six_hours_and_a_sweep_and_not_before_the_last_event(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    (person,) = people(cell)

    cell.clock = START + 2 * DAY
    turned(cell)
    before = people(cell)
    cell.clock += SLOT + 2 * HOUR
    turned(cell)

    assert before == {person}
    assert people(cell) == set()
    assert [e["subject"] for e in cell.of_kind("expired")] == [person]


def test_a_copy_of_an_event_is_unreadable_when_its_person_has_ended(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1, text="Canary in a backup")
    cell.settle()
    (copy,) = events(cell)
    row = next(r for r in cell.rows("people") if r["pk"]["S"] == copy["owner"]["S"])
    keys = cell.runtime.config.keys_of(cell.tenant)
    key = cell.runtime.people.read({"pk": row["pk"]["S"], "ref": row["ref"]["S"], "key": row["key"]["B"]}, keys).key
    context = f"eu-central-1/{copy['pk']['S'].replace('#', '/')}"
    readable = decrypt(content_key(key), copy["body"]["B"], context)

    swept(cell, START + 3 * DAY)
    cell.engine.make_client("dynamodb", "eu-central-1").put_item(TableName="waybill-test-data", Item=copy)

    assert readable
    assert all(row["pk"]["S"] != copy["owner"]["S"] for row in cell.rows("people"))
    assert read.opened(asked(cell), cell.runtime.data.events([events_key(cell, copy)], times.EARLIEST)) == {}


def events_key(cell: World, row: dict[str, Any]) -> Any:
    found = cell.runtime.data.event(cell.tenant, row["pk"]["S"].partition("#")[2], times.EARLIEST)
    assert found is not None
    return found.key


def test_a_person_who_writes_on_keeps_ref_and_key(cell: World) -> None:
    cell.connect(days=2)
    for number in range(1, 8):
        cell.post(number)
        cell.settle()
        swept(cell, cell.clock + 12 * HOUR)

    assert len({subject(e) for e in decided(cell)}) == 1
    assert len(events(cell)) == 6  # two days, and one until TTL
    assert cell.of_kind("expired") == []


def test_whoever_writes_while_the_end_is_near_stays(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    swept(cell, START + 2 * DAY + HOUR)

    cell.post(2)
    cell.settle()
    swept(cell, START + 4 * DAY)

    assert len({subject(e) for e in decided(cell)}) == 1
    assert cell.of_kind("expired") == []
    (row,) = events(cell)
    assert read.content(asked(cell), row["pk"]["S"].partition("#")[2])["message"]["text"] == "m2"


def test_whoever_writes_after_the_end_is_somebody_new(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    swept(cell, START + 3 * DAY)

    cell.post(2)
    cell.settle()

    first, second = decided(cell)
    assert subject(first) != subject(second)
    assert people(cell) == {subject(second)}


def test_sources_with_lives_of_their_own_are_looked_at_when_theirs_are_over(cell: World) -> None:
    cell.connect(days=30, source={"retention_days": 3})
    cell.post(1)
    cell.settle()
    cell.change(cell.source, retention_days=9)
    cell.post(2)
    cell.settle()

    swept(cell, START + 4 * DAY + HOUR)
    first = len(events(cell))
    swept(cell, START + 10 * DAY + HOUR)

    assert first == 1
    assert events(cell) == []


def test_lives_of_before_are_remembered_when_a_source_is_changed(cell: World) -> None:
    cell.connect(days=30, source={"retention_days": 9})
    cell.post(1)
    cell.settle()
    sweep.handle(cell.runtime)
    cell.change(cell.source, retention_days=2)

    swept(cell, START + 10 * DAY + HOUR)

    assert events(cell) == []


def test_a_person_ends_when_all_that_was_theirs_was_erased(cell: World) -> None:
    cell.connect()
    cell.post(1)
    cell.settle()
    (entry,) = decided(cell)
    erase.erase(asked(cell), entry["event"], "subject_request")

    swept(cell, START + DAY)

    assert people(cell) == set()
    assert [e["subject"] for e in cell.of_kind("expired")] == [subject(entry)]


def test_a_person_stays_when_one_of_two_events_was_erased(cell: World) -> None:
    cell.connect()
    for number in (1, 2):
        cell.post(number)
    cell.settle()
    entry = decided(cell)[0]
    erase.erase(asked(cell), entry["event"], "subject_request")

    swept(cell, START + DAY)

    assert people(cell) == {subject(entry)}


def test_many_people_end_some_at_a_time_while_there_is_time(cell: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep.handle(cell.runtime)
    monkeypatch.setattr(people_flow, "WORKERS", 1)
    monkeypatch.setattr(person_ends, "SHARDS", 32)  # as a cell has: the run ends between two of them
    cell.connect(days=2)
    for number in range(130):
        cell.post(number + 1, chat=number)
        cell.clock += timedelta(seconds=1)
    cell.settle()
    cell.clock = START + 3 * DAY
    ticks = iter(range(10_000))
    real = cell.runtime.monotonic
    cell.runtime.monotonic = lambda: next(ticks) * (sweep.EXPIRY_UNTIL_S / 20)

    sweep.handle(cell.runtime)
    left = len(people(cell))
    cell.runtime.monotonic = real
    sweep.handle(cell.runtime)

    assert 0 < left < 130
    assert people(cell) == set()
    assert len(cell.of_kind("expired")) == 130


def test_a_sweep_that_is_half_a_day_behind_says_so(cell: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(people_flow, "count", lambda name, *_, **__: counted.append(name))
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    sweep.handle(cell.runtime)
    with monkeypatch.context() as broken:
        broken.setattr(people_flow, "_look", _failing)
        cell.clock = START + 2 * DAY + 12 * HOUR
        sweep.handle(cell.runtime)
        soon = list(counted)
        cell.clock += 12 * HOUR
        sweep.handle(cell.runtime)
    late = counted[len(soon) :]
    counted.clear()
    sweep.handle(cell.runtime)

    assert (soon, late, counted) == (["expiry_failed"], ["expiry_failed", "expiry_late"], ["people_ended"])


def _failing(*_: Any) -> None:
    raise Unavailable("down")


def test_the_fault_of_one_tenant_keeps_no_other_from_its_end(cell: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep.handle(cell.runtime)
    tenants = []
    for _ in range(2):
        cell.connect(days=2)
        tenants.append(cell.tenant)
        for chat in range(40):
            cell.post(chat + 1, chat=chat)
        cell.settle()
    real = cell.runtime.person_ends.people

    def some(ways: list[str]) -> Any:
        if any(way.startswith(tenants[0]) for way in ways):
            raise Unavailable("down")
        return real(ways)

    monkeypatch.setattr(cell.runtime.person_ends, "people", some)
    cell.clock = START + 3 * DAY
    sweep.handle(cell.runtime)

    left = {row["pk"]["S"].partition("#")[0] for row in cell.rows("people") if "look_at" in row}
    assert left == {tenants[0]}


# Others that write meanwhile


def _written_meanwhile(at: int | None, doubted: bool) -> int:
    """Write at an effect of the sweeps that end a person. Return how many effects there were."""
    with world() as cell:
        sweep.handle(cell.runtime)
        cell.connect(days=2)
        cell.post(1)
        cell.settle()
        if doubted:
            (person,) = {row["owner"]["S"] for row in events(cell)}
            cell.runtime.person_ends.doubt(person)
        seen = 0

        def meanwhile(_: str) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                cell.post(2)
                cell.settle()

        for days in (2, 3, 4):
            cell.clock = START + days * DAY
            cell.failing = meanwhile
            sweep.handle(cell.runtime)
            cell.failing = lambda _: None
        for row in events(cell):
            event = row["pk"]["S"].partition("#")[2]
            if int(row["expires_at"]["N"]) > times.millis(cell.clock):
                assert read.content(asked(cell), event)["message"]["text"] == "m2"
        for entry in decided(cell)[1:]:  # the log still leads to the person, or says that the person has ended
            ended = {e["subject"] for e in cell.of_kind("expired")}
            assert (subject(entry) in people(cell)) != (subject(entry) in ended)
        return seen


@pytest.mark.parametrize("doubted", [False, True])
def test_who_writes_at_any_step_of_a_sweep_loses_nothing(doubted: bool) -> None:
    effects = _written_meanwhile(None, doubted)
    assert effects > 4
    for at in range(1, effects + 1):
        _written_meanwhile(at, doubted)


def _swept_meanwhile(at: int | None) -> int:
    """Sweep at an effect of routing a message of a person who is due. Return how many effects there were."""
    with world() as cell:
        sweep.handle(cell.runtime)
        cell.connect(days=2)
        cell.post(1)
        cell.settle()
        cell.clock = START + 3 * DAY
        cell.post(2)
        seen = 0

        def meanwhile(_: str) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                sweep.handle(cell.runtime)

        cell.failing = meanwhile
        cell.inbox.run(route.handle)
        cell.failing = lambda _: None
        cell.run(HOUR / 6)
        entry = decided(cell)[-1]
        assert subject(entry) in people(cell)
        assert read.content(asked(cell), entry["event"])["message"]["text"] == "m2"
        return seen


def test_a_sweep_at_any_step_of_routing_takes_no_key_in_use() -> None:
    effects = _swept_meanwhile(None)
    assert effects > 4
    for at in range(1, effects + 1):
        _swept_meanwhile(at)


# Deaths


def _ended(crash_at: int | None) -> tuple[list[str], Any]:
    with world() as cell:
        sweep.handle(cell.runtime)
        cell.connect(days=2)
        cell.post(1, chat=1)
        cell.post(2, chat=2)
        cell.post(3, chat=3)
        cell.settle()
        erase.erase(asked(cell), decided(cell)[0]["event"], "unlawful")
        cell.effects.clear()
        cell.crash_at = crash_at
        for hours in (0, 7, 14, 21, 48, 55, 62):
            cell.clock = START + hours * HOUR
            try:
                sweep.handle(cell.runtime)
            except Crash:
                cell.restart()
        effects = list(cell.effects)
        assert cell.crash_at is None or cell.crash_at > len(effects)  # threads may have joined their seal requests
        acts = sorted(e["subject"] for e in cell.of_kind("expired"))
        left = [r for r in cell.rows("people") if "look_at" in r]
        return effects, (people(cell), acts == sorted(map(subject, decided(cell))), left)


@deaths.in_parts
def test_the_next_run_completes_what_a_sweep_left_when_it_died(part: int) -> None:
    effects, whole = _ended(None)

    assert whole == (set(), True, [])
    for effect in deaths.at(range(1, len(effects) + 1), 12, part):
        assert _ended(effect)[1] == whole, effects[effect - 1]

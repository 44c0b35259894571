"""Of whom or what nothing is alive, nothing is left: whichever way a person came in, and wherever a process died."""

from __future__ import annotations

import json

import pytest

from chalicelib.channels.base import Inbound
from chalicelib.core.errors import Conflict
from chalicelib.flow.jobs import replay
from chalicelib.flow.retention import erase, legal_holds
from chalicelib.flow.routing import route
from tests.support.counted import Crash
from tests.support.off_record import begun, said
from tests.support.retained import DAY, HOUR, asked, cell, decided, events, held, people, subject, swept
from tests.support.world import START, World, world

__all__ = ["cell"]


def _erased(crash_at: int | None) -> tuple[int, set[str]]:
    with world() as cell:
        cell.connect()
        cell.post(1)
        cell.settle()
        (entry,) = decided(cell)
        cell.effects.clear()
        cell.crash_at = crash_at
        try:
            erase.erase(asked(cell), entry["event"], "subject_request")
        except Crash:
            cell.restart()
            erase.erase(asked(cell), entry["event"], "subject_request")
        effects = len(cell.effects)
        swept(cell, START + DAY)
        return effects, people(cell)


def test_a_person_ends_wherever_the_erasing_of_their_last_event_died() -> None:
    effects, left = _erased(None)

    assert left == set()
    for effect in range(1, effects + 1):
        assert _erased(effect)[1] == set(), effect


def test_a_tenant_that_is_closed_leaves_no_row_for_ever_when_a_hold_was_just_released(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    hold = held(cell, "conversation")
    swept(cell, START + 3 * DAY)
    legal_holds.release(asked(cell), hold)
    row = cell.runtime.config.tenant(cell.tenant)
    cell.runtime.config.replace_tenant(row.record.model_copy(update={"state": "closed"}), row.version)

    swept(cell, cell.clock + DAY)

    assert list(cell.runtime.config.tenants()) == []
    assert [r["pk"]["S"] for r in cell.rows("data") if "ttl" not in r and cell.tenant in r["pk"]["S"]] == []


def given_up(cell: World, number: int) -> str:
    """An event that is stored and decided, and whose message lies in the dead-letter queue. Return its id."""
    cell.post(number)
    cell.failing = lambda name: ValueError("bug") if name == "outbox.send" else None
    while cell.inbox.messages:
        cell.inbox.run(route.handle)
        cell.clock += HOUR / 6
    cell.failing = lambda name: None
    return str(decided(cell)[-1]["event"])


def letters(cell: World) -> list[str]:
    return [str(letter["thing"]) for letter in replay.letters(cell.runtime, cell.tenant)]


def test_no_dead_letter_is_left_when_its_event_is_erased_before_or_after(cell: World) -> None:
    cell.connect()
    first = given_up(cell, 1)
    erase.erase(asked(cell), first, "subject_request")
    cell.run(HOUR / 12)

    before = letters(cell)
    second = given_up(cell, 2)
    cell.run(HOUR / 12)
    between = letters(cell)
    erase.erase(asked(cell), second, "subject_request")

    assert (before, between, letters(cell)) == ([], [second], [])
    assert [e["event"] for e in cell.of_kind("expired")] == [first, second]


def _erased_letter(crash_at: int | None) -> tuple[int, list[str]]:
    with world() as cell:
        cell.connect()
        event = given_up(cell, 1)
        cell.run(HOUR / 12)
        cell.effects.clear()
        cell.crash_at = crash_at
        try:
            erase.erase(asked(cell), event, "subject_request")
        except Crash:
            cell.restart()
            erase.erase(asked(cell), event, "subject_request")
        return len(cell.effects), letters(cell)


def test_no_dead_letter_is_left_wherever_the_erasing_of_its_event_died() -> None:
    effects, left = _erased_letter(None)

    assert left == []
    for effect in range(1, effects + 1):
        assert _erased_letter(effect)[1] == [], effect


def test_nothing_is_decided_anew_when_the_event_of_a_dead_letter_is_erased_at_the_same_time(cell: World) -> None:
    cell.connect()
    event = given_up(cell, 1)
    cell.run(HOUR / 12)
    (letter,) = replay.letters(cell.runtime, cell.tenant)
    erase.erase(asked(cell), event, "subject_request")

    with pytest.raises(Conflict, match="erased"):
        replay.redrive(cell.runtime, cell.tenant, letter, ("operator", "duty"))
    cell.run(HOUR / 12)

    assert len(decided(cell)) == 1
    assert cell.of_kind("replayed") == []
    assert cell.receiver.texts() == []


def test_a_person_ends_who_was_only_ever_heard_off_the_record(cell: World) -> None:
    begun(cell, days=30)
    said(cell, number=1)
    during = people(cell)

    swept(cell, cell.clock + 31 * DAY)
    first = people(cell)
    said(cell, number=2)
    between = people(cell)
    swept(cell, cell.clock + DAY)

    assert len(during) == len(between) == 1
    assert first == people(cell) == set()
    assert [e["facts"].get("otr", False) for e in decided(cell)] == [False, True, True]


def test_a_person_of_whom_nothing_may_be_stored_ends(cell: World) -> None:
    cell.connect(source={"subject_country": "RU"})
    row = cell.runtime.config.tenant(cell.tenant)
    controller = row.record.controller.model_copy(update={"country": "RU"})
    cell.runtime.config.replace_tenant(row.record.model_copy(update={"controller": controller}), row.version)
    cell.post(1)
    cell.settle()
    during = people(cell)

    swept(cell, cell.clock + DAY)

    assert len(during) == 1
    (left,) = events(cell)  # without content: the list of transfers shows it
    assert left.keys() <= {"pk", "sk", "at", "day", "minute", "expires_at", "ttl", "missing", "region", "v"}
    assert people(cell) == set()


def joined(cell: World, number: int, *ids: int) -> None:
    """People who never write join a group."""
    message = {
        "message_id": number, "date": int(cell.clock.timestamp()), "chat": {"id": -5, "type": "group", "title": "g"},
        "from": {"id": 9, "is_bot": False, "first_name": "Canary"},
        "new_chat_members": [{"id": one, "is_bot": False, "first_name": "Canary"} for one in ids],
    }  # fmt: skip
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}
    body = json.dumps({"update_id": number, "message": message}).encode()
    assert cell.hook(Inbound("POST", f"https://h/hooks/{cell.source}", headers, {}, body, cell.clock)).status == 200


def test_people_end_who_were_only_ever_named(cell: World) -> None:
    cell.connect(days=2)
    joined(cell, 1, 11, 12)
    cell.settle()
    named = people(cell)
    cell.clock += DAY
    cell.post(2, chat=12)
    cell.settle()

    swept(cell, START + 2 * DAY + 12 * HOUR)
    between = people(cell)
    swept(cell, START + 4 * DAY)

    assert len(named) == 3
    assert between == {subject(decided(cell)[1])}
    assert between < named
    assert people(cell) == set()

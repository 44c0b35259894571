"""A message that ends its process each time becomes a dead letter within an hour, and stops its own conversation alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.flow.alone import BEGINNINGS_MAX
from chalicelib.flow.delivery import attempt, deliver
from chalicelib.flow.jobs import replay
from chalicelib.flow.messages import SUSPECT_RECEIVES
from chalicelib.flow.routing import people, route
from tests.support.counted import Crash
from tests.support.promise import throttled
from tests.support.world import World, world

HOUR = timedelta(hours=1)
MOST_RECEIPTS = SUSPECT_RECEIVES + BEGINNINGS_MAX


def _dies_routing(patch: pytest.MonkeyPatch, texts: tuple[str, ...]) -> None:
    real = people.find_people

    def find_people(runtime: Any, works: list[Any]) -> Any:
        if any(work.document["message"]["text"] in texts for work in works):
            raise Crash
        return real(runtime, works)

    patch.setattr(route, "find_people", find_people)


def _dies_sending(patch: pytest.MonkeyPatch, event: str) -> None:
    real = attempt.deliver

    def send(batch: Any, task: Any, *arguments: Any, **named: Any) -> Any:
        if task.event == event:
            raise Crash
        return real(batch, task, *arguments, **named)

    patch.setattr(deliver, "deliver", send)


def _routed(w: World, number: int, chat: int) -> str:
    """Post a message and route it. Return its event."""
    known = {entry["event"] for entry in w.of_kind("decided")}
    w.post(number, chat=chat)
    w.inbox.run(route.handle)
    (event,) = {str(entry["event"]) for entry in w.of_kind("decided")} - known
    return event


def _letters(w: World) -> list[str]:
    return [letter["queue"] for letter in replay.letters(w.runtime, w.tenant)]


def test_an_event_that_ends_route_is_a_dead_letter_and_its_batch_is_routed(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        w.connect()
        for number, chat in ((1, 100), (2, 100), (3, 300), (4, 400)):
            w.post(number, chat=chat)
        _dies_routing(monkeypatch, ("m1",))

        w.run(HOUR)

        assert sorted(w.receiver.texts()) == ["m2", "m3", "m4"]
        assert _letters(w) == ["inbox"]
        assert w.crashes <= MOST_RECEIPTS
        assert not w.inbox.messages


def test_two_events_of_one_batch_that_end_route_are_both_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        w.connect()
        for number, chat in ((1, 100), (2, 200), (3, 300)):
            w.post(number, chat=chat)
        _dies_routing(monkeypatch, ("m1", "m2"))

        w.run(2 * HOUR)

        assert w.receiver.texts() == ["m3"]
        assert _letters(w) == ["inbox", "inbox"]


def test_a_delivery_that_ends_deliver_is_a_dead_letter_and_its_batch_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world() as w:
        w.connect()
        _dies_sending(monkeypatch, _routed(w, 1, chat=100))
        _routed(w, 2, chat=100)
        _routed(w, 3, chat=300)

        w.run(HOUR)

        assert sorted(w.receiver.texts()) == ["m2", "m3"]
        assert _letters(w) == ["outbox"]
        assert [e["code"] for e in w.of_kind("attempted")].count("dead_letter") == 1


def test_a_waiting_delivery_that_ends_deliver_is_a_dead_letter_and_its_lane_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        event = _routed(w, 1, chat=100)
        w.run(timedelta(minutes=2))
        _routed(w, 2, chat=100)
        w.run(timedelta(seconds=1))
        w.receiver.answer = lambda _: (204, {})
        _dies_sending(monkeypatch, event)

        w.run(2 * HOUR)

        assert w.receiver.texts()[-1] == "m2"
        assert _letters(w) == ["outbox"]


def test_the_letter_of_an_event_that_ended_route_can_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w, pytest.MonkeyPatch.context() as patch:
        w.connect()
        w.post(1)
        _dies_routing(patch, ("m1",))
        w.run(HOUR)
        patch.undo()
        (letter,) = replay.letters(w.runtime, w.tenant)

        replay.redrive(w.runtime, w.tenant, letter, ("operator", "duty"))
        w.run(timedelta(minutes=5))

        assert w.receiver.texts() == ["m1"]


def _key_service_hangs(w: World) -> None:
    calls: list[int] = []

    def outage(name: str) -> Exception | None:
        if name != "kms":
            return None
        calls.append(1)
        if len(calls) % 2 == 0:
            raise Crash
        return throttled("Decrypt")

    w.outage = outage


def _queues_hang(w: World) -> None:
    def failing(name: str) -> Exception | None:
        if name.endswith(".retry_in"):
            raise Crash
        return Unavailable("down") if name == "outbox.send" else None

    w.failing = failing


@pytest.mark.parametrize("hang", [_key_service_hangs, _queues_hang], ids=["kms", "sqs"])
def test_no_message_ends_when_processes_die_of_a_service_that_does_not_answer(hang: Callable[[World], None]) -> None:
    """The first call of the service fails within the time limit, and the process ends in a later one."""
    with world() as w:
        w.connect()
        for number in (1, 2):
            w.post(number, chat=number)
        w.clock += timedelta(minutes=10)
        hang(w)
        w.run(6 * HOUR)
        assert w.crashes > MOST_RECEIPTS
        w.outage, w.failing = (lambda _: None), (lambda _: None)
        w.run(HOUR)

        assert sorted(w.receiver.texts()) == ["m1", "m2"]
        assert _letters(w) == []


def test_a_message_that_fails_often_but_lives_keeps_no_beginning() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.inbox.run(route.handle)
        w.clock += timedelta(minutes=10)
        w.outage = lambda name: throttled("Any") if name == "kms" else None
        w.run(3 * HOUR)
        w.outage = lambda _: None

        assert max(message.receives for message in w.outbox.messages) > MOST_RECEIPTS
        counts = [row for row in w.rows("data") if row["pk"]["S"].endswith("#fault")]
        assert counts
        assert all("begun" not in row for row in counts)
        assert w.outbox.run(deliver.handle) >= 0

"""A destination's state survives an old configuration, a process that dies, and two processes at once."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.delivery.breaker import AttemptResult
from chalicelib.core.delivery.task import DeliveryTask, WaitingTask
from chalicelib.core.errors import Unavailable
from chalicelib.core.tenant.records import Retry
from chalicelib.flow import dead
from chalicelib.flow.declare import connect, routes
from chalicelib.flow.delivery import admission, deliver, pump
from chalicelib.flow.jobs import replay
from chalicelib.flow.messages import FAULTS_MAX, QueueMessage
from chalicelib.flow.routing import route
from chalicelib.flow.state import Batch
from chalicelib.store.data import lane_of, list_of
from chalicelib.store.queues import body
from tests.support import deaths
from tests.support.replays import request
from tests.support.world import START, World, world

MINUTE = timedelta(minutes=1)


def test_lane_goes_on_when_a_configuration_is_not_one_of_its_kind_any_more() -> None:
    with world() as w:
        w.connect(config={"url": w.receiver.url, "signature": "canary"})
        w.post(1)
        w.run(MINUTE)
        row = w.runtime.config.get(w.tenant, w.destination)
        sealed = w.runtime.config.secrets(w.tenant, w.destination, row.sealed)
        w.runtime.config.replace(w.tenant, row.record, row.version, {**sealed, "config": {"url": w.receiver.url}})

        w.post(2)
        w.run(MINUTE)

        assert [(e["outcome"], e["code"]) for e in w.of_kind("attempted")] == [
            ("rejected", "render"),
            ("delivered", "http_204"),
        ]


def _disabled_by_410(w: World) -> None:
    w.connect()
    w.receiver.answer = lambda _: (410, {})
    w.post(1)
    w.inbox.run(route.handle)
    w.effects.clear()


@deaths.in_parts
def test_that_it_was_disabled_is_in_the_log_once_when_the_process_dies_at_any_effect(part: int) -> None:
    with world() as w:
        _disabled_by_410(w)
        w.outbox.run(deliver.handle)
        effects = range(1, len(w.effects) + 1)

    for number in deaths.at(effects, 8, part):
        with world() as w:
            _disabled_by_410(w)
            w.crash_at = number

            w.run(10 * MINUTE)
            w.post(2)
            w.run(10 * MINUTE)

            assert w.crashes == 1
            record = w.runtime.config.get(w.tenant, w.destination).record
            if record.disabled_because is None:  # its answer was not written
                continue
            assert (record.enabled, record.disabled_because) == (False, "gone")
            acts = w.of_kind("config_changed")
            assert [e["reason"] for e in acts] == ["destination_gone"], f"died at effect {number}"


def test_breaker_stays_closed_when_only_our_own_deliveries_are_in_each_others_way() -> None:
    assert admission.result_of("contended", sent=False) is AttemptResult.NOTHING
    assert admission.result_of("connect", sent=False) is AttemptResult.FAILED


def test_attempt_takes_as_long_as_the_shells_clock_says() -> None:
    with world() as w:

        def slow(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
            w.clock += timedelta(seconds=7)
            return 204, {}

        w.connect()
        w.receiver.answer = slow
        w.post(1)

        w.run(MINUTE)

        (entry,) = w.of_kind("attempted")
        assert entry["took_ms"] == 7000


def test_nothing_is_selected_when_it_was_redacted() -> None:
    with world() as w:
        redact = [{"class": "name", "action": "drop"}, {"class": "content", "action": "mask"}]
        select = "{name: sender.name, text: message.text, raw: raw}"
        w.connect(route={"mode": "redact", "transform": {"redact": redact, "select": select}})
        w.post(1, text="secret words")
        w.run(MINUTE)

        ((_, _, body, _),) = w.receiver.requests
        assert body["data"] == {"name": None, "text": "s**********s", "raw": None}


def listed(w: World, number: int) -> None:
    """So many destinations, each with a lane that waits for it, are back."""
    w.connect()
    for n in range(number):
        destination = f"dst_{n:026d}"
        w.runtime.destination_state.enable(w.tenant, destination, w.clock, None)
        lane = lane_of(w.tenant, destination, "cnv_1")
        w.runtime.data.make_head(lane, START + timedelta(hours=6), list_of(w.tenant, destination))


def test_others_are_woken_when_a_call_for_one_destination_is_throttled() -> None:
    with world() as w:
        listed(w, 3)
        faults = iter([Unavailable("throttled")])
        w.failing = lambda effect: next(faults, None) if effect == "outbox.send" else None

        assert pump.handle(w.runtime) == 2


def test_run_of_pump_ends_in_time_when_many_destinations_are_due_at_once() -> None:
    with world() as w:
        listed(w, 3)

        def slow(effect: str) -> None:
            if effect == "outbox.send":
                w.clock += timedelta(seconds=30)

        w.failing = slow

        assert pump.handle(w.runtime) == 2  # a third one would begin after 60 s, where Lambda ends the run


def test_what_waits_ends_within_minutes_when_a_disabled_destination_is_deleted() -> None:
    with world() as w:
        w.connect(destination={"enabled": False})
        w.post(1)
        w.post(2, chat=200)
        w.run(10 * MINUTE)
        assert not w.of_kind("attempted")

        routes.delete_route(request(w, "route", w.clock), w.route)
        connect.delete_destination(request(w, "destination", w.clock), w.destination)
        w.run(10 * MINUTE)

        assert [(e["outcome"], e["code"]) for e in w.of_kind("attempted")] == [("rejected", "no_destination")] * 2
        assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def test_what_waits_goes_on_when_an_order_before_it_fails_for_a_reason_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        for number in (1, 2, 3):
            w.post(number)
        w.run(10 * MINUTE)
        bad = w.receiver.requests[0][1]["waybill-transfer"]  # m1 came first
        real = deliver.deliver  # type: ignore[attr-defined]

        def faulty(batch: Batch, task: DeliveryTask, *more: Any, **named: Any) -> Any:
            if task.transfer == bad:
                raise ZeroDivisionError
            return real(batch, task, *more, **named)

        monkeypatch.setattr(deliver, "deliver", faulty)
        w.receiver.answer = lambda _: (204, {})
        w.run(3 * 60 * MINUTE)
        letters = list(replay.letters(w.runtime, w.tenant))

        assert w.receiver.texts() == ["m2", "m3"]
        ends = [e for e in w.of_kind("attempted") if e["transfer"] == bad and e["outcome"] != "failed"]
        assert [(e["outcome"], e["code"]) for e in ends] == [("gave_up", "dead_letter")]
        assert [letter["thing"] for letter in letters] == [bad]
        assert [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")] == []

        monkeypatch.undo()
        replay.redrive(w.runtime, w.tenant, letters[0], ("operator", "duty"))
        w.run(MINUTE)
        assert w.receiver.texts() == ["m2", "m3", "m1"]


@pytest.mark.parametrize("first_wait_s", [1, 5])
def test_nothing_behind_a_message_is_lost_when_it_waits_a_moment_in_its_last_try(first_wait_s: int) -> None:
    """Each message's short wait returns all later messages once more."""
    tried: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, str]]:
        text = body["data"]["message"]["text"]
        tried[text] += 1
        return (503 if tried[text] == 1 else 204), {}

    with world() as w:
        w.connect(destination={"retry": Retry(delays_s=(first_wait_s, 300, 1800))})
        w.receiver.answer = answer
        for number in range(20):
            w.post(number)

        w.run(3 * MINUTE, every=timedelta(seconds=1))
        w.run(12 * 60 * MINUTE)

        assert w.receiver.texts() == [f"m{number}" for number in range(20)]
        assert len([e for e in w.of_kind("attempted") if e["outcome"] != "failed"]) == 20


def test_what_follows_in_the_same_batch_waits_behind_what_is_parked() -> None:
    with world() as w:
        w.connect(destination={"retry": Retry(delays_s=(300, 1800))})
        answers = iter([503])
        w.receiver.answer = lambda _: (next(answers, 204), {})
        for number in (1, 2, 3):
            w.post(number)
        w.inbox.run(route.handle)

        assert w.outbox.run(deliver.handle) == 3

        assert w.receiver.texts() == []
        w.run(10 * MINUTE)
        assert w.receiver.texts() == ["m1", "m2", "m3"]


def test_lane_is_woken_again_in_the_next_minute_when_its_wake_was_lost() -> None:
    with world() as w:
        w.connect(destination={"retry": Retry(delays_s=(300, 1800))})
        answers = iter([503])
        w.receiver.answer = lambda _: (next(answers, 204), {})
        w.post(1)
        w.settle()
        w.clock += 8 * MINUTE
        w.pump()
        (wake,) = w.outbox.receive()
        w.outbox.fifo.delete(wake.handle, w.now_s)

        w.clock += MINUTE
        w.pump()
        w.settle()

        assert w.receiver.texts() == ["m1"]


def test_nothing_behind_a_message_is_lost_when_there_is_no_time_left_in_its_last_try() -> None:
    with world() as w:
        w.connect()
        for number in (1, 2, 3):
            w.post(number)
        w.inbox.run(route.handle)
        messages = [
            QueueMessage(
                m.id, json.loads(m.body), m.group, f"{m.number:020d}", m.handle, times.millis(w.clock), receives
            )
            for m, receives in zip(w.outbox.receive(), (10, 9, 8), strict=True)
        ]
        batch = Batch(w.runtime)
        batch.started -= 100

        back = deliver._lane(batch, messages, {}, {})

        assert list(back) == [m.id for m in messages[1:]]
        assert [r["sk"]["S"] for r in w.rows("data") if r["pk"]["S"].startswith("lane#")] != []


def test_each_that_waits_gets_tries_of_its_own_when_all_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: Counter[str] = Counter()

    def faulty(_: Batch, task: DeliveryTask, *more: Any, **named: Any) -> Any:
        tries[task.transfer] += 1
        raise ZeroDivisionError

    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        for number in range(4):
            w.post(number)
        w.run(10 * MINUTE)
        monkeypatch.setattr(deliver, "deliver", faulty)
        w.receiver.answer = lambda _: (204, {})

        w.run(24 * 60 * MINUTE)

        given_up = {str(letter["thing"]) for letter in replay.letters(w.runtime, w.tenant)}
        assert given_up
        assert {tries[transfer] for transfer in given_up} == {FAULTS_MAX}


def test_a_letter_is_there_when_the_process_dies_while_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def given_up(crash_at: int | None) -> tuple[int, int, list[str]]:
        with world() as w:
            w.connect()
            w.receiver.answer = lambda _: (503, {})
            w.post(1)
            w.run(10 * MINUTE)
            monkeypatch.setattr(deliver, "deliver", lambda *_, **__: 1 // 0)
            real = dead.end_delivery

            def dying(*arguments: Any) -> None:
                w.effects.clear()
                w.crash_at = crash_at if not w.crashes else None
                real(*arguments)
                w.crash_at = None
                seen.append(len(w.effects))

            seen: list[int] = []
            monkeypatch.setattr(dead, "end_delivery", dying)
            w.run(5 * 60 * MINUTE)
            monkeypatch.undo()
            codes = [e["code"] for e in w.of_kind("attempted") if e["outcome"] == "gave_up"]
            return sum(seen), len(list(replay.letters(w.runtime, w.tenant))), codes

    effects, letters, codes = given_up(None)
    assert (letters, codes) == (1, ["dead_letter"])
    for effect in range(1, effects + 1):
        assert given_up(effect)[1:] == (1, ["dead_letter"]), effect


def test_stored_bodies_are_the_same_when_they_were_read_and_are_written_again() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        for number in range(3):
            w.post(number)
        w.inbox.run(route.handle)
        bodies = [message.body for message in w.outbox.messages]
        w.run(10 * MINUTE)
        rows = [json.loads(row["waiting"]["S"]) for row in w.rows("data") if "waiting" in row]

        assert len(bodies) == len(rows) == 3
        assert [body(DeliveryTask.from_body(json.loads(text)).body()) for text in bodies] == bodies
        assert [WaitingTask.from_row(row).row() for row in rows] == rows

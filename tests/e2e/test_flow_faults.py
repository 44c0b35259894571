"""The promise is kept when the process dies at any effect and when AWS throttles."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.flow.routing import route
from tests.support import deaths
from tests.support.promise import assert_promise, throttled
from tests.support.world import START, World, world

HOUR = timedelta(hours=1)


def _troubled(w: World) -> None:
    """Three messages of one conversation; the destination fails long enough for the first to be parked and woken."""
    back = START + timedelta(minutes=3)
    w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})
    for number in (1, 2, 3):
        w.post(number, at=START)
        w.run(timedelta(seconds=20))
    w.run(timedelta(minutes=59), every=timedelta(minutes=2))


def _effects() -> int:
    with world() as w:
        w.connect()
        w.effects.clear()
        _troubled(w)
        assert_promise(w, ["m1", "m2", "m3"])
        return len(w.effects)


def test_first_decision_is_held_when_the_instruction_is_withdrawn_by_the_time_of_the_second_run() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.runtime.data.insert_events, insert = (  # type: ignore[method-assign]
            lambda rows: [Unavailable("late") for _ in rows],
            w.runtime.data.insert_events,
        )
        w.inbox.run(route.handle)
        assert [e["routes"][0]["decision"] for e in w.of_kind("decided")] == ["allowed"]
        (ground,) = [r.record.id for r in w.runtime.config.list(w.tenant, "bas") if r.record.kind == "instruction"]
        old = w.runtime.config.get(w.tenant, ground).record
        w.runtime.config.delete(w.tenant, ground)
        w.runtime.data.insert_events = insert  # type: ignore[method-assign]
        w.run(timedelta(minutes=10))
        decided = sorted(w.of_kind("decided"), key=lambda e: str(e["at"]))
        withdrawn = (w.receiver.texts(), [e["routes"][0]["decision"] for e in decided])
        w.runtime.config.insert(w.tenant, old)
        w.run(timedelta(hours=2))

        assert withdrawn == ([], ["allowed", "held"])
        assert w.receiver.texts() == ["m1"]
        assert w.of_kind("expired") == []


@deaths.in_parts
def test_promise_is_kept_when_the_process_dies_at_any_effect(part: int) -> None:
    for number in deaths.at(range(1, _effects() + 1), 24, part):
        with world() as w:
            w.connect()
            w.effects.clear()
            w.crash_at = number

            _troubled(w)

            assert w.crashes == 1 or number > len(w.effects)
            assert_promise(w, ["m1", "m2", "m3"])


@pytest.mark.parametrize("effect", ["before PutItem", "before UpdateItem", "inbox.send", "outbox.send"])
def test_promise_is_kept_when_aws_throttles_every_third_call(effect: str) -> None:
    with world() as w:
        w.connect()
        calls = itertools.count()
        fault = Unavailable("throttled") if effect.endswith("send") else throttled(effect)
        w.failing = lambda name: fault if name == effect and next(calls) % 3 == 0 else None
        back = START + timedelta(minutes=3)
        w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})

        for number in (1, 2, 3):
            while w.post(number, at=START).status != 200:
                assert effect == "inbox.send"
            w.run(timedelta(seconds=20))
        w.run(HOUR)

        assert next(calls) > 3
        assert_promise(w, ["m1", "m2", "m3"])

"""The log is whole when the sealer dies at any step, two sealers interleave, or a queue or the signer fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import AuditUnavailable, Unavailable
from chalicelib.flow import dead, seal_requests
from chalicelib.flow.delivery import deliver
from chalicelib.flow.routing import route
from chalicelib.flow.sealing import seal
from chalicelib.store.seal_requests import SealRequest
from tests.support.counted import Crash
from tests.support.logs import act, append, assert_whole, everything, let_seal, of_log, sizes
from tests.support.world import START, World, world


def _journey(w: World) -> None:
    """Two seals, the second one of a decision, an attempt and acts."""
    w.connect()
    append_safely(w, 0, 3)
    for _ in range(3):
        let_seal(w, 6)
    w.post(2)
    w.run(timedelta(minutes=1))
    append_safely(w, 3, 6)
    for _ in range(3):
        let_seal(w, 6)


def _full_tile(w: World) -> None:
    """A seal that fills a tile which an earlier seal began."""
    w.connect()
    append_safely(w, 0, 2)
    for _ in range(3):
        let_seal(w, 6)
    append_safely(w, 2, 260)
    for _ in range(3):
        let_seal(w, 6)


def append_safely(w: World, first: int, end: int) -> None:
    """Append as a queue's consumer does: a process that dies is run again."""
    at = w.clock
    while True:
        try:
            append(w, *(act(w, n, at=at) for n in range(first, end)))
            return
        except Crash:
            w.crashes += 1
            w.restart()


def _steps(w: World) -> list[int]:
    """The effects of sealing, by number. Dying after one is dying before the next."""
    names = ("before PutObject", "before Sign", "seal-requests.", "sealing.")
    at = {n for n, name in enumerate(w.effects, 1) if name.startswith(names)}
    # The seal's own row is the PutItem after the batch.
    for n, name in enumerate(w.effects, 1):
        if name == "after PutObject" and w.effects[n : n + 1] == ["before PutItem"]:
            at |= {n + 1, n + 2}
    return sorted(at)


@pytest.mark.parametrize(("scene", "part"), [(_journey, 0), (_journey, 1), (_full_tile, 0)])
def test_the_log_is_whole_when_the_process_dies_at_any_step_of_sealing(
    scene: Callable[[World], None], part: int
) -> None:
    with world() as w:
        scene(w)
        numbers = _steps(w)
        everything(w)
        if scene is _full_tile:  # the other scene has all but the puts of the second seal
            numbers = [n for n in numbers if w.effects[n - 1] == "before PutObject"][-4:]

    assert len(numbers) >= 4
    for number in numbers[part::2] if scene is _journey else numbers:
        with world(crash_at=number) as w:
            scene(w)
            everything(w)
            assert w.crashes == 1, number


def test_nothing_is_signed_when_the_signer_does_not_answer() -> None:
    with world() as w:
        w.connect()
        append(w, act(w, 1))
        w.failing = lambda name: AuditUnavailable("down") if name == "before Sign" else None

        let_seal(w)
        left = [*w.seal_requests.messages, *w.sealing.messages]
        w.failing = lambda name: None

        assert (len(left), sizes(of_log(w))) == (1, [])
        everything(w)


class _Pair:
    """Two processes: the second runs to its end at a chosen effect of the first."""

    def __init__(self, w: World, at: int) -> None:
        self.w, self.at, self.count = w, at, 0
        self.effect = w.effect
        w.effect = self.step  # type: ignore[method-assign]

    def step(self, name: str) -> None:
        self.count += 1
        if self.count == self.at:
            first = self.w.runtime
            self.w.restart()
            append(self.w, act(self.w, 1000, at=START), tell_too=False)  # the second sealer sees an entry more
            seal.seal_log(self.w.runtime, self.w.tenant, "2026", _buckets(self.w))
            self.w.runtime = first
        self.effect(name)


def _buckets(w: World) -> list[str]:
    return sorted({r["pk"]["S"].partition("#")[2] for r in w.rows("audit-2026") if "leaf" in r})


def _two_sealers(w: World, at: int) -> int:
    w.connect()
    append(w, *(act(w, n) for n in range(4)), tell_too=False)
    w.clock += timedelta(minutes=1)
    seal.seal_log(w.runtime, w.tenant, "2026", _buckets(w))
    append(w, *(act(w, n) for n in range(4, 7)), tell_too=False)
    w.clock += timedelta(minutes=1)
    w.restart()
    pair = _Pair(w, at)
    seal.seal_log(w.runtime, w.tenant, "2026", _buckets(w))
    return pair.count


def test_one_log_comes_out_when_two_sealers_interleave_at_any_step() -> None:
    with world() as w:
        steps = _two_sealers(w, at=0)
        assert_whole(w)

    assert steps >= 10
    for number in range(1, steps + 1):
        with world() as w:
            _two_sealers(w, at=number)
            assert_whole(w)


def test_the_newest_checkpoint_stays_when_a_slow_sealer_comes_late_with_an_older_one() -> None:
    with world() as w:
        w.connect()
        append(w, act(w, 1))
        w.clock += timedelta(minutes=1)
        puts: list[None] = []

        def overtake(name: str) -> Exception | None:
            if name == "before PutObject":
                puts.append(None)
            if name == "before PutObject" and len(puts) == 3:  # batch, checkpoints/1, checkpoint
                w.failing = lambda name: None
                slow = w.runtime
                w.restart()
                append(w, act(w, 2, at=START))
                seal.seal_log(w.runtime, w.tenant, "2026", _buckets(w))
                w.runtime = slow
            return None

        w.failing = overtake
        seal.seal_log(w.runtime, w.tenant, "2026", _buckets(w))

        found = of_log(w)
        assert sizes(found) == [1, 2]
        assert found["checkpoint"] == found["checkpoints/2"]
        assert_whole(w)


@pytest.mark.parametrize("seed", range(6))
def test_the_log_is_whole_when_notices_double_and_two_sealers_take_the_same(seed: int) -> None:
    chance = random.Random(seed)
    with world() as w:
        w.connect()
        for step in range(12):
            append(w, *(act(w, step * 100 + n) for n in range(chance.randint(1, 60))))
            w.clock += timedelta(minutes=chance.choice([0, 1, 6]), seconds=chance.randint(0, 50))
            if chance.random() < 0.5:
                w.seal_requests.again()
            if chance.random() < 0.3:
                w.restart()
            w.crash_at = len(w.effects) + chance.randint(1, 12) if chance.random() < 0.5 else None
            w.seal()
            w.crash_at = None

        everything(w)


def test_another_log_is_sealed_when_one_cannot_be() -> None:
    with world() as w:
        w.connect()
        append(w, act(w, 1))
        w.seal_requests.send([SealRequest("tnt_" + "0" * 26, "2026", ("000000#0",), 1)])
        good = w.runtime.seals.last

        def last(tenant: str, log: str) -> Any:
            if tenant != w.tenant:
                raise KeyError("nobody thought of this")
            return good(tenant, log)

        w.runtime.seals.last = last  # type: ignore[method-assign]
        let_seal(w)

        assert sizes(of_log(w)) == [1]
        assert [message.group for message in w.sealing.messages] == ["tnt_" + "0" * 26 + "/2026"]
        assert w.seal_requests.messages == []


def test_nothing_is_lost_when_the_queue_does_not_take_a_notice() -> None:
    with world() as w:
        w.connect()
        w.failing = lambda name: Unavailable("down") if name == "seal-requests.send" else None
        with pytest.raises(Unavailable):
            append(w, act(w, 1))
        w.failing = lambda name: None

        seal_requests.notify_sealer(w.runtime)

        everything(w)


@pytest.mark.parametrize(
    ("queue", "handler"),
    [
        ("inbox", route.handle),
        ("inbox", dead.handle_inbox),
        ("outbox", deliver.handle),
        ("outbox", dead.handle_outbox),
    ],
    ids=["route", "dead_inbox", "deliver", "dead_outbox"],
)
def test_a_message_comes_back_when_the_sealer_cannot_be_told_of_its_entries(
    queue: str, handler: Callable[..., list[str]]
) -> None:
    with world() as w:
        w.connect()
        w.post(1)
        if queue == "outbox":
            w.inbox.run(route.handle)
            w.seal_requests.lose()
            w.restart()  # deliver runs in another process, which has requested nothing yet
        one = getattr(w, queue)
        w.failing = lambda name: Unavailable("down") if name == "seal-requests.send" else None
        assert one.run(handler) == 1
        assert len(one.messages) == 1 and w.seal_requests.messages == []
        w.failing = lambda name: None

        w.clock += timedelta(hours=1)
        assert one.run(handler) == 1

        assert one.messages == []
        assert w.seal_requests.messages != []
        assert w.receiver.texts() == (["m1"] if handler is deliver.handle else [])

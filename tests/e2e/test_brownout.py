"""Six hours without one of our services, or with half of its calls throttled: nothing is lost, and no person is needed."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.flow.delivery import deliver
from chalicelib.flow.jobs import replay, worker
from chalicelib.flow.messages import FAULTS_MAX, RECEIVES_MAX
from chalicelib.flow.routing import people, route
from tests.support.counted import Crash
from tests.support.promise import assert_promise, throttled
from tests.support.replays import begin, finish, rejected
from tests.support.world import World, world

STEP = timedelta(minutes=10)
OUTAGE = timedelta(hours=6)
TRIES = 4
"""How often the AWS SDK makes one call, as ``store.region`` sets it."""
CHATS = (100, 200)


def _all(_: random.Random) -> bool:
    return True


def _half(randomness: random.Random) -> bool:
    """Say whether a call fails, of which each try is throttled with even odds."""
    return all(randomness.random() < 0.5 for _ in range(TRIES))


class Chat:
    """A platform that posts a chat's messages in order, and each again until it is taken."""

    def __init__(self, w: World, chat: int) -> None:
        self._w, self._chat = w, chat
        self._waiting: deque[int] = deque()
        self._written = 0

    def write(self) -> None:
        """Write one message."""
        self._written += 1
        self._waiting.append(self._chat + self._written)

    def post(self) -> None:
        """Post what waits."""
        while self._waiting and self._w.post(self._waiting[0], chat=self._chat).status == 200:
            self._waiting.popleft()

    @property
    def texts(self) -> list[str]:
        return [f"m{self._chat + n}" for n in range(1, self._written + 1)]


@pytest.mark.parametrize("fails", [_all, _half], ids=["down", "throttled"])
@pytest.mark.parametrize("service", ["dynamodb", "kms", "sqs", "s3"])
def test_every_message_is_delivered_in_order_after_six_hours_of_brownout(
    service: str, fails: Callable[[random.Random], bool]
) -> None:
    randomness, refused = random.Random(service), 0

    def outage(name: str) -> Exception | None:
        nonlocal refused
        if name != service or not fails(randomness):
            return None
        refused += 1
        # The queues and the signer of this world stand above the calls, and say what their stores say.
        return Unavailable("down") if name == "sqs" else throttled("Any")

    with world() as w:
        w.connect(destination={"name": "crm", "kind": "http", "retry": None})
        chats = [Chat(w, chat) for chat in CHATS]

        def pass_time(length: timedelta, writes: bool) -> None:
            for step in range(length // STEP):
                for chat in chats:
                    if writes and step % 6 == 0:
                        chat.write()
                    chat.post()
                w.run(STEP, every=timedelta(minutes=5))
                w.seal()

        pass_time(2 * STEP, writes=True)
        # At the beginning, messages are on their way in each queue, and one delivery waits in its lane.
        w.receiver.answer = lambda _: (503, {})
        chats[0].write()
        chats[0].post()
        w.run(timedelta(minutes=2))
        w.receiver.answer = lambda _: (204, {})
        chats[1].write()
        chats[1].post()

        w.outage = outage
        pass_time(OUTAGE, writes=True)
        assert refused
        w.outage = lambda _: None
        pass_time(timedelta(hours=3), writes=False)

        assert_promise(w, w.receiver.texts(), w.receiver.texts())
        for chat in chats:
            first = dict.fromkeys(text for text in w.receiver.texts() if text in set(chat.texts))
            assert list(first) == chat.texts
        assert list(replay.letters(w.runtime, w.tenant)) == []
        assert [q.sent for q in (w.dead_inbox, w.dead_outbox)] == [0, 0]
        assert w.seal_requests.messages == []


def _down(service: str) -> Callable[[str], Exception | None]:
    return lambda name: throttled("Any") if name == service else None


def test_nothing_is_lost_when_calls_hang_until_the_process_is_ended() -> None:
    """A function that waits for its time limit says nothing: its messages come back when their visibility ends."""

    def hang(service: str) -> Exception | None:
        if service == "dynamodb":
            raise Crash
        return None

    with world() as w:
        w.connect()
        for number in (1, 2):
            w.post(number)
        w.outage = hang
        w.run(OUTAGE)
        w.outage = lambda _: None
        assert 2 * FAULTS_MAX < max(message.receives for message in w.inbox.messages) < RECEIVES_MAX / 2

        w.run(timedelta(hours=1))

        assert_promise(w, ["m1", "m2"])
        assert w.dead_inbox.sent == 0


def test_a_job_goes_on_when_its_tenant_s_key_could_not_be_had_for_six_hours() -> None:
    with world() as w:
        rejected(w, 2)
        job = begin(w)
        w.clock += timedelta(minutes=10)  # no process remembers the key by now
        w.outage = _down("kms")
        for _ in range(OUTAGE // timedelta(minutes=3)):  # longer than a lease
            worker.handle(w.runtime)
            w.clock += timedelta(minutes=3)
        w.outage = lambda _: None

        assert finish(w, job).state == "done"


def test_receipts_of_an_outage_do_not_count_as_faults_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.post(2)
        w.clock += timedelta(minutes=10)
        w.outage = _down("kms")
        w.run(OUTAGE)
        w.outage = lambda _: None
        received = max(message.receives for message in w.inbox.messages)
        assert 2 * FAULTS_MAX < received < RECEIVES_MAX / 4
        faults = iter(range(FAULTS_MAX - 1))
        real = people.find_people

        def once_more(*arguments: Any) -> Any:
            if next(faults, None) is not None:
                raise ZeroDivisionError
            return real(*arguments)

        monkeypatch.setattr(route, "find_people", once_more)
        w.run(timedelta(hours=1))

        assert_promise(w, ["m1", "m2"])


def test_events_of_one_conversation_alone_come_back_when_only_they_cannot_be_routed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = people.find_people

    def broken(runtime: Any, works: list[Any]) -> Any:
        if any(work.document["message"]["text"] == "m1" for work in works):
            raise ZeroDivisionError
        return real(runtime, works)

    with world() as w:
        w.connect()
        for number, chat in ((1, 100), (2, 100), (3, 300), (4, 400)):
            w.post(number, chat=chat)
        monkeypatch.setattr(route, "find_people", broken)

        w.inbox.run(route.handle)

        assert [message.group for message in w.inbox.messages] == [w.inbox.messages[0].group] * 2
        w.run(timedelta(hours=1))
        assert sorted(w.receiver.texts()) == ["m2", "m3", "m4"]
        (letter,) = replay.letters(w.runtime, w.tenant)
        assert letter["queue"] == "inbox"


def test_deliveries_of_other_tenants_are_made_when_one_tenant_s_key_cannot_be_had() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        first, w.receiver.answer = w.tenant, lambda _: (204, {})
        w.connect()
        w.post(2)
        w.inbox.run(route.handle)
        real = w.runtime.config.snapshot

        def snapshot(tenant: str, **how: Any) -> Any:
            if tenant == first:
                raise Unavailable("KMS does not answer")
            return real(tenant, **how)

        w.runtime.config.snapshot = snapshot  # type: ignore[method-assign]
        assert w.outbox.run(deliver.handle) == 2

        assert w.receiver.texts() == ["m2"]
        assert len(w.outbox.messages) == 1


def test_wakes_do_not_pile_up_while_a_lane_s_key_cannot_be_had() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.run(timedelta(minutes=2))
        w.receiver.answer = lambda _: (204, {})
        w.clock += timedelta(minutes=10)
        w.outage = _down("kms")

        w.run(timedelta(hours=2))

        assert len(w.outbox.messages) < FAULTS_MAX
        w.outage = lambda _: None
        w.run(timedelta(minutes=5))
        assert_promise(w, ["m1"])


def test_a_message_that_nothing_can_read_reaches_its_dead_letter_queue_alone() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.post(2)
        w.inbox.messages[0].body = '{"v": 99}'

        w.run(timedelta(hours=1))

        assert w.receiver.texts() == ["m2"]
        assert [json.loads(message.body) for message in w.dead_inbox.messages] == [{"v": 99}]

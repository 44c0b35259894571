"""Calls that threads make at the same time are made as one, and each caller gets its own outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import threads
from chalicelib.core.errors import Unavailable
from chalicelib.store.queues import OutgoingMessage, Queue
from chalicelib.threads import GatheredCalls
from tests.support.races import eventually


class Work:
    """Notes its batches. The first one lasts until ``go``, so that the others gather."""

    def __init__(self, answer: Callable[[int], int] = lambda item: item * 2) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self._answer = answer

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        if len(self.batches) == 1:
            assert self.go.wait(30)
        return [self._answer(item) for item in items]


def gathered(work: Work, most: int, items: int) -> list[Future[int]]:
    """Ask for item 0, and for the others while it is done."""
    made = GatheredCalls[int, int](work, most)
    with ThreadPoolExecutor(items) as pool:
        futures = [pool.submit(made, 0)]
        eventually(lambda: work.batches)
        for item in range(1, items):
            futures.append(pool.submit(made, item))
            eventually(lambda number=item: len(made._waiting) == number)  # type: ignore[misc]
        work.go.set()
    return futures


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "ALONE_S", 30.0)


def test_calls_that_meet_are_made_as_one_in_their_order() -> None:
    work = Work()

    found = [future.result() for future in gathered(work, 10, 8)]

    assert found == [item * 2 for item in range(8)]
    assert work.batches == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_a_batch_has_at_most_so_many_items() -> None:
    work = Work()

    gathered(work, 3, 8)

    assert work.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_a_fault_is_raised_for_each_item_of_its_batch_and_the_next_batch_is_done() -> None:
    def answer(item: int) -> int:
        if item == 2:
            raise Unavailable("down")
        return item

    work = Work(answer)

    futures = gathered(work, 3, 6)

    assert [type(future.exception()) for future in futures] == [
        type(None), Unavailable, Unavailable, Unavailable, type(None), type(None),
    ]  # fmt: skip


def test_a_fault_of_the_first_call_stops_no_other() -> None:
    def answer(item: int) -> int:
        if item == 0:
            raise Unavailable("down")
        return item

    futures = gathered(Work(answer), 3, 3)

    assert isinstance(futures[0].exception(), Unavailable)
    assert [future.result() for future in futures[1:]] == [1, 2]


def test_a_call_that_waits_too_long_is_made_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "ALONE_S", 0.01)
    work = Work()
    made = GatheredCalls[int, int](work, 10)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made, 0)
        eventually(lambda: work.batches)
        assert pool.submit(made, 1).result(30) == 2
        assert not first.done()
        work.go.set()
        assert first.result(30) == 0
    assert made(5) == 10, "it is usable afterwards"


class Client:
    """An SQS client that refuses one group, and whose first call lasts until ``go``."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.go = threading.Event()

    def get_queue_url(self, QueueName: str) -> dict[str, str]:
        return {"QueueUrl": QueueName}

    def send_message(self, **_: str) -> dict[str, Any]:
        self.calls.append(1)
        assert self.go.wait(30)
        return {}

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: str) -> dict[str, Any]:
        self.calls.append(len(Entries))
        return {"Failed": [{"Id": e["Id"]} for e in Entries if e["MessageGroupId"] == "g2"]}


def test_messages_of_several_threads_take_one_call_and_each_thread_learns_its_own_outcome() -> None:
    client = Client()
    queue = Queue(client, "inbox")
    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(queue.send, [OutgoingMessage("{}", "g0", "d0")])]
        eventually(lambda: client.calls)
        for number in range(1, 5):
            futures.append(pool.submit(queue.send, [OutgoingMessage("{}", f"g{number}", f"d{number}")]))
            eventually(lambda waiting=number: len(queue._one._waiting) == waiting)  # type: ignore[attr-defined, misc]
        client.go.set()
    assert client.calls == [1, 4]
    assert [type(future.exception()) for future in futures] == [
        type(None), type(None), Unavailable, type(None), type(None),
    ]  # fmt: skip

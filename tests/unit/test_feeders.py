"""Feeding a queue's handler, and the clock: accepted messages are deleted, others come back, faults do not end it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from infra.cell.feeders import clock, feed_once, feed_until

SECRET = "what somebody wrote"


def message(name: str) -> dict[str, Any]:
    return {"MessageId": name, "ReceiptHandle": f"receipt {name}", "Body": "{}", "Attributes": {}, "MD5OfBody": ""}


class FakeQueue:
    """Hands out batches, and raises the exceptions among them. After the last it ends the run."""

    def __init__(self, *batches: Any) -> None:
        self.batches = list(batches)
        self.deleted: list[str] = []
        self.stopping = threading.Event()
        self.waits: list[int] = []

    def get_queue_url(self, QueueName: str) -> dict[str, str]:
        return {"QueueUrl": f"https://queues.example/{QueueName}"}

    def receive_message(self, WaitTimeSeconds: int, **_: Any) -> dict[str, Any]:
        self.waits.append(WaitTimeSeconds)
        batch = self.batches.pop(0)
        if not self.batches:
            self.stopping.set()
        if isinstance(batch, Exception):
            raise batch
        return {"Messages": batch} if batch else {}

    def delete_message_batch(self, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]
        return {}


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines, which may hold nothing of the messages in progress."""
    assert SECRET not in str([vars(record) for record in caplog.records])
    return [record.getMessage() for record in caplog.records if record.name == "waybill"]


def taking(event: Any, context: Any) -> dict[str, Any]:
    return {"batchItemFailures": []}


def test_only_what_the_handler_took_is_deleted() -> None:
    queue = FakeQueue([message("a"), message("b")])

    took = feed_once(queue, "url", "ru-home1", "inbox", lambda e, _: {"batchItemFailures": [{"itemIdentifier": "a"}]})

    assert (took, queue.deleted) == (2, ["receipt b"])


def test_batch_in_hand_is_finished_when_the_end_is_asked_for_meanwhile() -> None:
    queue = FakeQueue([message("a")])

    feed_until(queue.stopping, queue, "ru-home1", "inbox", taking, wait_s=4)()

    assert queue.deleted == ["receipt a"]
    assert queue.waits == [4]


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "OverLimit", "Message": SECRET}}, "ReceiveMessage"),
        EndpointConnectionError(endpoint_url="https://queues.example"),
    ],
)
def test_feeding_goes_on_when_the_queue_did_not_answer(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    queue = FakeQueue(fault, [], [message("a")])

    feed_until(queue.stopping, queue, "ru-home1", "inbox", taking)()

    assert queue.deleted == ["receipt a"]
    assert logged(caplog) == ["feed_failed"]


def test_nothing_is_deleted_and_feeding_goes_on_when_the_handler_fails(caplog: pytest.LogCaptureFixture) -> None:
    queue, calls = FakeQueue([message("a")], [message("b")]), list[Any]()

    def handler(event: Any, context: Any) -> dict[str, Any]:
        calls.append(event)
        if len(calls) == 1:
            raise ValueError(SECRET)
        return taking(event, context)

    feed_until(queue.stopping, queue, "ru-home1", "inbox", handler)()

    assert queue.deleted == ["receipt b"]
    assert logged(caplog) == ["feed_failed"]


def test_clock_goes_on_after_a_fault_and_ends_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    stopping, ticks = threading.Event(), list[int]()

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 1:
            raise ValueError(SECRET)
        stopping.set()

    clock(stopping, 0.01, tick)()

    assert len(ticks) == 2
    assert logged(caplog) == ["schedule_failed"]

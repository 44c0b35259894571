"""The embedded engine's FIFO queues: one batch of a group at a time, and a search time independent of the waiting messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from moto.sqs import models

from infra.cell import engines
from infra.cell.moto import queues

REGION = "eu-central-1"
ATTRIBUTES = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


class Queue:
    def __init__(self, sqs: Any) -> None:
        self.sqs = sqs
        self.url = sqs.create_queue(QueueName="searched.fifo", Attributes=ATTRIBUTES)["QueueUrl"]
        self.now_ms = 1_796_000_000_000.0
        self._sent = 0

    def clock(self) -> float:
        self.passes(0.000_01)  # no two moments are the same
        return self.now_ms

    def passes(self, seconds: float) -> None:
        self.now_ms += seconds * 1000

    def send(self, *groups: str) -> None:
        for group in groups:
            self._sent += 1
            self.sqs.send_message(
                QueueUrl=self.url, MessageBody=str(self._sent), MessageGroupId=group,
                MessageDeduplicationId=str(self._sent),
            )  # fmt: skip

    def receive(self, limit: int = 10) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=limit, MessageSystemAttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    def waiting(self) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    with engines.moto() as engine:
        made = Queue(engine.make_client("sqs", REGION))
        for module in (queues, models):
            monkeypatch.setattr(module, "unix_time_millis", made.clock)
        yield made


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


def test_a_group_gives_nothing_more_when_one_of_its_messages_is_in_flight(queue: Queue) -> None:
    queue.send("a", "a", "b", "a")

    first, second, third = queue.receive(1), queue.receive(), queue.receive()

    assert (bodies(first), bodies(second), third) == (["1"], ["3"], [])
    assert queue.waiting() == (2, 2)


def test_a_group_goes_on_in_its_order_when_its_message_is_deleted(queue: Queue) -> None:
    queue.send("a", "a", "a")

    (first,) = queue.receive(1)
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"])

    assert bodies(queue.receive()) == ["2", "3"]


def test_a_message_comes_again_before_later_ones_when_its_time_in_flight_is_over(queue: Queue) -> None:
    queue.send("a", "a")

    (first,) = queue.receive(1)
    queue.sqs.change_message_visibility(
        QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0
    )  # fmt: skip
    again = queue.receive()

    assert bodies(again) == ["1", "2"]
    assert again[0]["Attributes"]["ApproximateReceiveCount"] == "2"


@pytest.mark.parametrize("wait_s", [0, 1])
def test_a_group_comes_again_in_its_order_when_several_of_its_messages_are_given_back(
    queue: Queue, wait_s: int
) -> None:
    queue.send("a", "b", "a", "a")

    for message in queue.receive(3):
        queue.sqs.change_message_visibility(
            QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=wait_s
        )
    assert wait_s == 0 or queue.receive() == []
    queue.passes(wait_s + 0.01)

    assert bodies(queue.receive()) == ["1", "2", "3", "4"]


def test_a_receipt_makes_no_more_calls_when_ten_times_as_much_waits(queue: Queue) -> None:
    def calls() -> int:
        made = 0

        def count(_frame: Any, what: str, _argument: Any) -> None:
            nonlocal made
            made += what == "call"

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            found = queue.receive()
        finally:
            sys.setprofile(before)
        assert len(found) == 10
        return made

    queue.send(*(f"g{number}" for number in range(30)))
    calls()  # the first one loads what botocore loads once
    few = calls()
    queue.send(*(f"h{number}" for number in range(300)))

    assert calls() < few * 1.5

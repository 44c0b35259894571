"""Readiness of a served cell: a queue, the store or the clock that is bad, and the check of a home before it serves."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.core.errors import Misconfigured
from infra.cell import probe
from infra.cell.readiness import STALE_S, Readiness
from tests.support.served import Engine, Monotonic, cell, gone

OPERATOR = dict.fromkeys(probe.OPERATOR, "given") | {"WAYBILL_OPERATOR_KEY_SHA256": "0a" * 32}


def refused(**_: Any) -> Any:
    raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem")


def looked(engine: Any) -> tuple[int, dict[str, str]]:
    readiness = Readiness(cell(engine))
    readiness.look()
    status, _, body = readiness.answer()
    return status, json.loads(body)


@pytest.mark.parametrize("ahead", [None, timedelta(0), timedelta(seconds=9), timedelta(seconds=-9)])
def test_process_is_ready_when_all_answer_and_the_clocks_agree(ahead: timedelta | None) -> None:
    ready = {"status": "ready", "queues": "ok", "store": "ok", "clock": "ok"}

    assert looked(Engine(ahead)) == (200, ready)


@pytest.mark.parametrize(
    ("break_it", "part", "why"),
    [
        ({"get_queue_attributes": gone}, "queues", "unreachable (EndpointConnectionError)"),
        ({"get_queue_url": gone}, "queues", "unreachable (EndpointConnectionError)"),
        ({"get_item": refused}, "store", "unreachable (ResourceNotFoundException)"),
        ({"ahead": timedelta(minutes=2)}, "clock", "120 s behind an engine's: use NTP"),
        ({"ahead": timedelta(minutes=-2)}, "clock", "120 s ahead of an engine's: use NTP"),
    ],
)
def test_process_is_not_ready_when_a_part_is_bad(break_it: dict[str, Any], part: str, why: str) -> None:
    engine = Engine()
    vars(engine).update(break_it)

    status, told = looked(engine)

    assert status == 503
    assert told == {"status": "not ready", "queues": "ok", "store": "ok", "clock": "ok", part: why}


def test_process_is_not_ready_when_it_has_not_looked_for_long() -> None:
    monotonic = Monotonic()
    readiness = Readiness(cell(Engine(), monotonic))

    before = readiness.answer()[0]
    readiness.look()
    then = readiness.answer()[0]
    monotonic.at += STALE_S + 1
    late, _, body = readiness.answer()

    assert (before, then, late) == (503, 200, 503)
    assert json.loads(body)["look"] == "an engine has not answered for 30 s"


def test_look_counts_the_messages_of_each_queue() -> None:
    readiness = Readiness(cell(Engine()))

    readiness.look()

    assert set(readiness.depths) == {"inbox", "outbox", "inbox-dead", "outbox-dead", "sealing", "seal-requests"}
    assert readiness.depths["inbox"] == {"waiting": 3, "in_hand": 2, "delayed": 0}


# The check of order


class Numbered:
    """A queue that numbers its messages as it is told, and gives them in the order of ``turn``."""

    class meta:
        region_name = "ru-home1"
        endpoint_url = "https://engine.example"

    def __init__(self, numbers: list[str | None], turn: int = 1, others: int = 0) -> None:
        self.numbers, self.turn = list(numbers), turn
        self.messages = [self._message("first", "check-of-another", "1") for _ in range(others)]
        self.deleted: list[str] = []
        self.given_back: list[str] = []

    @staticmethod
    def _message(body: str, group: str, number: str | None) -> dict[str, Any]:
        attributes = {"MessageGroupId": group} | ({"SequenceNumber": number} if number is not None else {})
        return {"Body": body, "Attributes": attributes, "ReceiptHandle": f"{group} {body}"}

    def get_queue_url(self, QueueName: str) -> dict[str, str]:
        assert QueueName == "waybill-ru1-check.fifo"
        return {"QueueUrl": QueueName}

    def send_message(self, MessageBody: str, MessageGroupId: str, **_: Any) -> None:
        self.messages.append(self._message(MessageBody, MessageGroupId, self.numbers.pop(0)))

    def receive_message(self, **_: Any) -> dict[str, Any]:
        return {"Messages": self.messages[:: self.turn]}

    def delete_message(self, ReceiptHandle: str, **_: Any) -> None:
        self.deleted.append(ReceiptHandle)

    def change_message_visibility(self, ReceiptHandle: str, **_: Any) -> None:
        self.given_back.append(ReceiptHandle)


@pytest.mark.parametrize("numbers", [["9", "10"], ["99", "100"], ["18849496460467696128", "18849496460467696384"]])
def test_queues_are_taken_when_their_numbers_grow(numbers: list[str | None]) -> None:
    queue = Numbered(numbers, others=3)

    probe._order(cell(queue))

    assert [handle.split()[1] for handle in queue.deleted] == ["first", "second"]
    assert set(queue.given_back) == {"check-of-another first"}


@pytest.mark.parametrize(
    ("queue", "why"),
    [
        (Numbered(["10", "9"]), "does not grow"),
        (Numbered(["7", "7"]), "does not grow"),
        (Numbered([None, None]), "no SequenceNumber"),
        (Numbered(["a1", "a2"]), "no SequenceNumber"),
        (Numbered(["1", "2"], turn=-1), "keep no order"),
    ],
)
def test_queues_are_refused_when_they_do_not_number_their_messages(queue: Numbered, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        probe._order(cell(queue))


# The operator


@pytest.mark.parametrize("name", probe.OPERATOR)
def test_home_is_refused_when_the_operator_is_unknown(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"^set {name} to "):
        probe.check(cell(Engine()), OPERATOR | {name: " "})


def test_home_is_refused_when_the_operators_key_is_given_instead_of_its_hash() -> None:
    with pytest.raises(Misconfigured, match="has another form") as refusal:
        probe.check(cell(Engine()), OPERATOR | {"WAYBILL_OPERATOR_KEY_SHA256": "wb_operator_secret"})

    assert "wb_operator_secret" not in str(refusal.value)

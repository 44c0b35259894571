"""Delivery tasks: what queues, lanes and dead letters store is read and written as older and newer releases do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.delivery.task import DeliveryTask, WaitingTask
from tests.support.tasks import task_body

BODIES: dict[str, dict[str, Any]] = {
    "as route writes it": task_body(),
    "without a conversation or recipient": task_body(conversation="-", recipient=None),
    "held": task_body(decision="held", classes_out=[], held_since="2026-11-20T09:00:01.000Z"),
    "under a second decision": task_body(logs=["2026"], log="2027"),
    "under a second decision in the same log": task_body(logs=[]),
    "off the record": task_body(otr=True),
    "of a newer release": task_body(priority=3, hints={"a": [1]}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body_is_the_same_when_it_was_read_and_is_written_again(body: dict[str, Any]) -> None:
    assert json.dumps(DeliveryTask.from_body(body).body()) == json.dumps(body)


@pytest.mark.parametrize("tries", [{}, {"tries": 3}])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_row_is_the_same_when_it_was_read_and_is_written_again(body: dict[str, Any], tries: dict[str, int]) -> None:
    row = {**body, "due_at": "2026-11-20T09:10:00.000Z", **tries}

    assert WaitingTask.from_row(row).row() == row


def test_optional_fields_have_their_defaults_when_an_older_release_wrote_the_body() -> None:
    task = DeliveryTask.from_body(task_body())

    assert (task.logs, task.otr, task.held_since) == (None, False, None)
    assert task.all_logs == ("2026",)
    assert WaitingTask.from_row(task_body(due_at="2026-11-20T09:10:00.000Z")).tries == 0


def test_fields_of_a_newer_release_are_carried_along_when_the_decision_is_replaced() -> None:
    task = DeliveryTask.from_body(task_body(priority=3))
    route = {"decision": "allowed", "classes_out": ["content"], "recipient": None}

    later = task.under({"id": "ent_2", "log": "2027", "routes": [route]})

    assert later.body() == task_body(priority=3, decided="ent_2", log="2027", logs=["2026"], **route)
    assert later.all_logs == ("2026", "2027")


def test_body_is_refused_when_a_required_field_is_missing() -> None:
    body = task_body()
    del body["owner"]

    with pytest.raises(KeyError, match="owner"):
        DeliveryTask.from_body(body)


def test_tasks_are_equal_when_all_of_their_fields_are() -> None:
    task = DeliveryTask.from_body(task_body())

    assert task == DeliveryTask.from_body(task.body())
    assert task != replace(task, held_since="2026-11-20T09:00:01.000Z")

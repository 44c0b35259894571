"""People and events of the release before: without an end, with a mark, or stored by a process that raises none."""

from __future__ import annotations

from typing import Any

from chalicelib.flow.ask import read
from chalicelib.flow.retention import sweep
from tests.support.retained import DAY, HOUR, asked, cell, decided, events, held, people, subject, turned
from tests.support.world import START, World

__all__ = ["cell"]


def made_old(cell: World) -> None:
    """Take away what only this release writes, and leave what a sweep of the release before leaves."""
    client = cell.engine.make_client("dynamodb", "eu-central-1")
    for row in cell.rows("people"):
        left = {name: value for name, value in row.items() if name not in ("ends_at", "unsure", "look_at")}
        client.put_item(TableName="waybill-test-people", Item=left)
    old_sweep(cell)


def old_sweep(cell: World) -> None:
    """Leave what a sweep of the release before leaves in each run."""
    table = cell.runtime.lifetimes._table
    table.insert({"pk": f"{cell.tenant}#kept", "sk": "00002", "place": "2026-11-20T09:00:00.000Z"})


def turns(cell: World, hours: int) -> None:
    for _ in range(0, hours, 4):
        turned(cell)
        cell.clock += 4 * HOUR


def test_people_without_an_end_end_within_two_days_of_their_last_event(cell: World) -> None:
    cell.connect(days=2)
    for chat in (1, 2):
        cell.post(chat, chat=chat)
    cell.settle()
    made_old(cell)

    turns(cell, 44)
    during = people(cell)
    turns(cell, 52)

    assert during == {subject(e) for e in decided(cell)}
    assert people(cell) == set()
    assert {e["subject"] for e in cell.of_kind("expired")} == during
    assert [row for row in cell.rows("people") if "look_at" in row] == []
    assert [row for row in cell.rows("data") if "#kept" in row["pk"]["S"]] == []


def test_a_person_without_an_end_who_writes_on_keeps_the_key(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    made_old(cell)
    for number in range(2, 9):
        turns(cell, 12)
        cell.post(number)
        cell.settle()

    assert len({subject(e) for e in decided(cell)}) == 1
    for row in events(cell)[-3:]:
        event = row["pk"]["S"].partition("#")[2]
        if int(row["expires_at"]["N"]) > cell.clock.timestamp() * 1000:
            assert read.content(asked(cell), event)["message"]["text"]


def test_content_that_the_release_before_stored_after_a_rollback_keeps_its_key(cell: World) -> None:
    sweep.handle(cell.runtime)
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    bounds = {row["pk"]["S"]: row["ends_at"] for row in cell.rows("people") if "ends_at" in row}
    cell.clock += DAY
    cell.post(2)  # by the release before, which raises no bound
    cell.settle()
    client = cell.engine.make_client("dynamodb", "eu-central-1")
    for pk, bound in bounds.items():
        told: dict[str, Any] = {"ExpressionAttributeValues": {":e": bound}, "UpdateExpression": "SET ends_at = :e"}
        client.update_item(TableName="waybill-test-people", Key={"pk": {"S": pk}}, **told)
    old_sweep(cell)

    cell.clock = START + 2 * DAY + 12 * HOUR
    turned(cell)

    alive = decided(cell)[-1]
    assert people(cell) == {subject(alive)}
    assert read.content(asked(cell), alive["event"])["message"]["text"] == "m2"


def test_a_hold_is_walked_again_after_a_rollback(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    held(cell, "conversation")
    for _ in range(3):
        turned(cell)
        cell.clock += HOUR
    (row,) = events(cell)
    old = {**row, "ttl": {"N": str(int((cell.clock + 15 * DAY).timestamp()))}}  # as the release before stores it
    cell.engine.make_client("dynamodb", "eu-central-1").put_item(TableName="waybill-test-data", Item=old)
    old_sweep(cell)

    turns(cell, 32)

    assert ["ttl" in one for one in (row, old, *events(cell))] == [False, True, False]


def test_what_the_release_before_had_listed_is_looked_at(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    made_old(cell)
    table, (row,) = cell.runtime.lifetimes._table, events(cell)
    table.insert({"pk": f"{cell.tenant}#ending", "sk": row["owner"]["S"], "asked": 1})
    cell.runtime.data.erase_content(cell.runtime.data.event(cell.tenant, decided(cell)[0]["event"], START).key)  # type: ignore[union-attr]

    turns(cell, 24)

    assert people(cell) == set()
    assert [row for row in cell.rows("data") if "#ending" in row["pk"]["S"]] == []

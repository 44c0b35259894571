"""A kill switch over the whole cell: the next attempt is refused, in any state, and the log can be decided again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.switches import cell, decided_again, throw
from tests.support.world import World

__all__ = ["cell"]

MATCHES: dict[str, Callable[[World], str]] = {
    "channel": lambda cell: "telegram",
    "country": lambda cell: "DE",
    "recipient": lambda cell: cell.recipient,
    "destination": lambda cell: cell.destination,
}


@pytest.mark.parametrize("scope", MATCHES)
def test_the_next_event_is_refused_and_stored_when_a_switch_matches(cell: World, scope: str) -> None:
    cell.connect()
    switch = throw(cell, scope, MATCHES[scope](cell))

    assert cell.post(1).status == 200
    cell.settle()

    (entry,) = cell.of_kind("decided")
    assert entry["routes"][0]["rules"] == [{"id": "TENANT.switch", "verdict": "refused", "ref": "tenant's own switch"}]
    assert entry["facts"]["switch"] == switch.id
    assert decided_again(cell, entry) == ["refused"]
    assert cell.receiver.requests == []
    assert len([row for row in cell.rows("data") if "#source#" not in row["pk"]["S"]]) == 1
    assert "canary" not in str(entry)


@pytest.mark.parametrize(("scope", "value"), [("channel", "slack"), ("country", "US"), ("destination", "dst_other")])
def test_an_event_is_delivered_when_a_switch_is_about_something_else(cell: World, scope: str, value: str) -> None:
    cell.connect()
    throw(cell, scope, value)

    cell.post(1)
    cell.settle()

    assert cell.receiver.texts() == ["m1"]
    assert "switch" not in cell.of_kind("decided")[0]["facts"]


def test_a_waiting_delivery_is_refused_at_its_next_attempt_when_a_switch_is_thrown(cell: World) -> None:
    cell.connect()
    cell.receiver.answer = lambda _: (503, {})
    cell.post(1)
    cell.run(timedelta(seconds=30))
    assert len(cell.of_kind("attempted")) == 2
    cell.receiver.answer = lambda _: (204, {})

    switch = throw(cell, "recipient", cell.recipient)
    cell.run(timedelta(hours=1))

    assert cell.receiver.texts() == []
    last = max(cell.of_kind("decided"), key=lambda e: str(e["at"]))
    assert (last["cause"], last["facts"]["switch"]) == ("rechecked", switch.id)
    assert decided_again(cell, last) == ["refused"]
    assert [r for r in cell.rows("data") if r["pk"]["S"].startswith("lane#")] == []


def test_deliveries_go_on_when_the_time_of_a_switch_is_over(cell: World) -> None:
    cell.connect()
    throw(cell, "channel", "telegram", until=cell.clock + timedelta(hours=1))
    cell.post(1)
    cell.settle()

    cell.clock += timedelta(hours=1)
    cell.post(2)
    cell.settle()

    assert cell.receiver.texts() == ["m2"]


def test_a_release_is_decided_again_from_the_log_when_the_sources_country_was_given(cell: World) -> None:
    cell.connect(source={"subject_country": None})
    cell.post(1)
    cell.settle()
    held = cell.of_kind("decided")[0]
    assert decided_again(cell, held) == ["held"]

    cell.change(cell.source, subject_country="DE")
    cell.run(timedelta(minutes=90))

    assert cell.receiver.texts() == ["m1"]
    released = next(e for e in cell.of_kind("decided") if e["cause"] == "released")
    assert released["facts"]["subject"]["country"] == "DE"
    assert decided_again(cell, released) == ["allowed"]

"""The tenant gets one notice a day of a hold that a person's consent could lift, from any process and after any crash."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import ids, times
from chalicelib.core.tenant.consents import ConsentSettings, WithdrawalSettings
from chalicelib.core.tenant.records import Route
from chalicelib.flow.declare import consents
from chalicelib.flow.seal_requests import notify_sealer
from tests.support.given_consents import give, request
from tests.support.logs import verified
from tests.support.world import World, world

HOUR = timedelta(hours=1)


def connect(cell: World, *, narrow: bool = True, **changes: Any) -> None:
    """Declare a tenant which hears of what its cell has to say.

    Args:
        narrow: messages have no ground of their own.
    """
    cell.connect(**changes)
    (instruction,) = [
        r.record.id for r in cell.runtime.config.list(cell.tenant, "bas") if r.record.kind == "instruction"
    ]
    if narrow:
        cell.change(cell.route, bases=(instruction,))
    told = {
        "name": "told", "pattern": {"channel": ["waybill"]}, "destination": cell.destination, "purpose": "operations",
    }  # fmt: skip
    made = Route(id=ids.sortable("rte", cell.clock, b"operational"), created_at=cell.clock, **told)
    cell.runtime.config.insert(cell.tenant, made)


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made


def told(cell: World) -> list[dict[str, Any]]:
    """The requests for consents that arrived."""
    bodies = [body["data"] for _, _, body, status in cell.receiver.requests if status == 204]
    return [body["raw"] for body in bodies if body["native_kind"] == "consent.requested"]


def decided(cell: World) -> dict[str, Any]:
    return next(e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "telegram")


def test_a_consent_is_asked_for_when_it_would_lift_a_hold_and_lifts_it_when_it_is_given(cell: World) -> None:
    connect(cell)
    cell.post(1)
    cell.run(timedelta(minutes=3))

    (asked,) = told(cell)

    entry = decided(cell)
    (subject,) = entry["receipt"]["subjects"]
    assert asked == {
        "subject": subject, "recipient": cell.recipient, "routes": [cell.route],
        "purposes": ["customer_support"],
        "classes": ["content", "identifier", "name"], "countries": ["DE"],
        "rules": [{"id": "ANY.basis", "ref": entry["routes"][0]["rules"][0]["ref"]}], "laws": ["ANY"],
        "separate_document": False, "written": False, "special": False,
        "held_until": times.text(times.parse(entry["at"]) + 72 * HOUR),
    }  # fmt: skip

    named = {
        name: asked[name] for name in ("subject", "recipient", "purposes", "classes", "countries", "written", "special")
    }
    consents.give(
        request(cell),
        ConsentSettings.model_validate(
            {**named, "separate_document": asked["separate_document"], "given_at": cell.clock, "method": "message",
             "notice_sha256": "ef" * 32}
        ),
    )  # fmt: skip
    cell.run(timedelta(minutes=3))

    assert [
        b["data"]["message"]["text"] for _, _, b, _ in cell.receiver.requests if b["data"]["channel"] == "telegram"
    ] == ["m1"]
    cell.clock += timedelta(minutes=10)
    notify_sealer(cell.runtime)
    cell.seal()
    assert (verified(cell).code, verified(cell).faults) == (0, ())


def test_one_is_told_a_day_for_each_person_and_recipient(cell: World) -> None:
    connect(cell)
    for number, chat in enumerate((100, 100, 200, 100)):
        cell.post(number, chat=chat)
        cell.run(timedelta(minutes=7))  # longer than a queue remembers deduplication ids

    assert len(told(cell)) == len({asked["subject"] for asked in told(cell)}) == 2

    cell.clock += timedelta(days=1)
    cell.post(9, chat=100)
    cell.run(timedelta(minutes=3))

    assert len(told(cell)) == 3


def test_a_consent_is_asked_for_when_one_was_withdrawn_while_a_delivery_waits(cell: World) -> None:
    connect(cell)
    cell.post(1)
    cell.settle()
    given = give(cell)
    cell.run(timedelta(minutes=3))
    assert len(told(cell)) == 1
    cell.clock += timedelta(days=1)
    cell.receiver.answer = lambda body: (503 if body["data"]["channel"] == "telegram" else 204, {})
    cell.post(2)
    cell.run(timedelta(minutes=1))
    assert len(told(cell)) == 1

    consents.withdraw(request(cell), given.id, WithdrawalSettings(method="message"))
    cell.run(HOUR)

    assert len(told(cell)) == 2
    assert told(cell)[1]["subject"] == told(cell)[0]["subject"]


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": {"onward": None, "entity_country": None, "processing_countries": ()}},
        {"source": {"subject_country": None}},
    ],
    ids=["nobody knows where the recipient is", "no consent says where the person is"],
)
def test_nothing_is_asked_when_no_consent_would_help(cell: World, changes: dict[str, Any]) -> None:
    connect(cell, narrow=False, **changes)
    cell.post(1)
    cell.run(timedelta(minutes=3))

    assert decided(cell)["routes"][0]["decision"] == "held"
    assert [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "waybill"] == []


def test_nothing_is_asked_for_an_operational_event_that_is_held_itself(cell: World) -> None:
    connect(cell, recipient={"entity_country": "US", "processing_countries": ("US",)})
    cell.post(1)
    cell.run(timedelta(minutes=10))

    operational = [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "waybill"]
    assert len(operational) <= 1


def test_nothing_is_asked_when_no_route_takes_what_the_cell_has_to_say(cell: World) -> None:
    connect(cell)
    told_by = max(r.record.id for r in cell.runtime.config.list(cell.tenant, "rte") if r.record.name == "told")
    cell.runtime.config.delete(cell.tenant, told_by)
    cell.post(1)
    cell.run(timedelta(minutes=3))

    assert decided(cell)["routes"][0]["decision"] == "held"
    assert cell.inbox.sent == 1


def test_nothing_is_sent_beyond_the_events_own_when_nothing_is_held(cell: World) -> None:
    cell.connect()
    cell.post(1)
    cell.settle()

    assert cell.inbox.sent == 1
    assert cell.receiver.texts() == ["m1"]


def test_told_once_whatever_dies_and_whatever_comes_twice() -> None:
    def story(doubles: bool, crash_at: int | None) -> tuple[int, World]:
        with world(doubles=doubles) as cell:
            connect(cell)
            cell.effects.clear()
            cell.crash_at = crash_at
            cell.post(1)
            cell.run(timedelta(minutes=20))
            assert len(told(cell)) == 1, crash_at
            return len(cell.effects), cell

    effects, _ = story(False, None)
    for crash_at in range(1, effects + 1, 9):
        story(bool(crash_at % 2), crash_at)

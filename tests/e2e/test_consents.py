"""Consents over the whole cell: one releases the transfers that wait for it, and its end changes the next attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.log import leaf
from chalicelib.core.tenant.consents import Consent, WithdrawalSettings
from chalicelib.core.tenant.records import Contract
from chalicelib.flow.declare import consents
from tests.support.given_consents import NOTICE, cell, give, request, settings
from tests.support.switches import decided_again
from tests.support.world import START, World

__all__ = ["cell"]


def newest(cell: World) -> dict[str, Any]:
    return max(cell.of_kind("decided"), key=lambda e: str(e["at"]))


def test_what_waits_is_delivered_once_when_its_person_consents(cell: World) -> None:
    cell.post(1)
    cell.run(timedelta(minutes=5))
    assert cell.receiver.texts() == []

    given = give(cell)
    cell.run(timedelta(minutes=3))  # the lane is woken: nothing waits for its hour

    assert cell.receiver.texts() == ["m1"]
    released = newest(cell)
    assert (released["cause"], released["routes"][0]["basis"]) == ("released", given.id)
    assert released["facts"]["bases"] == [{"id": given.id, "given": "2026-11-19", "law": [], "on": [-1, 0], "says": 8}]
    assert len(leaf.canonical(released["facts"]["bases"])) <= 120
    assert decided_again(cell, released) == ["allowed"]
    (act,) = cell.of_kind("config_changed")
    assert (act["object"], act["subject"]) == ({"kind": "consent", "id": given.id}, given.subject)


def test_the_next_event_is_decided_by_the_consent(cell: World) -> None:
    cell.post(1)
    cell.settle()
    give(cell)
    cell.clock += timedelta(minutes=1)

    cell.post(2)
    cell.settle()

    last = newest(cell)
    assert (last["cause"], last["routes"][0]["decision"]) == ("received", "allowed")
    assert decided_again(cell, last) == ["allowed"]


@pytest.mark.parametrize(
    "change",
    [
        {"purposes": ("message_routing",)},
        {"purposes": ("customer_support",)},
        {"classes": ("identifier", "name")},
        {"countries": ("FR",)},
        {"expires_at": START + timedelta(minutes=1)},
    ],
)
def test_what_waits_stays_held_when_the_consent_does_not_cover_it(cell: World, change: dict[str, Any]) -> None:
    cell.post(1)
    cell.settle()
    cell.clock += timedelta(minutes=2)

    give(cell, given_at=START - timedelta(days=1), **change)
    cell.run(timedelta(minutes=3))

    assert cell.receiver.texts() == []
    assert cell.of_kind("attempted") == []


def test_anothers_consent_is_no_ground(cell: World) -> None:
    cell.post(1, chat=100)
    cell.settle()
    give(cell)

    cell.post(2, chat=200)
    cell.run(timedelta(minutes=3))

    assert cell.receiver.texts() == ["m1"]


def _withdrawn(cell: World, given: Consent) -> None:
    consents.withdraw(request(cell), given.id, WithdrawalSettings(method="message"))


def _expired(cell: World, given: Consent) -> None:
    cell.clock += timedelta(hours=1)


@pytest.mark.parametrize("end", [_withdrawn, _expired])
def test_the_next_attempt_is_not_made_when_the_consent_has_ended(cell: World, end: Any) -> None:
    cell.post(1)
    cell.settle()
    given = give(cell, expires_at=cell.clock + timedelta(minutes=50))
    cell.receiver.answer = lambda _: (503, {})
    cell.run(timedelta(minutes=2))
    tried = len(cell.of_kind("attempted"))
    assert tried > 0
    cell.receiver.answer = lambda _: (204, {})

    end(cell, given)
    cell.run(timedelta(hours=2))

    assert cell.receiver.texts() == []
    assert len(cell.of_kind("attempted")) == tried
    last = newest(cell)
    assert (last["cause"], last["routes"][0]["decision"]) == ("rechecked", "held")
    assert "bases" not in last["facts"]
    assert decided_again(cell, last) == ["held"]


def test_a_withdrawal_stays_when_the_consent_is_written_again(cell: World) -> None:
    cell.post(1)
    cell.settle()
    first = request(cell)
    given = consents.give(first, settings(cell))
    _withdrawn(cell, given)

    again = consents.give(first, settings(cell))  # a late second try of the same request
    cell.run(timedelta(minutes=3))

    assert again.withdrawal is not None
    assert cell.receiver.texts() == []
    assert [c.withdrawal is None for c in cell.runtime.consents.list(cell.tenant, "", 50)] == [False]


def test_the_next_attempt_is_not_made_when_the_contract_has_ended(cell: World) -> None:
    cell.post(1)
    cell.settle()
    give(cell)
    cell.receiver.answer = lambda _: (503, {})
    cell.run(timedelta(minutes=2))
    cell.receiver.answer = lambda _: (204, {})

    ended = Contract(id="dpa", sha256="00" * 32, valid_from="2026-01-01", valid_until="2026-11-20")
    cell.change(cell.recipient, contract=ended)
    cell.run(timedelta(hours=2))

    assert cell.receiver.texts() == []
    assert newest(cell)["routes"][0]["decision"] in ("held", "refused")


def test_a_notice_that_two_recipients_share_is_no_separate_document(cell: World) -> None:
    cell.post(1)
    cell.settle()
    give(cell)
    cell.runtime.consents.use_notice(cell.tenant, NOTICE, "rcp_" + "0" * 26)
    cell.clock += timedelta(minutes=1)

    cell.post(2)
    cell.settle()

    assert [line["says"] for line in newest(cell)["facts"]["bases"]] == [0]


def test_nothing_of_a_persons_consents_is_left_when_the_tenant_is_erased(cell: World) -> None:
    cell.post(1)
    cell.settle()
    _withdrawn(cell, give(cell))

    cell.runtime.consents.erase(cell.tenant)
    cell.runtime.config.erase_tenant(cell.tenant)

    assert [row for row in cell.rows("config") if cell.tenant in row["pk"]["S"]] == []

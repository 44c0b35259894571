"""A person's own act on the messenger withdraws their consents, from the next attempt on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.channels import telegram
from chalicelib.channels.base import Ignored, Inbound
from chalicelib.core.errors import Unavailable
from chalicelib.core.event.event import Draft, EventConsent
from chalicelib.core.tenant.consents import Consent
from chalicelib.flow.routing import withdrawals
from tests.support.given_consents import cell, give
from tests.support.switches import decided_again
from tests.support.world import World

__all__ = ["cell"]


@pytest.fixture(autouse=True)
def stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the text STOP be an opt-out and START an opt-in, as they are with a text-message broker."""
    original = telegram.normalise

    def marked(request: Inbound) -> Iterator[Draft | Ignored]:
        for item in original(request):
            assert isinstance(item, Draft)
            said = item.message.text if item.message is not None else None
            act, _, topic = (said or "").partition(": ")
            state: Any = {"STOP": "withdrawn", "START": "given"}.get(act)
            consent = EventConsent(state=state, topic=topic or None) if state else None
            yield item.model_copy(update={"consent": consent})

    monkeypatch.setattr(telegram, "normalise", marked)


def stored(cell: World, consent: Consent) -> Consent:
    return cell.runtime.consents.get(cell.tenant, consent.id)


def consented(cell: World) -> Consent:
    """The person writes, and consents: their messages arrive."""
    cell.post(1)
    cell.settle()
    given = give(cell)
    cell.run(timedelta(minutes=3))
    assert cell.receiver.texts() == ["m1"]
    return given


def acts(cell: World) -> list[dict[str, Any]]:
    return [act for act in cell.of_kind("config_changed") if act["reason"] == "withdrawal"]


def decisions(cell: World) -> list[str]:
    newest = max(cell.of_kind("decided"), key=lambda e: str(e["at"]))
    assert decided_again(cell, newest) == [route["decision"] for route in newest["routes"]]
    return [str(route["decision"]) for route in newest["routes"]]


def test_opt_out_withdraws_the_persons_consents(cell: World) -> None:
    given = consented(cell)

    cell.post(2, "STOP")
    cell.run(timedelta(minutes=3))

    end = stored(cell, given).withdrawal
    assert end is not None
    assert (end.withdraws, end.method) == (given.id, "message")
    (act,) = acts(cell)
    assert (act["object"], act["subject"]) == ({"kind": "consent", "id": given.id}, given.subject)
    assert act["actor"] == {"kind": "service", "id": "route"}
    assert decisions(cell) == ["held"]  # the act itself does not leave on the consent that it ends
    assert cell.receiver.texts() == ["m1"]


def test_delivery_on_its_way_is_stopped_by_an_opt_out(cell: World) -> None:
    consented(cell)
    cell.receiver.answer = lambda body: (503, {})
    cell.post(2)
    cell.run(timedelta(minutes=2))

    cell.post(3, "STOP", chat=100)
    cell.run(timedelta(minutes=2))
    cell.receiver.answer = lambda body: (204, {})
    cell.run(timedelta(hours=2))

    assert cell.receiver.texts() == ["m1"]


@pytest.mark.parametrize("topic", ["Customer support", "customer_support_news"])
def test_opt_out_of_a_topic_withdraws_the_consents_for_it(cell: World, topic: str) -> None:
    given = consented(cell)

    cell.post(2, f"STOP: {topic}")
    cell.run(timedelta(minutes=3))

    assert stored(cell, given).withdrawal is not None


@pytest.mark.parametrize("text", ["START", "hello", "STOP: marketing_messages"])
def test_consents_stay_when_the_person_withdraws_nothing(cell: World, text: str) -> None:
    given = consented(cell)

    cell.post(2, text)
    cell.run(timedelta(minutes=3))

    assert stored(cell, given).withdrawal is None
    assert acts(cell) == []


def test_another_persons_opt_out_leaves_a_consent(cell: World) -> None:
    given = consented(cell)

    cell.post(2, "STOP", chat=200)
    cell.run(timedelta(minutes=3))

    assert stored(cell, given).withdrawal is None


def test_consent_given_after_the_opt_out_stands(cell: World) -> None:
    consented(cell)
    cell.post(2, "STOP")
    cell.run(timedelta(minutes=3))

    later = give(cell, given_at=cell.clock)
    cell.run(timedelta(minutes=3))

    assert stored(cell, later).withdrawal is None


def test_entry_is_written_by_the_second_run_when_the_first_one_fails(
    cell: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = consented(cell)
    tries: list[int] = []
    original = withdrawals._entry

    def failing(*arguments: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("the log is away")
        return original(*arguments)

    monkeypatch.setattr(withdrawals, "_entry", failing)
    cell.post(2, "STOP")
    cell.run(timedelta(minutes=10))

    assert len(tries) == 2
    assert [act["object"]["id"] for act in acts(cell)] == [given.id]

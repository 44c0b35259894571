"""Messages that people write arrive on their contacts in a CRM: over the whole cell, through crashes and renewals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import NotFound, Unavailable
from chalicelib.flow.delivery import deliver
from chalicelib.flow.routing import route
from chalicelib.store.memory import DestinationMemory
from infra.cell import engines
from tests.fixtures.destinations.crm import TOKEN, Amocrm, Bitrix24, Hubspot, Vendor, answer
from tests.support import deaths
from tests.support.crm_flow import connected, to_crm
from tests.support.deployed import HERE, POLICIES, role_arn
from tests.support.iam import Request, Verdict, evaluate
from tests.support.roles import Watched
from tests.support.world import World, raw


def outcomes(w: World) -> list[tuple[str, str]]:
    return [(e["outcome"], e["code"]) for e in w.of_kind("attempted")]


def memory(w: World) -> list[dict[str, Any]]:
    return [row for row in w.rows("data") if "#memory#" in row["pk"]["S"]]


def test_messages_are_on_one_contact_for_each_person_when_people_write() -> None:
    vendor = Bitrix24()
    with connected(vendor) as w:
        for number, chat in enumerate((100, 200, 100, 100)):
            w.post(number, chat=chat)
        w.run(timedelta(minutes=10))

        by_contact = {number: [t for n, t in vendor.messages if n == number] for number in vendor.contacts}
        assert sorted(len(texts) for texts in by_contact.values()) == [1, 3]
        assert all("m0" in texts[0] or "m1" in texts[0] for texts in by_contact.values())
        assert outcomes(w) == [("delivered", "accepted")] * 4
        shown = b"".join(raw(row) for row in memory(w))
        assert memory(w) and not any(text in shown for text in (b"telegram", b"Canary", b"cnv_", b":100"))


@deaths.in_parts
def test_contact_and_messages_are_there_once_when_the_process_dies_at_any_effect(part: int) -> None:
    with connected(Bitrix24()) as w:
        w.post(1)
        w.inbox.run(route.handle)
        before = len(w.effects)
        w.run(timedelta(minutes=1))
        effects = len(w.effects)
    for number in deaths.at(range(before + 1, effects + 1), 6, part):
        vendor = Bitrix24()
        with connected(vendor) as w:
            w.post(1)
            w.inbox.run(route.handle)
            w.crash_at = number
            w.run(timedelta(minutes=8))

            assert w.crashes == 1
            assert (len(vendor.contacts), len(vendor.messages)) == (1, 1), f"died at effect {number}"
            assert outcomes(w)[-1] == ("delivered", "accepted")


def test_token_is_renewed_and_kept_sealed_when_it_expires() -> None:
    vendor = Amocrm()
    with connected(vendor, app=True) as w:
        w.post(1)
        w.run(timedelta(minutes=1))
        vendor.access = "expired since"
        w.post(2)
        w.run(timedelta(minutes=1))

        assert (vendor.renewals, len(vendor.messages)) == (2, 2)
        assert outcomes(w) == [("delivered", "accepted")] * 2
        assert not any(b"r-e-f-r" in raw(row) or b"a-c-c-e-s-s" in raw(row) for row in w.rows("data"))


@pytest.mark.parametrize("made", [Amocrm, Bitrix24, Hubspot])
def test_two_destinations_of_one_integration_share_its_pair_through_renewals(made: type[Vendor]) -> None:
    vendor = made()
    with connected(vendor, app=True) as w:
        first = w.runtime.config.get(w.tenant, w.destination).record
        way = w.runtime.config.get(w.tenant, w.route).record
        second, other_way = f"dst_{1:026d}", f"rte_{1:026d}"
        secrets = {"config": vendor.config(True), "signing": []}
        w.runtime.config.insert(w.tenant, first.model_copy(update={"id": second}), secrets)
        w.runtime.config.insert(w.tenant, way.model_copy(update={"id": other_way, "destination": second}))
        for number in range(3):
            w.post(number, chat=100 + number)
            w.run(timedelta(minutes=3))
            vendor.access = "expired since"

        assert len(vendor.messages) == 6
        assert vendor.renewals == 3
        assert {(o, c) for o, c in outcomes(w) if o != "failed"} == {("delivered", "accepted")}
        assert {c for o, c in outcomes(w) if o == "failed"} <= {"contended"}
        assert {e["attempt"] for e in w.of_kind("attempted")} == {1}


@pytest.mark.parametrize("made", [Amocrm, Bitrix24, Hubspot])
def test_events_wait_for_a_new_refresh_token_when_the_renewal_is_refused(made: type[Vendor]) -> None:
    vendor = made()
    with connected(vendor, app=True) as w:
        vendor.refresh = "r-e-f-r-e-s-h-of-the-new-installation"
        for number in range(3):
            w.post(number, chat=100 + number)
        w.run(timedelta(minutes=20))
        assert ("failed", "credentials") in outcomes(w) and vendor.messages == []
        assert set(outcomes(w)) <= {("failed", "credentials"), ("failed", "contended")}

        row = w.runtime.config.get(w.tenant, w.destination)
        config = vendor.config(True)
        config["app"] = {**config["app"], "refresh_token": vendor.refresh}
        mended = {"config": config, "signing": []}
        w.runtime.config.replace(w.tenant, row.record, row.version, mended)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(timedelta(hours=1))

        assert len(vendor.messages) == 3
        assert sorted(outcomes(w))[:3] == [("delivered", "accepted")] * 3


def test_contact_is_remembered_no_more_when_the_tenant_is_closed() -> None:
    vendor = Hubspot()
    with connected(vendor) as w:
        w.post(1)
        w.run(timedelta(minutes=1))
        ours = DestinationMemory(
            w.runtime.data.table,
            w.runtime.config.keys_of(w.tenant),
            w.tenant,
            w.destination,
            w.runtime.now,
            w.runtime.random,
        )
        assert ours.get(f"contact:{TOKEN}:telegram:100") == "100"

        w.runtime.config.erase_tenant(w.tenant)

        with pytest.raises(NotFound):
            w.runtime.config.keys_of(w.tenant)


def test_every_call_is_allowed_by_delivers_role_when_it_remembers() -> None:
    vendor = Bitrix24()
    with vendor.serving(), engines.moto() as engine:
        w = Watched()
        w.start(engine)
        try:
            w.connect()
            to_crm(w, vendor)
            w.post(1)
            w.run(timedelta(minutes=1))
        finally:
            w.close()

    made = {
        (action, resource) for role, action, resource, _ in w.calls if role == "deliver" and resource.endswith("-data")
    }
    assert len(vendor.messages) == 1
    assert {action.split(":")[1] for action, _ in made} >= {"GetItem", "PutItem", "UpdateItem"}
    for action, resource in made:
        asked = Request(role_arn("deliver"), action, resource, HERE)
        assert evaluate(asked, [POLICIES["deliver"]], None) is Verdict.ALLOWED, action


def test_message_comes_again_unlogged_when_our_own_memory_does_not_answer() -> None:
    vendor = Hubspot()
    with connected(vendor) as w:
        w.post(1)
        w.inbox.run(route.handle)
        w.failing = lambda name: Unavailable("down") if vendor.contacts and name == "before UpdateItem" else None
        w.outbox.run(deliver.handle)
        assert outcomes(w) == [] and len(vendor.contacts) == 1 and vendor.messages == []
        w.failing = lambda name: None

        w.run(timedelta(minutes=10))

        assert set(outcomes(w)) == {
            ("delivered", "accepted"),
            ("failed", "contended"),
        }  # the claim could not be given back
        assert (len(vendor.contacts), len(vendor.messages)) == (1, 1)


@pytest.mark.parametrize("status", [429, 503])
def test_attempt_waits_as_long_as_the_crm_asks(status: int) -> None:
    vendor = Hubspot()
    with connected(vendor) as w:
        vendor.instead = lambda asked: answer(status, None, Retry_After="900")
        w.post(1)
        w.run(timedelta(minutes=1))
        assert outcomes(w) == [("failed", "throttled" if status == 429 else "unavailable")]
        vendor.instead = lambda asked: None

        w.run(timedelta(minutes=13))
        assert vendor.messages == []
        w.run(timedelta(minutes=3))

        assert len(vendor.messages) == 1


def test_all_lanes_wait_when_one_is_told_to_by_the_crm() -> None:
    vendor = Hubspot()
    with connected(vendor) as w:
        vendor.instead = lambda asked: answer(429, None, Retry_After="600")
        w.post(1, chat=100)
        w.run(timedelta(seconds=1))
        vendor.instead = lambda asked: None
        asked = len(vendor.asked)

        w.post(2, chat=200)
        w.run(timedelta(minutes=9))
        assert len(vendor.asked) == asked
        w.run(timedelta(minutes=3))

        assert len(vendor.messages) == 2
        assert sorted(outcomes(w)) == [("delivered", "accepted")] * 2 + [("failed", "throttled")]

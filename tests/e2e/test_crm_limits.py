"""Many new people at once write to a CRM that limits its calls: everything is delivered, and the limits are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.flow.routing import route
from infra.cell import engines
from tests.support.limited_vendors import KINDS, LimitedVendor, limited, serving
from tests.support.simultaneous import Simultaneous

PEOPLE = 10


@contextmanager
def crowd(vendor: LimitedVendor, destinations: int = 1) -> Iterator[Simultaneous]:
    """A world in which many new people have written, all to one account of a CRM."""
    with engines.moto() as engine:
        w = Simultaneous()
        w.start(engine)
        w.connect()
        row = w.runtime.config.get(w.tenant, w.destination)
        changed = row.record.model_copy(update={"kind": vendor.kind, "retry": None})
        secrets = {"config": vendor.config, "signing": []}
        w.runtime.config.replace(w.tenant, changed, row.version, secrets)
        for number in range(1, destinations):
            other, way = f"dst_{number:026d}", f"rte_{number:026d}"
            w.runtime.config.insert(w.tenant, changed.model_copy(update={"id": other}), secrets)
            main = w.runtime.config.get(w.tenant, w.route).record
            w.runtime.config.insert(w.tenant, main.model_copy(update={"id": way, "destination": other}))
        for number in range(PEOPLE):
            w.post(number, chat=100 + number)
        while w.inbox.run(route.handle):
            pass
        with serving(vendor, w):
            yield w
        w.close()


def ends(w: Simultaneous) -> list[dict[str, Any]]:
    return [entry for entry in w.of_kind("attempted") if entry["outcome"] != "failed"]


def deliver(w: Simultaneous, vendor: LimitedVendor, messages: int = PEOPLE, limit_s: float = 1200) -> None:
    w.deliver_until(lambda: vendor.messages() >= messages, 3, limit_s, pump_every_s=60, poll_s=0.3)
    assert vendor.messages() == messages
    assert all(entry["attempt"] == 1 for entry in w.of_kind("attempted"))
    state = w.runtime.destination_state.get(w.tenant, w.destination).state
    assert (state.failures, state.notices) == (0, ())


@pytest.mark.parametrize("kind", KINDS)
def test_no_call_is_over_the_limit_when_many_new_people_write_at_once(kind: str) -> None:
    vendor = limited(kind, 1)
    with crowd(vendor) as w:
        deliver(w, vendor)

        assert vendor.refused == []
        assert {(e["outcome"], e["code"]) for e in ends(w)} == {("delivered", "accepted")}


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_delivered_with_few_throttles_when_others_use_most_of_the_limit(kind: str) -> None:
    vendor = limited(kind, 0.25)
    with crowd(vendor) as w:
        deliver(w, vendor)

        assert len(vendor.refused) <= vendor.calls / 4
        assert {(e["outcome"], e["code"]) for e in ends(w)} == {("delivered", "accepted")}


@pytest.mark.parametrize("kind", KINDS)
def test_all_waits_and_is_delivered_when_the_vendor_blocks_the_account(kind: str) -> None:
    vendor = limited(kind, 1)
    vendor.blocks_at = 7
    with crowd(vendor) as w:
        deliver(w, vendor, limit_s=3600)

        assert vendor.refused and vendor.blocked
        assert {(e["outcome"], e["code"]) for e in ends(w)} == {("delivered", "accepted")}


@pytest.mark.parametrize("kind", KINDS)
def test_two_destinations_share_the_limit_of_one_account(kind: str) -> None:
    vendor = limited(kind, 1)
    with crowd(vendor, destinations=2) as w:
        deliver(w, vendor, 2 * PEOPLE)

        assert vendor.refused == []

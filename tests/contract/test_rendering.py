"""Every destination kind's rendering of a test's example, and of a route's selection."""

from __future__ import annotations

import json
import pathlib
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.delivery import signature
from chalicelib.core.errors import DeliveryError
from chalicelib.core.tenant.records import Destination
from chalicelib.destinations import KINDS, of_kind
from chalicelib.destinations.base import Delivery
from chalicelib.flow import rendering
from chalicelib.flow.declare import destination_test

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures/destinations"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVENT = destination_test.example("evt_00000000000000000000000001", "tnt_00000000000000000000000001", NOW)
SELECTING = sorted(kind for kind in KINDS if rendering.selects(kind))
WRITING = sorted(set(KINDS) - set(SELECTING))


def made(kind: str) -> tuple[Destination, Delivery]:
    sealed = {
        "config": json.loads((FIXTURES / f"{kind}.json").read_text())["config"],
        "signing": [{"secret": signature.make_secret(b"\x07" * 24), "until": None}],
    }
    destination = Destination(
        name="one",
        kind=kind,
        recipient="rcp_1",
        id="dst_00000000000000000000000001",
        created_at=NOW,
        external_id="wbx_1" if of_kind(kind).CAPABILITIES.prove is not None else None,
    )
    delivery = rendering.delivery_of(
        destination,
        sealed,
        EVENT,
        NOW,
        delivery_id="dlv_00000000000000000000000001",
        transfer_id="trf_00000000000000000000000001",
        event_id=EVENT["id"],
        tenant_id=EVENT["tenant"],
        conversation="cnv_00000000000000000000000001",
        test=True,
    )
    return destination, delivery


def body(kind: str, select: str | None) -> bytes:
    destination, delivery = made(kind)
    written: bytes = rendering.render(destination, select, EVENT, delivery).body
    return written


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_example_says_that_it_is_a_test_when_any_kind_writes_it(kind: str) -> None:
    assert b"This is a test of Waybill" in body(kind, None)


def data(kind: str, select: str) -> Any:
    content = json.loads(body(kind, select))
    return content["data"] if kind == "http" else content


@pytest.mark.parametrize("kind", SELECTING)
def test_body_is_what_is_selected_and_no_more_when_a_kind_sends_the_event(kind: str) -> None:
    selected = data(kind, "{what: kind, who: sender.name}")

    assert selected == {"what": "system", "who": None}
    assert b"This is a test" not in body(kind, "{what: kind}")


@pytest.mark.parametrize("kind", SELECTING)
@pytest.mark.parametrize("select", ["sender.name", "a b", "length(sender)", "to_number('nan')"])
def test_nothing_is_rendered_when_a_select_fails(kind: str, select: str) -> None:
    with pytest.raises(DeliveryError) as fault:
        body(kind, select)

    assert (fault.value.attempt_code, fault.value.sent, fault.value.retryable) == ("render", False, False)
    assert "the route's select" in fault.value.detail


@pytest.mark.parametrize("kind", WRITING)
def test_nothing_is_rendered_when_a_kind_with_its_own_form_is_given_a_select(kind: str) -> None:
    with pytest.raises(DeliveryError) as fault:
        body(kind, "kind")

    assert fault.value.attempt_code == "render"
    assert "form of their own" in fault.value.detail


def test_kinds_that_send_the_event_take_a_select() -> None:
    assert SELECTING == ["eventbridge", "firehose", "http", "kinesis", "s3", "sns", "sqs"]
    assert [kind for kind in KINDS if of_kind(kind).CAPABILITIES.formats != ("standard",)] == ["http"]

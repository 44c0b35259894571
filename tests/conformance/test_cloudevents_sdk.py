"""The SDK of the CloudEvents project reads our requests in both CloudEvents formats, and their signatures stay valid."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook

from chalicelib.core.delivery import signature
from chalicelib.destinations import cloudevents, http
from chalicelib.destinations.base import Delivery

SECRET = signature.make_secret(b"\x01" * 32)
PAIR = signature.make_pair(b"\x02" * 32)
AT = datetime(2026, 3, 1, 11, 59, 58, 250_000, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {"kind": "message", "message": {"text": "Grüße, мир 👋 \ud83d"}}
FORMATS = ("cloudevents_structured", "cloudevents_binary")


def request(document: Any = DOCUMENT, **changes: Any) -> http.SignedRequest:
    values: dict[str, Any] = {
        "delivery_id": "dlv_00000000000000000000000001",
        "transfer_id": "trf_00000000000000000000000001",
        "event_id": "evt_00000000000000000000000001",
        "tenant_id": "tnt_00000000000000000000000001",
        "destination_id": "dst_00000000000000000000000001",
        "channel": "telegram",
        "source_id": "src_00000000000000000000000001",
        "conversation": "cnv_00000000000000000000000001",
        "kind": "message",
        "occurred_at": AT,
        "attempt": 1,
        "now": datetime.now(UTC),  # the library compares with the clock of the machine
        "config": http.Config(url="https://crm.example.com/in", signature="both"),
        "secrets": (SECRET, PAIR),
    }
    return http.render(document, Delivery(**{**values, **changes}))


def read(sent: http.SignedRequest) -> Any:
    return from_http(HTTPMessage(dict(sent.headers), sent.body), JSONFormat(), CloudEvent)


@pytest.mark.parametrize("name", FORMATS)
def test_sdk_reads_attributes_and_data_when_a_delivery_is_a_cloudevent(name: str) -> None:
    event = read(request(format=name))

    assert event.get_specversion() == "1.0"
    assert event.get_id() == "dlv_00000000000000000000000001"
    assert event.get_source() == "/waybill/telegram/src_00000000000000000000000001"
    assert event.get_type() == "waybill.message"
    assert event.get_subject() == "cnv_00000000000000000000000001"
    assert event.get_time() == AT
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("waybillevent") == "evt_00000000000000000000000001"
    assert event.get_extension("waybilltransfer") == "trf_00000000000000000000000001"
    assert event.get_extension("waybilltest") is None
    assert event.get_data() == DOCUMENT


@pytest.mark.parametrize("name", FORMATS)
def test_sdk_reads_a_delivery_when_it_has_no_conversation_or_source_and_is_a_test(name: str) -> None:
    event = read(request(format=name, conversation=None, source_id=None, test=True))

    assert event.get_subject() is None
    assert event.get_source() == "/waybill/telegram"
    assert str(event.get_extension("waybilltest")).lower() == "true"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("document", ["a text", 5, [1, 2], True, {"a": None}])
def test_sdk_reads_data_when_a_route_selects_any_json(name: str, document: Any) -> None:
    assert read(request(document, format=name)).get_data() == document


@pytest.mark.parametrize("value", ["мир 👋", 'a "b" 100%', "plain:/-_.~", "\u00a0\u2028"])
def test_sdk_reads_a_header_value_when_it_is_percent_encoded(value: str) -> None:
    sent = request(format="cloudevents_binary", conversation=value)

    assert sent.headers["ce-subject"].isascii()
    assert not set(' "') & set(sent.headers["ce-subject"])
    assert read(sent).get_subject() == value


def test_header_value_is_the_specifications_example_when_it_is_encoded() -> None:
    sent = request(format="cloudevents_binary", conversation="Euro € 😀")

    assert sent.headers["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert "ce-datacontenttype" not in sent.headers


@pytest.mark.parametrize("name", http.CAPABILITIES.formats)
def test_libraries_accept_both_signatures_in_every_format(name: str) -> None:
    sent = request(format=name)

    assert Webhook(SECRET).verify(sent.body, dict(sent.headers), json_parse=False) is None
    (asymmetric,) = [s for s in sent.headers["Webhook-Signature"].split(" ") if s.startswith("v1a,")]
    public = base64.b64decode(signature.public_key(PAIR).removeprefix("whpk_"))
    content = f"{sent.headers['Webhook-Id']}.{sent.headers['Webhook-Timestamp']}.".encode() + sent.body
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(asymmetric[4:]), content)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_signed_and_named_is_the_same_when_a_delivery_is_tried_again(name: str) -> None:
    first, again = request(format=name), request(format=name, attempt=2)

    assert first.body == again.body
    assert read(first).get_id() == read(again).get_id()


def test_attribute_names_are_lower_case_letters_and_digits() -> None:
    names = json.loads(request(format="cloudevents_structured", test=True).body)

    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in names)
    assert names["datacontenttype"] == cloudevents.DATA_TYPE

"""The http kind: its configuration, and its requests on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.core.delivery import signature
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import http
from chalicelib.destinations.base import Delivery

SECRET = signature.make_secret(b"\x01" * 24)
NOW = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)


def delivery(**changes: Any) -> Delivery:
    values: dict[str, Any] = {
        "delivery_id": "dlv_1",
        "transfer_id": "trf_1",
        "event_id": "evt_1",
        "tenant_id": "tnt_1",
        "destination_id": "dst_1",
        "channel": "telegram",
        "conversation": None,
        "kind": "message_edited",
        "occurred_at": datetime(2026, 3, 1, 11, 0, tzinfo=UTC),
        "attempt": 1,
        "now": NOW,
        "config": http.Config(url="https://crm.example.com/in", headers={"Authorization": "Bearer k"}),
        "secrets": (SECRET,),
    }
    return Delivery(**{**values, **changes})


def test_request_is_a_signed_post_when_an_event_is_rendered() -> None:
    request = http.render({"id": "evt_1", "text": "мир"}, delivery())

    body = (
        '{"type":"waybill.message_edited","timestamp":"2026-03-01T11:00:00.000Z","data":{"id":"evt_1","text":"мир"}}'
    ).encode()
    assert (request.method, request.url, request.body) == ("POST", "https://crm.example.com/in", body)
    assert request.headers == {
        "Authorization": "Bearer k",
        "Content-Type": "application/json",
        "User-Agent": "Waybill/1",
        "Webhook-Id": "dlv_1",
        "Webhook-Timestamp": "1772366400",
        "Webhook-Signature": signature.sign(SECRET, "dlv_1", 1772366400, body),
        "Waybill-Transfer": "trf_1",
    }


def test_only_time_and_signature_are_new_when_a_delivery_is_tried_again() -> None:
    first = http.render({"id": "evt_1"}, delivery())
    again = http.render({"id": "evt_1"}, delivery(attempt=2, now=NOW + timedelta(seconds=5)))

    assert first.body == again.body
    assert {name for name in first.headers if first.headers[name] != again.headers[name]} == {
        "Webhook-Timestamp",
        "Webhook-Signature",
    }


@pytest.mark.parametrize("secrets", [(), ("whsec_short",), ("",)])
def test_nothing_is_rendered_when_it_could_not_be_signed(secrets: tuple[str, ...]) -> None:
    with pytest.raises(DeliveryError) as error:
        http.render({"id": "evt_1"}, delivery(secrets=secrets))

    assert error.value.attempt_code == "render"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Key": "k"},
        {"Authorization": "Bearer a b\tc"},
        {"X-Empty": ""},
        {f"X-{n}": "v" for n in range(20)},
        {"X": "v" * 4096},
    ],
)
def test_headers_are_taken_when_they_keep_the_rules(headers: dict[str, str]) -> None:
    config = http.Config(url="https://crm.example.com/in", headers=headers)

    assert {name: value.get_secret_value() for name, value in config.headers.items()} == headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "inside"},
        {"hOST": "inside"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "keep-alive"},
        {"Content-Type": "text/plain"},
        {"Accept-Encoding": "gzip"},
        {"webhook-id": "x"},
        {"Webhook-Anything": "x"},
        {"Waybill-Transfer": "x"},
        {"Proxy-Authorization": "x"},
        {"CE-Id": "x"},
        {"Expect": "100-continue"},
        {"": "v"},
        {"X Y": "v"},
        {"X:": "v"},
        {"X\r\nHost": "v"},
        {"X\n": "v"},
        {"X-ü": "v"},
        {"X" * 101: "v"},
        {"X": "a\r\nHost: inside"},
        {"X": "a\n"},
        {"X": "a\x00"},
        {"X": " a"},
        {"X": "a "},
        {"X": "ü"},
        {"X": "v" * 4097},
        {"X-A": "1", "x-a": "2"},
        {f"X-{n}": "v" for n in range(21)},
        {f"X-{n}": "v" * 1000 for n in range(9)},
    ],
    ids=range(30),
)
def test_headers_are_refused_when_they_break_a_rule(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        http.Config(url="https://crm.example.com/in", headers=headers)


def test_origin_and_test_are_named_only_when_there_are_any() -> None:
    plain = http.render({}, delivery()).headers
    asked = http.render({}, delivery(origin="hooks.example", test=True)).headers

    assert {n: v for n, v in asked.items() if n not in plain} == {
        "WebHook-Request-Origin": "hooks.example",
        "Waybill-Test": "1",
    }


PAIR, PAIR_BEFORE = signature.make_pair(b"\x03" * 32), signature.make_pair(b"\x04" * 32)
SECRET_BEFORE = signature.make_secret(b"\x05" * 24)


@pytest.mark.parametrize("name", http.CAPABILITIES.formats)
@pytest.mark.parametrize(
    ("scheme", "signed_with"),
    [
        ("v1", (SECRET, SECRET_BEFORE)),
        ("v1a", (PAIR, PAIR_BEFORE)),
        ("both", (SECRET, SECRET_BEFORE, PAIR, PAIR_BEFORE)),
    ],
)
def test_delivery_is_signed_with_the_secrets_of_its_scheme_in_every_format(
    name: str, scheme: str, signed_with: tuple[str, ...]
) -> None:
    config = http.Config.model_validate({"url": "https://crm.example.com/in", "signature": scheme})

    made = http.render({}, delivery(format=name, config=config, secrets=(SECRET, SECRET_BEFORE, PAIR, PAIR_BEFORE)))

    assert made.headers["Webhook-Signature"] == signature.header(signed_with, "dlv_1", 1772366400, made.body)


def test_nothing_is_rendered_when_the_wanted_scheme_has_no_secret_or_the_format_is_unknown() -> None:
    asymmetric = http.Config(url="https://crm.example.com/in", signature="v1a")

    for changes in ({"config": asymmetric}, {"format": "other"}):
        with pytest.raises(DeliveryError) as error:
            http.render({}, delivery(**changes))
        assert error.value.attempt_code == "render"

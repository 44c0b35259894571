"""An independent receiver's library accepts our requests."""

from __future__ import annotations

import pathlib
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from chalicelib.core.delivery import signature
from chalicelib.destinations import http
from chalicelib.destinations.base import Delivery

CURRENT = signature.make_secret(b"\x01" * 32)
IN_GRACE = signature.make_secret(b"\x02" * 24)
OTHER = signature.make_secret(b"\x03" * 24)


def request() -> http.SignedRequest:
    # The library compares with the clock of the machine.
    now = datetime.now(UTC)
    delivery = Delivery(
        delivery_id="dlv_00000000000000000000000001",
        transfer_id="trf_00000000000000000000000001",
        event_id="evt_00000000000000000000000001",
        tenant_id="tnt_00000000000000000000000001",
        destination_id="dst_00000000000000000000000001",
        channel="telegram",
        conversation="cnv_00000000000000000000000001",
        kind="message",
        occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
        attempt=1,
        now=now,
        config=http.Config(url="https://crm.example.com/in"),
        secrets=(CURRENT, IN_GRACE),
    )
    return http.render({"kind": "message", "message": {"text": "Grüße, мир 👋 \ud83d"}}, delivery)


@pytest.mark.parametrize("secret", [CURRENT, IN_GRACE])
def test_library_accepts_a_delivery_when_it_knows_the_current_or_the_last_secret(secret: str) -> None:
    sent = request()

    content = Webhook(secret).verify(sent.body, dict(sent.headers))

    assert content["type"] == "waybill.message"
    assert content["timestamp"] == "2026-03-01T00:00:00.000Z"
    assert content["data"]["message"]["text"] == "Grüße, мир 👋 \ud83d"


def test_library_refuses_a_delivery_when_a_byte_or_the_secret_is_another() -> None:
    sent = request()

    with pytest.raises(WebhookVerificationError):
        Webhook(CURRENT).verify(sent.body + b" ", dict(sent.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(sent.body, dict(sent.headers))


def test_library_and_we_agree_when_the_same_bytes_are_signed() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)

    theirs = Webhook(CURRENT).sign("dlv_1", at, '{"ü":1}')

    assert theirs == signature.sign(CURRENT, "dlv_1", int(at.timestamp()), '{"ü":1}'.encode())


def test_documented_receiver_takes_a_delivery_once_when_it_comes_twice() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs/destinations/http.md").read_text()
    example = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile("from __future__ import annotations\n" + example[0], "http.md", "exec"), names)
    sent = request()

    first = names["receive"](CURRENT, dict(sent.headers), sent.body)
    second = names["receive"](CURRENT, dict(sent.headers), sent.body)

    assert len(example) == 1
    assert first["type"] == "waybill.message"
    assert second is None
    with pytest.raises(WebhookVerificationError):
        names["receive"](OTHER, dict(sent.headers), sent.body)

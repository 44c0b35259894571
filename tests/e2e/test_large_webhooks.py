"""The largest webhooks that channels take arrive whole."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

from chalicelib.channels.base import Inbound
from chalicelib.core.delivery import signature
from tests.support.large import objects
from tests.support.world import SECRET, World, world

MIB = 1024 * 1024


def connect(w: World, channel: str, kind: str, secret: dict[str, str]) -> None:
    w.connect(source={"channel": channel}, route={"pattern": {"kind": [kind]}})
    row = w.runtime.config.get(w.tenant, w.source)
    w.runtime.config.replace(w.tenant, row.record, row.version, [{"secret": secret, "until": None}])


def posted(w: World, headers: dict[str, str], body: bytes) -> int:
    headers = {"content-type": "application/json", **headers}
    return w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock)).status


def delivered(w: World) -> dict[str, Any]:
    w.run(timedelta(minutes=1))
    ((_, _, sent, _),) = w.receiver.requests
    data: dict[str, Any] = sent["data"]
    return data


def test_standard_webhook_of_a_mebibyte_arrives_whole() -> None:
    with world() as w:
        connect(w, "standard_webhooks", "system", {"secret": SECRET})
        empty = b'{"type":"report.made","data":""}'
        body = empty[:-2] + b"x" * (MIB - len(empty)) + b'"}'
        at = int(w.clock.timestamp())
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": signature.sign(SECRET, "msg_1", at, body),
        }

        assert len(body) == MIB
        assert posted(w, headers, body) == 200

        raw = delivered(w)["raw"]
        assert json.dumps(raw, separators=(",", ":")).encode() == body


def test_email_with_a_text_of_250_kilobytes_arrives_whole() -> None:
    with world() as w:
        connect(w, "email_postmark", "message", {"username": "u", "password": "p"})
        text = "A line of a long thread.\n" * 10_000
        mail = {
            "FromFull": {"Email": "a@b.example", "Name": "Canary"}, "From": "a@b.example", "To": "in@nord.example",
            "Subject": "Long", "MessageID": "m-1", "Date": "Fri, 20 Nov 2026 08:59:00 +0000", "TextBody": text,
            "Headers": [], "Attachments": [],
        }  # fmt: skip
        headers = {"authorization": "Basic " + base64.b64encode(b"u:p").decode()}

        assert posted(w, headers, json.dumps(mail).encode()) == 200

        assert delivered(w)["message"]["text"].strip() == text.strip()


def test_email_is_refused_when_it_is_larger_than_an_event_can_be() -> None:
    with world() as w:
        connect(w, "email_postmark", "message", {"username": "u", "password": "p"})
        mail = {
            "From": "a@b.example",
            "MessageID": "m-1",
            "TextBody": "x" * (4 * MIB + 1),
            "Headers": [],
            "Attachments": [],
        }
        headers = {"authorization": "Basic " + base64.b64encode(b"u:p").decode()}

        assert posted(w, headers, json.dumps(mail).encode()) == 413
        assert (w.inbox.sent, objects(w)) == (0, {})

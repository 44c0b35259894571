"""What a source shows of its webhooks: when one came last, what came of the day's, and whether it is silent."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.channels import CHANNELS, KINDS
from chalicelib.flow.retention import warnings
from infra.cell import local_server
from tests.support.api_cell import SOURCE, Api

SHOWN = ("last_received_at", "last_24_hours", "usual_silence_h", "silent", "unsubscribes_after_h", "expires")


def source_of(tenant: Api) -> dict[str, Any]:
    shown: dict[str, Any] = tenant.get(f"/v1/sources/{tenant.made['source']}").json
    listed = [one for one in tenant.get("/v1/sources").json["data"] if one["id"] == shown["id"]]
    assert [{name: one[name] for name in SHOWN} for one in listed] == [{name: shown[name] for name in SHOWN}]
    return shown


def post(tenant: Api, secret: str, body: bytes) -> int:
    import app

    headers = [("content-type", "application/json"), ("x-telegram-bot-api-secret-token", secret)]
    event = local_server.http_api_event("POST", f"/hooks/{tenant.made['source']}", "", headers, body)
    return int(app.hooks(event, None)["statusCode"])


def test_a_source_shows_what_came_when_webhooks_were_posted(tenant: Api) -> None:
    tenant.connect()
    before = source_of(tenant)
    assert (before["last_received_at"], set(before["last_24_hours"].values())) == (None, {0})

    tenant.hook(number=1)
    tenant.call("PATCH", f"/v1/routes/{tenant.made['route']}", {"pattern": {"kind": ["status"]}})
    tenant.clock.at += timedelta(seconds=61)
    tenant.hook(number=2)
    for _ in range(2):
        assert post(tenant, "wrong", b"{}") in (401, 403)
        tenant.clock.at += timedelta(seconds=61)

    shown = source_of(tenant)
    assert shown["last_24_hours"] == {
        "accepted": 2, "unrouted": 1, "rejected": 2, "ignored": 0, "handshake": 0, "malformed": 0,
    }  # fmt: skip
    assert shown["last_received_at"] is not None
    assert (shown["silent"], shown["unsubscribes_after_h"]) == (False, None)


def test_counting_takes_one_write_a_minute_when_many_events_come(tenant: Api) -> None:
    tenant.connect()
    tenant.clock.monotonic = lambda: 0.0  # type: ignore[method-assign]
    counted: list[dict[str, int]] = []
    add = tenant.runtime.source_count_store.add
    tenant.runtime.source_count_store.add = lambda *args: (counted.append(args[3]), add(*args))[1]  # type: ignore[func-returns-value, method-assign]
    try:
        monotonic = tenant.runtime.monotonic
        tenant.runtime.monotonic = lambda: 1000.0
        for number in range(1, 6):
            tenant.hook(number=number)
        tenant.runtime.monotonic = lambda: 1061.0
        tenant.hook(number=6)
    finally:
        tenant.runtime.monotonic = monotonic
        tenant.runtime.source_count_store.add = add  # type: ignore[method-assign]

    assert [one["accepted"] for one in counted] == [1, 5]


def test_the_tenant_is_told_once_when_a_source_is_silent_against_its_habit(tenant: Api) -> None:
    tenant.connect()
    runtime, tenant_id, now = tenant.runtime, tenant.made["tenant"], tenant.clock.at
    for ago in range(5, 15):
        runtime.source_count_store.add(tenant_id, tenant.made["source"], now - timedelta(hours=ago), {"accepted": 1})

    assert source_of(tenant)["silent"] is True
    for _ in range(3):
        warnings.tell(runtime, tenant_id, tenant.clock.at)
    import app

    tenant.feed("inbox", app.route)

    told = [e for e in tenant.get("/v1/events").json["data"] if e["native_kind"] == "source.silent"]
    assert [e["raw"]["source"] for e in told] == [tenant.made["source"]]


def _events(tenant: Api) -> list[dict[str, Any]]:
    import app

    tenant.feed("inbox", app.route)
    found = tenant.get("/v1/events").json["data"]
    return [e["raw"] for e in found if e["native_kind"] in ("record.expiring", "record.expired")]


def test_the_tenant_is_warned_when_a_source_expires(tenant: Api) -> None:
    tenant.connect()
    path, today = f"/v1/sources/{tenant.made['source']}", tenant.clock.at.date()
    assert source_of(tenant)["expires"] is None
    ends = (today + timedelta(days=20)).isoformat()
    assert tenant.call("PATCH", path, {"expires_on": ends}).json["expires"] == ends
    assert tenant.call("PATCH", path, {"expires_on": "9999-01-01"}).status == 422

    told = []
    for days in (20, 8, 7, 6, 1, 0):
        tenant.clock.at = datetime.combine(today, time(12), UTC) + timedelta(days=20 - days)
        for _ in range(2):
            warnings.tell(tenant.runtime, tenant.made["tenant"], tenant.clock.at)
        told = [(e["record"], e["kind"], e["days"]) for e in _events(tenant)]

    assert sorted(told, key=lambda one: -one[2]) == [(tenant.made["source"], "source", days) for days in (7, 1, 0)]
    tenant.call("PATCH", path, {"expires_on": None})
    assert source_of(tenant)["expires"] is None


def test_a_source_expires_with_the_certificate_that_it_pins(tenant: Api) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.eu-central-1.amazonaws.com")])
    until = (tenant.clock.at + timedelta(days=30)).replace(microsecond=0)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, tenant.clock.at, until).sign(key, hashes.SHA256())
    secret = {
        "topic_arn": "arn:aws:sns:eu-central-1:123456789012:mail",
        "signing_cert": made.public_bytes(serialization.Encoding.PEM).decode(),
    }
    source = {**SOURCE, "channel": "email_ses", "secret": secret}

    first = tenant.made_by("/v1/sources", source)
    sooner = (until.date() - timedelta(days=3)).isoformat()
    second = tenant.made_by("/v1/sources", {**source, "expires_on": sooner})

    assert (first["expires"], first["expires_on"]) == (until.date().isoformat(), None)
    assert second["expires"] == sooner
    assert tenant.get(f"/v1/sources/{first['id']}").json["expires"] == until.date().isoformat()


@pytest.mark.parametrize("kind", KINDS)
def test_a_channels_page_says_when_its_platform_unsubscribes(kind: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "channels" / f"{kind}.md").read_text("utf-8").replace("\n", " ")
    said = re.search(r"(?:fails|failing) for (an hour|(\d+) hours)", page)
    hours = None if said is None else int(said[2] or 1)

    assert CHANNELS[kind].CAPABILITIES.unsubscribes_after_h == hours

"""What a source shows of its webhooks: when one came last, what came of the day's, and whether it is silent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chalicelib.flow.retention import warnings
from infra.cell import local_server
from tests.support.api_cell import Api

SHOWN = ("last_received_at", "last_24_hours", "usual_silence_h", "silent", "unsubscribes_after_h")


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

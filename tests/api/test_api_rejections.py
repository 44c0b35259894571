"""A webhook that became no event leaves a record that its tenant sees for a day, without a value of the request."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import app
from infra.cell import local_server
from tests.support.api_cell import Api

SECRET = "s3cret"
CANARY = "+49 170 1234567"


def post(tenant: Api, body: bytes, secret: str = SECRET, method: str = "POST", **headers: str) -> int:
    """Post a webhook; return the status of its answer."""
    named = {"content-type": "application/json", "x-telegram-bot-api-secret-token": secret}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/hooks/{tenant.made['source']}"
    event = local_server.http_api_event(method, path, "", list(named.items()), body)
    return int(app.hooks(event, None)["statusCode"])


def rejections(tenant: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tenant.get(f"/v1/sources/{tenant.made['source']}/rejections").json["data"]
    return found


UPDATE = json.dumps({"update_id": 1, "message": {"text": CANARY}}).encode()


@pytest.mark.parametrize(
    ("given", "status", "verdict", "code"),
    [
        ({"body": UPDATE, "secret": "guess-77"}, 401, "rejected", "not_genuine"),
        ({"body": b"no JSON " + CANARY.encode()}, 400, "malformed", "malformed_payload"),
        ({"body": b"{" + b" " * 1024 * 1024 + b"}"}, 413, "refused", "too_large"),
        ({"body": UPDATE, "content_type": "image/png"}, 415, "refused", "unsupported_type"),
        ({"body": UPDATE, "method": "DELETE"}, 405, "refused", "method_not_allowed"),
        ({"body": b"", "method": "HEAD", "secret": "guess-77"}, 401, "rejected", "not_genuine"),
        ({"body": json.dumps({"update_id": 1, "poll": {"id": CANARY}}).encode()}, 200, "ignored", "no_event"),
    ],
)
def test_the_reason_is_shown_without_a_value_of_the_request(
    tenant: Api, given: dict[str, Any], status: int, verdict: str, code: str
) -> None:
    tenant.connect()

    assert post(tenant, **given, x_canary=CANARY) == status

    (found,) = rejections(tenant)
    assert (found["verdict"], found["code"], found["count"]) == (verdict, code, 1)
    assert {"content-type", "x-canary", "x-telegram-bot-api-secret-token"} <= set(found["headers"])
    row = str(list(tenant.runtime.data.table.query("pk = :p", {":p": _partition(tenant)})))
    assert not any(value in row + json.dumps(found) for value in (CANARY, SECRET, "guess-77", "image/png"))


def _partition(tenant: Api) -> str:
    return f"{tenant.made['tenant']}#rejections#{tenant.made['source']}"


def test_a_throttled_webhook_is_shown(tenant: Api) -> None:
    tenant.connect()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.flow.throttle.admit", lambda *_: False)
        assert post(tenant, UPDATE) == 429

    assert [(one["verdict"], one["code"]) for one in rejections(tenant)] == [("throttled", "too_many_requests")]


def test_a_flood_writes_one_row_a_minute_and_reason(tenant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.connect()
    tenant.clock.at = tenant.clock.at.replace(second=5)
    written: list[int] = []
    real = tenant.runtime.rejection_store.add

    def add(*arguments: Any) -> None:
        written.append(arguments[-1])
        real(*arguments)

    monkeypatch.setattr(tenant.runtime.rejection_store, "add", add)
    for _ in range(50):
        post(tenant, UPDATE, "guess-77")
    tenant.clock.at += timedelta(minutes=1)
    for _ in range(50):
        post(tenant, UPDATE, "guess-77")
    tenant.clock.at += timedelta(minutes=1)
    post(tenant, UPDATE, "guess-77")

    assert written == [1, 50, 50]
    assert [one["count"] for one in rejections(tenant)] == [50, 50, 1]


def test_a_genuine_event_costs_no_call_for_it(tenant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.connect()
    monkeypatch.setattr(tenant.runtime.rejection_store, "add", lambda *_: 1 / 0)

    tenant.hook()

    assert rejections(tenant) == []


def test_the_answer_stays_when_the_record_cannot_be_written(tenant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.connect()
    monkeypatch.setattr(tenant.runtime.rejection_store, "add", lambda *_: 1 / 0)

    assert post(tenant, UPDATE, "guess-77") == 401


def test_rejections_are_listed_newest_first_for_a_day_and_to_their_tenant_alone(tenant: Api) -> None:
    tenant.connect()
    for secret in ("guess-77", SECRET):
        post(tenant, b"[]" if secret == SECRET else UPDATE, secret)
        tenant.clock.at += timedelta(minutes=2)
    path = f"/v1/sources/{tenant.made['source']}/rejections"

    page = tenant.get(path, limit=1).json
    rest = tenant.get(path, limit=1, cursor=page["next"]).json

    assert [one["verdict"] for one in (*page["data"], *rest["data"])] == ["malformed", "rejected"]
    assert rest["next"] is None
    assert tenant.new_tenant().get(path).status == 404
    assert tenant.with_key(scopes=["audit"]).get(path).status == 403
    tenant.clock.at += timedelta(days=1)
    assert rejections(tenant) == []

"""What a source keeps of unread content, which parts of webhooks it takes, and how soon it knows a new secret."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import app
from chalicelib.core import times
from chalicelib.flow.declare.connect import DEBUGGED
from infra.cell import local_server
from tests.support.api_cell import SOURCE, Api

MAX = {**SOURCE, "channel": "max", "secret": {"secret": "s3cret"}}


def odd(number: int) -> dict[str, Any]:
    """Return a message whose only attachment is of a type that the channel does not know."""
    body = {"mid": f"m{number}", "attachments": [{"type": "hologram", "payload": {"depth": number}}]}
    return {
        "update_type": "message_created",
        "message": {"recipient": {"chat_id": 7, "chat_type": "dialog"}, "sender": {"user_id": 7}, "body": body},
    }


def hook(tenant: Api, source: str, update: dict[str, Any], secret: str = "s3cret") -> int:
    named = [("content-type", "application/json"), ("x-max-bot-api-secret", secret)]
    event = local_server.http_api_event("POST", f"/hooks/{source}", "", named, json.dumps(update).encode())
    return int(app.hooks(event, None)["statusCode"])


def events(tenant: Api) -> list[dict[str, Any]]:
    """Route the events of the inbox, and return the tenant's events."""
    tenant.feed("inbox", app.route)
    rows = tenant.get("/v1/events").json["data"]
    return [tenant.get(f"/v1/events/{row['id']}").json for row in rows]


def test_source_is_debugged_for_thirty_days_unless_it_says_otherwise(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", SOURCE)
    never = tenant.made_by("/v1/sources", {**SOURCE, "debug_until": None})

    assert times.parse(made["debug_until"]) == times.parse(made["created_at"]) + DEBUGGED
    assert never["debug_until"] is None
    changed = tenant.call("PATCH", f"/v1/sources/{made['id']}", {"debug_until": None}).json
    assert changed["debug_until"] is None


def test_unread_content_is_kept_as_it_came_while_the_source_is_debugged(tenant: Api) -> None:
    source = tenant.connect(source=MAX)["source"]
    assert hook(tenant, source, odd(1)) == 200
    soon = times.text(tenant.clock.at + timedelta(hours=1))
    assert tenant.call("PATCH", f"/v1/sources/{source}", {"debug_until": soon}).status == 200
    tenant.clock.at += timedelta(hours=2)
    assert hook(tenant, source, odd(2)) == 200

    kept = {event["message"]["id"]: event.get("raw") for event in events(tenant)}

    assert kept == {"m1": odd(1), "m2": None}


def test_new_secret_is_accepted_at_once_and_strangers_cost_one_look_a_second(
    tenant: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tenant.connect(source=MAX)["source"]
    assert hook(tenant, source, odd(1)) == 200
    tenant.clock.at += timedelta(seconds=2)
    tenant.post(f"/v1/sources/{source}/secret", {"secret": {"secret": "another-1"}})

    assert hook(tenant, source, odd(2), "another-1") == 200
    assert hook(tenant, source, odd(3), "s3cret") == 200

    tenant.clock.at += timedelta(seconds=2)
    cache, read = tenant.runtime.source_cache, []

    def counted(name: str, original: Any = cache._read) -> Any:
        read.append(name)
        return original(name)

    monkeypatch.setattr(cache, "_read", counted)
    assert {hook(tenant, source, odd(4), f"guess-{n}") for n in range(20)} == {401}
    assert read == [source]

"""Large events in a world: posted, delivered, and the objects that hold their contents."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.channels.base import Inbound, Reply
from chalicelib.core import times
from tests.support.world import World

PADDING = "x" * 250_000


def post_large(w: World, number: int = 1, text: str = "Canary", padding: str = PADDING) -> Reply:
    """Post a telegram message whose own object is too large for a row."""
    person = {"id": 100, "is_bot": False, "first_name": "Canary Person"}
    message: dict[str, Any] = {
        "message_id": number, "date": int(w.clock.timestamp()), "chat": {"id": 100, "type": "private"}, "from": person,
        "text": text, "padding": padding,
    }  # fmt: skip
    body = json.dumps({"update_id": number, "message": message}).encode()
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}
    return w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock))


def objects(w: World) -> dict[str, bytes]:
    """Return the objects of the contents bucket, by name."""
    s3, bucket = w.engine.make_client("s3", "eu-central-1"), w.runtime.settings.contents_bucket
    names = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]
    return {name: s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


def stored_event(w: World) -> dict[str, Any]:
    """Return the one row of an event."""
    (row,) = [row for row in w.rows("data") if "#evt_" in row["pk"]["S"] and row["pk"]["S"].startswith("tnt_")]
    return row


def event_id(w: World) -> str:
    """Return the id of the one stored event."""
    return str(stored_event(w)["pk"]["S"].partition("#")[2])


def document(w: World) -> dict[str, Any]:
    """Return the one stored event, whole."""
    row = w.runtime.data.event(w.tenant, event_id(w), times.EARLIEST)
    assert row is not None and row.owner is not None
    person = w.runtime.people.get_many([(row.owner, w.runtime.config.keys_of(w.tenant))])[row.owner]
    return row.open(person.key, w.runtime.settings.region, w.runtime.contents.get)

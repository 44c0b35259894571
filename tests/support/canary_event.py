"""An event whose every personal field holds a canary, so that a test sees any of them that leaves."""

from __future__ import annotations

from typing import Any

from chalicelib.core import ids

CANARY = "c-a-n-a-r-y"
EVENT: dict[str, Any] = {
    "schema": "waybill.event/1",
    "id": ids.derived("evt", "a"),
    "tenant": ids.derived("tnt", "a"),
    "source": ids.derived("src", "a"),
    "channel": "telegram",
    "kind": "message",
    "native_kind": "message",
    "dedupe_id": f"{CANARY}-1",
    "occurred_at": "2026-03-01T11:59:58.000Z",
    "received_at": "2026-03-01T11:59:59.000Z",
    "conversation": {"id": f"{CANARY}-2", "direct": True, "thread": f"{CANARY}-3", "title": f"{CANARY}-4"},
    "sender": {"id": f"{CANARY}-5", "name": f"{CANARY}-6", "username": f"{CANARY}-7", "phone": f"{CANARY}-8"},
    "message": {
        "id": f"{CANARY}-9",
        "text": f"{CANARY}-10",
        "attachments": [{"type": "image", "ref": f"{CANARY}-11", "caption": f"{CANARY}-12"}],
    },
    "members": [{"id": f"{CANARY}-13", "name": f"{CANARY}-14", "username": None}],
    "otr": False,
    "raw": {"anything": [f"{CANARY}-15"]},
}

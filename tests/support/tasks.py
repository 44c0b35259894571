"""The body of a delivery task, as deliver finds it in its queue."""

from __future__ import annotations

from typing import Any


def task_body(**changes: Any) -> dict[str, Any]:
    """Return a body with all required fields."""
    return {
        "v": 1,
        "tenant": "tnt_1",
        "source": "src_1",
        "event": "evt_1",
        "conversation": "cnv_1",
        "minute": 29_658_000,
        "owner": "tnt_1#subject#1",
        "received_at": "2026-11-20T09:00:00.000Z",
        "expires_at": "2027-02-18T09:00:00.000Z",
        "route": "rte_1",
        "transfer": "trf_1",
        "delivery": "dlv_1",
        "destination": "dst_1",
        "decided": "ent_1",
        "log": "2026",
        "decision": "redacted",
        "classes_out": ["content", "identifier"],
        "recipient": {"id": "rcp_1", "country": "DE"},
        "lane": "tnt_1#dst_1#cnv_1",
        **changes,
    }

"""Orders: what a stored decision sends on its way, each into its lane."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..core import times
from ..core.log import audit
from ..core.log.transfers import delivery_id
from ..core.tenant.configuration import Configuration
from ..store.data import lane_of
from ..store.queues import Outgoing, body
from .messages import NO_CONVERSATION, decision_of


def deliveries(configuration: Configuration, entry: Mapping[str, Any], owner: str, now: datetime) -> list[Outgoing]:
    """Return what a decision lets through, and what it holds. Nothing once the event has expired.

    Args:
        entry: the ``decided`` entry as it stands in the log.
        owner: the row in ``people`` whose key opens the event.
    """
    if times.parse(entry["expires_at"]) <= now:
        return []
    tenant, conversation = entry["tenant"], entry["receipt"]["conversation"]
    outgoing = []
    for route in entry["routes"]:
        if route["decision"] == "refused":
            continue
        destination = configuration.destinations.get(route["destination"])
        unordered = destination is not None and destination.ordering == "none"
        delivery = delivery_id(route["transfer"])
        lane = lane_of(
            tenant,
            route["destination"],
            conversation or _spread(entry["event"]),
            delivery if unordered else None,
        )
        order = {
            "v": 1,
            "tenant": tenant,
            "source": entry["receipt"]["source"],
            "event": entry["event"],
            "conversation": conversation or NO_CONVERSATION,
            "minute": audit.minute_of(entry["id"]),
            "owner": owner,
            "received_at": entry["receipt"]["received_at"],
            "expires_at": entry["expires_at"],
            "route": route["route"],
            "transfer": route["transfer"],
            "delivery": delivery,
            "destination": route["destination"],
            "decided": entry["id"],
            "log": entry["log"],
            **decision_of(route),
            "lane": lane,
        }
        outgoing.append(Outgoing(body(order), lane, delivery))
    return outgoing


def _spread(event: str) -> str:
    """Without a conversation there is no order to keep: events go to one of 64 lanes."""
    return f"-{hashlib.sha256(event.encode()).digest()[0] % 64}"

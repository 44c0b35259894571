"""Delivery tasks of a stored decision, each with its lane."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..core import times
from ..core.delivery.task import DeliveryTask
from ..core.log import audit
from ..core.log.transfers import delivery_id
from ..core.tenant.configuration import Configuration
from ..store.data import lane_of
from ..store.queues import OutgoingMessage, body
from .messages import NO_CONVERSATION


def deliveries(
    configuration: Configuration, entry: Mapping[str, Any], owner: str, now: datetime
) -> list[OutgoingMessage]:
    """Return the messages for deliver: one for each task of ``tasks_of``."""
    tasks = tasks_of(configuration, entry, owner, now)
    return [OutgoingMessage(body(task.body()), task.lane, task.delivery) for task in tasks]


def tasks_of(configuration: Configuration, entry: Mapping[str, Any], owner: str, now: datetime) -> list[DeliveryTask]:
    """Return a task for each route that a decision allows or holds. There is none once the event has expired.

    Args:
        entry: the ``decided`` entry as it stands in the log.
        owner: the row in ``people`` whose key opens the event.
    """
    if times.parse(entry["expires_at"]) <= now:
        return []
    tenant, conversation = entry["tenant"], entry["receipt"]["conversation"]
    tasks = []
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
        tasks.append(
            DeliveryTask(
                tenant=tenant,
                source=entry["receipt"]["source"],
                event=entry["event"],
                conversation=conversation or NO_CONVERSATION,
                minute=audit.minute_of(entry["id"]),
                owner=owner,
                received_at=entry["receipt"]["received_at"],
                expires_at=entry["expires_at"],
                route=route["route"],
                transfer=route["transfer"],
                delivery=delivery,
                destination=route["destination"],
                decided=entry["id"],
                log=entry["log"],
                decision=route["decision"],
                classes_out=tuple(route["classes_out"]),
                recipient=route["recipient"],
                lane=lane,
            )
        )
    return tasks


def _spread(event: str) -> str:
    """Without a conversation there is no order to keep: events go to one of 64 lanes."""
    return f"-{hashlib.sha256(event.encode()).digest()[0] % 64}"

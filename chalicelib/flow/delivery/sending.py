"""One exchange with a destination: the event, or a link to it where the event is larger than the destination takes.

1 render and send the event → 2 it is too large for the destination: send a link in its place.

The link gives the same content once, if the law allows it then (``pull``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...core import times
from ...core.delivery import links
from ...core.delivery.retry import TOO_LARGE
from ...core.delivery.task import DeliveryTask
from ...core.errors import DeliveryError
from ...core.tenant.records import Destination
from ...destinations import of_kind
from ...destinations.base import Delivery, SendingClients
from ...runtime import Runtime
from ...store.snapshot import Snapshot
from ..messages import NO_CONVERSATION
from ..rendering import delivery_of, large_url, pull_url, render, selects

_TECHNICAL = "technical"


@dataclass(frozen=True)
class ExchangeOutcome:
    """How an exchange ended.

    ``classes`` and ``size_bytes`` are of the data that left: none, and None, where nothing was sent.
    """

    code: str
    classes: tuple[str, ...]
    size_bytes: int | None
    fault: DeliveryError | None = None


def exchange(
    runtime: Runtime,
    task: DeliveryTask,
    attempt: int,
    snapshot: Snapshot,
    destination: Destination,
    document: Mapping[str, Any],
    classes: tuple[str, ...],
    clients: SendingClients,
) -> ExchangeOutcome:
    """Send an event to its destination, or a link to it.

    Args:
        attempt: the number of the attempt.
        document: the event, without the fields that may not leave.
        classes: the data classes of the document.
    """
    route, now = snapshot.configuration.routes[task.route], runtime.now()
    size = None
    try:
        delivery = delivery_of(
            destination,
            snapshot.secrets(destination.id),
            document,
            now,
            delivery_id=task.delivery,
            transfer_id=task.transfer,
            event_id=task.event,
            tenant_id=task.tenant,
            conversation=task.conversation if task.conversation != NO_CONVERSATION else None,
            attempt=attempt,
        )
        link = pull_url(runtime, snapshot, route, task.transfer, now)
        request = render(destination, route.transform.select, document, delivery, link)
        size = len(request.body)
        whole = _sent(destination, request, classes, clients)  # 1
    except DeliveryError as fault:
        return ExchangeOutcome(fault.attempt_code, (), None, fault)
    if whole.code not in TOO_LARGE or link is not None or task.otr or not selects(destination.kind):
        return whole
    url = large_url(runtime, snapshot, task.transfer, times.parse(task.expires_at))
    if url is None:
        return whole
    return _linked(destination, links.large_notice(document, url, size), delivery, whole, classes, clients)  # 2


def _sent(destination: Destination, request: Any, classes: tuple[str, ...], clients: SendingClients) -> ExchangeOutcome:
    size = len(request.body)
    try:
        return ExchangeOutcome(of_kind(destination.kind).send(request, clients).code, classes, size)
    except DeliveryError as fault:
        return ExchangeOutcome(fault.attempt_code, classes if fault.sent else (), size if fault.sent else None, fault)


def _linked(
    destination: Destination,
    notice: Mapping[str, Any],
    delivery: Delivery,
    whole: ExchangeOutcome,
    classes: tuple[str, ...],
    clients: SendingClients,
) -> ExchangeOutcome:
    """Send a link in place of an event that was refused for its size. What left with the event counts as sent."""
    technical = tuple(one for one in classes if one == _TECHNICAL)
    linked = _sent(destination, of_kind(destination.kind).render(notice, delivery), technical, clients)
    if linked.size_bytes is None:  # nothing left with the link
        return replace(linked, classes=whole.classes, size_bytes=whole.size_bytes)
    return replace(linked, classes=whole.classes or linked.classes)

"""Render the request of a destination, the same way for an attempt, a test and a preview: select, then the kind's own form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .. import destinations
from ..core import times
from ..core.delivery import links
from ..core.errors import DeliveryError, InvalidTransform
from ..core.tenant import rotation
from ..core.tenant.records import Destination, Route
from ..destinations.base import Delivery
from ..runtime import Runtime
from ..store.snapshot import Snapshot

RENDER = "render"


def delivery_of(
    destination: Destination,
    sealed: Mapping[str, Any],
    document: Mapping[str, Any],
    now: datetime,
    *,
    delivery_id: str,
    transfer_id: str,
    event_id: str,
    tenant_id: str,
    conversation: str | None,
    attempt: int = 1,
    test: bool = False,
) -> Delivery:
    """Describe one attempt to deliver an event to a destination.

    Args:
        sealed: the decrypted secrets of the destination.
        document: the event's, before selection.
        conversation: the conversation's ref; None where the event has none.

    Raises:
        DeliveryError: ``render``, where the stored configuration is no longer valid for its kind.
    """
    try:
        config = destinations.of_kind(destination.kind).Config.model_validate(sealed["config"], extra="ignore")
    except ValueError:
        raise _fault("the destination's configuration is not one that its kind takes: change it") from None
    secrets = [*rotation.live(sealed["signing"], now), *rotation.live(sealed.get("pairs", ()), now)]
    return Delivery(
        delivery_id=delivery_id,
        transfer_id=transfer_id,
        event_id=event_id,
        tenant_id=tenant_id,
        destination_id=destination.id,
        channel=str(document["channel"]),
        conversation=conversation,
        kind=str(document["kind"]),
        occurred_at=times.parse(document["occurred_at"]),
        attempt=attempt,
        now=now,
        config=config,
        secrets=tuple(secrets),
        format=destination.format,
        source_id=document["source"],
        external_id=destination.external_id,
        origin=sealed.get("origin"),
        test=test,
    )


def selects(kind: str) -> bool:
    """Return whether a kind sends its input as it is: a route's selection, a notice; other kinds write a form of their own."""
    return bool(destinations.of_kind(kind).CAPABILITIES.selects)


def pull_url(runtime: Runtime, snapshot: Snapshot, route: Route, transfer: str, now: datetime) -> str | None:
    """Return the pull link of an attempt's recipient; None where the route sends the event itself.

    Raises:
        DeliveryError: ``render``, where the cell has no public address.
    """
    if route.mode != "restrict":
        return None
    base, tenant = runtime.settings.links_url, snapshot.configuration.tenant.id
    if not base:
        raise _fault("this cell does not know its public address: its operator has to set WAYBILL_API_URL")
    token = links.token(snapshot.keys.links[0], tenant, transfer, now, route.pull_hours or links.HOURS)
    return f"{base}{links.PATH}{token}"


def large_url(runtime: Runtime, snapshot: Snapshot, transfer: str, ends_at: datetime) -> str | None:
    """Return the link to an event that is larger than its receiver takes; None where the cell has no public address."""
    base = runtime.settings.links_url
    if not base:
        return None
    token = links.large_token(snapshot.keys.links[0], snapshot.configuration.tenant.id, transfer, ends_at)
    return f"{base}{links.PATH}{token}"


def render(
    destination: Destination,
    select: str | None,
    document: Mapping[str, Any],
    delivery: Delivery,
    pull_url: str | None = None,
) -> Any:
    """Make the request of an event, of which everything that may not leave has been taken out.

    Args:
        pull_url: where the route restricts: what leaves is a notice that names it, and nothing else of the event.

    Raises:
        DeliveryError: ``render``; its ``detail`` is for the tenant and holds nothing of the event.
    """
    content: Any = document
    if pull_url is not None:
        if not selects(destination.kind):  # a route that led elsewhere when this was planned
            raise _fault(f"destinations of kind {destination.kind} write a form of their own and take no pull link")
        content = links.notice(document, pull_url)
    else:
        content = content_of(destination.kind, select, document)
    return destinations.of_kind(destination.kind).render(content, delivery)


def content_of(kind: str, select: str | None, document: Mapping[str, Any]) -> Any:
    """Return what a route sends of an event, of which everything that may not leave has been taken out.

    Raises:
        DeliveryError: ``render``, as of ``render``.
    """
    return document if select is None else _selected(kind, select, document)


def _selected(kind: str, select: str, document: Mapping[str, Any]) -> Any:
    from ..core.pattern import transform  # loads JMESPath: most routes send the event as it is

    if not selects(kind):  # a route that led elsewhere when this was planned
        raise _fault(f"destinations of kind {kind} write a form of their own and take no select")
    try:
        return transform.apply(transform.compile(select), document)
    except InvalidTransform as fault:
        raise _fault(f"the route's select is not valid: {fault.detail}") from None
    except transform.TransformFailed as fault:
        raise _fault(f"the route's select fails on this event: {fault}") from None


def _fault(detail: str) -> DeliveryError:
    fault = DeliveryError(RENDER, retryable=False, sent=False)
    fault.detail = detail
    return fault

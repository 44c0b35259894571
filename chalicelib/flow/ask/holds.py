"""List held transfers and events that are stored sealed, and decide one again."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import takewhile

from ...core import times
from ...core.decide.retention import hold_ends_at
from ...core.errors import Conflict, NotFound
from ...core.log.transfers import Transfer
from ..pagination import ListItem
from ..request import Request
from .read import DAY_COST, ROW_COST, transfer

_NO_TRANSFER = (
    "no route takes this event, so there is no transfer to decide; declare what missing names in GET /v1/holds, and the event "
    "is decided at once"
)


def holds(request: Request, position: str) -> Iterator[ListItem]:
    """Yield the tenant's held transfers and the events that are sealed without one, the longest held first.

    A hold's id is its transfer's or its event's, with ``hld_``.
    """
    yield from merge(_transfers(request, position), _events(request, position), key=lambda found: found.position)


def _events(request: Request, position: str) -> Iterator[ListItem]:
    for one in request.runtime.awaiting.list(request.tenant.id, position):
        item = {
            "id": "hld_" + one.key.event[4:],
            "transfer": None,
            "event": one.key.event,
            "route": None,
            "destination": None,
            "rules": [dict(rule) for rule in one.rules],
            "missing": list(one.missing),
            "held_since": one.place.partition("#")[0],
            "expires_at": times.text(one.waits_until),
        }
        waits = not one.routed and one.waits_until > request.runtime.now()
        yield ListItem(one.place, item if waits else None, ROW_COST)


def _transfers(request: Request, position: str) -> Iterator[ListItem]:
    for _, place in request.runtime.data.held(request.tenant.id, position):
        since, _, transfer_id = place.partition("#")
        one = transfer(request, transfer_id)
        item = None
        if one.outcome == "held":
            item = {
                "id": "hld_" + transfer_id[4:],
                "transfer": transfer_id,
                "event": one.event,
                "route": one.route,
                "destination": one.destination,
                "rules": [r.model_dump() for r in one.rules],
                "missing": one.missing,
                "held_since": since,
                "expires_at": times.text(hold_ends_at(request.tenant, times.parse(since), times.parse(one.expires_at))),
            }
        yield ListItem(place, item, DAY_COST)


def _is_sealed_event(request: Request, hold: str) -> bool:
    """Say whether a hold is that of an event that is sealed without a transfer."""
    event, now = "evt_" + hold[4:], request.runtime.now()
    row = request.runtime.data.event(request.tenant.id, event, now)
    if row is None:
        return False
    received = times.text(row.received_at)
    listed = takewhile(
        lambda o: o.place.startswith(received), request.runtime.awaiting.list(request.tenant.id, received)
    )
    return any(one.key.event == event and not one.routed and one.waits_until > now for one in listed)


def decide_hold(request: Request, hold: str) -> Transfer:
    """Decide a held transfer again now; the transfer shows the result.

    Raises:
        NotFound: there is no such hold.
        Conflict: it is no longer held, or not yet in its lane; or no route takes the event, so that nothing is sent.
    """
    try:
        one = transfer(request, "trf_" + hold[4:])
    except NotFound:
        if _is_sealed_event(request, hold):
            raise Conflict(_NO_TRANSFER) from None
        raise NotFound("no such hold; GET /v1/holds lists the held transfers") from None
    if one.outcome != "held":
        raise Conflict(f"this transfer is {one.outcome}, not held")
    for lane, place in request.runtime.data.held(request.tenant.id):
        if place.endswith(f"#{one.id}") and request.runtime.data.wake_at(lane, request.runtime.now()):
            return one
    raise Conflict("this transfer is on its way into its lane; try again in a moment")

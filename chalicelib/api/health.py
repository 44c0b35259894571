"""``/v1/destinations/{id}/health``: how a destination does, and what waits for it."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Literal

from ..core.delivery.breaker import BreakerState
from ..core.event.event import Time
from ..core.tenant.records import Destination
from .endpoint import ApiCall, Resource, Schema, shown
from .problems import EndpointResponse

LANES_MAX = 1000
"""Up to how many waiting lanes are counted."""

health = Resource("health", "Destinations")


class WaitingLanes(Schema):
    """The number of lanes that wait for the destination. ``more`` is true if there are more than were counted."""

    lanes: int
    more: bool


class DestinationRefusals(Schema):
    """The refusals of a destination: attempts that it did not accept, and that no outage explains.

    ``refused`` and ``delivered`` count the answers of the current ten minutes. ``code``, ``transfer`` and ``last_at`` are
    those of the latest refusal, null if there was none.
    """

    in_a_row: int
    refused: int
    delivered: int
    code: str | None
    transfer: str | None
    last_at: Time | None


class Health(Schema):
    """The health of a destination. A time is null if there is none."""

    state: Literal["closed", "open", "half_open", "disabled"]
    disabled_because: Literal["gone", "failing", "role"] | None
    consecutive_failures: int
    failing_since: Time | None
    opened_at: Time | None
    next_probe_at: Time | None
    not_before: Time | None
    waiting: WaitingLanes
    refusals: DestinationRefusals


def _word(
    destination: Destination, state: BreakerState, now: datetime
) -> Literal["closed", "open", "half_open", "disabled"]:
    if not destination.enabled:
        return "disabled"
    if state.probe_at is None:
        return "closed"
    return "half_open" if state.leased_until is not None and now < state.leased_until else "open"


def _refusals(state: BreakerState, now: datetime) -> DestinationRefusals:
    seen = state.refusals
    refused, delivered = seen.lately(now)
    return DestinationRefusals(
        in_a_row=seen.in_a_row,
        refused=refused,
        delivered=delivered,
        code=seen.code or None,
        transfer=seen.transfer or None,
        last_at=seen.last_at,
    )


@health.endpoint(
    "GET", "/v1/destinations/{id}/health", operation_id="get_destination_health", scope="read", answer=Health
)
def show_health(call: ApiCall) -> EndpointResponse:
    """Get the health of a destination.

    It shows the state of the breaker, the next attempt, the number of waiting lanes, and what the destination refused.
    """
    tenant = call.request.tenant.id
    destination: Destination = call.runtime.config.get(tenant, call.thing("dst")).record
    state, now = call.runtime.destination_state.get(tenant, destination.id).state, call.runtime.now()
    lanes = sum(1 for _ in islice(call.runtime.data.listed(tenant, destination.id, LANES_MAX + 1), LANES_MAX + 1))
    word = _word(destination, state, now)
    found = Health(
        state=word,
        disabled_because=destination.disabled_because,
        consecutive_failures=state.failures,
        failing_since=state.failing_since,
        opened_at=state.opened_at,
        next_probe_at=state.probe_at if word in ("open", "half_open") else None,
        not_before=state.not_before if state.not_before is not None and state.not_before > now else None,
        waiting=WaitingLanes(lanes=min(lanes, LANES_MAX), more=lanes > LANES_MAX),
        refusals=_refusals(state, now),
    )
    return EndpointResponse(200, shown(found))


RESOURCES = (health,)

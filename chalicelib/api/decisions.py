"""``/v1/decisions``: explain a decision on facts, or on an event and a route. Nothing is sent."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from ..core.errors import NotFound, RefusedByLaw
from ..core.log.entry import EventId, RouteId
from ..core.tenant.records import Record
from ..flow.ask import decisions as decisions_flow
from ..flow.ask import read
from ..flow.declare import changes
from .bodies import checked_value
from .endpoint import ApiCall, Resource, Schema
from .problems import EndpointResponse

decisions = Resource("decisions", "Decisions")


class DecisionRequest(Schema):
    """The facts of a decision, or ``{"event": "evt_…", "route": "rte_…"}``."""

    model_config = ConfigDict(extra="allow")


class EventRoute(Record):
    """A stored event and a declared route."""

    event: EventId
    route: RouteId


@decisions.endpoint(
    "POST",
    "/v1/decisions",
    operation_id="explain_decision",
    scope="read",
    body=DecisionRequest,
    answer=dict[str, Any],
    raises=(NotFound, RefusedByLaw),
)
def decide(call: ApiCall) -> EndpointResponse:
    """Explain the decision on facts, or on an event and a route.

    Nothing is sent.
    """
    given: dict[str, Any] = call.body.model_extra
    if "event" not in given:
        return EndpointResponse(200, decisions_flow.explain(call.request, given))
    asked: EventRoute = checked_value(EventRoute, given)
    route = changes.must_exist(call.request, asked.route, "rte", "body.route")
    return EndpointResponse(
        200, decisions_flow.explain_route(call.request, read.content(call.request, asked.event), route)
    )


RESOURCES = (decisions,)

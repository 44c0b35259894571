"""``/v1/events``: the events that sources have received, and erasure of their content."""

from __future__ import annotations

from typing import Annotated, Literal

from ..core.errors import RefusedByLaw
from ..core.event.event import DataClass, Event, EventKind, Time
from ..core.log.entry import Conversation, SourceId
from ..core.tenant.legal_holds import HoldActive
from ..flow.ask import read
from ..flow.retention import erase as erase_flow
from .endpoint import ApiCall, EmptySchema, Resource, TimeQuery
from .filters import time_filter
from .problems import EndpointResponse

events = Resource("events", "Events")


class EventsQuery(TimeQuery):
    """Filters of the list of events."""

    source: SourceId | None = None
    conversation: Conversation | None = None
    kind: EventKind | None = None


class ShownEvent(Event):
    """An event and its expiry. After that it is neither shown nor delivered."""

    expires_at: Annotated[Time, DataClass.TECHNICAL]


class EraseQuery(EmptySchema):
    """The ground of an erasure."""

    ground: Literal[
        "subject_request", "withdrawal", "authority_request", "unlawful", "purpose_reached", "controller_request"
    ]


@events.endpoint(
    "GET",
    "/v1/events",
    operation_id="list_events",
    scope="read",
    query=EventsQuery,
    answer=Event,
    listed=True,
    raises=(RefusedByLaw,),
)
def index(call: ApiCall) -> EndpointResponse:
    """List events, newest first by receipt.

    Each request is recorded in the audit log.
    """
    asked = call.query
    wanted = time_filter(call, source=asked.source, conversation=asked.conversation, kind=asked.kind)
    answer = call.listed(read.events(call.request, wanted, call.position()))
    if answer.body["data"]:
        read.viewed_list(call.request, wanted, len(answer.body["data"]))
    return answer


@events.endpoint(
    "GET", "/v1/events/{id}", operation_id="get_event", scope="read", answer=ShownEvent, raises=(RefusedByLaw,)
)
def show(call: ApiCall) -> EndpointResponse:
    """Get an event.

    Each request is recorded in the audit log.
    """
    return EndpointResponse(200, read.shown(call.request, call.thing("evt")))


@events.endpoint(
    "DELETE",
    "/v1/events/{id}/content",
    operation_id="erase_event_content",
    scope="write",
    query=EraseQuery,
    status=204,
    raises=(HoldActive, RefusedByLaw),
)
def erase(call: ApiCall) -> EndpointResponse:
    """Erase the content of an event.

    This also ends its waiting deliveries. A legal hold or a statutory duty prevents it.
    """
    erase_flow.erase(call.request, call.thing("evt"), call.query.ground)
    return EndpointResponse(204)


RESOURCES = (events,)

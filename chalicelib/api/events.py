"""``/v1/events``: the events that sources have received, and erasure of their content."""

from __future__ import annotations

from typing import Annotated, Literal

from ..core.event.event import DataClass, Event, EventKind, Time
from ..core.log.entry import Conversation, SourceId
from ..flow.ask import read
from ..flow.retention import erase as erase_flow
from .endpoint import ApiCall, EmptySchema, Resource, TimeQuery
from .filters import time_filter
from .problems import EndpointResponse

events = Resource("events")


class EventsQuery(TimeQuery):
    """Filters of the list of events."""

    source: SourceId | None = None
    conversation: Conversation | None = None
    kind: EventKind | None = None


class ShownEvent(Event):
    """An event, and when its life ends: it is neither shown nor delivered after that."""

    expires_at: Annotated[Time, DataClass.TECHNICAL]


class EraseQuery(EmptySchema):
    """Why content is erased."""

    ground: Literal[
        "subject_request", "withdrawal", "authority_request", "unlawful", "purpose_reached", "controller_request"
    ]


@events.endpoint("GET", "/v1/events", scope="read", query=EventsQuery, answer=Event, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List events, newest first by receipt. Looking at content is written to the log."""
    asked = call.query
    wanted = time_filter(call, source=asked.source, conversation=asked.conversation, kind=asked.kind)
    answer = call.listed(read.events(call.request, wanted, call.position()))
    if answer.body["data"]:
        read.viewed_list(call.request, wanted, len(answer.body["data"]))
    return answer


@events.endpoint("GET", "/v1/events/{id}", scope="read", answer=ShownEvent)
def show(call: ApiCall) -> EndpointResponse:
    """Show an event. Looking at content is written to the log."""
    return EndpointResponse(200, read.shown(call.request, call.thing("evt")))


@events.endpoint("DELETE", "/v1/events/{id}/content", scope="write", query=EraseQuery, status=204)
def erase(call: ApiCall) -> EndpointResponse:
    """Erase an event's content on a ground, and end its waiting deliveries."""
    erase_flow.erase(call.request, call.thing("evt"), call.query.ground)
    return EndpointResponse(204)


RESOURCES = (events,)

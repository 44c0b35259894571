"""``/v1/conversations``: which are off the record, and when they were."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from ..core.errors import OffRecordForbidden
from ..core.event.event import Time
from ..flow.declare import conversations as conversations_flow
from .endpoint import ApiCall, Resource, Schema
from .problems import EndpointResponse

conversations = Resource("conversations", "Conversations")


class OffRecord(Schema):
    """The wanted state of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    otr: bool


class ShownInterval(Schema):
    """An interval off the record, by the time of receipt. ``until`` is exclusive, and null while the interval is open."""

    since: Time
    until: Time | None


class ShownOffRecord(Schema):
    """A conversation and its intervals off the record, oldest first."""

    conversation: str
    otr: bool = Field(description="The last request's value.")
    since: Time | None = Field(description="From when that counts: 10 seconds after it was asked for.")
    now: bool = Field(description="Whether an event received now is off the record.")
    intervals: list[ShownInterval]


@conversations.endpoint(
    "PUT",
    "/v1/conversations/{id}/off-the-record",
    operation_id="set_off_record",
    scope="write",
    body=OffRecord,
    answer=ShownOffRecord,
    raises=(OffRecordForbidden,),
)
def turn(call: ApiCall) -> EndpointResponse:
    """Turn recording of a conversation off or on.

    While a conversation is off the record, its events are delivered once and not stored. This counts from ``since``
    on.
    """
    conversation = call.thing("cnv")
    intervals = conversations_flow.turn(call.request, conversation, call.body.otr)
    return EndpointResponse(200, conversations_flow.shown(call.request, conversation, intervals))


@conversations.endpoint(
    "GET", "/v1/conversations/{id}/off-the-record", operation_id="get_off_record", scope="read", answer=ShownOffRecord
)
def show(call: ApiCall) -> EndpointResponse:
    """Get the times at which a conversation was off the record."""
    conversation = call.thing("cnv")
    intervals = conversations_flow.intervals_of(call.request, conversation)
    return EndpointResponse(200, conversations_flow.shown(call.request, conversation, intervals))


RESOURCES = (conversations,)

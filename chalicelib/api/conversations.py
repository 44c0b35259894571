"""``/v1/conversations``: which are off the record, and when they were."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from ..core.event.event import Time
from ..flow.declare import conversations as conversations_flow
from .endpoint import ApiCall, Resource, Schema
from .problems import EndpointResponse

conversations = Resource("conversations")


class OffRecord(Schema):
    """What is asked of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    otr: bool


class ShownInterval(Schema):
    """A stretch off the record, by the time of receipt: ``until`` exclusive, null while it is open."""

    since: Time
    until: Time | None


class ShownOffRecord(Schema):
    """A conversation, and when it was off the record, oldest first."""

    conversation: str
    otr: bool = Field(description="The last request's value.")
    since: Time | None = Field(description="From when that counts: 10 seconds after it was asked for.")
    now: bool = Field(description="Whether an event received now is off the record.")
    intervals: list[ShownInterval]


@conversations.endpoint(
    "PUT", "/v1/conversations/{id}/off-the-record", scope="write", body=OffRecord, answer=ShownOffRecord
)
def turn(call: ApiCall) -> EndpointResponse:
    """Have a conversation off the record, or on again: what is received from ``since`` on is kept nowhere."""
    conversation = call.thing("cnv")
    intervals = conversations_flow.turn(call.request, conversation, call.body.otr)
    return EndpointResponse(200, conversations_flow.shown(call.request, conversation, intervals))


@conversations.endpoint("GET", "/v1/conversations/{id}/off-the-record", scope="read", answer=ShownOffRecord)
def show(call: ApiCall) -> EndpointResponse:
    """Say when a conversation was off the record."""
    conversation = call.thing("cnv")
    intervals = conversations_flow.intervals_of(call.request, conversation)
    return EndpointResponse(200, conversations_flow.shown(call.request, conversation, intervals))


RESOURCES = (conversations,)

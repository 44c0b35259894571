"""``/v1/conversations``: which are off the record, and when they were."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from .. import flow
from ..core.event import Time
from .endpoint import Call, Form, Resource
from .problems import Answer

conversations = Resource("conversations")


class OffRecord(Form):
    """What is asked of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    otr: bool


class ShownInterval(Form):
    """A stretch off the record, by the time of receipt: ``until`` exclusive, null while it is open."""

    since: Time
    until: Time | None


class ShownOffRecord(Form):
    """A conversation, and when it was off the record, oldest first."""

    conversation: str
    otr: bool = Field(description="What was asked for last.")
    since: Time | None = Field(description="From when that counts: 10 seconds after it was asked for.")
    now: bool = Field(description="Whether what is received at this moment is off the record.")
    intervals: list[ShownInterval]


@conversations.endpoint(
    "PUT", "/v1/conversations/{id}/off-the-record", scope="write", body=OffRecord, answer=ShownOffRecord
)
def turn(call: Call) -> Answer:
    """Have a conversation off the record, or on again: what is received from ``since`` on is kept nowhere."""
    conversation = call.thing("cnv")
    intervals = flow.conversations.turn(call.request, conversation, call.body.otr)
    return Answer(200, flow.conversations.shown(call.request, conversation, intervals))


@conversations.endpoint("GET", "/v1/conversations/{id}/off-the-record", scope="read", answer=ShownOffRecord)
def show(call: Call) -> Answer:
    """Say when a conversation was off the record."""
    conversation = call.thing("cnv")
    intervals = flow.conversations.intervals_of(call.request, conversation)
    return Answer(200, flow.conversations.shown(call.request, conversation, intervals))


RESOURCES = (conversations,)

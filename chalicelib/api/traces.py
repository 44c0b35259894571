"""``/v1/trace``: the whole way of one event, for its tenant and for the operator."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..core.errors import Invalid, NotFound
from ..core.log.entry import EventId
from ..core.log.transfers import Outcome
from ..flow.ask import trace
from ..flow.request import Request
from .endpoint import ApiCall, EmptySchema, Resource, Schema
from .problems import EndpointResponse

traces = Resource("traces", "Traces")


class TraceQuery(EmptySchema):
    """The event to trace: by its id, by one of its transfers, or by its source and the platform's id."""

    event: EventId | None = None
    transfer: str | None = Field(default=None, pattern="^trf_[0-9a-z]{26}$")
    source: str | None = Field(default=None, pattern="^src_[0-9a-z]{26}$")
    message: str | None = Field(default=None, min_length=1, max_length=512)


class TraceStep(Schema):
    """One thing that happened to an event. ``index`` is null until its entry is sealed."""

    at: str
    what: str
    transfer: str | None = None
    route: str | None = None
    destination: str | None = None
    decision: str | None = None
    attempt: int | None = None
    outcome: str | None = None
    code: str | None = None
    took_ms: int | None = None
    reason: str | None = None
    entry: str | None = None
    log: str | None = None
    index: int | None = None


class TraceTransfer(Schema):
    """A transfer of the event, and where it waits."""

    id: str
    route: str
    destination: str
    decision: Literal["allowed", "redacted", "held", "refused"]
    outcome: Outcome
    attempts: int
    waits: Literal["queue", "lane", "held", "listed"] | None
    due_at: str | None
    behind: int | None
    dead_letter: bool


class Trace(Schema):
    """The whole way of an event. It holds ids, times and codes, and no content."""

    event: str
    source: str | None
    channel: str | None
    kind: str | None
    received_at: str | None
    stored: Literal["stored", "sealed", "restricted", "erased", "no"]
    expires_at: str | None
    waits_until: str | None
    dead_letter: bool
    sealed: bool
    ended: bool
    transfers: list[TraceTransfer]
    steps: list[TraceStep]


def _shown(found: trace.EventTrace) -> dict[str, Any]:
    transfers = [
        {
            "id": one.id,
            "route": one.route,
            "destination": one.destination,
            "decision": one.decision,
            "outcome": one.outcome,
            "attempts": len(one.attempts),
            "waits": wait.waits if wait is not None else None,
            "due_at": wait.due_at if wait is not None else None,
            "behind": wait.behind if wait is not None else None,
            "dead_letter": one.id in found.letters,
        }
        for one, wait in found.transfers
    ]
    steps = [TraceStep(**step).model_dump() for step in found.steps]
    entries = [step for step in steps if step["entry"] is not None]
    return {
        "event": found.event,
        **{name: found.receipt.get(name) for name in ("source", "channel", "kind", "received_at")},
        "stored": found.stored,
        "expires_at": found.expires_at,
        "waits_until": found.waits_until,
        "dead_letter": found.event in found.letters,
        "sealed": bool(entries) and all(step["index"] is not None for step in entries),
        "ended": all(one["outcome"] not in ("pending", "held") for one in transfers),
        "transfers": transfers,
        "steps": steps,
    }


def _answer(request: Request, asked: TraceQuery) -> EndpointResponse:
    given = [name for name in ("event", "transfer", "source", "message") if getattr(asked, name) is not None]
    if given not in (["event"], ["transfer"], ["source", "message"]):
        text = "give event, or transfer, or source and message"
        raise Invalid(text, [{"loc": "query", "code": "one_of", "msg": text}])
    if asked.transfer is not None:
        return EndpointResponse(200, _shown(trace.of_transfer(request, asked.transfer)))
    event = asked.event or trace.event_of(request, str(asked.source), str(asked.message))
    return EndpointResponse(200, _shown(trace.of_event(request, event)))


@traces.endpoint(
    "GET", "/v1/trace", operation_id="get_trace", scope="read", query=TraceQuery, answer=Trace, raises=(NotFound,)
)
def own(call: ApiCall) -> EndpointResponse:
    """Trace one event: everything that happened to it, and where it waits.

    The event is named by its id, by one of its transfers, or by its source and the platform's id.
    """
    return _answer(call.request, call.query)


@traces.endpoint(
    "GET",
    "/v1/tenants/{id}/trace",
    operation_id="get_trace_of_tenant",
    scope="operator",
    query=TraceQuery,
    answer=Trace,
)
def of_tenant(call: ApiCall) -> EndpointResponse:
    """Trace one event of a tenant.

    The operator sees ids, times and codes, and no content.
    """
    row = call.runtime.config.tenant(call.thing("tnt"))
    return _answer(call.for_tenant(row), call.query)


RESOURCES = (traces,)

"""``/v1/decisions``, ``/v1/preflight`` and ``/v1/routes/preview``: ask the law, send nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from ..core.errors import Invalid
from ..core.event.event import Event, from_document
from ..core.log.entry import EventId, RecipientId, RouteId, SourceId
from ..core.log.transfers import RuleShown
from ..core.tenant.records import (
    BasisSettings,
    Mode,
    Purpose,
    RecipientSettings,
    Record,
    Redaction,
    RouteSettings,
    SourceSettings,
    Transform,
)
from ..core.validation import of_validation
from ..flow.ask import decisions as decisions_flow
from ..flow.ask import read
from ..flow.declare import configure
from ..flow.pagination import Listed
from .endpoint import ApiCall, ListQuery, Resource, Schema, checked_value
from .problems import EndpointResponse

decisions = Resource("decisions")
preflight = Resource("preflight")
previews = Resource("previews")


class Asked(Schema):
    """Facts, as ``waybill decide`` takes them, or ``{"event": "evt_…", "route": "rte_…"}``."""

    model_config = ConfigDict(extra="allow")


class AskedRoute(Record):
    """A stored event and a declared route."""

    event: EventId
    route: RouteId


# A fault is told of the form that was sent, and not of both. The tags are no part of a place: see core.faults.
_WHOLE, _BY_ID = Tag("(whole)"), Tag("(id)")
_EITHER = Discriminator(lambda given: "(id)" if isinstance(given, str) else "(whole)")


class Flow(Record):
    """A planned flow: each part as it would be declared, or the id of one that is."""

    source: Annotated[Annotated[SourceSettings, _WHOLE] | Annotated[SourceId, _BY_ID], _EITHER]
    recipient: Annotated[Annotated[RecipientSettings, _WHOLE] | Annotated[RecipientId, _BY_ID], _EITHER]
    purpose: Purpose
    mode: Mode = "replicate"
    redact: tuple[Redaction, ...] = Field(default=(), max_length=50)
    bases: tuple[BasisSettings, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _fits(self) -> Flow:
        if misfit := Transform(redact=self.redact).misfit(self.mode):
            raise ValueError(misfit)
        return self


class PreflightQuery(ListQuery):
    """One route instead of all."""

    route: RouteId | None = None


class GapShown(Record):
    """What is missing, the article that asks for it, and the call that supplies it."""

    path: str
    rule: str
    ref: str
    supply: str | None


class FormalityShown(Record):
    """Days that a rule makes a flow wait: after a filing, or for one."""

    rule: str
    ref: str
    kind: Literal["wait", "file"]
    days: int


class FlowReadiness(Record):
    """What a flow comes to as things stand, everything that it lacks, and how many days that takes at the least."""

    decision: Literal["allowed", "redacted", "held", "refused"]
    ready: bool
    rules: list[RuleShown]
    missing: list[GapShown]
    refused: list[RuleShown]
    days_needed: int
    formalities: list[FormalityShown]


class Readiness(FlowReadiness):
    """The same of a flow, and where it restricts, of its recipient's pulls."""

    pull: FlowReadiness | None = None


class RouteReadiness(Readiness):
    """The same, of one route and one source."""

    route: str
    source: str


class PreviewRequest(Record):
    """An event, or the id of a stored one, and a route that need not be declared."""

    event: dict[str, Any] | None = None
    event_id: EventId | None = None
    route: RouteSettings


class RenderFault(Record):
    """Why nothing would leave although it may: the attempt's code, and what it is about this event."""

    code: str
    detail: str


class Preview(Record):
    """Whether the route matches and why, what is decided, and the body that would leave (null: nothing)."""

    matched: bool
    explanation: list[dict[str, Any]]
    decision: Literal["allowed", "redacted", "held", "refused"]
    rules: list[RuleShown]
    missing: list[str]
    body: Any
    fault: RenderFault | None


def _one_of(text: str) -> Invalid:
    return Invalid(text, [{"loc": "body", "code": "one_of", "msg": text}])


@decisions.endpoint("POST", "/v1/decisions", scope="read", body=Asked, answer=dict[str, Any])
def decide(call: ApiCall) -> EndpointResponse:
    """Explain the decision on facts, or on an event and a route. Nothing is sent."""
    given: dict[str, Any] = call.body.model_extra
    if "event" not in given:
        return EndpointResponse(200, decisions_flow.explain(call.request, given))
    asked: AskedRoute = checked_value(AskedRoute, given)
    route = configure.must_exist(call.request, asked.route, "rte", "body.route")
    return EndpointResponse(
        200, decisions_flow.explain_route(call.request, read.content(call.request, asked.event), route)
    )


@preflight.endpoint("POST", "/v1/preflight", scope="read", body=Flow, answer=Readiness)
def plan(call: ApiCall) -> EndpointResponse:
    """Say everything that a planned flow lacks, at once."""
    asked: Flow = call.body
    planned = decisions_flow.PlannedFlow(
        source=asked.source,
        recipient=asked.recipient,
        purpose=asked.purpose,
        mode=asked.mode,
        redact=tuple(r.document() for r in asked.redact),
        bases=asked.bases,
    )
    return EndpointResponse(200, decisions_flow.planned(call.request, planned))


@preflight.endpoint("GET", "/v1/preflight", scope="read", query=PreflightQuery, answer=RouteReadiness, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """Say of each route and source as they stand everything that they lack."""

    def steps() -> Iterator[Listed]:
        for place, shown in decisions_flow.standing(call.request, call.query.route, call.position()):
            yield Listed(place, shown, read.DAY_COST)

    return call.listed(steps())


@previews.endpoint("POST", "/v1/routes/preview", scope="read", body=PreviewRequest, answer=Preview)
def preview(call: ApiCall) -> EndpointResponse:
    """Say whether a draft route matches an event and why, what is decided, and what would leave."""
    draft: PreviewRequest = call.body
    if (draft.event is None) == (draft.event_id is None):
        raise _one_of("give either event or event_id")
    if draft.event_id is not None:
        document = read.content(call.request, draft.event_id)
    else:
        try:
            event: Event = from_document(draft.event or {})
        except ValueError as fault:
            raise of_validation(fault, "body.event") from None
        document = event.document()
        configure.must_exist(call.request, document["source"], "src", "body.event.source")
    configure.check_route(call.request, draft.route)
    return EndpointResponse(200, decisions_flow.preview(call.request, document, draft.route))


RESOURCES = (decisions, preflight, previews)

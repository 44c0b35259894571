"""``/v1/decisions``, ``/v1/preflight`` and ``/v1/routes/preview``: ask the law, send nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from .. import flow
from ..core.entry import EventId, RecipientId, RouteId, SourceId
from ..core.errors import Invalid
from ..core.event import Event, from_document
from ..core.faults import of_validation
from ..core.tenant import (
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
from ..core.transfers import RuleShown
from ..flow.lists import Found
from .endpoint import Call, Form, ListQuery, Resource, checked_value
from .problems import Answer

decisions = Resource("decisions")
preflight = Resource("preflight")
previews = Resource("previews")


class Asked(Form):
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


class Draft(Record):
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
def decide(call: Call) -> Answer:
    """Explain the decision on facts, or on an event and a route. Nothing is sent."""
    given: dict[str, Any] = call.body.model_extra
    if "event" not in given:
        return Answer(200, flow.judge.explain(call.request, given))
    asked: AskedRoute = checked_value(AskedRoute, given)
    route = flow.configure.must_exist(call.request, asked.route, "rte", "body.route")
    return Answer(200, flow.judge.explain_route(call.request, flow.read.content(call.request, asked.event), route))


@preflight.endpoint("POST", "/v1/preflight", scope="read", body=Flow, answer=Readiness)
def plan(call: Call) -> Answer:
    """Say everything that a planned flow lacks, at once."""
    asked: Flow = call.body
    planned = flow.judge.Planned(
        source=asked.source,
        recipient=asked.recipient,
        purpose=asked.purpose,
        mode=asked.mode,
        redact=tuple(r.document() for r in asked.redact),
        bases=asked.bases,
    )
    return Answer(200, flow.judge.planned(call.request, planned))


@preflight.endpoint("GET", "/v1/preflight", scope="read", query=PreflightQuery, answer=RouteReadiness, listed=True)
def index(call: Call) -> Answer:
    """Say of each route and source as they stand everything that they lack."""

    def steps() -> Iterator[Found]:
        for place, shown in flow.judge.standing(call.request, call.query.route, call.position()):
            yield Found(place, shown, flow.read.DAY_COST)

    return call.listed(steps())


@previews.endpoint("POST", "/v1/routes/preview", scope="read", body=Draft, answer=Preview)
def preview(call: Call) -> Answer:
    """Say whether a draft route matches an event and why, what is decided, and what would leave."""
    draft: Draft = call.body
    if (draft.event is None) == (draft.event_id is None):
        raise _one_of("give either event or event_id")
    if draft.event_id is not None:
        document = flow.read.content(call.request, draft.event_id)
    else:
        try:
            event: Event = from_document(draft.event or {})
        except ValueError as fault:
            raise of_validation(fault, "body.event") from None
        document = event.document()
        flow.configure.must_exist(call.request, document["source"], "src", "body.event.source")
    flow.configure.check_route(call.request, draft.route)
    return Answer(200, flow.judge.preview(call.request, document, draft.route))


RESOURCES = (decisions, preflight, previews)

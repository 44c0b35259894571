"""``/v1/preflight``: what a planned flow, or each declared route, still lacks. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from ..core.errors import NotFound
from ..core.log.entry import RecipientId, RouteId, SourceId
from ..core.log.transfers import ShownObligation, ShownRule
from ..core.tenant.records import (
    BasisSettings,
    Mode,
    Purpose,
    RecipientSettings,
    Record,
    Redaction,
    SourceSettings,
    Transform,
)
from ..flow.ask import decisions as decisions_flow
from ..flow.ask import read
from ..flow.pagination import ListItem
from .declared import ShownUnreadableRecord
from .endpoint import ApiCall, ListQuery, Resource
from .problems import EndpointResponse

preflight = Resource("preflight", "Preflight")

# A fault is told of the form that was sent, and not of both. The tags are no part of a place: see core.faults.
_WHOLE, _BY_ID = Tag("(whole)"), Tag("(id)")
_EITHER = Discriminator(lambda given: "(id)" if isinstance(given, str) else "(whole)")


class Flow(Record):
    """A planned flow. Each part is a declaration, or the id of a declared one."""

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


class ShownGap(Record):
    """A missing fact or record, the article that asks for it, and the call that supplies it."""

    path: str
    rule: str
    ref: str
    supply: str | None
    title: str = ""


class ShownFormality(Record):
    """A filing that a rule demands, or a wait after it, in days."""

    rule: str
    ref: str
    kind: Literal["wait", "file"]
    days: int
    title: str = ""


class FlowReadiness(Record):
    """The decision on a flow as things stand, all gaps, and the days that filling them takes at least."""

    decision: Literal["allowed", "redacted", "held", "refused"]
    ready: bool
    rules: list[ShownRule]
    missing: list[ShownGap]
    refused: list[ShownRule]
    days_needed: int
    formalities: list[ShownFormality]
    obligations: list[ShownObligation] = Field(default_factory=list)
    unreadable: list[ShownUnreadableRecord]


class Readiness(FlowReadiness):
    """The readiness of a flow and, in mode ``restrict``, of its recipient's pulls."""

    pull: FlowReadiness | None = None


class RouteReadiness(Readiness):
    """The readiness of one route for one source."""

    route: str
    source: str


@preflight.endpoint(
    "POST",
    "/v1/preflight",
    operation_id="check_planned_flow",
    scope="read",
    body=Flow,
    answer=Readiness,
    raises=(NotFound,),
)
def plan(call: ApiCall) -> EndpointResponse:
    """List everything that a planned flow lacks.

    Nothing is stored or sent.
    """
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


@preflight.endpoint(
    "GET",
    "/v1/preflight",
    operation_id="check_routes",
    scope="read",
    query=PreflightQuery,
    answer=RouteReadiness,
    listed=True,
    raises=(NotFound,),
)
def index(call: ApiCall) -> EndpointResponse:
    """List everything that each declared route lacks, for each of its sources."""

    def steps() -> Iterator[ListItem]:
        for place, shown in decisions_flow.standing(call.request, call.query.route, call.position()):
            yield ListItem(place, shown, read.DAY_COST)

    return call.listed(steps())


RESOURCES = (preflight,)

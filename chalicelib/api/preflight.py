"""``/v1/preflight``: what a planned flow, or each declared route, still lacks. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

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

preflight = Resource("preflight")

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


class ShownGap(Record):
    """What is missing, the article that asks for it, and the call that supplies it."""

    path: str
    rule: str
    ref: str
    supply: str | None
    title: str = ""


class ShownFormality(Record):
    """Days that a rule makes a flow wait: after a filing, or for one."""

    rule: str
    ref: str
    kind: Literal["wait", "file"]
    days: int
    title: str = ""


class FlowReadiness(Record):
    """What a flow comes to as things stand, everything that it lacks, and how many days that takes at the least."""

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
    """The same of a flow, and where it restricts, of its recipient's pulls."""

    pull: FlowReadiness | None = None


class RouteReadiness(Readiness):
    """The same, of one route and one source."""

    route: str
    source: str


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

    def steps() -> Iterator[ListItem]:
        for place, shown in decisions_flow.standing(call.request, call.query.route, call.position()):
            yield ListItem(place, shown, read.DAY_COST)

    return call.listed(steps())


RESOURCES = (preflight,)

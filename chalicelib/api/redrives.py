"""``/v1/redrives`` for the operator, and the lists of dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from ..core import ids
from ..core.errors import NotFound
from ..core.job import State
from ..flow.jobs import redrive
from ..flow.pagination import ListItem
from ..store.items import Item
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource, Schema
from .jobs import Failure
from .problems import EndpointResponse

redrives = Resource("redrives", "Dead letters")

LETTER_COST = 20
"""What reading one letter costs, in keys looked at: it holds the whole message."""


def _id(prefix: str) -> StringConstraints:
    return StringConstraints(pattern=f"^{prefix}_[{ids.ALPHABET}]{{{ids.LENGTH}}}$")


class NewRedrive(EmptySchema):
    """The dead letters to send again: all of the cell, or those of one tenant, or one letter."""

    tenant: Annotated[str, _id("tnt")] | None = None
    thing: Annotated[str, _id("(?:evt|trf)")] | None = None
    operator: str = Field(default="operator", pattern="^[A-Za-z0-9_.:#/-]{1,64}$")


class TenantRedrive(Schema):
    """The part of a redrive that is about one tenant."""

    tenant: str
    job: str
    state: State
    sent: int
    stays: int
    error: Failure | None


class ShownRedrive(Schema):
    """A redrive and its progress, one job for each tenant that had dead letters."""

    id: str
    state: State
    sent: int
    stays: int
    tenants: list[TenantRedrive]


class DeadLetter(Schema):
    """A message that failed too often. Its content is not shown."""

    queue: Literal["inbox", "outbox"]
    event: str | None
    transfer: str | None
    source: str | None
    destination: str | None
    received_at: str | None
    parked_at: str


def _shown(found: redrive.Redrive) -> dict[str, Any]:
    parts = [
        {
            "tenant": job.tenant,
            "job": job.id,
            "state": job.state,
            "sent": job.summary["sent"],
            "stays": job.summary["stays"],
            "error": dict(job.error) if job.error else None,
        }
        for job in sorted(found.jobs, key=lambda job: job.tenant)
    ]
    totals = {name: found.total(name) for name in ("sent", "stays")}
    return {"id": found.id, "state": found.state, **totals, "tenants": parts}


@redrives.endpoint(
    "POST",
    "/v1/redrives",
    operation_id="create_redrive",
    scope="operator",
    body=NewRedrive,
    answer=ShownRedrive,
    status=202,
    raises=(NotFound,),
    runs_again=True,
)
def create(call: ApiCall) -> EndpointResponse:
    """Send dead letters again, of all tenants or of one.

    Each letter is an act in its tenant's log and a new decision. A letter is sent once, however often this is requested.
    A repeated request with the same idempotency key shows the progress of the first.
    """
    asked: NewRedrive = call.body
    name = ids.sortable("job", call.at, call.seed[:11])
    found = redrive.begin(call.runtime, name, call.at, asked.tenant, asked.thing, asked.operator)
    return EndpointResponse(202, _shown(found))


@redrives.endpoint("GET", "/v1/redrives/{id}", operation_id="get_redrive", scope="operator", answer=ShownRedrive)
def show(call: ApiCall) -> EndpointResponse:
    """Get the progress of a redrive.

    A redrive that found no dead letter is not kept.
    """
    return EndpointResponse(200, _shown(redrive.find(call.runtime, call.thing("job"))))


def _letters(call: ApiCall, tenant: str) -> Iterator[ListItem]:
    for letter in call.runtime.data.dead(tenant, call.position(), call.query.limit + 1):
        yield ListItem(letter["sk"], _letter(letter), LETTER_COST)


def _letter(letter: Item) -> dict[str, Any]:
    message = json.loads(letter["message"])
    names = ("event", "transfer", "source", "destination", "received_at")
    shown = {name: message.get(name) if isinstance(message.get(name), str) else None for name in names}
    return {"queue": letter["queue"], **shown, "parked_at": letter["parked_at"]}


@redrives.endpoint(
    "GET",
    "/v1/tenants/{id}/dead-letters",
    operation_id="list_dead_letters_of_tenant",
    scope="operator",
    query=ListQuery,
    answer=DeadLetter,
    listed=True,
)
def of_tenant(call: ApiCall) -> EndpointResponse:
    """List the dead letters of a tenant."""
    row = call.runtime.config.tenant(call.thing("tnt"))
    return call.listed(_letters(call, row.record.id))


@redrives.endpoint(
    "GET",
    "/v1/dead-letters",
    operation_id="list_dead_letters",
    scope="read",
    query=ListQuery,
    answer=DeadLetter,
    listed=True,
)
def own(call: ApiCall) -> EndpointResponse:
    """List the tenant's dead letters: messages that failed too often, which only the operator can send again."""
    return call.listed(_letters(call, call.request.tenant.id))


RESOURCES = (redrives,)

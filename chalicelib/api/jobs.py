"""``/v1/jobs``, and replays: of one transfer, and of many that were to go to a destination."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from ..core import times
from ..core.event.event import Time
from ..core.job import Job, State
from ..core.log.transfers import Transfer
from ..flow.jobs import replay, worker
from ..store.config import Holder
from .auth import held
from .endpoint import ApiCall, Empty, ListQuery, Resource, Schema
from .problems import EndpointResponse
from .reading import transfer_shown

jobs = Resource("jobs")
replays = Resource("replays")


class Progress(Schema):
    """How far a job is, in what its kind counts. ``total`` is null until it is known."""

    done: int
    total: int | None


class Failure(Schema):
    """Why a job failed; ``code`` as in a problem."""

    code: str
    detail: str


class ShownJob(Schema):
    """Something that takes longer than a request. ``url`` links to the result of one that is done and has one."""

    id: str
    kind: str
    state: State
    progress: Progress
    url: str | None
    error: Failure | None
    summary: dict[str, Any]
    created_at: str
    expires_at: str


class ReplayRange(Empty):
    """What a destination is sent again: events received from ``after`` (inclusive) to ``before`` (exclusive)."""

    after: Time | None = None
    before: Time | None = None
    outcome: Literal["rejected", "gave_up", "refused", "expired", "delivered", "any"]


def shown(call: ApiCall, job: Job) -> dict[str, Any]:
    """Return a job as the API shows it."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": {"done": job.done, "total": job.total},
        "url": worker.url_of(call.runtime, job),
        "error": dict(job.error) if job.error else None,
        "summary": dict(job.summary),
        "created_at": times.text(job.created_at),
        "expires_at": times.text(job.expires_at),
    }


def _scopes(call: ApiCall) -> tuple[str, ...]:
    assert isinstance(call.holder, Holder)
    return tuple(held(call.holder))


@jobs.endpoint("GET", "/v1/jobs", scope="any", query=ListQuery, answer=ShownJob, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the jobs that the key may see, newest first."""
    steps = worker.listed(call.request, call.position(), _scopes(call))
    return call.listed(replace(s, item=shown(call, s.item) if s.item is not None else None) for s in steps)


@jobs.endpoint("GET", "/v1/jobs/{id}", scope="any", answer=ShownJob)
def show(call: ApiCall) -> EndpointResponse:
    """Show a job, how far it is, and where its result is."""
    return EndpointResponse(200, shown(call, worker.show(call.request, call.thing("job"), _scopes(call))))


@replays.endpoint("POST", "/v1/transfers/{id}/replay", scope="write", body=Empty, answer=Transfer, status=201)
def again(call: ApiCall) -> EndpointResponse:
    """Replay a transfer that has ended: a new decision, and a new transfer that names the old one."""
    request = call.request
    one = replay.again(call.runtime, request.tenant.id, call.thing("trf"), request.actor, call.at, "controller_request")
    return EndpointResponse(201, transfer_shown(call, one))


@replays.endpoint("POST", "/v1/destinations/{id}/replay", scope="write", body=ReplayRange, answer=ShownJob, status=202)
def many(call: ApiCall) -> EndpointResponse:
    """Replay what was to go to a destination in a time and came to an outcome; a job does it."""
    asked: ReplayRange = call.body
    after: datetime | None = asked.after
    job = replay.begin(call.request, call.thing("dst"), after, asked.before, asked.outcome)
    return EndpointResponse(202, shown(call, job))


RESOURCES = (jobs, replays)

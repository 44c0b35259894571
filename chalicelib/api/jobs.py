"""``/v1/jobs``: work that takes longer than a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..core import times
from ..core.job import Job, State
from ..flow.jobs import worker
from ..store.config import Holder
from .auth import held
from .endpoint import ApiCall, ListQuery, Resource, Schema
from .problems import EndpointResponse

jobs = Resource("jobs")


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


RESOURCES = (jobs,)

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

jobs = Resource("jobs", "Jobs")


class Progress(Schema):
    """The progress of a job. ``total`` is null until it is known."""

    done: int
    total: int | None


class Failure(Schema):
    """The reason why a job failed. ``code`` is an error code."""

    code: str
    detail: str


class ShownJob(Schema):
    """A job. ``url`` leads to the result of a finished job, if it has one."""

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


@jobs.endpoint("GET", "/v1/jobs", operation_id="list_jobs", scope="any", query=ListQuery, answer=ShownJob, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the jobs that the API key may see, newest first."""
    steps = worker.listed(call.request, call.position(), _scopes(call))
    return call.listed(replace(s, item=shown(call, s.item) if s.item is not None else None) for s in steps)


@jobs.endpoint("GET", "/v1/jobs/{id}", operation_id="get_job", scope="any", answer=ShownJob)
def show(call: ApiCall) -> EndpointResponse:
    """Get a job, its progress and its result."""
    return EndpointResponse(200, shown(call, worker.show(call.request, call.thing("job"), _scopes(call))))


RESOURCES = (jobs,)

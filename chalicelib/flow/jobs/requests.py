"""Request a job and read it back. Apart from the worker, which knows the kinds of jobs: each kind requests its own here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from ...core import job as jobs
from ...core.errors import NotFound, TooMany
from ...core.job import Job
from ..request import Request

OPEN_MAX = 10
"""Open jobs of one tenant."""
LOOKED_MAX = 200
"""How many of the tenant's newest jobs are read to find the open ones."""

GONE = "no such job, or it ended more than seven days ago"


def open_jobs(request: Request) -> list[Job]:
    """Return the tenant's open jobs, newest first, except the one that this request makes.

    Raises:
        TooMany: the tenant has ``OPEN_MAX`` open jobs.
    """
    own = request.new_id("job")
    newest = islice(request.runtime.jobs.of_tenant(request.tenant.id, request.runtime.now()), LOOKED_MAX)
    others = [job for job in newest if job.state in jobs.OPEN and job.id != own]
    if len(others) >= OPEN_MAX:
        raise TooMany(f"there are {OPEN_MAX} open jobs already; wait for one to end", retry_after_s=60)
    return others


def begin(request: Request, kind: str, asked: Mapping[str, Any], summary: Mapping[str, Any]) -> Job:
    """Make a job and return it as it is stored. A second try of the same request returns the first one's job.

    The caller calls ``open_jobs`` before.

    Args:
        asked: JSON values that the kind's step reads. They are encrypted at rest.
        summary: the summary that the tenant sees until the first piece is done.
    """
    job = jobs.new(request.new_id("job"), request.tenant.id, kind, request.at, asked, summary)
    request.runtime.jobs.insert(job)
    return get(request, job.id)


def get(request: Request, job_id: str) -> Job:
    """Return a job of the tenant.

    Raises:
        NotFound: the job does not exist, or its life is over.
    """
    job: Job | None = request.runtime.jobs.get(request.tenant.id, job_id, request.runtime.now())
    if job is None:
        raise NotFound(GONE)
    return job

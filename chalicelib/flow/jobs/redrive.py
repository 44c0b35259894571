"""Redrive: send dead letters on their way again, of one tenant or of the whole cell, as one job for each tenant.

Rows of the redrive name the tenants that have a job of it. The id of each job follows from the redrive's and the tenant's.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from ...core import ids
from ...core import job as jobs
from ...core.errors import NotFound, WaybillError, is_outage
from ...core.job import Job, State
from ...observe import error
from ...runtime import Runtime
from .replay import redrive

KIND = "redrive"
PAGE = 10
THREADS = 16
LOOKED_AT_ONCE = 500
"""Tenants whose letters are looked for before their jobs are begun."""
PARTS_KEPT = timedelta(days=30)
"""Longer than a job lives."""
_RANDOM_BITS = 82


@dataclass(frozen=True)
class Redrive:
    """All jobs of one redrive, one for each tenant that had dead letters."""

    id: str
    jobs: tuple[Job, ...]

    @property
    def state(self) -> State:
        """The state of the whole: failed if one job failed, once none is open."""
        states = {job.state for job in self.jobs}
        return "running" if states & {*jobs.OPEN} else "failed" if "failed" in states else "done"

    def total(self, name: str) -> int:
        """Return the sum of one number of all summaries."""
        return sum(int(job.summary[name]) for job in self.jobs)


def begin(
    runtime: Runtime, redrive_id: str, at: datetime, tenant: str | None, thing: str | None, operator: str
) -> Redrive:
    """Begin a job for each tenant that has dead letters. A second try of the same request finds the jobs of the first.

    Args:
        tenant: only this tenant's letters; None for all tenants.
        thing: only the letter about this event or transfer.
        operator: the name of the person or program who asked, for the log.

    Raises:
        NotFound: there is no such tenant.
    """
    if tenant is not None:
        runtime.config.tenant(tenant)
    wanted = iter((tenant,) if tenant is not None else runtime.config.tenants())
    asked = {"thing": thing, "operator": operator}
    runtime.jobs.insert_parts(redrive_id, (), at + PARTS_KEPT)
    while some := list(islice(wanted, LOOKED_AT_ONCE)):
        having = _with_letters(runtime, some)
        runtime.jobs.insert_parts(redrive_id, having, at + PARTS_KEPT)  # before the jobs: none goes unseen
        for one in having:
            made = jobs.new(_job_of(redrive_id, one), one, KIND, at, asked, {"sent": 0, "stays": 0})
            try:
                runtime.jobs.insert(made)
            except NotFound:
                continue  # closed in the meantime
    return Redrive(redrive_id, tuple(_found(runtime, redrive_id)))


def find(runtime: Runtime, redrive_id: str) -> Redrive:
    """Return a redrive.

    Raises:
        NotFound: there is none, it found no letter, or it ended more than seven days ago.
    """
    found = Redrive(redrive_id, tuple(_found(runtime, redrive_id)))
    if not found.jobs:
        raise NotFound("no such redrive, it found no dead letter, or it ended more than seven days ago")
    return found


def _found(runtime: Runtime, redrive_id: str) -> Iterator[Job]:
    parts = runtime.jobs.parts(redrive_id)
    # The release before stored no parts: its redrives are looked for in all tenants, as it did.
    wanted = iter(runtime.config.tenants() if parts is None else parts)
    while some := list(islice(wanted, LOOKED_AT_ONCE)):
        yield from runtime.jobs.get_many(((one, _job_of(redrive_id, one)) for one in some), runtime.now())


def _with_letters(runtime: Runtime, tenants: list[str]) -> list[str]:
    calls = [functools.partial(_has_letters, runtime, tenant) for tenant in tenants]
    found = [done.result() for done in runtime.threads.run("redrive", THREADS, calls)]
    return [tenant for tenant, has in zip(tenants, found, strict=True) if has]


def _has_letters(runtime: Runtime, tenant: str) -> bool:
    return next(runtime.data.dead(tenant, limit=1), None) is not None


def _job_of(redrive_id: str, tenant: str) -> str:
    """Name the job of a tenant: it sorts by the time of the redrive, like the ids of all jobs."""
    digest = hashlib.sha256(f"{redrive_id}\n{tenant}".encode()).digest()
    time_bits = ids.decode(redrive_id[4:]) >> _RANDOM_BITS << _RANDOM_BITS
    return f"job_{ids.encode(time_bits | ids.first_bits(digest, _RANDOM_BITS))}"


def step(runtime: Runtime, job: Job) -> Job:
    """Send one page of a tenant's letters again. A letter that cannot be sent stays.

    Raises:
        Unavailable: a store did not answer before a letter was sent; the page can be done again.
    """
    actor, thing = ("operator", str(job.asked["operator"])), job.asked["thing"]
    sent = stays = 0
    position, ended = job.cursor, True
    for number, letter in enumerate(islice(runtime.data.dead(job.tenant, job.cursor, PAGE), PAGE), start=1):
        if thing in (None, letter["thing"]):
            try:
                redrive(runtime, job.tenant, letter, actor)
                sent += 1
            except Exception as fault:  # one letter's fault is not another's
                if is_outage(fault):
                    if position == job.cursor:
                        raise
                    ended = False
                    break
                if not isinstance(fault, WaybillError):
                    error("letter_not_sent", fault, tenant=job.tenant)
                stays += 1
        position, ended = letter["sk"], number < PAGE
    summary = {**job.summary, "sent": job.summary["sent"] + sent, "stays": job.summary["stays"] + stays}
    return replace(
        job,
        state="done" if ended else "running",
        cursor=position,
        done=job.done + sent + stays,
        summary=summary,
        due_at=runtime.now(),
    )

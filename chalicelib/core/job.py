"""Jobs: what takes longer than a request, worked off in pieces. How one goes on, waits or ends. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed"]
OPEN: tuple[State, ...] = ("queued", "running")
KEPT = timedelta(days=7)
"""How long a job is kept after its last step."""
TRIES_MAX = 6
"""How often in a row a piece is tried before the job fails."""
DEATHS_MAX = 20
"""The same for one over which the process dies each time. Deaths come in storms, and what a piece has decided wants its end."""
PASSING = 3
"""As how many tries all those count in which something did not answer: that passes, and what a piece has decided wants its end."""
OUTAGE = timedelta(days=3)
"""How long a job waits for what does not answer, from its last piece on."""
WAITS_S = (5, 30, 60, 120, 300)
"""What a job waits after a piece that failed; the last one from then on."""


@dataclass(frozen=True)
class Job:
    """A job between two pieces.

    Args:
        tries: how often the next piece has been begun.
        due_at: when it wants to go on.
        asked: what it is to do; ``cursor``: how far it is, in its kind's own words; ``summary``: what came of it so far,
            which the tenant is shown. All three are sealed where they are stored.
        total: None until it is known.
        error: why it failed: ``{"code", "detail"}``.
        lease: what its row says while this process may work on it; nobody else's business.
    """

    id: str
    tenant: str
    kind: str
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    state: State = "queued"
    done: int = 0
    total: int | None = None
    tries: int = 0
    asked: Mapping[str, Any] = field(default_factory=dict)
    cursor: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None
    lease: str = ""


def new(
    job_id: str, tenant: str, kind: str, now: datetime, asked: Mapping[str, Any], summary: Mapping[str, Any]
) -> Job:
    """Make a job that has not begun."""
    return Job(job_id, tenant, kind, now, now, now + KEPT, asked=asked, summary=summary)


def went_on(job: Job, now: datetime) -> Job:
    """Return a job after a piece that was done; one that is done has all of its ``total``."""
    total = job.done if job.state == "done" and job.total is None else job.total
    return replace(job, tries=0, error=None, total=total, expires_at=now + KEPT)


def tried(job: Job, code: str, now: datetime) -> Job:
    """Return a job after a piece that failed for what may pass: it waits, or has failed often enough."""
    if job.tries >= TRIES_MAX:
        return failed(job, code, "one piece of this job failed again and again; make the request again later", now)
    return replace(job, due_at=now + timedelta(seconds=_wait_s(job)))


def waits(job: Job, code: str, now: datetime) -> Job:
    """Return a job after a piece for which something did not answer: it waits for as long as an outage may last."""
    if now - (job.expires_at - KEPT) > OUTAGE:
        return failed(job, code, "what this job needs did not answer for days; make the request again later", now)
    return replace(job, tries=min(job.tries, PASSING), due_at=now + timedelta(seconds=_wait_s(job)))


def _wait_s(job: Job) -> int:
    return WAITS_S[min(job.tries, len(WAITS_S)) - 1]


def failed(job: Job, code: str, detail: str, now: datetime) -> Job:
    """Return a job that has ended without its result. What it did before stays done."""
    return replace(job, state="failed", error={"code": code, "detail": detail}, expires_at=now + KEPT)

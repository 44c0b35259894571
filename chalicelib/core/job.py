"""Jobs: what takes longer than a request, worked off in pieces. How one goes on, waits or ends. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, cast

State = Literal["queued", "running", "done", "failed"]
OPEN: tuple[State, ...] = ("queued", "running")
KEPT = timedelta(days=7)
"""How long a job is kept after its last step."""
TRIES_MAX = 6
"""How often in a row a piece is tried before the job fails."""
DEATHS_MAX = 20
"""The same limit for tries in which the process crashed. Crashes come in bursts, and decided replays must still end."""
PASSING = 3
"""The number of tries that all tries count as in which a service did not answer. Outages pass, and decided replays must end."""
OUTAGE = timedelta(days=3)
"""How long a job waits for what does not answer, from its last piece on."""
WAITS_S = (5, 30, 60, 120, 300)
"""The waits after a failed piece; the last one repeats."""


@dataclass(frozen=True)
class Job:
    """A job between two pieces.

    Args:
        tries: how often the next piece has been begun.
        due_at: when it goes on.
        asked: the request; ``cursor``: the progress, in the format of its kind; ``summary``: the result so far, which the
            tenant sees. All three are stored encrypted.
        total: None until it is known.
        error: why it failed: ``{"code", "detail"}``.
        lease: the lease value of its row while this process may work on it.
        others: fields that a later release has stored with ``asked``. They are carried along.
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
    others: Mapping[str, Any] = field(default_factory=dict)


def new(
    job_id: str, tenant: str, kind: str, now: datetime, asked: Mapping[str, Any], summary: Mapping[str, Any]
) -> Job:
    """Make a job that has not begun."""
    return Job(job_id, tenant, kind, now, now, now + KEPT, asked=asked, summary=summary)


_T = TypeVar("_T")


def cursor_of(form: type[_T], text: str) -> _T:
    """Read a cursor that is a dataclass, without the fields that a later release has added.

    Raises:
        ValueError, TypeError: it is not of this form.
    """
    known = {f.name for f in fields(cast(Any, form))}
    return form(**{name: value for name, value in json.loads(text).items() if name in known})


def went_on(job: Job, now: datetime) -> Job:
    """Return a job after a piece that was done; one that is done has all of its ``total``."""
    total = job.done if job.state == "done" and job.total is None else job.total
    return replace(job, tries=0, error=None, total=total, expires_at=now + KEPT)


def tried(job: Job, code: str, now: datetime) -> Job:
    """Return a job after a piece that failed for a passing reason: it waits, or has failed too often."""
    if job.tries >= TRIES_MAX:
        return failed(job, code, "one piece of this job failed again and again; make the request again later", now)
    return replace(job, due_at=now + timedelta(seconds=_wait_s(job)))


def waits(job: Job, code: str, now: datetime) -> Job:
    """Return a job after a piece for which something did not answer: it waits for as long as an outage may last."""
    if now - (job.expires_at - KEPT) > OUTAGE:
        return failed(
            job, code, "a service that this job needs did not answer for days; make the request again later", now
        )
    return replace(job, tries=min(job.tries, PASSING), due_at=now + timedelta(seconds=_wait_s(job)))


def _wait_s(job: Job) -> int:
    return WAITS_S[min(job.tries, len(WAITS_S)) - 1]


def failed(job: Job, code: str, detail: str, now: datetime) -> Job:
    """Return a job that has ended without its result. Its finished pieces stay done."""
    return replace(job, state="failed", error={"code": code, "detail": detail}, expires_at=now + KEPT)

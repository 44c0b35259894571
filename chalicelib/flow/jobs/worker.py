"""Jobs: show them, and each minute work on the due ones, a piece at a time.

A piece is bounded (some seconds at most) and may run twice: 1 take the job by its lease → 2 the piece → 3 save its
progress, and release it. A process that dies between 1 and 3 leaves a lease; after it another process repeats the piece.
In each round every tenant gets one piece at most, so that many jobs of one do not delay another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ...core import job as jobs
from ...core.errors import NotFound, RefusedByLaw, RequestError, Unavailable, WaybillError
from ...core.job import Job
from ...core.tenant.records import Scope
from ...observe import count, error, warning
from ...runtime import Runtime
from ...store.jobs import DueJob
from ..pagination import ListItem
from ..request import Request
from ..retention import hold_walks
from ..seal_requests import notify_sealer_or_log
from . import requests

UNTIL_S = 45
"""The latest time, in a run, at which a piece may start."""
HOLDS_UNTIL_S = 20
"""The same for walks over the events of legal holds, which come first."""
LEASE = timedelta(seconds=120)
"""Longer than a run may take: a live process never loses its lease."""
REST_S = 5
"""The longest that a run waits for a job that is nearly due."""
LOST_S = 0.2
"""How long a run waits if other runs have taken all jobs that the index showed: the index follows the table within moments."""
DUE_A_ROUND = 200

Step = Callable[[Runtime, Job], Job]


@dataclass(frozen=True)
class JobKind:
    """A kind of job.

    Args:
        step: loads the function that does one piece. It MUST be bounded and have the same effect when run twice. It returns
            the job with its ``cursor``, ``done`` and ``summary`` moved on, ``due_at`` if it needs a pause, and ``state``
            done at the end. It raises a ``RequestError`` if no further try can help.
        scope: the scope that a key needs to see such a job.
        url: loads the function that links to the result of a done job, or says that it is gone; None if there is no result.
    """

    step: Callable[[], Step]
    scope: Scope
    url: Callable[[], Callable[[Runtime, Job], str | None]] | None = None


# A kind's modules are loaded by its first piece: the API, which shows jobs, needs none of them.


def _replay() -> Step:
    from .replay import step

    return step


def _bundle() -> Step:
    from .bundle import step

    return step


def _bundle_url() -> Callable[[Runtime, Job], str | None]:
    from .bundle import url

    return url


def _key_rotation() -> Step:
    from .key_rotation import step

    return step


def _redrive() -> Step:
    from .redrive import step

    return step


KINDS: dict[str, JobKind] = {
    "replay": JobKind(step=_replay, scope="read"),
    "bundle": JobKind(step=_bundle, scope="audit", url=_bundle_url),
    "redrive": JobKind(step=_redrive, scope="read"),
    "key_rotation": JobKind(step=_key_rotation, scope="admin"),
}
"""The kinds of jobs. Each is loaded when it is needed."""


# Showing


def show(request: Request, job_id: str, scopes: tuple[str, ...]) -> Job:
    """Return a job.

    Raises:
        NotFound: the job does not exist, its life is over, or a key with these scopes may not see it.
    """
    job = requests.get(request, job_id)
    if not _may_see(job, scopes):
        raise NotFound(requests.GONE)
    return job


def _may_see(job: Job, scopes: tuple[str, ...]) -> bool:
    """Say whether keys with these scopes see a job. A kind of a later release is shown by that release only."""
    return job.kind in KINDS and KINDS[job.kind].scope in scopes


def listed(request: Request, position: str, scopes: tuple[str, ...]) -> Iterator[ListItem]:
    """Yield the tenant's jobs that a key with these scopes may see, newest first."""
    for job in request.runtime.jobs.of_tenant(request.tenant.id, request.runtime.now(), position):
        yield ListItem(job.id, job if _may_see(job, scopes) else None)


def url_of(runtime: Runtime, job: Job) -> str | None:
    """Return a fresh link to a job's result, which needs no key and lives 15 minutes; None if there is no result."""
    link = KINDS[job.kind].url
    return link()(runtime, job) if link is not None and job.state == "done" else None


# Working


def handle(runtime: Runtime) -> int:
    """Do pieces of walks of legal holds, then work on due jobs until none is left, or the time is over.

    Return how many pieces of jobs were done.
    """
    started = runtime.monotonic()
    hold_walks.work(runtime, started + HOLDS_UNTIL_S)
    done, down = 0, set[str]()
    while (left_s := UNTIL_S - (runtime.monotonic() - started)) > 0:
        now = runtime.now()
        soon = timedelta(seconds=min(left_s, REST_S))
        found = list(runtime.jobs.due(now + soon, DUE_A_ROUND))
        if not found:
            break
        found = [due for due in found if due.tenant not in down]
        ready = [due for due in found if due.at <= now]
        if not found:
            break
        if not ready:
            runtime.sleep((found[0].at - now).total_seconds())
            continue
        took = 0
        for due in _in_turn(ready):
            if runtime.monotonic() - started >= UNTIL_S:
                break
            try:
                took += _piece(runtime, due)
            except Unavailable as fault:  # no piece was begun, or it is repeated after its lease
                error("job_failed", fault, tenant=due.tenant, job=due.job)
                down.add(due.tenant)
        done += took
        notify_sealer_or_log(runtime)
        if not took:
            runtime.sleep(LOST_S)
    return done


def _in_turn(ready: list[DueJob]) -> list[DueJob]:
    """Return the job of each tenant that has waited longest."""
    first: dict[str, DueJob] = {}
    for due in ready:
        first.setdefault(due.tenant, due)
    return list(first.values())


def _piece(runtime: Runtime, due: DueJob) -> bool:
    """Do one piece of a job. Return whether it was ours to do."""
    now = runtime.now()
    try:
        job = runtime.jobs.take(due, now + LEASE)  # 1
    except NotFound:
        runtime.jobs.remove(due.tenant, due.job)
        return True
    if job is None:
        return False
    after = _tried(runtime, job)  # 2
    try:
        saved = runtime.jobs.save(after)  # 3
    except NotFound:  # closed meanwhile, and with it the key that seals it
        runtime.jobs.remove(due.tenant, due.job)
        return True
    if not saved:
        warning("job_lost", tenant=job.tenant, job=job.id)
    elif after.state not in jobs.OPEN:
        count("jobs", kind=after.kind, state=after.state)
    return True


def _tried(runtime: Runtime, job: Job) -> Job:
    if job.tries > jobs.DEATHS_MAX:  # the last process that tried died before it could say so
        return jobs.tried(job, "internal", runtime.now())
    if job.kind not in KINDS:  # a later release's: it waits for that release
        return jobs.waits(job, "unavailable", runtime.now())
    try:
        step: Step = KINDS[job.kind].step()
        return jobs.went_on(step(runtime, job), runtime.now())
    except (RequestError, RefusedByLaw) as fault:
        return jobs.failed(job, fault.code, fault.detail, runtime.now())
    except Exception as fault:  # noqa: BLE001  (one job's fault is not another's)
        error("job_failed", fault, tenant=job.tenant, job=job.id)
        if isinstance(fault, Unavailable):
            return jobs.waits(job, fault.code, runtime.now())
        return jobs.tried(job, fault.code if isinstance(fault, WaybillError) else "internal", runtime.now())

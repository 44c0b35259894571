"""Rotate a tenant's master key: a job wraps under the new version what older versions wrap.

The request makes the new version: 1 store the job → 2 store the version, which names the job → 3 write the entry. So a
process that dies leaves either no new version, or one with its job. A job without its version waits for a day, since the
request may be tried again for as long, and then fails.

The job waits until every process encrypts under the new version. Then, a piece at a time: secrets of records → data keys
of people. Each piece reads a page and writes only what an older version wraps, so that a piece that runs twice writes
nothing more. At the end the row of the master key notes that no older version wraps anything that lasts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta

from ...core.errors import Conflict
from ...core.job import OPEN, Job, cursor_of
from ...runtime import Runtime
from ...store.keys import ROTATION, MasterKey
from ..request import Request
from . import requests

KIND = "key_rotation"
PAGE = 500
"""The rows of one piece, of this tenant and of others. Each may need a write, and a piece may last some seconds."""
LOOK_AGAIN = timedelta(minutes=1)
REPEATED = timedelta(hours=25)
"""Longer than an idempotency key lives: after it no further try of a request can store its version."""


def begin(request: Request) -> MasterKey:
    """Make another version of the tenant's master key and start its job, or find the version that is not active yet.

    Raises:
        NotFound: the tenant is closed, and its key deleted.
        Conflict: another process rotates it, it has too many versions, or the job of this request has ended.
    """
    runtime, tenant = request.runtime, request.tenant.id
    made = runtime.keys.newest(tenant)
    waits = made.active_at is not None and made.active_at > runtime.now()
    if not waits and made.job != request.new_id("job"):  # this request's own, if an earlier try has died
        asked = {"version": made.version + 1}
        job = requests.begin(request, KIND, asked, {**asked, "secrets": 0, "data_keys": 0})  # 1
        if job.state not in OPEN or job.asked != asked:
            raise Conflict("an earlier try of this request was overtaken; use another idempotency key")
        made = runtime.keys.rotate(tenant, runtime.random, job.id)  # 2
    request.note("config_changed", object=("tenant", tenant), reason="rotated")  # 3
    return made


@dataclass(frozen=True)
class RotationCursor:
    """How far a rotation is.

    Args:
        secrets: whether the secrets of records are done, and people have their turn.
        after: the end of the page before; empty before the first.
    """

    secrets: bool = False
    after: str = ""


def step(runtime: Runtime, job: Job) -> Job:
    """Wrap one page again.

    Raises:
        Conflict: another rotation has taken its place, or its request stored no version.
        NotFound: the tenant was closed.
        Unavailable: a store did not answer; the page can be done again.
    """
    now, newest = runtime.now(), runtime.keys.newest(job.tenant)
    if newest.version < job.asked["version"] and now < job.created_at + REPEATED:
        return replace(job, due_at=now + LOOK_AGAIN)
    if newest.job != job.id or newest.active_at is None:
        raise Conflict("another rotation has taken the place of this one, or its request was not completed")
    ready, keys = newest.active_at + ROTATION, runtime.keys.of(job.tenant)
    if now < ready or keys.current < newest.version:  # some processes may still wrap under the version before
        return replace(job, due_at=max(ready, now + LOOK_AGAIN))
    cursor = cursor_of(RotationCursor, job.cursor) if job.cursor else RotationCursor()
    name, wrap = ("data_keys", runtime.wraps.data_keys) if cursor.secrets else ("secrets", runtime.wraps.secrets)
    wrapped, last = wrap(job.tenant, keys, cursor.after, PAGE)
    after = RotationCursor(cursor.secrets, last) if last is not None else RotationCursor(secrets=True)
    ended = cursor.secrets and last is None
    if ended and not runtime.keys.wraps_from(job.tenant, job.id, newest.version):
        raise Conflict("another rotation has taken the place of this one")
    return replace(
        job,
        state="done" if ended else "running",
        cursor=json.dumps(vars(after)),
        done=job.done + wrapped,
        summary={**job.summary, name: job.summary[name] + wrapped},
        due_at=now,
    )

"""Replays of a world's transfers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chalicelib.core import job as job_form
from chalicelib.core.job import Job
from chalicelib.core.log.transfers import Transfer
from chalicelib.flow.ask import read
from chalicelib.flow.jobs import replay, worker
from chalicelib.flow.pagination import Filter
from chalicelib.flow.request import Request
from tests.support.counted import Crash
from tests.support.world import START, World

KEY = ("key", "key_" + "0" * 26)


def request(w: World, seed: str = "request", at: datetime | None = None) -> Request:
    """Ask as a key of the tenant; with one seed it is one request, tried again."""
    at = at or w.asked_at  # type: ignore[attr-defined]
    row = w.runtime.config.tenant(w.tenant)
    keys = w.runtime.config.keys_of(w.tenant)
    return Request(w.runtime, row.record, row.version, keys, KEY, None, at, "req_" + "0" * 26, seed.encode())


def begin(w: World, outcome: str = "any", seed: str = "request") -> Job:
    """Start to replay the destination; try again when the process dies."""
    w.asked_at = w.clock  # type: ignore[attr-defined]
    while True:
        try:
            return replay.begin(request(w, seed), w.destination, None, None, outcome)
        except Crash:
            w.crashes += 1
            w.restart()


def work(w: World) -> None:
    """One run of the jobs function; while it rests, time passes."""

    def rest(seconds: float) -> None:
        w.clock += timedelta(seconds=max(seconds, 0.001))

    w.runtime.sleep = rest
    try:
        worker.handle(w.runtime)
    except Crash:
        w.crashes += 1
        w.restart()


def finish(w: World, job: Job) -> Job:
    """Advance minutes until a job has ended."""
    for _ in range(60):
        work(w)
        w.run(timedelta(minutes=1))
        found = w.runtime.jobs.get(w.tenant, job.id, w.clock)
        assert found is not None
        if found.state not in job_form.OPEN:
            return found
    raise AssertionError("the job never ends")


def transfers(w: World) -> list[Transfer]:
    w.asked_at = w.clock  # type: ignore[attr-defined]
    return [f.item for f in read.transfers(request(w), Filter(), "") if f.item is not None]


def rejected(w: World, number: int, chats: int = 1, **changes: Any) -> None:
    """Make a destination reject so many messages, then accept the next ones."""
    w.connect(**changes)
    w.receiver.answer = lambda _: (400, {})
    for n in range(1, number + 1):
        w.post(n, chat=100 + n % chats, at=START)
        w.clock += timedelta(milliseconds=10)
        if n % 100 == 0:
            w.settle()
    w.run(timedelta(minutes=1))
    w.receiver.answer = lambda _: (204, {})
    w.receiver.requests.clear()

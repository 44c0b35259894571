"""Jobs of any kind: turns of tenants, failures, outages, results, and the end of a job's tenant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import job as job_form
from chalicelib.core.errors import Misconfigured, Unavailable
from chalicelib.core.job import Job
from chalicelib.flow.jobs import worker
from chalicelib.runtime import Runtime
from tests.support.counted import Crash
from tests.support.replays import begin, finish, rejected, transfers, work
from tests.support.world import START, World, world


def counting(limit: int, seen: list[str]) -> Any:
    """A kind that counts to a limit, one a piece."""

    def step(runtime: Runtime, job: Job) -> Job:
        seen.append(job.tenant)
        done = job.done + 1
        return replace(job, done=done, state="done" if done == limit else "running", due_at=runtime.now())

    return worker.JobKind(step=lambda: step, scope="read")


def given(w: World, kind: str, name: str = "0") -> Job:
    job = job_form.new("job_" + name * 26, w.tenant, kind, w.clock, {}, {})
    w.runtime.jobs.insert(job)
    return job


def test_tenants_take_turns_however_many_jobs_one_has(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setitem(worker.KINDS, "counting", counting(3, seen))
    with world() as w:
        w.connect()
        for name in "0123456":
            given(w, "counting", name)
        many = w.tenant
        w.clock += timedelta(seconds=1)
        w.connect()
        given(w, "counting")

        w.clock += timedelta(seconds=1)
        work(w)

        assert seen[:6] == [many, w.tenant] * 3
        assert len(seen) == 8 * 3


def test_job_fails_with_its_code_when_a_piece_fails_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def step(runtime: Runtime, job: Job) -> Job:
        tries.append((runtime.now() - START).total_seconds())
        if job.done == 0 and len(tries) == 3:
            return replace(job, done=1)
        raise Misconfigured("a row is not one of ours")

    monkeypatch.setitem(worker.KINDS, "failing", worker.JobKind(step=lambda: step, scope="read"))
    with world() as w:
        w.connect()
        job = given(w, "failing")

        ended = finish(w, job)

        assert ended.error is not None
        assert (ended.state, ended.error["code"], ended.done) == ("failed", "misconfigured", 1)
        assert len(tries) == 3 + job_form.TRIES_MAX  # the count of tries starts again after progress
        assert tries[1] - tries[0] >= job_form.WAITS_S[0]


def test_job_waits_for_what_does_not_answer_for_as_long_as_an_outage_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    until = START + timedelta(minutes=50)

    def step(runtime: Runtime, job: Job) -> Job:
        if runtime.now() < until:
            raise Unavailable("down")
        return replace(job, done=1, state="done")

    monkeypatch.setitem(worker.KINDS, "waiting", worker.JobKind(step=lambda: step, scope="read"))
    with world() as w:
        w.connect()
        first = given(w, "waiting")

        assert finish(w, first).state == "done"
        until = w.clock + 2 * job_form.OUTAGE
        lasting = given(w, "waiting", "1")
        for _ in range(5):
            w.clock += job_form.OUTAGE / 4
            work(w)
        ended = w.runtime.jobs.get(w.tenant, lasting.id, w.clock)
        assert ended is not None and ended.error is not None
        assert (ended.state, ended.error["code"]) == ("failed", "unavailable")


@pytest.mark.parametrize("removed", [False, True])
def test_what_a_job_has_decided_ends_when_it_could_not_be_sent_for_long(removed: bool) -> None:
    with world() as w:
        rejected(w, 2)
        job = begin(w)
        w.failing = lambda name: Unavailable("refused") if name == "outbox.send" else None
        for _ in range(12):
            work(w)
            w.clock += timedelta(minutes=1)
        decided = [e["routes"][0]["transfer"] for e in w.of_kind("decided") if e["cause"] == "replayed"]
        assert len(decided) == 2
        if removed:
            w.runtime.config.delete(w.tenant, w.destination)
        w.failing = lambda name: None

        ended = finish(w, job)
        w.run(timedelta(minutes=5))

        assert ended.state == ("failed" if removed else "done")
        outcomes = {t.id: t.outcome for t in transfers(w) if t.id in decided}
        assert outcomes == dict.fromkeys(decided, "rejected" if removed else "delivered")


def test_job_fails_when_its_piece_kills_every_process_that_begins_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(runtime: Runtime, job: Job) -> Job:
        raise Crash

    monkeypatch.setitem(worker.KINDS, "deadly", worker.JobKind(step=lambda: step, scope="read"))
    with world() as w:
        w.connect()
        ended = finish(w, given(w, "deadly"))

        assert w.crashes == job_form.DEATHS_MAX
        assert ended.error is not None
        assert (ended.state, ended.error["code"]) == ("failed", "internal")


def test_link_is_made_only_when_a_job_is_done_and_has_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = replace(counting(2, []), url=lambda: lambda runtime, job: f"https://results.example/{job.id}")
    monkeypatch.setitem(worker.KINDS, "counting", kind)
    with world() as w:
        w.connect()
        job = given(w, "counting")
        before = worker.url_of(w.runtime, job)
        after = worker.url_of(w.runtime, finish(w, job))

        assert (before, after) == (None, f"https://results.example/{job.id}")


def test_job_is_forgotten_when_its_tenant_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setitem(worker.KINDS, "counting", counting(1, seen))
    with world() as w:
        w.connect()
        given(w, "counting")
        w.runtime.keys.delete(w.tenant)

        work(w)

        assert seen == []
        assert [r for r in w.rows("data") if r["pk"]["S"].endswith("#job")] == []


def test_others_go_on_when_a_tenant_is_closed_while_its_piece_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:

        def step(runtime: Runtime, job: Job) -> Job:
            runtime.keys.delete(w.tenant)
            return replace(job, state="done")

        monkeypatch.setitem(worker.KINDS, "closing", worker.JobKind(step=lambda: step, scope="read"))
        w.connect()
        given(w, "closing")

        assert worker.handle(w.runtime) == 1
        assert [r for r in w.rows("data") if r["pk"]["S"].endswith("#job")] == []


def test_run_ends_in_time_when_there_is_always_more_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def step(runtime: Runtime, job: Job) -> Job:
        seen.append(job.id)
        runtime.sleep(4)
        return replace(job, done=job.done + 1, due_at=runtime.now())

    monkeypatch.setitem(worker.KINDS, "endless", worker.JobKind(step=lambda: step, scope="read"))
    with world() as w:
        w.connect()
        job = given(w, "endless")

        work(w)

        assert len(seen) == 12
        assert w.runtime.jobs.get(w.tenant, job.id, w.clock).done == 12  # type: ignore[union-attr]

"""Replays and jobs under faults: each once, in order, after a crash at any point."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import job as job_form
from chalicelib.core.errors import Conflict, Misconfigured, Unavailable
from chalicelib.core.job import Job
from chalicelib.core.log.transfers import Transfer
from chalicelib.core.tenant.records import Contract
from chalicelib.flow.ask import read
from chalicelib.flow.jobs import replay, worker
from chalicelib.flow.pagination import Filter
from chalicelib.flow.routing import route
from chalicelib.runtime import Runtime
from tests.support import deaths
from tests.support.counted import Crash
from tests.support.replays import KEY, begin, finish, request, work
from tests.support.world import START, World, world


def transfers(w: World) -> list[Transfer]:
    w.asked_at = w.clock  # type: ignore[attr-defined]
    return [f.item for f in read.transfers(request(w), Filter(), "") if f.item is not None]


def again(w: World, transfer: str) -> Transfer:
    """Replay one transfer; try again when the process dies."""
    at = w.clock
    while True:
        try:
            return replay.again(w.runtime, w.tenant, transfer, KEY, at, "controller_request")
        except Crash:
            w.crashes += 1
            w.restart()


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


def names(*numbers: int) -> list[str]:
    return [f"m{n}" for n in numbers]


# One transfer


def _effects_of_one() -> int:
    with world() as w:
        rejected(w, 1)
        (old,) = transfers(w)
        w.effects.clear()
        again(w, old.id)
        w.run(timedelta(minutes=1))
        assert w.receiver.texts() == ["m1"]
        return len(w.effects)


@deaths.in_parts
def test_one_replay_is_sent_when_the_process_dies_at_any_effect(part: int) -> None:
    for number in deaths.at(range(1, _effects_of_one() + 1), 5, part):
        with world() as w:
            rejected(w, 1)
            (old,) = transfers(w)
            w.effects.clear()
            w.crash_at = number

            new = again(w, old.id)
            w.run(timedelta(minutes=15))  # what died with a message in hand gets it again

            assert w.crashes == 1
            assert set(w.receiver.texts()) == {"m1"}, f"died at effect {number}"
            assert len({h["webhook-id"] for _, h, _, _ in w.receiver.requests}) == 1
            assert new.replays == old.id
            assert {t.id: t.outcome for t in transfers(w)} == {old.id: "rejected", new.id: "delivered"}
            assert len(w.of_kind("replayed")) == 1
            assert len(w.of_kind("decided")) == 2


def test_two_requests_at_once_end_as_one_transfer() -> None:
    with world() as w:
        rejected(w, 1)
        (old,) = transfers(w)
        second: list[Transfer] = []

        def meanwhile(effect: str) -> None:
            if not second and effect == "before PutItem":  # the first has looked, and is about to write its act
                w.failing = lambda _: None
                other = ("key", "key_" + "1" * 26)
                second.append(replay.again(w.runtime, w.tenant, old.id, other, w.clock, "controller_request"))

        w.failing = meanwhile
        first = replay.again(w.runtime, w.tenant, old.id, KEY, w.clock, "controller_request")
        w.run(timedelta(minutes=1))

        assert [first.id] == [t.id for t in second]
        assert w.receiver.texts() == ["m1"]


def test_replay_comes_last_in_its_lane_when_others_wait() -> None:
    with world() as w:
        rejected(w, 1)
        (old,) = transfers(w)
        w.receiver.answer = lambda _: (503, {})
        w.post(2, at=START)
        w.run(timedelta(minutes=1))
        again(w, old.id)
        w.post(3, at=START)
        w.receiver.answer = lambda _: (204, {})
        w.run(timedelta(hours=2))

        assert w.receiver.texts() == ["m2", "m1", "m3"]


def test_replay_is_held_until_its_basis_comes_when_the_law_asks_for_one_by_now() -> None:
    with world() as w:
        rejected(w, 1)
        w.change(w.recipient, contract=None)
        (old,) = transfers(w)

        new = again(w, old.id)
        w.run(timedelta(hours=1))
        assert (new.outcome, w.receiver.texts()) == ("held", [])
        w.change(w.recipient, contract=Contract(id="d", sha256="00" * 32, valid_from="2026-01-01"))
        w.run(timedelta(hours=2))

        assert w.receiver.texts() == ["m1"]
        assert next(t for t in transfers(w) if t.id == new.id).outcome == "delivered"


def test_next_replay_names_the_one_before_when_a_replay_is_replayed() -> None:
    with world() as w:
        rejected(w, 1)
        (old,) = transfers(w)

        first = again(w, old.id)
        w.run(timedelta(minutes=1))
        second = again(w, first.id)
        w.run(timedelta(minutes=1))
        w.clock += timedelta(minutes=1)
        job = finish(w, begin(w))

        third = next(t for t in transfers(w) if t.replayed_by is None)
        assert (second.replays, third.replays, job.summary["replayed"]) == (first.id, second.id, 1)
        assert w.receiver.texts() == ["m1", "m1", "m1"]
        with pytest.raises(replay.AlreadyReplayed, match=first.id):
            again(w, old.id)


# Many


MANY = 300
"""A dozen pages of a job."""


def test_many_are_replayed_once_each_and_in_order() -> None:
    with world() as w:
        w.connect(recipient={"granted": False})
        for number in range(MANY):
            w.clock += timedelta(milliseconds=10)
            w.post(number, chat=100 + number % 5, at=START)
            if number % 10 == 9:
                w.inbox.run(route.handle)
        received = [e["event"] for e in sorted(w.of_kind("decided"), key=lambda e: e["receipt"]["received_at"])]
        w.change(w.recipient, granted=True)
        w.clock += timedelta(seconds=1)
        job, before = begin(w, "refused"), w.clock

        for _ in range(3):  # a run of 45 s does 2,250 at most
            work(w)
        ended = w.runtime.jobs.get(w.tenant, job.id, w.clock)

        orders = [json.loads(m.body) for m in w.outbox.messages]
        assert [o["event"] for o in orders] == received
        assert len({o["delivery"] for o in orders}) == len({o["event"] for o in orders}) == MANY
        assert len({o["lane"] for o in orders}) == 5
        assert ended is not None
        assert (ended.state, ended.done, ended.total) == ("done", MANY, MANY)
        assert ended.summary["replayed"] == MANY
        assert w.clock - before >= timedelta(seconds=(MANY - replay.PAGE) / replay.RATE_PER_S)
        assert len(w.of_kind("replayed")) == 1


def _effects() -> int:
    with world() as w:
        rejected(w, 4, chats=2)
        w.effects.clear()
        finish(w, begin(w))
        assert len(w.receiver.texts()) == 4
        return len(w.effects)


@deaths.in_parts
def test_each_is_replayed_once_when_the_process_dies_at_any_effect(part: int) -> None:
    for number in deaths.at(range(1, _effects() + 1), 6, part):
        with world() as w:
            rejected(w, 4, chats=2)
            w.effects.clear()
            w.crash_at = number

            job = finish(w, begin(w))
            w.run(timedelta(minutes=15))  # what died with a message in hand gets it again

            texts = w.receiver.texts()
            assert w.crashes == 1
            assert sorted(set(texts)) == names(1, 2, 3, 4), f"died at effect {number}"
            ids = {h["webhook-id"] for _, h, _, _ in w.receiver.requests}
            assert len(ids) == 4  # a request that was sent but not yet written is sent again under its id
            assert job.state == "done"
            assert (job.done, job.summary["replayed"]) == (4, 4)
            assert len(w.of_kind("replayed")) == 1
            made = [t for t in transfers(w) if t.replays]
            assert [t.outcome for t in made] == ["delivered"] * 4


def test_each_is_replayed_once_when_everything_comes_twice() -> None:
    with world(doubles=True) as w:
        rejected(w, 3)

        first = begin(w)
        second = begin(w)
        job = finish(w, first)
        w.runtime.jobs.save(replace(job, state="running", due_at=w.clock, lease=""))
        work(w)

        assert first.id == second.id
        assert w.receiver.texts() == names(1, 2, 3)
        assert job.summary["replayed"] == 3


def test_what_is_gone_and_what_has_no_way_are_counted() -> None:
    with world() as w:
        rejected(w, 3)
        three, two, one = transfers(w)
        row = w.runtime.data.event(w.tenant, two.event, w.clock)
        assert row is not None
        w.runtime.data.erase_content(row.key)

        job = finish(w, begin(w, "rejected"))
        w.change(w.route, enabled=False)
        w.clock += timedelta(minutes=1)
        other = finish(w, begin(w, "any", seed="second"))

        assert (job.summary["replayed"], job.summary["skipped"]) == (2, {"gone": 1, "no_route": 0})
        assert (other.summary["replayed"], other.summary["skipped"]) == (0, {"gone": 1, "no_route": 2})
        assert len(w.receiver.texts()) == 2
        assert {one.id, three.id} == {t.replays for t in transfers(w) if t.replays}


def test_gone_is_counted_when_a_life_is_over_and_the_table_has_not_noticed() -> None:
    with world() as w:
        rejected(w, 2, days=1)
        job = begin(w, "rejected")
        w.clock += timedelta(days=1)

        ended = finish(w, job)

        assert (ended.state, ended.summary["replayed"], ended.summary["skipped"]["gone"]) == ("done", 0, 2)
        assert w.receiver.requests == []


def test_only_what_came_to_the_outcome_is_replayed_by_its_last_replay() -> None:
    with world() as w:
        rejected(w, 2)
        w.post(3, at=START)
        w.run(timedelta(minutes=1))
        again(w, transfers(w)[-1].id)  # of the first that came in
        w.run(timedelta(minutes=1))
        w.receiver.requests.clear()

        job = finish(w, begin(w, "rejected"))

        assert (w.receiver.texts(), job.done, job.summary["replayed"]) == (["m2"], 3, 1)


def test_replays_wait_when_the_destination_is_disabled_and_go_when_it_is_enabled() -> None:
    with world() as w:
        rejected(w, 2)
        w.change(w.destination, enabled=False)

        job = finish(w, begin(w))
        assert (job.summary["replayed"], w.receiver.texts()) == (2, [])
        w.change(w.destination, enabled=True)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(timedelta(minutes=5))

        assert w.receiver.texts() == names(1, 2)


def test_job_fails_and_says_why_when_its_destination_is_removed() -> None:
    with world() as w:
        rejected(w, 1)
        job = begin(w)
        w.runtime.config.delete(w.tenant, w.destination)

        ended = finish(w, job)

        assert (ended.state, ended.error) == (
            "failed",
            {"code": "conflict", "detail": "the destination was removed"},
        )


def test_one_replay_of_a_destination_runs_at_a_time() -> None:
    with world() as w:
        rejected(w, 1)
        first = begin(w)

        with pytest.raises(Conflict, match=first.id):
            begin(w, seed="second")


# Jobs of any kind


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

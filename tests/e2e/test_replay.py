"""Replays and jobs under faults: each once, in order, after a crash at any point."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.core.errors import Conflict
from chalicelib.core.log.transfers import Transfer
from chalicelib.core.tenant.records import Contract
from chalicelib.flow.jobs import replay
from chalicelib.flow.routing import route
from tests.support import deaths
from tests.support.counted import Crash
from tests.support.replays import KEY, begin, finish, rejected, transfers, work
from tests.support.world import START, World, world


def again(w: World, transfer: str) -> Transfer:
    """Replay one transfer; try again when the process dies."""
    at = w.clock
    while True:
        try:
            return replay.again(w.runtime, w.tenant, transfer, KEY, at, "controller_request")
        except Crash:
            w.crashes += 1
            w.restart()


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
        w.inbox.run(route.handle)  # the cell's own event, that the flow has stopped, took a place
        posted = [e for e in w.of_kind("decided") if e["receipt"]["channel"] != "waybill"]
        received = [e["event"] for e in sorted(posted, key=lambda e: e["receipt"]["received_at"])]
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
        events = MANY + 1  # the cell's own among them
        assert (ended.state, ended.done, ended.total) == ("done", events, events)
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

"""Sealing over a cell whose process may die, double and be overtaken at any step: one log, whole, signed once a size."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.channels.base import Inbound
from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import audit
from chalicelib.flow.sealing import seal
from chalicelib.flow.sealing.publish import sealed_log
from chalicelib.store.seal_requests import SealTask
from tests.support.logs import (
    BUCKET,
    act,
    append,
    assert_whole,
    everything,
    faults,
    leaves,
    let_seal,
    objects,
    of_log,
    sizes,
    stored,
)  # fmt: skip
from tests.support.world import START, world

# Which entries are sealed, and when


def test_a_journey_is_one_whole_log_when_it_is_sealed() -> None:
    with world() as w:
        w.connect()
        for number in range(3):
            w.post(number)
            w.run(timedelta(minutes=3))
            w.seal()

        everything(w)

        kinds = [json.loads(leaf)["kind"] for leaf in leaves(w)]
        assert sorted(kinds) == ["attempted"] * 3 + ["decided"] * 3
        assert len(sizes(of_log(w))) > 1


@pytest.mark.parametrize(("waits_s", "sealed"), [(299, False), (300, True)])
def test_few_entries_are_sealed_when_the_oldest_has_waited_long_enough(waits_s: int, sealed: bool) -> None:
    with world() as w:
        w.connect()
        append(w, act(w, 1))

        w.clock += timedelta(seconds=waits_s)
        w.seal()

        assert bool(of_log(w)) is sealed
        assert bool(w.seal_requests.messages) is not sealed


def test_a_tenants_own_interval_counts_when_it_has_one() -> None:
    with world() as w:
        w.connect()
        row = w.runtime.config.tenant(w.tenant)
        w.runtime.config.replace_tenant(row.record.model_copy(update={"seal_minutes": 60}), row.version)
        append(w, act(w, 1))

        let_seal(w, 59)
        before = of_log(w)
        let_seal(w, 1)

        assert (before, sizes(of_log(w))) == ({}, [1])


@pytest.mark.parametrize(("number", "sealed"), [(255, 0), (256, 256), (1000, 1000)])
def test_many_entries_are_sealed_at_once_when_they_were_written_in_one_millisecond(number: int, sealed: int) -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(number)))

        let_seal(w, 1.1)

        assert sum(1 for name in of_log(w) if name.startswith("checkpoints/")) == (sealed > 0)
        everything(w)
        order = [(e["at"], e["id"]) for e in map(json.loads, leaves(w))]
        assert order == sorted(order) and len(order) == number


def test_what_is_younger_than_five_seconds_is_left_when_the_rest_is_sealed() -> None:
    with world() as w:
        w.connect()
        old = act(w, 1)
        append(w, old)
        w.clock += timedelta(minutes=5)
        others = (act(w, n, at=w.clock, minute=START) for n in range(2, 99))
        append(w, next(e for e in others if audit.partition_name(e["id"]) == audit.partition_name(old["id"])))

        w.seal()
        first = len(leaves(w))
        left = len(w.seal_requests.messages)
        w.clock += timedelta(seconds=5)
        w.seal()

        assert (first, left, len(leaves(w))) == (1, 2, 2)
        assert_whole(w)


def test_an_entry_gets_a_higher_index_when_it_comes_into_a_sealed_minute() -> None:
    with world() as w:
        w.connect()
        append(w, act(w, 1), act(w, 2))
        let_seal(w)
        late = act(w, 3, at=START, minute=START)
        append(w, late)

        let_seal(w)

        assert assert_whole(w)[2]["id"] == late["id"]


def test_seals_split_when_more_waits_than_one_may_hold() -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(530)), tell_too=False)
        w.clock += timedelta(minutes=1)
        buckets = [b for found in w.runtime.audit.take_touched().values() for b in found]

        left = seal.seal_log(w.runtime, w.tenant, "2026", buckets, batch_entries=100)

        assert left == []
        assert [s.count for s in w.runtime.seals.after(w.tenant, "2026", 0)] == [100] * 5 + [30]
        assert_whole(w)


def test_reads_are_not_doubled_when_everything_is_sealed_at_the_first_try() -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(20)))
        read: list[str] = []
        page = w.runtime.audit.partition_page

        def counted(tenant: str, year: str, partition: str, after: str, limit: int) -> Any:
            read.append(partition)
            return page(tenant, year, partition, after, limit)

        w.runtime.audit.partition_page = counted  # type: ignore[method-assign,assignment]

        let_seal(w)

        assert len(read) == len(set(read)) > 0


# Clocks


@pytest.mark.parametrize(
    "jumps",
    [
        [timedelta(minutes=m) for m in (10, -10, 10)],
        [timedelta(minutes=m) for m in (-10, 10, -10)],
        [timedelta(days=1), timedelta(days=-1)],
        [timedelta(days=-1), timedelta(days=1), timedelta(days=-1)],
    ],
)
def test_the_log_is_whole_when_the_clock_jumps(jumps: list[timedelta]) -> None:
    with world() as w:
        w.connect()
        for step, jump in enumerate(jumps):
            append(w, *(act(w, step * 100 + n) for n in range(3)))
            let_seal(w, 6)
            w.clock += jump
            append(w, *(act(w, step * 100 + 50 + n) for n in range(3)))
            w.seal_requests.again()
            let_seal(w, 6)
        w.clock = START + timedelta(days=3)

        everything(w)

        horizons = [s.horizon for s in w.runtime.seals.after(w.tenant, "2026", 0)]
        assert horizons == sorted(horizons)


# The year's turn

EVE = datetime(2026, 12, 31, 23, 58, tzinfo=UTC)


def test_a_year_has_two_whole_logs_when_a_transfer_goes_across_its_turn() -> None:
    with world(clock=EVE) as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.run(timedelta(minutes=10))
        w.receiver.answer = lambda _: (204, {})
        w.post(2)
        w.run(timedelta(hours=3))
        w.seal_requests.again()

        for _ in range(3):
            let_seal(w)

        old, new = assert_whole(w, "2026"), assert_whole(w, "2027")
        attempts = [e["outcome"] for e in old if e["kind"] == "attempted"]
        assert attempts[-1] == "delivered"  # an attempt is in its decision's log
        assert {e["kind"] for e in new} == {"decided", "attempted"}


def test_an_event_is_in_one_log_when_it_is_redelivered_after_the_turn() -> None:
    with world(clock=EVE, doubles=True) as w:
        w.connect()
        w.post(1)
        w.run(timedelta(minutes=1))
        w.clock = EVE + timedelta(minutes=30)
        w.post(1, at=EVE)
        w.run(timedelta(minutes=10))
        w.post(2, at=EVE)  # comes late: its minute was last year's, whose log is still open
        w.run(timedelta(minutes=10))
        w.seal_requests.again()
        for _ in range(3):
            let_seal(w)

        events = [e["event"] for e in assert_whole(w, "2026") if e["kind"] == "decided"]
        assert len(events) == len(set(events)) == 2
        assert stored(w, "2027") == []


def test_a_late_event_is_in_the_new_log_when_the_old_one_is_closed() -> None:
    with world(clock=datetime(2027, 1, 9, tzinfo=UTC)) as w:
        w.connect()
        w.post(1, at=EVE)
        w.run(timedelta(minutes=10))
        w.post(1, at=EVE)
        w.run(timedelta(minutes=10))

        everything(w, "2027")

        assert stored(w, "2026") == []


def test_one_entry_is_sealed_when_a_platform_without_times_posts_again_an_hour_later() -> None:
    with world() as w:
        w.connect()
        pressed = {
            "id": "77", "from": {"id": 100, "is_bot": False, "first_name": "Canary Person"}, "data": "yes",
            "inline_message_id": "a", "chat_instance": "1",
        }  # fmt: skip
        body = json.dumps({"update_id": 9, "callback_query": pressed}).encode()
        headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}
        for _ in range(2):
            w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock))
            w.run(timedelta(hours=1))

        everything(w)

        assert [json.loads(leaf)["kind"] for leaf in leaves(w)] == ["decided"]


def test_what_a_world_plants_is_found_when_an_entry_holds_it() -> None:
    with pytest.raises(AssertionError, match="audit-2026"), world() as w:
        w.connect()
        append(w, audit.act("viewed", tenant=w.tenant, minute=1, at=w.clock, actor=("user", "Canary"), request="r"))


# Compact evidence


def test_each_entry_is_stored_once_and_compressed_when_evidence_is_compact() -> None:
    with world(compact=True) as w:
        w.connect()
        append(w, *(act(w, n) for n in range(600)))

        everything(w)

        stored_bytes = sum(
            found["Size"]
            for found in w.engine.make_client("s3", "eu-central-1").list_objects_v2(Bucket=BUCKET)["Contents"]
            if "/batches/" in found["Key"] or "/entries/" in found["Key"]
        )
        assert stored_bytes < sum(map(len, leaves(w))) / 4


@pytest.mark.parametrize("compact", [True, False])
def test_a_log_is_whole_when_its_evidence_is_of_both_forms(compact: bool) -> None:
    with world(compact=not compact) as w:
        w.connect()
        append(w, *(act(w, n) for n in range(300)))
        let_seal(w)
        w.compact = compact
        w.restart()
        append(w, *(act(w, n) for n in range(300, 530)))
        let_seal(w)

        one = sealed_log(w.runtime, w.tenant, "2026")
        assert list(one.leaves(0, 530)) == leaves(w)
        assert faults(w) == (0, set())


def test_an_object_that_is_no_gzip_is_refused_when_its_encoding_says_so() -> None:
    with world(compact=True) as w:
        w.connect()
        append(w, act(w, 1))
        let_seal(w)
        name = next(key for key in objects(w) if "/batches/" in key)
        s3 = w.engine.make_client("s3", "eu-central-1")
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"rubbish", ContentEncoding="gzip")

        with pytest.raises(AuditBroken):
            w.runtime.evidence.get(name)


# Pieces


def test_all_of_a_partition_is_sealed_when_it_holds_more_than_a_piece() -> None:
    with world() as w:
        w.connect()
        owner = act(w, 1)
        entries = [act(w, n) for n in range(4000)]
        here = [e for e in entries if audit.partition_name(e["id"]) == audit.partition_name(owner["id"])]
        append(w, *here, tell_too=False)
        w.clock += timedelta(minutes=1)
        most: list[int] = []
        read = seal._PartitionReader.read

        def counted(self: Any) -> Any:
            found = read(self)
            most.append(len(found))
            return found

        seal._PartitionReader.read = counted  # type: ignore[method-assign]
        try:
            left = seal.seal_log(w.runtime, w.tenant, "2026", [audit.partition_name(owner["id"])], batch_entries=64)
        finally:
            seal._PartitionReader.read = read  # type: ignore[method-assign]

        assert left == []
        assert len(here) > 400 and max(most) < 2 * 64
        assert_whole(w)


def test_partitions_are_left_when_the_time_is_over() -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(300)), tell_too=False)
        w.clock += timedelta(minutes=1)
        names = sorted({b for found in w.runtime.audit.take_touched().values() for b in found})
        task = SealTask(w.tenant, "2026", tuple(names))

        seal.work(w.runtime, task, until=w.runtime.monotonic() - 1)

        assert of_log(w) == {}
        everything(w)

"""Two processes at once make one probe, keep both outcomes of an attempt, and send nothing twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chalicelib.core.delivery.task import DeliveryTask
from chalicelib.core.log import audit
from chalicelib.flow.delivery import admission
from chalicelib.flow.state import Batch
from tests.support.breaker import failed
from tests.support.tasks import task_body
from tests.support.world import START, world

MINUTE = timedelta(minutes=1)


def test_one_of_two_makes_the_probe_when_both_have_seen_that_it_is_time() -> None:
    with world() as w:
        w.connect()
        failed(w, 10)
        w.clock = START + 2 * MINUTE
        destination = w.runtime.config.get(w.tenant, w.destination).record
        task = DeliveryTask.from_body(task_body(tenant=w.tenant, destination=w.destination, source=w.source))
        told, *both = [Batch(w.runtime) for _ in range(3)]
        for batch in (told, *both):
            batch.healths[w.tenant, w.destination] = w.runtime.destination_state.get(w.tenant, w.destination)
            admission.publish_health_events(told, task)  # pending notices would make both read the state again

        leave = [admission.admit(batch, task, destination, woken=True) for batch in both]

        assert leave[0] is True
        assert isinstance(leave[1], datetime)


def test_nothing_is_sent_again_when_another_process_delivered_what_this_one_saw_fail() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.settle()
        (seen,) = w.of_kind("attempted")
        told: dict[str, Any] = {
            k: seen[k] for k in ("tenant", "decided", "log", "event", "transfer", "destination", "attempt", "took_ms")
        }
        came: dict[str, Any] = {
            "take": 1,
            "outcome": "delivered",
            "code": "http_204",
            "classes": ("technical",),
            "size_bytes": 9,
        }
        w.runtime.audit.append(audit.attempted(at=w.clock, **told, **came))
        w.receiver.answer = lambda _: (204, {})

        w.run(timedelta(hours=1))

        assert len(w.receiver.requests) == 1
        assert [row for row in w.rows("data") if row["pk"]["S"].startswith("lane#")] == []


def test_both_outcomes_are_in_the_log_when_two_processes_made_the_same_attempt() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.settle()
        (first,) = w.of_kind("attempted")
        names = ("tenant", "decided", "log", "event", "transfer", "destination", "took_ms", "outcome", "code")
        other: dict[str, Any] = {name: first[name] for name in names}

        def answer(_: object) -> tuple[int, dict[str, str]]:
            w.runtime.audit.append(audit.attempted(at=w.clock, **other, attempt=2, take=0, classes=(), size_bytes=None))
            return 204, {}

        w.receiver.answer = answer
        w.run(timedelta(hours=1))

        outcomes = [(e["attempt"], e["take"], e["outcome"]) for e in w.of_kind("attempted")]
        assert sorted(outcomes) == [(1, 0, "failed"), (2, 0, "failed"), (2, 1, "delivered")]
        assert len(w.receiver.requests) == 2

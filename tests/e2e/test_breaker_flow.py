"""A destination that fails, asks for time, has a limit or is disabled: nothing lost, nothing reordered, nothing done in vain."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.core import ids
from chalicelib.core.delivery import breaker
from chalicelib.core.tenant.records import Destination, Route
from chalicelib.flow.delivery import deliver
from chalicelib.flow.delivery.deliver import SHORT_WAITS
from chalicelib.flow.routing import route
from tests.support.breaker import HOUR, LONG, MINUTE, all_ended_once_in_order, ends, failed, state_of
from tests.support.counted import Receiver
from tests.support.world import SECRET, START, World, world


def told(receiver: Receiver) -> list[tuple[str, dict[str, Any]]]:
    """The operational events that arrived, in order."""
    return [(b["data"]["native_kind"], b["data"]["raw"]) for _, _, b, status in receiver.requests if status == 204]


def tell_to(w: World, receiver: Receiver | None = None) -> str:
    """Route the cell's own events to a receiver, or to the world's own destination."""
    at, destination = w.clock, w.destination
    config = w.runtime.config
    if receiver is not None:
        destination = ids.sortable("dst", at, w.randomness.randbytes(11))
        config.insert(
            w.tenant,
            Destination(id=destination, name="desk", kind="http", recipient=w.recipient, created_at=at),
            {"config": {"url": receiver.url}, "signing": [{"secret": SECRET, "until": None}]},
        )
    declared = {
        "name": "told",
        "pattern": {"channel": ["waybill"]},
        "destination": destination,
        "purpose": "operations",
    }
    config.insert(w.tenant, Route(id=ids.sortable("rte", at, w.randomness.randbytes(11)), created_at=at, **declared))
    return destination


def _backed_off(state: breaker.BreakerState, until: datetime, now: datetime) -> breaker.BreakerState:
    return breaker.backed_off(state, until, now)


def test_only_probes_are_sent_and_no_attempt_is_used_up_when_a_destination_is_down() -> None:
    with world() as w:
        w.connect()
        back = START + 3 * HOUR
        w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})
        for number in range(12):
            w.post(number, chat=100 + number)
        w.run(MINUTE)
        assert state_of(w).opened_at is not None
        before = len(w.receiver.requests)

        for number in range(12, 52):
            w.post(number, chat=100 + number)
        w.run(2 * HOUR)

        probes = len(w.receiver.requests) - before
        assert 1 <= probes <= 8  # after 1, 2, 4, 8, 16 and 30 minutes
        w.run(3 * HOUR)
        all_ended_once_in_order(w, [[f"m{n}"] for n in range(52)])
        # Which message is the probe depends on when each is due, and that on its random id.
        failed_attempts = [e for e in w.of_kind("attempted") if e["outcome"] == "failed"]
        assert len(failed_attempts) == sum(status == 503 for *_, status in w.receiver.requests)
        assert len(failed_attempts) <= before + 11


def test_parked_lanes_are_left_alone_when_the_breaker_is_open() -> None:
    with world() as w:
        w.connect()
        failed(w, 10)
        w.receiver.answer = lambda _: (503, {})
        for number in range(30):
            w.post(number, chat=100 + number)
        w.run(timedelta(seconds=50))
        before, effects = w.outbox.sent, len(w.effects)

        w.run(HOUR)

        assert w.receiver.requests
        assert w.outbox.sent - before <= 12  # a probe now and then, its own retries; not thirty lanes a minute
        assert len(w.effects) - effects < 200
        assert sum(1 for _ in w.runtime.data.listed(w.tenant, w.destination)) > 20


def test_backlog_drains_at_a_bounded_rate_in_the_order_of_each_lane_when_a_destination_is_back() -> None:
    with world() as w:
        w.connect()
        failed(w, 10)
        for number in range(60):
            w.post(number, chat=100 + number % 30)
        w.settle()
        assert w.receiver.requests == []
        slept: list[float] = []
        w.runtime.sleep = slept.append

        w.run(timedelta(minutes=10))

        all_ended_once_in_order(w, [[f"m{n}", f"m{n + 30}"] for n in range(30)])
        assert slept == [1.0]  # 25 lanes in the first second, the others in the next
        assert state_of(w).failures == 0


def test_nothing_is_written_when_a_healthy_destination_takes_what_it_is_sent() -> None:
    with world() as w:
        w.connect()

        w.post(1)
        w.run(MINUTE)

        assert w.receiver.texts() == ["m1"]
        assert [r for r in w.rows("data") if r["pk"]["S"].startswith(("health#", "turns#"))] == []


def test_all_lanes_wait_when_one_is_answered_with_retry_after() -> None:
    with world() as w:
        w.connect()
        answers = iter([(429, {"Retry-After": "600"})])
        w.receiver.answer = lambda _: next(answers, (204, {}))
        w.post(1, chat=100)
        w.run(timedelta(seconds=1))

        w.post(2, chat=200)
        w.run(timedelta(minutes=9))
        assert w.receiver.texts() == []
        w.run(timedelta(minutes=3))

        all_ended_once_in_order(w, [["m1"], ["m2"]])
        assert sorted(e["attempt"] for e in w.of_kind("attempted")) == [1, 1, 1]  # a throttle uses up none


def test_given_back_and_not_parked_when_a_destination_asks_for_seconds() -> None:
    with world() as w:
        w.connect()
        answers = iter([(503, {"Retry-After": "4"})])
        w.receiver.answer = lambda _: next(answers, (204, {}))
        w.post(1, chat=100)
        w.settle()

        w.post(2, chat=200)
        w.run(timedelta(seconds=20))

        all_ended_once_in_order(w, [["m1"], ["m2"]])
        assert not [e for e in w.effects if e == "before DeleteItem"]  # no row was ever parked


def test_parked_after_three_returns_when_a_destination_asks_for_seconds_again_and_again() -> None:
    with world() as w:
        w.connect()
        health = w.runtime.destination_state
        w.post(1)
        w.inbox.run(route.handle)

        for _ in range(SHORT_WAITS + 1):
            until = w.clock + timedelta(seconds=4)
            seen = health.get(w.tenant, w.destination)
            health.change(w.tenant, w.destination, seen, w.clock, partial(_backed_off, until=until, now=w.clock))
            (message,) = w.outbox.messages
            w.outbox.run(deliver.handle)
            w.clock += timedelta(seconds=4)

        assert message.receives == SHORT_WAITS + 1
        assert w.outbox.messages == []
        assert w.receiver.requests == []
        w.run(3 * MINUTE)
        assert w.receiver.texts() == ["m1"]


def test_disabled_after_five_days_of_failure_and_nothing_is_lost_when_it_is_enabled_again() -> None:
    with world() as w:
        w.connect(destination={"retry": LONG})
        desk = Receiver()
        tell_to(w, desk)
        w.receiver.answer = lambda _: (503, {})
        for number in range(1, 5):
            w.post(number, chat=100 + number % 2)
            w.run(timedelta(hours=33), every=HOUR)

        row = w.runtime.config.get(w.tenant, w.destination).record
        assert (row.enabled, row.disabled_because) == (False, "failing")
        percents = [
            data["percent"] for kind, data in told(desk) if kind in ("destination.failing", "destination.disabled")
        ]
        assert percents == [50, 70, 90, 100]
        tried, woken = len(w.receiver.requests), w.outbox.sent
        w.post(5, chat=101)
        w.post(6, chat=101)
        w.run(timedelta(hours=12), every=HOUR)
        assert len(w.receiver.requests) == tried
        assert w.outbox.sent - woken <= 8  # two deliveries, and two lanes that pump wakes about every six hours

        w.receiver.answer = lambda _: (204, {})
        w.change(w.destination, enabled=True, disabled_because=None)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(timedelta(hours=3))

        own = {
            r["transfer"]: e["event"]
            for e in w.of_kind("decided")
            for r in e["routes"]
            if r["destination"] == w.destination
        }
        ended = ends(w)
        assert [ended[transfer] for transfer in own] == [1] * 6
        given_up = {e["transfer"] for e in w.of_kind("attempted") if e["outcome"] == "gave_up"}
        arrived = w.receiver.texts()
        assert len(arrived) == 6 - len(given_up) >= 3
        assert [t for t in arrived if t in ("m5", "m6")] == ["m5", "m6"]
        desk.close()


def test_expired_with_an_entry_when_a_destination_stays_disabled() -> None:
    with world() as w:
        w.connect(days=1, destination={"enabled": False})

        w.post(1)
        w.post(2)
        w.run(timedelta(hours=25), every=timedelta(minutes=10))

        assert [e["reason"] for e in w.of_kind("expired")] == ["retention", "retention"]
        assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def test_the_tenant_is_told_of_nothing_but_technical_data_when_the_breaker_opens_and_closes() -> None:
    with world() as w:
        w.connect()
        desk = Receiver()
        tell_to(w, desk)
        back = START + timedelta(minutes=10)
        w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})
        for number in range(12):
            w.post(number, chat=100 + number)

        w.run(HOUR)

        since = told(desk)[0][1]["failing_since"]
        data = {"destination": w.destination, "failing_since": since}
        assert told(desk) == [("destination.opened", data), ("destination.closed", data)]
        receipts = [e["receipt"] for e in w.of_kind("decided") if e["receipt"]["channel"] == "waybill"]
        assert [(r["kind"], r["classes"], r["subjects"]) for r in receipts] == [("system", ["technical"], [])] * 2
        assert {r["source"] for r in receipts} <= set(w.runtime.config.snapshot(w.tenant).configuration.sources)
        desk.close()


def test_the_tenant_is_told_once_when_a_destination_is_gone() -> None:
    with world(doubles=True) as w:
        w.connect()
        desk = Receiver()
        tell_to(w, desk)
        w.receiver.answer = lambda _: (410, {})

        w.post(1)
        w.run(MINUTE)
        w.post(2)
        w.run(HOUR)

        ((kind, data),) = told(desk)
        assert (kind, data["because"], data["destination"]) == ("destination.disabled", "gone", w.destination)
        assert [e["reason"] for e in w.of_kind("config_changed")] == ["destination_gone"]
        desk.close()


def test_system_events_cause_none_when_their_own_destination_fails() -> None:
    with world() as w:
        w.connect()
        tell_to(w)  # events about the destination go to the destination itself
        w.receiver.answer = lambda _: (503, {})
        for number in range(12):
            w.post(number, chat=100 + number)

        w.run(timedelta(hours=12), every=timedelta(minutes=5))

        events = [e for e in w.of_kind("decided") if e["receipt"]["channel"] == "waybill"]
        assert len(events) == 1  # that the breaker has opened

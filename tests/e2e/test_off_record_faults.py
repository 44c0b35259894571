"""Off the record, under faults: what fails is lost and said so, what dies is ended, and nothing is found anywhere."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.core.delivery import breaker
from chalicelib.core.errors import AuditBroken, AuditUnavailable, Conflict, Unavailable
from chalicelib.core.tenant.records import Redaction, Transform
from chalicelib.flow.delivery import attempt
from chalicelib.flow.hooks import receive
from chalicelib.flow.jobs import replay
from chalicelib.flow.messages import FAULTS_MAX
from chalicelib.flow.routing import route
from tests.support import deaths
from tests.support.off_record import (
    MINUTE,
    begun,
    ends,
    line,
    line_secret,
    nowhere,
    off,
    said,
    two_routes,
    waiting,
)
from tests.support.races import PATIENCE_S, eventually
from tests.support.world import START, World, world


def _down(w: World) -> None:
    w.receiver.answer = lambda _: (503, {})


def _refuses(w: World) -> None:
    w.receiver.answer = lambda _: (422, {})


def _unheard(w: World) -> None:
    row = w.runtime.config.get(w.tenant, w.destination)
    secrets = w.runtime.config.secrets(w.tenant, w.destination, row.sealed)
    closed = {**secrets, "config": {"url": "http://127.0.0.1:9/in"}}
    w.runtime.config.replace(w.tenant, row.record, row.version, closed)


def _opens(w: World) -> None:
    def step(state: breaker.BreakerState) -> breaker.BreakerState:
        return breaker.backed_off(state, w.clock + timedelta(hours=1), w.clock, None)

    seen = w.runtime.destination_state.get(w.tenant, w.destination)
    w.runtime.destination_state.change(w.tenant, w.destination, seen, w.clock, step)


def _used_up(w: World) -> None:
    w.change(w.destination, rate_limit_per_s=1)
    w.runtime.rate_limits.take_turn(w.tenant, w.destination, 1, w.clock, 0)


def _hurries(w: World) -> None:
    ticks = itertools.count(0, 30)
    w.runtime.monotonic = lambda: float(next(ticks))


TROUBLES: dict[str, tuple[Callable[[World], None], tuple[str, str, str]]] = {
    "destination down": (_down, ("allowed", "gave_up", "http_503")),
    "destination refuses": (_refuses, ("allowed", "rejected", "http_422")),
    "nobody listens": (_unheard, ("allowed", "gave_up", "connect")),
    "destination disabled": (lambda w: w.change(w.destination, enabled=False), ("allowed", "gave_up", "off_record")),
    "destination asked for time": (_opens, ("allowed", "gave_up", "off_record")),
    "rate used up": (_used_up, ("allowed", "gave_up", "off_record")),
    "no time left": (_hurries, ("allowed", "gave_up", "off_record")),
    "select fails": (
        lambda w: w.change(w.route, transform=Transform(select="to_number(message.text) + `1`")),
        ("allowed", "rejected", "render"),
    ),
    "restricted": (lambda w: w.change(w.route, mode="restrict"), ("redacted", "gave_up", "off_record")),
    "law holds": (lambda w: w.change(w.recipient, contract=None), ("held", "expired", "")),
    "law refuses": (lambda w: w.change(w.recipient, granted=False), ("refused", "refused", "")),
    "redacted": (
        lambda w: w.change(
            w.route, mode="redact", transform=Transform(redact=(Redaction(data_class="content", action="drop"),))
        ),
        ("redacted", "delivered", "http_204"),
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_lost_and_said_so_and_found_nowhere_when(trouble: str, capfd: pytest.CaptureFixture[str]) -> None:
    prepare, end = TROUBLES[trouble]
    with world() as w:
        begun(w)
        prepare(w)

        assert said(w).status == 200
        w.receiver.answer = lambda _: (204, {})
        w.run(timedelta(hours=2), every=timedelta(minutes=5))

        assert ends(w) == [end]
        if prepare is not _opens:
            assert not [
                r for r in w.rows("data") if r["pk"]["S"].startswith("health#")
            ]  # nothing counts for the breaker
        assert len(w.receiver.requests) == (1 if end[2].startswith("http_") else 0)
        assert waiting(w) == []
        nowhere(w, "".join(capfd.readouterr()))


def _dead_letter(w: World, at: Any) -> None:
    """Post it on the record, and make its function give it up before it is routed."""
    said(w, at=at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(route, "find_people", lambda *_: 1 // 0)
        for _ in range(FAULTS_MAX):
            assert len(w.inbox.messages) == 1
            w.inbox.run(route.handle)
            w.clock += 10 * MINUTE
    assert w.inbox.messages == []


def test_no_letter_is_kept_when_the_copy_on_the_record_is_given_up() -> None:
    with world() as w:
        begun(w)
        at = w.clock
        said(w, at=at)
        off(w, on_record=True)
        _dead_letter(w, at)

        w.run(timedelta(minutes=5))

        assert list(replay.letters(w.runtime, w.tenant)) == []
        assert len(w.receiver.requests) == 1
        nowhere(w)


def test_a_letter_is_not_sent_but_forgotten_when_the_event_was_decided_off_the_record_since() -> None:
    with world() as w:
        begun(w)
        off(w, on_record=True)
        at = w.clock
        _dead_letter(w, at)
        w.run(timedelta(minutes=5))
        (letter,) = replay.letters(w.runtime, w.tenant)
        off(w)
        said(w, at=at)

        with pytest.raises(Conflict, match="off the record"):
            replay.redrive(w.runtime, w.tenant, letter, ("user", "usr"))
        w.run(timedelta(minutes=5))

        assert list(replay.letters(w.runtime, w.tenant)) == []
        assert len(w.receiver.requests) == 1
        nowhere(w)


def _promise(w: World) -> None:
    """One decision; each allowed transfer was sent at most once, and its end is in the log."""
    (entry,) = [e for e in w.of_kind("decided") if e["facts"].get("otr")]
    told = ends(w)
    assert len(told) == len(entry["routes"]) == 1
    assert len(w.receiver.requests) <= 1
    decision, outcome, code = told[0]
    if len(w.receiver.requests) == 1:
        assert (outcome, code) in (("delivered", "http_204"), ("gave_up", "lost"))
    else:
        assert (decision, outcome, code) in (("allowed", "gave_up", "lost"), ("held", "expired", ""))
    assert waiting(w) == []
    nowhere(w)


def _effects(**declared: Any) -> int:
    with world() as w:
        begun(w, **declared)
        w.effects.clear()
        said(w)
        return len(w.effects)


@deaths.in_parts
@pytest.mark.parametrize("declared", [{}, {"recipient": {"contract": None}}], ids=["allowed", "held"])
def test_promise_is_kept_when_the_process_dies_at_any_effect(declared: dict[str, Any], part: int) -> None:
    for number in deaths.at(range(1, _effects(**declared) + 1), 10, part):
        with world() as w:
            begun(w, **declared)
            w.effects.clear()
            w.crash_at = number

            assert said(w).status == 200

            assert w.crashes == 1 or number > len(w.effects)  # how many there are depends on the event's id
            w.crash_at = None
            w.run(timedelta(minutes=5))
            _promise(w)


def test_posted_again_when_it_cannot_be_decided() -> None:
    with world() as w:
        begun(w)
        fault = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "PutItem")
        decided = len(w.of_kind("decided"))
        fails = iter([False] + [True] * 40)  # the first is what ends it should this process not
        w.failing = lambda name: fault if name == "before PutItem" and next(fails) else None

        assert said(w).status == 503

        assert w.receiver.requests == []
        assert len(w.of_kind("decided")) == decided
        w.failing = lambda name: None
        assert said(w).status == 200
        w.run(timedelta(minutes=5))
        assert ends(w) == [("allowed", "delivered", "http_204")]
        nowhere(w)


def test_ended_as_lost_when_its_attempt_cannot_be_written() -> None:
    with world() as w:
        begun(w)
        w.receiver.answer = lambda _: (setattr(w, "failing", down), (204, {}))[1]  # type: ignore[func-returns-value]

        def down(name: str) -> Exception | None:
            return Unavailable("down") if name.startswith("before") else None

        assert said(w).status == 200
        w.failing = lambda name: None
        w.run(timedelta(minutes=5))

        assert len(w.receiver.requests) == 1
        assert ends(w) == [("allowed", "gave_up", "lost")]
        (attempt,) = [e for e in w.of_kind("attempted") if e["code"] == "lost"]
        assert attempt["classes"]  # it may have left


def test_cut_off_in_time_for_the_platform_when_a_destination_is_slow() -> None:
    with world() as w:
        w.connect(source={"channel": "line"})
        w.runtime.config.replace(w.tenant, *line_secret(w))
        line(w, ("U1", "hello"))
        w.run(MINUTE)
        off(w)
        two_routes(w)
        requests, released = itertools.count(), threading.Event()

        def answer(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
            if next(requests) == 0:
                released.wait(PATIENCE_S)
            return 204, {}

        w.receiver.answer = answer
        began = time.monotonic()

        assert line(w, ("U1", "secret-text")).status == 200

        took_s = time.monotonic() - began
        eventually(lambda: waiting(w) == [])  # unfinished work is finished after the answer
        released.set()
        assert took_s < PATIENCE_S / 3  # LINE waits for two seconds; this machine may be busy
        assert sorted(ends(w)) == [("allowed", "delivered", "http_204"), ("allowed", "gave_up", "timeout")]
        assert waiting(w) == []


def test_posted_again_when_nobody_can_say_whether_it_is_off_the_record() -> None:
    with world() as w:
        begun(w)
        table = w.runtime.off_record_intervals._table
        client, table.client = table.client, _Deaf()

        assert said(w).status == 503

        table.client = client
        nowhere(w)
        assert w.receiver.requests == []


class _Deaf:
    """A client that does not get through."""

    def batch_get_item(self, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "BatchGetItem")


def test_what_was_decided_is_sent_when_another_event_of_its_webhook_could_not_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world() as w:
        begun(w)
        append, received, calls = w.runtime.audit.append_many, receive.receive, []  # type: ignore[attr-defined]

        def flaky(entries: Any) -> Any:
            if not any(e["kind"] == "decided" for e in entries):
                return append(entries)
            calls.append(len(entries))
            taken = {1: 1, 2: 0}.get(len(calls), len(entries))
            return [*append(entries[:taken]), *(AuditUnavailable("throttled") for _ in entries[taken:])]

        def twofold(*arguments: Any) -> Any:
            got = received(*arguments)
            (draft,) = got.drafts
            return replace(got, drafts=(draft, draft.model_copy(update={"dedupe_id": f"{draft.dedupe_id}-b"})))

        monkeypatch.setattr(w.runtime.audit, "append_many", flaky)
        monkeypatch.setattr(receive, "receive", twofold)
        statuses = [said(w).status, said(w).status]
        w.run(5 * MINUTE)

        assert (statuses, calls[:2]) == ([503, 200], [2, 1])
        assert len(w.receiver.requests) == 2
        assert [e["outcome"] for e in w.of_kind("attempted")].count("delivered") == 3  # with the earlier ones


def test_what_is_on_the_record_goes_on_when_its_second_order_fails_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> Any:
        raise AuditBroken("unreadable")

    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1, text="hello", chat=4455667788)
        w.settle()
        off(w)
        monkeypatch.setattr(attempt, "_lost", broken)
        w.post(1, text="hello", chat=4455667788, at=START)
        w.run(20 * MINUTE)
        w.receiver.answer = lambda _: (204, {})

        w.run(timedelta(hours=5))

        assert w.receiver.texts() == ["hello"]
        assert list(replay.letters(w.runtime, w.tenant)) == []

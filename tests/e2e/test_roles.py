"""Each function's role allows what the function does: the calls of a whole run against the policies that are deployed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.core import ids
from chalicelib.core.tenant.intervals import EFFECT
from chalicelib.core.tenant.records import Contract
from chalicelib.flow.declare import conversations
from chalicelib.flow.delivery import deliver
from chalicelib.flow.jobs import redrive, replay, worker
from chalicelib.flow.request import Request as Asked
from chalicelib.flow.retention import sweep
from chalicelib.flow.routing import route
from chalicelib.flow.seal_requests import notify_sealer
from chalicelib.flow.sealing import reconcile
from infra.cell import engines
from tests.support.logs import act, append
from tests.support.roles import Watched, refused


def _replay(w: Watched) -> None:
    """A job on all that went to the destination."""
    replay.begin(_asked(w), w.destination, None, None, "any")
    w.restart()  # a process that has read nothing yet
    w.runtime.sleep = lambda seconds: setattr(w, "clock", w.clock + timedelta(seconds=seconds))
    w.acting("jobs", lambda: worker.handle(w.runtime))


def _off_record(w: Watched) -> None:
    """A conversation off the record: sent once, found by its platform's second post, ended for a process that died."""
    heard = {e["receipt"]["conversation"] for e in w.of_kind("decided") if e["receipt"]["source"] == w.source}
    for ref in sorted(heard):
        conversations.turn(_asked(w), ref, True)
    w.clock += EFFECT
    w.change(w.destination, rate_limit_per_s=1000, enabled=True)
    w.receiver.answer = lambda _: (204, {})
    w.restart()
    at = w.clock
    for number in (5, 5, 6):
        w.post(number, chat=300, at=at)
    w.crash_at = len(w.effects) + 9
    w.post(7, chat=300)
    w.run(timedelta(minutes=5))
    assert len([e for e in w.of_kind("decided") if e["facts"].get("otr")]) == 3


def _asked(w: Watched) -> Asked:
    row, keys = w.runtime.config.tenant(w.tenant), w.runtime.config.keys_of(w.tenant)
    key = ("key", "key_" + "0" * 26)
    return Asked(w.runtime, row.record, row.version, keys, key, None, w.clock, "req_" + "0" * 26, b"seed")


def _seal(w: Watched) -> None:
    """Seal all waiting entries and a full tile, then reconcile."""
    append(w, *(act(w, n) for n in range(300)), tell_too=False)
    w.acting("api", lambda: notify_sealer(w.runtime))
    for _ in range(3):
        w.restart()
        w.clock += timedelta(minutes=10)
        w.seal()
    w.restart()
    w.clock += timedelta(days=1)
    w.acting("sweep", lambda: reconcile.reconcile(w.runtime, w.runtime.config.tenant(w.tenant).record))


def _give_up(w: Watched) -> None:
    """End an event and a delivery as dead letters: by their functions, and by the consumers of the dead-letter queues."""
    for number, fault in ((3, "outbox.send"), (4, "_first")):
        w.post(number, chat=300)
        if number == 4:
            w.acting("route", lambda: w.inbox.run(route.handle))
        with pytest.MonkeyPatch.context() as patch:
            if number == 4:
                patch.setattr(deliver, fault, lambda *_: 1 // 0)
            w.failing = lambda name, fault=fault: ZeroDivisionError() if name == fault else None  # type: ignore[misc]
            for _ in range(14):
                w.acting("route", lambda: w.inbox.run(route.handle))
                w.acting("deliver", lambda: w.outbox.run(deliver.handle))
                w.clock += timedelta(minutes=10)
        w.failing = lambda name: None
    for number, queue, gives_up in ((5, w.inbox, w.dead_inbox), (6, w.outbox, w.dead_outbox)):
        w.post(number, chat=500)
        if queue is w.outbox:
            w.acting("route", lambda: w.inbox.run(route.handle))
        (message,) = queue.receive()  # and the process that has it dies, again and again
        queue.fifo.delete(message.handle, w.now_s)
        gives_up.fifo.add(message.body, message.group, message.deduplication, w.now_s)
        w.settle()
    assert len(list(w.runtime.data.dead(w.tenant))) == 4
    name = ids.sortable("job", w.clock, bytes(11))
    w.acting("api", lambda: redrive.begin(w.runtime, name, w.clock, None, None, "duty"))
    w.clock += timedelta(seconds=1)
    w.acting("jobs", lambda: worker.handle(w.runtime))
    found: list[redrive.Redrive] = []
    w.acting("api", lambda: found.append(redrive.find(w.runtime, name)))
    assert found[0].state == "done" and found[0].total("sent") > 0
    w.settle()


def _live(w: Watched) -> None:
    """Everything that functions do: deliver, fail, park, wake, hold, release, expire, disable, dead-letter, erase."""
    w.connect(recipient={"contract": None})
    w.post(1)
    w.run(timedelta(minutes=10))
    w.change(w.recipient, contract=Contract(id="d", sha256="00" * 32, valid_from="2026-01-01"))
    w.run(timedelta(hours=2))
    w.runtime.consents.expect(w.tenant)
    w.receiver.answer = lambda _: (503, {})
    w.post(2, chat=200)
    w.run(timedelta(minutes=20))
    w.receiver.answer = lambda _: (410, {})
    w.run(timedelta(hours=1))
    w.receiver.answer = lambda _: (204, {})
    w.change(w.destination, enabled=True)
    _give_up(w)
    w.change(w.source, subject_country="CN")  # people there are counted
    w.post(8, chat=400)
    w.run(timedelta(minutes=2))
    _off_record(w)
    _replay(w)
    _seal(w)
    row = w.runtime.config.tenant(w.tenant)
    w.runtime.config.replace_tenant(row.record.model_copy(update={"state": "closed"}), row.version)
    w.acting("sweep", lambda: sweep.handle(w.runtime))


def test_every_call_is_allowed_by_the_role_of_the_function_that_makes_it() -> None:
    with engines.moto() as engine:
        w = Watched()
        w.start(engine)
        try:
            _live(w)
        finally:
            w.close()

    assert refused(w) == []
    assert {role for role, *_ in w.calls} >= {
        "hooks",
        "route",
        "deliver",
        "pump",
        "jobs",
        "sweep",
        "collect",
        "seal",
        "dead-inbox",
        "dead-outbox",
    }

"""Messages that failed ten times: each event and transfer ends with one entry."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.log import audit
from chalicelib.flow import dead
from chalicelib.flow.delivery import attempt, deliver
from chalicelib.flow.jobs import replay
from chalicelib.flow.routing import route
from tests.support.world import START, World, world

HOUR = timedelta(hours=1)


def _unlogged(*_: Any) -> Any:
    """Stand in for the entry of an attempt: it cannot be written, for a reason of its own."""
    raise ZeroDivisionError


@pytest.mark.parametrize("queue", ["inbox", "outbox"])
def test_ended_with_an_entry_when_a_message_fails_ten_times(queue: str) -> None:
    with world() as w:
        w.connect()
        w.post(1)
        if queue == "outbox":
            w.inbox.run(route.handle)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attempt, "attempted", _unlogged)
            patch.setattr(deliver, "park", _unlogged)
            w.failing = lambda name: ZeroDivisionError() if name == "outbox.send" else None
            for _ in range(12):
                (w.inbox.run(route.handle) if queue == "inbox" else w.outbox.run(deliver.handle))
                w.clock += timedelta(minutes=10)
        w.failing = lambda name: None
        w.run(timedelta(minutes=5))

        if queue == "inbox":
            (entry,) = w.of_kind("expired")
            assert entry["reason"] == "dead_letter"
        else:
            assert [e["code"] for e in w.of_kind("attempted")][-1:] == ["dead_letter"]
        assert [r for r in w.rows("data") if r["pk"]["S"].endswith("#dead")]
        assert not w.dead_inbox.messages
        assert not w.dead_outbox.messages

        (letter,) = replay.letters(w.runtime, w.tenant)
        replay.redrive(w.runtime, w.tenant, letter, ("operator", "duty"))
        replay.redrive(w.runtime, w.tenant, letter, ("operator", "duty"))
        w.run(timedelta(minutes=5))

        sent = [headers["webhook-id"] for _, headers, _, _ in w.receiver.requests]
        assert (
            len(sent) == len(set(sent)) == (1 if queue == "inbox" else 2)
        )  # the log did not take the first one's entry
        assert not list(replay.letters(w.runtime, w.tenant))
        (act,) = w.of_kind("replayed")
        (again,) = [e for e in w.of_kind("decided") if e["cause"] == "replayed"]
        assert again["by"] == act["id"]


def _dead_letter(w: World) -> None:
    """Dead-letter the last message of the outbox, in any state."""
    (held,) = w.outbox.messages
    w.dead_outbox.fifo.add(held.body, held.group, held.deduplication, w.now_s)


def test_an_event_ends_with_an_entry_when_it_waits_in_its_queue_for_longer_than_it_lives() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.clock += timedelta(days=40)

        w.run(timedelta(minutes=3))

        (act,) = w.of_kind("expired")
        assert (act["reason"], act["object"]) == ("retention", None)
        assert w.receiver.requests == []


def test_no_second_end_is_written_when_a_refused_delivery_is_dead_lettered() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.inbox.run(route.handle)
        _dead_letter(w)
        w.change(w.recipient, granted=False)
        w.outbox.run(deliver.handle)

        w.dead_outbox.run(dead.handle_outbox)

        assert sorted(e["routes"][0]["decision"] for e in w.of_kind("decided")) == ["allowed", "refused"]
        assert w.of_kind("attempted") == []


def test_a_held_transfer_ends_by_an_act_when_it_is_dead_lettered() -> None:
    with world() as w:
        w.connect(recipient={"contract": None})
        w.post(1)
        w.inbox.run(route.handle)
        _dead_letter(w)

        w.dead_outbox.run(dead.handle_outbox)
        w.run(timedelta(hours=80), every=timedelta(hours=4))

        (act,) = w.of_kind("expired")
        assert (act["reason"], act["object"]["kind"]) == ("dead_letter", "transfer")
        assert w.of_kind("attempted") == []


@pytest.mark.parametrize("sealed", ["bm90IHNlYWxlZA==", "a", "\u00e9"])
def test_ended_under_the_minute_of_its_receipt_when_a_dead_letter_cannot_be_read(sealed: str) -> None:
    with world() as w:
        w.connect()
        w.post(1)
        held = w.inbox.messages[0]
        held.body = json.dumps({**json.loads(held.body), "sealed": sealed})

        w.run(timedelta(hours=2))

        (end,) = w.of_kind("expired")
        assert (end["reason"], end["id"][4:10]) == ("dead_letter", audit.entry_id(times.minute(START), "x", "y")[4:10])
        assert not w.dead_inbox.messages

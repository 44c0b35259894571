"""Off the record: decided, sent once, and found nowhere afterwards."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from chalicelib.core.envelope import is_committed
from chalicelib.core.tenant.intervals import EFFECT, is_off_record
from chalicelib.flow.declare import conversations
from chalicelib.flow.routing import route
from tests.fixtures.destinations.crm import Bitrix24
from tests.support.crm_flow import connected
from tests.support.logs import verified
from tests.support.off_record import (
    MINUTE,
    asked,
    begun,
    conversation,
    ends,
    line,
    line_secret,
    nowhere,
    off,
    said,
    two_routes,
    waiting,
)
from tests.support.world import START, world


def test_sent_once_and_found_nowhere_when_a_conversation_is_off_the_record(capfd: pytest.CaptureFixture[str]) -> None:
    with world() as w:
        begun(w)

        assert said(w).status == 200

        (sent,) = w.receiver.requests
        assert sent[2]["data"]["message"]["text"] == "secret-text 1"
        assert sent[2]["data"]["otr"] is True
        assert w.inbox.messages == []
        assert ends(w) == [("allowed", "delivered", "http_204")]
        assert waiting(w) == []
        w.run(MINUTE)
        nowhere(w, "".join(capfd.readouterr()))


def test_an_interval_changes_nothing_outside_it_when_a_conversation_goes_off_and_on_again() -> None:
    with world() as w:
        w.connect()
        w.post(1, text="hello before", chat=4455667788)
        w.run(MINUTE)
        ref = off(w)
        said(w)
        w.post(2, text="hello another", chat=200)
        w.run(MINUTE)
        off(w, on_record=True)
        w.post(3, text="hello after", chat=4455667788)
        w.run(timedelta(days=3), every=timedelta(hours=1))

        assert w.receiver.texts() == ["hello before", "secret-text 1", "hello another", "hello after"]
        kept = [e for e in w.of_kind("decided") if not e["facts"].get("otr")]
        assert [w.runtime.data.event(w.tenant, e["event"], w.clock) is not None for e in kept] == [True] * 3
        nowhere(w)
        shown = conversations.shown(asked(w), ref, conversations.intervals_of(asked(w), ref))
        (interval,) = shown["intervals"]
        acts = [e for e in w.of_kind("config_changed") if e["object"] == {"kind": "conversation", "id": ref}]
        assert [(a["reason"], a["range"]["after"], a["range"]["before"]) for a in acts] == [
            ("enabled", interval["since"], None),
            ("disabled", interval["since"], interval["until"]),
        ]
        for _ in range(3):
            w.clock += timedelta(minutes=10)
            w.seal()
        report = verified(w)
        assert (report.code, report.faults) == (0, ())
        assert report.told["decisions"] == {"redecided": 4, "not_redecided": {}}


def test_on_the_record_until_it_counts_and_off_from_that_instant_on() -> None:
    with world() as w:
        w.connect()
        w.post(1, text="hello", chat=4455667788)
        w.run(MINUTE)
        conversations.turn(asked(w), conversation(w), True)
        w.clock += EFFECT - timedelta(milliseconds=1)
        w.post(2, text="hello still", chat=4455667788)
        w.clock += timedelta(milliseconds=1)
        said(w)
        w.run(MINUTE)

        assert sorted(w.receiver.texts()) == ["hello", "hello still", "secret-text 1"]
        assert [e["facts"].get("otr", False) for e in w.of_kind("decided")].count(True) == 1
        nowhere(w)


def test_sent_once_when_a_platform_posts_again() -> None:
    with world() as w:
        begun(w)

        said(w)
        said(w)
        w.run(timedelta(minutes=5))

        assert len(w.receiver.requests) == 1
        assert ends(w) == [("allowed", "delivered", "http_204")]
        assert waiting(w) == []


def test_nothing_sent_when_a_platform_posts_again_what_was_on_the_record() -> None:
    with world() as w:
        w.connect()
        w.post(1, text="hello", chat=4455667788, at=START)
        w.run(MINUTE)
        off(w)

        w.post(1, text="hello", chat=4455667788, at=START)
        w.run(timedelta(minutes=5))

        assert w.receiver.texts() == ["hello"]
        assert len(w.of_kind("decided")) == 1


def test_what_was_on_the_record_is_tried_on_when_its_platform_posts_it_again_off_the_record() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda body: (503, {})
        w.post(1, text="hello", chat=4455667788)
        w.settle()
        off(w)

        assert w.post(1, text="hello", chat=4455667788, at=START).status == 200
        w.run(5 * MINUTE)
        w.receiver.answer = lambda body: (204, {})
        w.run(timedelta(hours=2))

        (entry,) = w.of_kind("decided")
        assert "otr" not in entry["facts"]
        assert w.receiver.texts() == ["hello"]
        assert "lost" not in {e["code"] for e in w.of_kind("attempted")}


def test_nothing_kept_of_the_copy_in_the_inbox_when_it_was_decided_off_the_record_before() -> None:
    with world() as w:
        begun(w)
        off(w, on_record=True)
        at = w.clock
        said(w, at=at)  # in the inbox, and not routed yet
        off(w)

        said(w, at=at)
        w.run(timedelta(minutes=5))

        assert len(w.receiver.requests) == 1
        nowhere(w)


def test_nobody_can_show_what_was_said_when_its_commitment_is_tried() -> None:
    with world() as w:
        begun(w)
        said(w)

        ((_, _, body, _),) = w.receiver.requests
        (entry,) = [e for e in w.of_kind("decided") if e["facts"].get("otr")]
        kept = [row for row in w.rows("people") if "key" in row]
        keys = w.runtime.config.keys_of(w.tenant)
        people = w.runtime.people.get_many((row["pk"]["S"], keys) for row in kept)
        assert len(people) == 2
        tried = [
            is_committed(entry["receipt"]["commitment"], p.key, entry["event"], route.canonical(body["data"]))
            for p in people.values()
        ]
        assert not any(tried)


def test_each_event_of_a_webhook_goes_by_its_own_conversation() -> None:
    with world() as w:
        w.connect(source={"channel": "line"})
        w.runtime.config.replace(w.tenant, *line_secret(w))
        line(w, ("U1", "hello one"))
        w.run(MINUTE)
        off(w)

        assert line(w, ("U1", "secret-text 1"), ("U2", "hello two"), ("U1", "secret-text 2")).status == 200
        w.run(MINUTE)

        assert w.receiver.texts() == ["hello one", "secret-text 1", "secret-text 2", "hello two"]
        assert [e["facts"].get("otr", False) for e in w.of_kind("decided")].count(True) == 2
        nowhere(w, words=(b"secret-text",))


def test_sent_to_every_destination_once_when_there_are_several() -> None:
    with world() as w:
        begun(w)
        two_routes(w)

        assert said(w).status == 200

        assert w.receiver.texts() == ["secret-text 1"] * 2
        assert ends(w) == [("allowed", "delivered", "http_204")] * 2
        nowhere(w)


def test_nobody_is_remembered_when_what_is_off_the_record_goes_to_a_crm() -> None:
    vendor = Bitrix24()
    with connected(vendor) as w:
        w.post(1, text="hello", chat=4455667788)
        w.run(MINUTE)
        assert [row for row in w.rows("data") if row["sk"]["S"].startswith("value#")]
        for row in w.rows("data"):
            if "#memory#" in row["pk"]["S"]:
                w.runtime.data.table.delete({"pk": row["pk"]["S"], "sk": row["sk"]["S"]})
        off(w)

        said(w)

        assert ends(w) == [("allowed", "delivered", "accepted")]
        assert len(vendor.contacts) == 1
        assert [row for row in w.rows("data") if row["sk"]["S"].startswith("value#")] == []
        nowhere(w)


@pytest.mark.parametrize("seed", range(4))
def test_each_event_is_on_or_off_the_record_by_the_time_of_its_receipt_alone(seed: int) -> None:
    drawn = random.Random(seed)
    with world() as w:
        w.connect()
        w.post(1, text="hello 1", chat=4455667788)
        w.run(MINUTE)
        ref, received = conversation(w), {"hello 1": w.clock - MINUTE}
        for number in range(2, 20):
            w.clock += timedelta(milliseconds=drawn.randrange(1, 8000))
            if drawn.random() < 0.4:
                conversations.turn(asked(w, id=f"req_{number:026d}"), ref, drawn.random() < 0.5)
            else:
                w.post(number, text=f"hello {number}", chat=4455667788)
                received[f"hello {number}"] = w.clock
            if drawn.random() < 0.3:
                w.settle()
        w.run(MINUTE)

        intervals = conversations.intervals_of(asked(w), ref)
        unkept = {text for text, at in received.items() if is_off_record(intervals, at)}
        arrived = [body["data"] for _, _, body, _ in w.receiver.requests]
        assert sorted(d["message"]["text"] for d in arrived) == sorted(received)
        assert {d["message"]["text"] for d in arrived if d["otr"]} == unkept
        stored = {d["message"]["text"] for d in arrived if w.runtime.data.event(w.tenant, d["id"], w.clock) is not None}
        assert stored == set(received) - unkept


def test_refused_by_the_search_when_an_event_off_the_record_is_put_into_the_inbox() -> None:
    with world() as w:
        begun(w)
        w.runtime.source_cache._kept.clear()
        table = w.runtime.off_record_intervals._table
        place, _ = w.runtime.people.conversation(w.tenant, conversation(w)) or ("", "")
        table.delete({"pk": place, "sk": "otr"})  # a door that looks and finds nothing

        said(w)

        with pytest.raises(AssertionError):
            nowhere(w)
        w.run(MINUTE)
        with pytest.raises(AssertionError):
            nowhere(w)

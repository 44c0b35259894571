"""Attacks by a person who knows how the flow works: changes, crashes and repeats at the worst moment."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

import app
from chalicelib.core import ids, times
from chalicelib.core.event.event import DataClass
from chalicelib.core.tenant.records import Contract, Destination, Recipient, Retry
from chalicelib.flow.delivery import deliver
from chalicelib.flow.routing import route
from infra.cell import wsgi
from tests.support.counted import Receiver
from tests.support.world import CLASSES, SECRET, START, World, world

HOUR = timedelta(hours=1)
ABROAD = {"entity_country": "US", "processing_countries": ("US",)}


def _recipient(w: World, **changes: Any) -> str:
    """Declare a second recipient: a processor in the EU."""
    made = ids.sortable("rcp", w.clock, w.randomness.randbytes(11))
    values: dict[str, Any] = {
        "legal_name": "Desk", "contact": "dpo@desk.example", "entity_country": "DE", "processing_countries": ("DE",),
        "role": "processor", "classes": CLASSES, "onward": (), "granted": True,
        "contract": Contract(id="dpa-2", sha256="11" * 32, valid_from="2026-01-01"),
    } | changes  # fmt: skip
    w.runtime.config.insert(w.tenant, Recipient(id=made, created_at=w.clock, **values))
    return made


def _destination(w: World, recipient: str, url: str) -> str:
    made = ids.sortable("dst", w.clock, w.randomness.randbytes(11))
    record = Destination(
        id=made, name="desk", kind="http", recipient=recipient, retry=Retry(delays_s=(5, 300)), created_at=w.clock
    )
    sealed = {"config": {"url": url}, "signing": [{"secret": SECRET, "until": None}]}
    w.runtime.config.insert(w.tenant, record, sealed)
    return made


def _sent_and_refused(w: World) -> None:
    """Make a first message fail, then be refused at its second attempt."""
    w.receiver.answer = lambda _: (503, {})
    w.post(1, at=START)
    w.run(timedelta(seconds=2))
    w.change(w.recipient, granted=False)
    w.run(timedelta(minutes=10))
    w.receiver.answer = lambda _: (204, {})
    assert [e["routes"][0]["decision"] for e in w.of_kind("decided") if e["cause"] == "rechecked"] == ["refused"]


def test_not_sent_abroad_when_the_route_leads_elsewhere_by_now() -> None:
    with world() as w:
        w.connect(recipient=ABROAD)
        w.post(1)
        w.run(timedelta(minutes=1))
        home = Receiver()
        desk = _destination(w, _recipient(w), home.url)

        w.change(w.route, destination=desk)
        w.run(timedelta(hours=2), every=timedelta(minutes=5))

        home.close()
        assert w.receiver.requests == []


def test_log_names_who_got_it_when_the_destination_changes_hands_meanwhile() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.run(timedelta(seconds=2))
        heir = _recipient(w)

        w.change(w.destination, recipient=heir)
        w.receiver.answer = lambda _: (204, {})
        w.run(timedelta(minutes=10))

        assert w.receiver.texts() == ["m1"]
        (last,) = [e for e in w.of_kind("attempted") if e["outcome"] == "delivered"]
        (followed,) = [e for e in w.of_kind("decided") if e["id"] == last["decided"]]
        assert followed["routes"][0]["recipient"]["id"] == heir


def test_nothing_sent_when_a_crash_left_a_redacted_decision_and_the_law_now_refuses() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.run(timedelta(seconds=2))
        w.receiver.answer = lambda _: (204, {})
        w.change(w.recipient, classes=tuple(c for c in DataClass if c != DataClass.NAME))
        died = w.crashes
        while w.crashes == died:  # after the second decision is written, before anything is sent
            w.clock += timedelta(seconds=10)
            w.failing = lambda name: _die(w) if name == "after PutItem" else None
            w.step()
        w.failing = lambda name: None
        assert {e["routes"][0]["decision"] for e in w.of_kind("decided")} == {"allowed", "redacted"}

        w.change(w.recipient, granted=False)
        w.run(HOUR)

        assert w.receiver.texts() == []


def _die(w: World) -> Exception | None:
    from tests.support.counted import Crash

    raise Crash


def test_nothing_sent_when_a_crash_left_a_refusal_and_the_grant_is_back() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.run(timedelta(seconds=2))
        w.receiver.answer = lambda _: (204, {})
        w.change(w.recipient, granted=False)
        died = w.crashes
        while w.crashes == died:
            w.clock += timedelta(seconds=10)
            w.failing = lambda name: _die(w) if name == "after PutItem" else None
            w.step()
        w.failing = lambda name: None
        assert {e["routes"][0]["decision"] for e in w.of_kind("decided")} == {"allowed", "refused"}

        w.change(w.recipient, granted=True)
        w.run(HOUR)

        assert w.receiver.texts() == []


def test_stays_refused_when_the_platform_posts_again_after_the_grant_is_back() -> None:
    with world() as w:
        w.connect()
        _sent_and_refused(w)

        w.change(w.recipient, granted=True)
        w.post(1, at=START)
        w.run(HOUR)

        assert w.receiver.texts() == []


def test_stays_expired_when_the_platform_posts_again_after_the_hold_is_over() -> None:
    with world() as w:
        w.connect(recipient=ABROAD)
        w.post(1, at=START)
        w.run(timedelta(hours=74), every=timedelta(hours=1))
        assert [e["reason"] for e in w.of_kind("expired")] == ["hold_expired"]

        w.post(1, at=START)
        w.run(timedelta(minutes=1))
        w.change(w.recipient, entity_country="DE", processing_countries=("DE",))
        w.run(timedelta(hours=3), every=timedelta(minutes=10))

        assert w.receiver.texts() == []


def test_neighbours_are_routed_when_a_message_of_a_batch_can_never_be() -> None:
    with world() as w:
        w.connect()
        w.post(1, chat=100)
        w.post(2, chat=200)
        first = w.inbox.messages[0]
        broken = {**json.loads(first.body), "sealed": "é", "received_at": "yesterday"}
        first.body = json.dumps(broken)

        w.inbox.run(route.handle)
        w.outbox.run(deliver.handle)

        assert w.receiver.texts() == ["m2"]


def test_followers_are_delivered_when_a_message_of_their_conversation_is_given_up() -> None:
    with world() as w:
        w.connect()
        for number in (1, 2, 3):
            w.post(number)
        first = w.inbox.messages[0]
        broken = {**json.loads(first.body), "sealed": "AAAA"}
        first.body = json.dumps(broken)

        w.run(HOUR)

        assert w.receiver.texts() == ["m2", "m3"]
        assert [e["reason"] for e in w.of_kind("expired")] == ["dead_letter"]


def test_followers_are_sent_when_a_delivery_of_their_lane_is_given_up() -> None:
    with world() as w:
        w.connect()
        for number in (1, 2, 3):
            w.post(number)
        w.inbox.run(route.handle)
        first = w.outbox.messages[0]
        broken = json.loads(first.body)
        del broken["transfer"]
        first.body = json.dumps(broken)

        w.run(timedelta(minutes=10))

        assert w.receiver.texts() == ["m2", "m3"]
        assert len(w.dead_outbox.messages) == 1


@pytest.mark.parametrize("days", [-20_000, -400, -30, -1, 1, 30, 400, 20_000])
def test_delivered_when_the_platforms_clock_is_wrong_by(days: int) -> None:
    with world() as w:
        w.connect()

        reply = w.post(1, at=START + timedelta(days=days))
        w.run(timedelta(minutes=1))
        w.post(1, at=START + timedelta(days=days))
        w.clock += HOUR
        w.run(timedelta(minutes=1))

        assert reply.status == 200
        assert w.receiver.texts() == ["m1"]


def test_ends_once_when_the_schedule_is_shortened_meanwhile() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        w.post(1)
        w.run(HOUR)
        w.change(w.destination, retry=Retry(delays_s=(5,)))
        w.run(timedelta(hours=4), every=timedelta(minutes=5))

        outcomes = sorted((e["attempt"], e["take"], e["outcome"]) for e in w.of_kind("attempted"))
        assert [(attempt, take) for attempt, take, _ in outcomes] == [(n, 0) for n in range(1, len(outcomes) + 1)]
        assert [outcome for _, _, outcome in outcomes] == ["failed"] * (len(outcomes) - 1) + ["gave_up"]


def test_neighbours_are_delivered_when_an_order_of_a_batch_cannot_be_read() -> None:
    with world() as w:
        w.connect()
        w.post(1, chat=100)
        w.post(2, chat=200)
        w.inbox.run(route.handle)
        broken = w.outbox.messages[0]
        broken.body = '{"v":1,"tenant":5}'

        w.outbox.run(deliver.handle)

        assert w.receiver.texts() == ["m2"]
        assert len(w.outbox.messages) == 1


@pytest.mark.parametrize(
    "request_head",
    [
        "POST /hooks/src_x HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}",
        "POST /hooks/src_x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}",
        "POST http://[x/hooks/src_x HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["negative length", "negative chunk", "no address"],
)
def test_refused_at_once_when_a_request_has_no_sense(request_head: str) -> None:
    server = wsgi.Server(wsgi.App(app.app), "127.0.0.1", 0, threads=1, body_bytes=1000)
    server.start()

    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=60) as client:
        client.sendall(request_head.encode())
        answer = client.recv(100)

    server.stop()
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_written_with_four_digits_when_a_year_has_fewer() -> None:
    assert times.text(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000Z"
    assert times.text(START.replace(microsecond=999_999)) == "2026-11-20T09:00:00.999Z"

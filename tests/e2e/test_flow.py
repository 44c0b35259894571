"""The promises of the flow, under faults: nothing lost, nothing reordered, nothing sent without a decision."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.channels.base import Inbound
from chalicelib.core import times
from chalicelib.core.delivery import signature
from chalicelib.core.errors import Unavailable
from chalicelib.core.log import audit
from chalicelib.core.pattern import fields
from chalicelib.core.tenant.records import Contract
from chalicelib.flow.delivery import dead, deliver
from chalicelib.flow.jobs import replay
from chalicelib.flow.routing import route
from chalicelib.store.data import lane_of
from tests.support import deaths
from tests.support.world import SECRET, START, World, raw, world

HOUR = timedelta(hours=1)


def _promise(w: World, texts: list[str], received: list[str] | None = None) -> None:
    """Every event has one decision, every allowed transfer its end, every lane its order, every attempt its entry."""
    first = list(dict.fromkeys(w.receiver.texts() if received is None else received))
    assert first == texts
    decided = w.of_kind("decided")
    assert len(decided) == len(texts)
    assert len({e["event"] for e in decided}) == len(texts)
    ended = {e["transfer"] for e in w.of_kind("attempted") if e["outcome"] == "delivered"}
    assert ended == {r["transfer"] for e in decided for r in e["routes"]}
    assert not w.inbox.messages
    assert not w.outbox.messages
    assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def test_delivered_and_logged_when_everything_works() -> None:
    with world() as w:
        w.connect()

        assert w.post(1).status == 200
        w.run(timedelta(minutes=1))

        _promise(w, ["m1"])
        _path, headers, body, _ = w.receiver.requests[0]
        assert body["type"] == "waybill.message"
        assert headers["webhook-signature"] == signature.sign(
            SECRET,
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        )


def test_answered_once_as_one_event_when_a_platform_posts_twice() -> None:
    with world() as w:
        w.connect()

        w.post(1, at=START)
        w.run(timedelta(minutes=1))
        w.clock += timedelta(hours=1)
        w.post(1, at=START)
        w.run(timedelta(minutes=1))

        _promise(w, ["m1"])
        assert len(w.receiver.requests) == 1


def test_nothing_lost_or_reordered_when_the_destination_is_out_for_an_hour() -> None:
    with world() as w:
        w.connect()
        back = w.clock + HOUR
        w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})

        for number in range(1, 7):
            w.post(number, chat=100 + number % 2)
            w.run(timedelta(minutes=7))
        w.run(timedelta(hours=6))

        texts = w.receiver.texts()
        assert [t for t in texts if int(t[1:]) % 2] == ["m1", "m3", "m5"]
        assert [t for t in texts if not int(t[1:]) % 2] == ["m2", "m4", "m6"]
        _promise(w, sorted(texts), sorted(texts))
        by_transfer: dict[str, list[int]] = {}
        for entry in w.of_kind("attempted"):
            by_transfer.setdefault(entry["transfer"], []).append(entry["attempt"])
        assert all(sorted(a) == list(range(1, len(a) + 1)) for a in by_transfer.values())
        assert len({h["webhook-id"] for _, h, _, _ in w.receiver.requests}) == 6


def test_nothing_changes_when_the_queues_deliver_everything_twice() -> None:
    with world(doubles=True) as w:
        w.connect()
        failing = iter([503, 503, 204])
        w.receiver.answer = lambda _: (next(failing, 204), {})

        for number in (1, 2, 3):
            w.post(number)
        w.run(timedelta(hours=2))

        _promise(w, ["m1", "m2", "m3"])
        assert w.receiver.texts() == ["m1", "m2", "m3"]
        assert len(w.of_kind("attempted")) == 5


def test_sent_once_when_a_batch_holds_a_delivery_twice() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.inbox.run(route.handle)
        w.outbox.again(w.outbox.messages[0])

        assert w.outbox.run(deliver.handle) == 2

        assert w.receiver.texts() == ["m1"]


def _troubled(w: World) -> None:
    """Three messages of one conversation; the destination fails long enough for the first to be parked and woken."""
    back = START + timedelta(minutes=3)
    w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})
    for number in (1, 2, 3):
        w.post(number, at=START)
        w.run(timedelta(seconds=20))
    w.run(timedelta(minutes=59), every=timedelta(minutes=2))


def _effects() -> int:
    with world() as w:
        w.connect()
        w.effects.clear()
        _troubled(w)
        _promise(w, ["m1", "m2", "m3"])
        return len(w.effects)


def test_first_decision_is_followed_when_storing_is_forbidden_by_the_time_of_the_second_run() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.runtime.data.insert_events, insert = (  # type: ignore[method-assign]
            lambda rows: [Unavailable("late") for _ in rows],
            w.runtime.data.insert_events,
        )
        w.inbox.run(route.handle)
        assert [e["routes"][0]["decision"] for e in w.of_kind("decided")] == ["allowed"]
        (ground,) = [r.record.id for r in w.runtime.config.list(w.tenant, "bas") if r.record.kind == "instruction"]
        old = w.runtime.config.get(w.tenant, ground).record
        w.runtime.config.delete(w.tenant, ground)
        w.runtime.data.insert_events = insert  # type: ignore[method-assign]
        w.run(timedelta(minutes=10))
        w.runtime.config.insert(w.tenant, old)
        w.run(timedelta(hours=1))

        assert w.receiver.texts() == []
        assert w.of_kind("expired") == []
        last = max(w.of_kind("decided"), key=lambda e: str(e["at"]))
        assert (last["cause"], last["routes"][0]["decision"]) == ("rechecked", "refused")


@deaths.in_parts
def test_promise_is_kept_when_the_process_dies_at_any_effect(part: int) -> None:
    for number in deaths.at(range(1, _effects() + 1), 24, part):
        with world() as w:
            w.connect()
            w.effects.clear()
            w.crash_at = number

            _troubled(w)

            assert w.crashes == 1 or number > len(w.effects)
            _promise(w, ["m1", "m2", "m3"])


def _throttled(operation: str) -> ClientError:
    error: Any = {"Code": "ProvisionedThroughputExceededException", "Message": "too fast"}
    return ClientError({"Error": error}, operation)


@pytest.mark.parametrize("effect", ["before PutItem", "before UpdateItem", "inbox.send", "outbox.send"])
def test_promise_is_kept_when_aws_throttles_every_third_call(effect: str) -> None:
    with world() as w:
        w.connect()
        calls = itertools.count()
        fault = Unavailable("throttled") if effect.endswith("send") else _throttled(effect)
        w.failing = lambda name: fault if name == effect and next(calls) % 3 == 0 else None
        back = START + timedelta(minutes=3)
        w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})

        for number in (1, 2, 3):
            while w.post(number, at=START).status != 200:
                assert effect == "inbox.send"
            w.run(timedelta(seconds=20))
        w.run(HOUR)

        assert next(calls) > 3
        _promise(w, ["m1", "m2", "m3"])


def test_held_until_its_basis_comes_then_delivered_in_order() -> None:
    with world() as w:
        w.connect(recipient={"contract": None})

        for number in (1, 2):
            w.post(number)
            w.run(timedelta(minutes=10))
        assert w.receiver.requests == []
        assert {e["routes"][0]["decision"] for e in w.of_kind("decided")} == {"held"}
        w.change(w.recipient, contract=Contract(id="d", sha256="00" * 32, valid_from="2026-01-01"))
        w.run(timedelta(hours=2))

        assert w.receiver.texts() == ["m1", "m2"]
        causes = sorted(e["cause"] for e in w.of_kind("decided"))
        assert causes == ["received", "received", "released", "released"]
        assert len(w.of_kind("released")) == 2


def test_released_soon_when_the_basis_comes_while_its_lane_is_being_looked_at() -> None:
    with world() as w:
        w.connect(recipient={"contract": None})
        w.post(1)
        w.run(timedelta(seconds=30))
        lane = lane_of(w.tenant, w.destination, w.of_kind("decided")[0]["receipt"]["conversation"])
        w.runtime.data.wake_at(lane, w.clock)
        w.pump()
        came: list[Any] = []

        def basis_comes(effect: str) -> None:
            if effect == "before UpdateItem" and not came:
                came.append(True)
                w.clock += timedelta(seconds=1)
                w.change(w.recipient, contract=Contract(id="d", sha256="00" * 32, valid_from="2026-01-01"))
                w.runtime.data.wake_at(lane, w.clock)

        w.failing = basis_comes
        w.settle()
        assert came
        assert w.receiver.texts() == []
        w.run(timedelta(minutes=3))

        assert w.receiver.texts() == ["m1"]


def test_expired_with_an_entry_when_no_basis_comes_in_72_hours() -> None:
    with world() as w:
        w.connect(recipient={"contract": None})

        w.post(1)
        w.run(timedelta(hours=71), every=timedelta(minutes=30))
        assert not w.of_kind("expired")
        w.run(timedelta(hours=3), every=timedelta(minutes=30))

        (expired,) = w.of_kind("expired")
        assert expired["reason"] == "hold_expired"
        assert w.receiver.requests == []
        assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def test_ends_with_an_entry_when_the_event_expires_before_the_destination_is_back() -> None:
    with world() as w:
        w.connect(days=1, destination={"retry": None})
        w.receiver.answer = lambda _: (503, {})

        w.post(1)
        w.run(timedelta(days=3), every=timedelta(minutes=30))

        (expired,) = w.of_kind("expired")
        assert expired["reason"] == "retention"
        assert len(w.of_kind("attempted")) >= 5


def test_gives_up_with_an_entry_when_the_schedule_is_used_up() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})

        w.post(1)
        w.run(timedelta(hours=8), every=timedelta(minutes=5))

        outcomes = [(e["attempt"], e["outcome"]) for e in w.of_kind("attempted")]
        assert sorted(outcomes) == [(1, "failed"), (2, "failed"), (3, "failed"), (4, "failed"), (5, "gave_up")]


def test_refused_on_the_second_look_when_the_grant_is_withdrawn_meanwhile() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})

        w.post(1)
        w.run(timedelta(seconds=30))
        w.change(w.recipient, granted=False)
        w.receiver.answer = lambda _: (204, {})
        w.run(HOUR)

        assert w.receiver.texts() == []
        rechecked = [e for e in w.of_kind("decided") if e["cause"] == "rechecked"]
        assert [e["routes"][0]["decision"] for e in rechecked] == ["refused"]
        assert rechecked[0]["supersedes"] in {e["id"] for e in w.of_kind("decided")}


def test_destination_disabled_and_the_next_waits_when_it_is_gone() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (410, {})

        w.post(1)
        w.run(timedelta(minutes=1))
        w.post(2)
        w.run(timedelta(minutes=30))
        assert len(w.receiver.requests) == 1
        assert [e["outcome"] for e in w.of_kind("attempted")] == ["rejected"]
        w.receiver.answer = lambda _: (204, {})
        w.change(w.destination, enabled=True, disabled_because=None)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(timedelta(minutes=2))

        assert w.receiver.texts() == ["m2"]


def test_retry_after_is_obeyed_when_the_destination_asks_for_time() -> None:
    with world() as w:
        w.connect()
        answers = iter([(429, {"Retry-After": "1800"})])
        w.receiver.answer = lambda _: next(answers, (204, {}))

        w.post(1)
        w.run(timedelta(minutes=29))
        assert w.receiver.texts() == []
        w.run(timedelta(minutes=3))

        assert w.receiver.texts() == ["m1"]


def test_other_lanes_go_on_when_one_waits() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda body: (503, {}) if body["data"]["conversation"]["id"] == "100" else (204, {})

        w.post(1, chat=100)
        w.post(2, chat=200)
        w.run(timedelta(minutes=1))

        assert w.receiver.texts() == ["m2"]


@pytest.mark.parametrize("queue", ["inbox", "outbox"])
def test_ended_with_an_entry_when_a_message_is_dead_lettered(queue: str) -> None:
    with world() as w:
        w.connect()
        broken = {"inbox": "outbox.send", "outbox": "before PutItem"}[queue]
        w.post(1)
        if queue == "outbox":
            w.inbox.run(route.handle)
        fault = Unavailable("down") if queue == "inbox" else _throttled(broken)
        w.failing = lambda name: fault if name == broken else None
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


def test_no_personal_datum_is_in_the_clear_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    canaries = [b"Canary Person", b"canary text", b"hook-secret", b"7700123", SECRET.encode()]
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})

        w.post(1, "canary text", chat=7700123)
        w.inbox.run(route.handle)
        queued = w.outbox.messages
        w.run(timedelta(minutes=10))

        stored = b"".join(raw(row) for table in ("config", "data", "people", "audit-2026") for row in w.rows(table))
        moved = "".join(f"{m.body}{m.group}{m.deduplication}" for m in queued).encode()
        printed = "".join(capfd.readouterr()).encode()
        for canary in canaries:
            assert canary not in stored
            assert canary not in moved
            assert canary not in printed


def test_redacted_before_it_leaves_when_the_route_says_so() -> None:
    with world() as w:
        redact = [{"class": "name", "action": "drop"}, {"class": "content", "action": "mask"}]
        w.connect(route={"mode": "redact", "transform": {"redact": redact}})

        w.post(1, "call me tomorrow")
        w.run(timedelta(minutes=1))

        (_, _, body, _) = w.receiver.requests[0]
        assert body["data"]["sender"]["name"] is None
        assert body["data"]["message"]["text"] == "c**************w"
        (decided,) = w.of_kind("decided")
        assert decided["routes"][0]["decision"] == "redacted"
        assert "name" not in decided["routes"][0]["classes_out"]


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


def test_operator_is_told_when_an_event_is_too_much_work_for_a_pattern(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fields, "MAX_WORK", 10)
    with world() as w:
        w.connect(route={"pattern": {"message": {"text": [{"wildcard": "*b*"}]}}})

        w.post(1, "b" * fields.LONG_TEXT * 5)
        w.post(2, "ab")
        w.settle()

        assert w.receiver.texts() == ["ab"]
        assert capsys.readouterr().out.count('"patterns_undecided":1') == 1


HOSTILE = {
    "another secret": ({"x-telegram-bot-api-secret-token": "guess", "content-type": "application/json"}, b"{}", 401),
    "no secret": ({"content-type": "application/json"}, b"{}", 401),
    "two megabytes": ({"content-type": "application/json"}, b"0" * 2_000_000, 413),
    "an image": ({"content-type": "image/png", "x-telegram-bot-api-secret-token": "hook-secret"}, b"{}", 415),
    "broken JSON": ({"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}, b"{", 400),
    "a list": ({"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}, b"[]", 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_and_nothing_left_behind_when_a_webhook_is_hostile(name: str) -> None:
    headers, body, status = HOSTILE[name]
    with world() as w:
        w.connect()

        reply = w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock))

        assert reply.status == status
        assert json.loads(reply.body)["status"] == status
        assert not w.inbox.messages
        assert not w.rows("data")
        assert [row for row in w.rows("people") if not row["pk"]["S"].endswith("#key")] == []


def test_content_reaches_the_destination_when_a_channel_is_nothing_without_it() -> None:
    with world() as w:
        w.connect(source={"channel": "standard_webhooks"}, route={"pattern": {"kind": ["system"]}})
        row = w.runtime.config.get(w.tenant, w.source)
        w.runtime.config.replace(w.tenant, row.record, row.version, [{"secret": {"secret": SECRET}, "until": None}])
        body = b'{"type":"order.paid","data":{"id":"o-1"}}'
        at = int(w.clock.timestamp())
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": signature.sign(SECRET, "msg_1", at, body),
            "content-type": "application/json",
        }

        assert w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock)).status == 200
        w.run(timedelta(minutes=1))

        (_, _, sent, _) = w.receiver.requests[0]
        assert sent["data"]["raw"] == json.loads(body)


def test_not_found_when_a_source_is_unknown_or_no_id() -> None:
    with world() as w:
        w.connect()
        for source in ("src_" + "0" * 26, "src_x", "../../etc", ""):
            w.source = source
            assert w.hook(Inbound("POST", "https://h/", {}, {}, b"{}", w.clock)).status == 404

"""The promises of the flow, under faults: nothing lost, nothing reordered, nothing sent without a decision."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.channels.base import Inbound
from chalicelib.core.delivery import signature
from chalicelib.core.pattern import fields
from chalicelib.core.tenant.records import Contract
from chalicelib.flow.delivery import deliver
from chalicelib.flow.routing import route
from chalicelib.store.data import lane_of
from tests.support.promise import assert_promise
from tests.support.world import SECRET, START, raw, world

HOUR = timedelta(hours=1)


def test_delivered_and_logged_when_everything_works() -> None:
    with world() as w:
        w.connect()

        assert w.post(1).status == 200
        w.run(timedelta(minutes=1))

        assert_promise(w, ["m1"])
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

        assert_promise(w, ["m1"])
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
        assert_promise(w, sorted(texts), sorted(texts))
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

        assert_promise(w, ["m1", "m2", "m3"])
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


def test_destination_disabled_and_events_wait_when_it_is_gone() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (410, {})

        w.post(1)
        w.run(timedelta(minutes=1))
        w.post(2)
        w.run(timedelta(minutes=30))
        assert len(w.receiver.requests) == 1
        assert [e["outcome"] for e in w.of_kind("attempted")] == ["failed"]
        w.receiver.answer = lambda _: (204, {})
        w.change(w.destination, enabled=True, disabled_because=None)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(timedelta(minutes=2))

        assert w.receiver.texts() == ["m1", "m2"]


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
        kept = {name for row in w.rows("data") for name in row}
        counts, rejection = {"rejected", "malformed"}, {"detail", "headers", "last_at", "number"}
        assert kept <= {"pk", "sk", "ttl", "region"} | counts | rejection
        values = [value.encode() for value in headers.values()]
        assert not [value for row in w.rows("data") for value in values if value in raw(row)]
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

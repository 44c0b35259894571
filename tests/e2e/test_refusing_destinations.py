"""Destinations that refuse: a backlog survives them, lost access makes events wait, and the tenant is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.delivery import breaker
from chalicelib.core.tenant.records import Destination, Retry, Route
from tests.fixtures.destinations.messengers import TELEGRAM_TOKEN, Telegram
from tests.fixtures.destinations.vendor import Reply, Request, running
from tests.support.breaker import DAY, HOUR, MINUTE, all_ended_once_in_order, failed, state_of
from tests.support.counted import Receiver
from tests.support.world import SECRET, START, World, world


def outcomes(w: World) -> Counter[tuple[str, str]]:
    return Counter((e["outcome"], e["code"]) for e in w.of_kind("attempted"))


@contextmanager
def desk(w: World) -> Iterator[Receiver]:
    """A receiver of the cell's own events."""
    receiver = Receiver()
    place = ids.sortable("dst", w.clock, w.randomness.randbytes(11))
    config = w.runtime.config
    config.insert(
        w.tenant,
        Destination(id=place, name="desk", kind="http", recipient=w.recipient, created_at=w.clock),
        {"config": {"url": receiver.url}, "signing": [{"secret": SECRET, "until": None}]},
    )
    declared = {"name": "told", "pattern": {"channel": ["waybill"]}, "destination": place, "purpose": "operations"}
    new = ids.sortable("rte", w.clock, w.randomness.randbytes(11))
    config.insert(w.tenant, Route(id=new, created_at=w.clock, **declared))
    yield receiver
    receiver.close()


def told(receiver: Receiver, kind: str = breaker.REJECTING) -> list[dict[str, Any]]:
    return [b["data"]["raw"] for _, _, b, _ in receiver.requests if b["data"]["native_kind"] == kind]


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_no_event_of_a_backlog_is_rejected_when_a_destination_that_was_down_refuses_for_a_while(status: int) -> None:
    with world() as w:
        w.connect()
        refuses, back = START + 10 * MINUTE, START + 40 * MINUTE
        answers = [(status, {"Location": "https://elsewhere.example/"}), (204, {})]
        w.receiver.answer = lambda _: (502, {}) if w.clock < refuses else answers[w.clock >= back]
        failed(w, 10)
        for number in range(40):
            w.post(number, chat=100 + number % 20)

        w.run(39 * MINUTE)
        while_refusing = [s for *_, s in w.receiver.requests if s == status]
        w.run(2 * HOUR, every=5 * MINUTE)

        all_ended_once_in_order(w, [[f"m{n}", f"m{n + 20}"] for n in range(20)])
        assert {outcome for outcome, _ in outcomes(w)} == {"failed", "delivered"}
        assert 1 <= len(while_refusing) <= 4  # probes only
        assert state_of(w).failures == 0


@pytest.mark.parametrize("status", [400, 501])
def test_only_probes_are_rejected_when_a_destination_that_was_down_refuses_the_content(status: int) -> None:
    with world() as w:
        w.connect()
        back = START + 40 * MINUTE
        w.receiver.answer = lambda _: (status, {}) if w.clock < back else (204, {})
        failed(w, 10)
        for number in range(40):
            w.post(number, chat=100 + number)

        w.run(3 * HOUR, every=5 * MINUTE)

        found = outcomes(w)
        assert found["rejected", f"http_{status}"] <= 6
        assert found["delivered", "http_204"] == 40 - found["rejected", f"http_{status}"]
        assert found.total() == 40


def test_a_destination_that_is_gone_keeps_every_event_for_its_new_address() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (410, {})
        for number in range(6):
            w.post(number, chat=100 + number % 3)
        w.run(HOUR)
        assert w.runtime.config.get(w.tenant, w.destination).record.disabled_because == "gone"

        w.receiver.answer = lambda _: (204, {})
        w.change(w.destination, enabled=True, disabled_because=None)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(2 * HOUR)

        all_ended_once_in_order(w, [[f"m{n}", f"m{n + 3}"] for n in range(3)])


def test_the_tenant_is_told_with_code_and_transfer_when_a_destination_refuses_five_in_a_row() -> None:
    with world() as w:
        w.connect()
        with desk(w) as receiver:
            w.receiver.answer = lambda _: (422, {})
            for number in range(9):
                w.post(number, chat=100 + number)
                w.run(MINUTE)

            (raw,) = told(receiver)
            transfers = {e["transfer"] for e in w.of_kind("attempted") if e["code"] == "http_422"}
            assert raw["transfer"] in transfers
            assert {name: raw[name] for name in ("destination", "code", "in_a_row", "refused", "delivered")} == {
                "destination": w.destination, "code": "http_422", "in_a_row": 5, "refused": 5, "delivered": 0,
            }  # fmt: skip
            assert state_of(w).refusals.in_a_row == 9


def test_the_tenant_is_told_when_a_destination_refuses_half_of_its_events() -> None:
    with world() as w:
        w.connect()
        with desk(w) as receiver:
            w.receiver.answer = lambda body: (400 if int(body["data"]["message"]["text"][1:]) % 2 else 204, {})
            for number in range(24):
                w.post(number, chat=100 + number)
                w.run(timedelta(seconds=20))

            (raw,) = told(receiver)
            assert raw["code"] == "http_400"
            assert raw["refused"] * 2 >= raw["refused"] + raw["delivered"] >= 10


def test_nobody_is_told_when_a_destination_refuses_an_event_now_and_then() -> None:
    with world() as w:
        w.connect()
        with desk(w) as receiver:
            w.receiver.answer = lambda body: (204 if int(body["data"]["message"]["text"][1:]) % 4 else 400, {})
            for number in range(24):
                w.post(number, chat=100 + number)
                w.run(timedelta(seconds=20))

            assert receiver.requests == []
            assert state_of(w).refusals.refused >= 1


# Lost access


class Bot(Telegram):
    """A bot that Telegram may always answer the same way, or whose texts it may deny one of."""

    always: Reply | None = None
    denied: str | None = None

    def answer(self, request: Request) -> Reply:
        if self.always is not None:
            return self.always
        if self.denied is not None and request.body["text"].endswith(f"\n{self.denied}"):
            return LOST["denied"]
        return super().answer(request)


@contextmanager
def bot(telegram: Bot, **changes: Any) -> Iterator[World]:
    """A world whose destination is a Telegram chat."""
    with running(telegram), world() as w:
        w.connect(**changes)
        config = {"token": TELEGRAM_TOKEN, "chat_id": -100123, "api_url": telegram.url}
        row = w.runtime.config.get(w.tenant, w.destination)
        changed = row.record.model_copy(update={"kind": "telegram"})
        w.runtime.config.replace(w.tenant, changed, row.version, {"config": config, "signing": []})
        yield w


LOST = {
    "credentials": Reply(401, {"ok": False, "description": "Unauthorized"}),
    "denied": Reply(403, {"ok": False, "description": "Forbidden: bot was kicked from the group chat"}),
    "not_found": Reply(400, {"ok": False, "description": "Bad Request: chat not found"}),
}


@pytest.mark.parametrize(("code", "delays_s"), [("credentials", ()), ("denied", (5, 300)), ("not_found", ())])
def test_events_wait_for_days_and_arrive_in_order_when_access_is_lost_and_given_back(
    code: str, delays_s: tuple[int, ...]
) -> None:
    telegram = Bot()
    with bot(telegram, destination={"retry": Retry(delays_s=delays_s)}) as w, desk(w) as receiver:
        telegram.always = LOST[code]
        for number in range(12):
            w.post(number, chat=100 + number % 4)
        w.run(MINUTE)
        (raw,) = told(receiver)
        assert (raw["code"], raw["destination"]) == (code, w.destination)
        assert len(told(receiver, "destination.opened")) == 1
        tried = outcomes(w)["failed", code]
        assert tried <= 10  # the lanes of one batch

        w.run(3 * DAY, every=2 * HOUR)
        assert {outcome for outcome, found in outcomes(w) if found == code} == {"failed"}
        assert outcomes(w)["failed", code] - tried < 30
        telegram.always = None
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
        w.run(HOUR)

        assert outcomes(w)["delivered", "accepted"] == 12
        texts = [text.rpartition("\n")[2] for text in telegram.chats[-100123]]
        for lane in range(4):
            assert [t for t in texts if int(t[1:]) % 4 == lane] == [f"m{lane}", f"m{lane + 4}", f"m{lane + 8}"]


def test_events_expire_with_an_entry_when_access_is_never_given_back() -> None:
    telegram = Bot()
    with bot(telegram, days=7) as w:
        telegram.always = LOST["credentials"]
        for number in range(3):
            w.post(number, chat=100 + number)

        w.run(6 * DAY, every=4 * HOUR)
        assert w.runtime.config.get(w.tenant, w.destination).record.disabled_because == "failing"
        w.run(2 * DAY, every=4 * HOUR)

        assert [e["reason"] for e in w.of_kind("expired")] == ["retention"] * 3
        assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def test_one_event_that_is_denied_does_not_stop_the_others_for_long() -> None:
    telegram = Bot()
    with bot(telegram) as w:
        telegram.denied = "m3"
        for number in range(12):
            w.post(number, chat=100 + number)
            w.run(2 * MINUTE)
        w.run(5 * MINUTE)

        assert outcomes(w)["delivered", "accepted"] == 11
        assert 2 <= outcomes(w)["failed", "denied"] <= 5

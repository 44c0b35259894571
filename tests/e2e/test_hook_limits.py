"""The limits of the hook door: how fast a source may post, and how large an event may be."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import Inbound, Reply
from chalicelib.flow.hooks import receive
from chalicelib.flow.hooks.packing import EVENT_LIMIT_BYTES
from tests.support.world import World, world

RATE_PER_S = 3


def limited(w: World) -> None:
    """Set the rate of each source."""
    w.runtime.settings = replace(w.runtime.settings, source_rate_per_s=RATE_PER_S)


def test_source_is_refused_when_it_posts_more_than_two_seconds_of_its_rate_at_once() -> None:
    with world() as w:
        w.connect()
        limited(w)

        taken = [w.post(number) for number in range(2 * RATE_PER_S)]
        refused = w.post(99)

        assert [reply.status for reply in taken] == [200] * (2 * RATE_PER_S)
        assert (refused.status, json.loads(refused.body)["code"]) == (429, "too_many_requests")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == "1"
        assert w.inbox.sent == 2 * RATE_PER_S


def test_source_is_taken_again_when_it_waits_as_long_as_it_was_told() -> None:
    with world() as w:
        w.connect()
        limited(w)
        while (refused := w.post(1)).status == 200:
            pass

        w.clock += timedelta(seconds=int(refused.headers["retry-after"]))
        replies = [w.post(number).status for number in range(RATE_PER_S + 1)]

        assert replies == [200] * RATE_PER_S + [429]


def test_other_source_is_taken_when_one_is_over_its_rate() -> None:
    with world() as w:
        w.connect()
        limited(w)
        while w.post(1).status == 200:
            pass

        w.connect()

        assert w.post(2).status == 200


def post(w: World, padding: int, text: str = "Canary") -> Reply:
    """Post a telegram message with a field of so many bytes that only ``raw`` would keep."""
    person = {"id": 100, "is_bot": False, "first_name": "Canary Person"}
    message: dict[str, Any] = {
        "message_id": 1, "date": int(w.clock.timestamp()), "chat": {"id": 100, "type": "private"}, "from": person, "text": text,
    }  # fmt: skip
    body = json.dumps({"update_id": 1, "message": {**message, "padding": "x" * padding}}).encode()
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}
    return w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock))


def delivered(w: World) -> dict[str, Any]:
    """Run the cell and return the one event that arrived."""
    w.run(timedelta(minutes=1))
    ((_, _, body, _),) = w.receiver.requests
    data: dict[str, Any] = body["data"]
    return data


def test_event_keeps_raw_when_it_fits() -> None:
    with world() as w:
        w.connect(source={"keep_raw": True})

        assert post(w, EVENT_LIMIT_BYTES // 2).status == 200

        assert delivered(w)["raw"]["padding"] == "x" * (EVENT_LIMIT_BYTES // 2)


def unsigned(w: World, size: int, **headers: str) -> Reply:
    """A stranger posts to the bot's address."""
    return w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, b" " * size, w.clock))


def test_strangers_large_bodies_are_refused_before_they_are_read_when_the_sources_budget_is_used_up() -> None:
    with world() as w:
        w.connect()
        limit = CHANNELS["telegram"].CAPABILITIES.body_limit_bytes
        first = w.source

        rejected = [unsigned(w, limit).status for _ in range(2)]
        refused = unsigned(w, limit)
        small, genuine = unsigned(w, receive.SMALL_BYTES), w.post(1)
        w.connect()
        other = unsigned(w, limit)
        w.source = first
        w.clock += timedelta(seconds=receive.REFILL_S)
        later = unsigned(w, limit)

        assert rejected == [401, 401]
        assert (refused.status, refused.headers["retry-after"]) == (429, "60")
        assert json.loads(refused.body)["code"] == "too_many_requests"
        assert (small.status, genuine.status) == (401, 200)
        assert other.status == 401
        assert later.status == 401


def test_genuine_large_bodies_use_up_no_budget() -> None:
    with world() as w:
        w.connect()

        replies = [w.post(number, "x" * 150_000) for number in range(20)]

        assert {reply.status for reply in replies} == {200}

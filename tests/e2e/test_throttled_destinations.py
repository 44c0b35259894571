"""A destination that asks for less: the kinds without a vendor's limits rest, too, and lose no attempt by it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.world import World, world

DAY = timedelta(days=1)
RETRIES = {"delays_s": (5, 5)}


def attempts(w: World) -> list[tuple[int, str, str]]:
    return sorted((e["attempt"], e["outcome"], e["code"]) for e in w.of_kind("attempted"))


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "600"}], ids=["without", "with Retry-After"])
def test_throttles_use_up_no_attempt(headers: dict[str, str]) -> None:
    with world() as w:
        w.connect(destination={"retry": RETRIES})
        back = w.clock + timedelta(hours=6)
        w.receiver.answer = lambda _: (429, headers) if w.clock < back else (204, {})
        w.post(1)

        w.run(timedelta(hours=8))

        assert w.receiver.texts() == ["m1"]
        assert attempts(w) == [(1, "delivered", "http_204"), (1, "failed", "http_429")]
        state = w.runtime.destination_state.get(w.tenant, w.destination).state
        assert state.failures == 0


def test_destination_that_names_no_time_is_asked_ever_less_by_all_lanes() -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (429, {})
        for number in range(20):
            w.post(number, chat=100 + number)

        w.run(timedelta(minutes=2))
        first = len(w.receiver.requests)
        w.run(timedelta(minutes=10))
        w.run(timedelta(minutes=2))
        w.receiver.requests.clear()
        w.run(timedelta(minutes=2))

        assert 0 < 2 * len(w.receiver.requests) <= first


def test_event_that_is_throttled_to_its_end_expires_and_shows_the_throttle() -> None:
    with world() as w:
        w.connect(days=1, destination={"retry": RETRIES})
        w.receiver.answer = lambda _: (429, {"Retry-After": "3600"})
        w.post(1)

        w.run(3 * DAY)

        assert attempts(w) == [(1, "failed", "http_429")]
        (expired,) = w.of_kind("expired")
        assert (expired["reason"], expired["object"]["kind"]) == ("retention", "transfer")

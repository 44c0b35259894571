"""Each transfer ends once and in order when a failing destination meets deaths, throttling and double messages."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.core.delivery.breaker import Permission, may_send
from tests.support import deaths
from tests.support.breaker import MINUTE, all_ended_once_in_order, failed, state_of
from tests.support.world import START, World, world


@contextmanager
def by_hand(w: World) -> Iterator[None]:
    """Switch faults off for the test's own acts: they are not the cell's."""
    failing, crash_at = w.failing, w.crash_at
    w.failing, w.crash_at = (lambda name: None), None
    yield
    w.failing, w.crash_at = failing, crash_at


def _open(w: World) -> None:
    """The breaker opens with the first message, its probes fail, then the destination is back."""
    back = START + timedelta(minutes=5)
    w.receiver.answer = lambda _: (503, {}) if w.clock < back else (204, {})
    with by_hand(w):
        failed(w, 9)
    _post(w)
    w.run(timedelta(minutes=20), every=timedelta(minutes=2))


def _asked(w: World) -> None:
    """The first message is answered with a wish for time."""
    back = START + timedelta(minutes=4)
    wait = lambda: str(int((back - w.clock).total_seconds()))  # noqa: E731
    w.receiver.answer = lambda _: (429, {"Retry-After": wait()}) if w.clock < back else (204, {})
    _post(w)
    w.run(timedelta(minutes=20), every=timedelta(minutes=2))


def _limited(w: World) -> None:
    """Three messages come at once, but the destination accepts one every other second."""
    with by_hand(w):
        w.change(w.destination, rate_limit_per_s=1)
    _post(w)
    w.run(timedelta(minutes=20), every=timedelta(minutes=2))


def _disabled(w: World) -> None:
    """The destination was failing for five days when the first message comes; its owner enables it later."""
    w.receiver.answer = lambda _: (503, {}) if w.clock < START + MINUTE else (204, {})
    with by_hand(w):
        for hour in range(-150, 0, 30):
            w.clock = START + timedelta(hours=hour)
            failed(w, 1)
        w.clock = START
    _post(w)
    w.run(timedelta(minutes=6), every=timedelta(minutes=2))
    with by_hand(w):
        w.change(w.destination, enabled=True, disabled_because=None)
        w.runtime.destination_state.enable(w.tenant, w.destination, w.clock, None)
    w.run(timedelta(minutes=16), every=timedelta(minutes=2))


def _post(w: World) -> None:
    for number, chat in ((1, 100), (2, 200), (3, 100)):
        while w.post(number, chat=chat, at=START).status != 200:
            assert w.failing is not None
        w.settle()


JOURNEYS: dict[str, Callable[[World], None]] = {
    "open": _open,
    "asked for time": _asked,
    "limited": _limited,
    "disabled": _disabled,
}
LANES = [["m1", "m3"], ["m2"]]


@deaths.in_parts
@pytest.mark.parametrize("journey", JOURNEYS)
def test_each_transfer_ends_once_in_order_when_the_process_dies_at_any_effect(journey: str, part: int) -> None:
    with world() as w:
        w.connect()
        w.effects.clear()
        JOURNEYS[journey](w)
        all_ended_once_in_order(w, LANES)
        # Dying after an effect is dying before the next one.
        effects = [
            n for n, name in enumerate(w.effects, 1) if not name.startswith("after ") and not name.endswith(".sent")
        ]

    for number in deaths.at(effects, 5, part):
        with world() as w:
            w.connect()
            w.effects.clear()
            w.crash_at = number

            JOURNEYS[journey](w)

            all_ended_once_in_order(w, LANES)


@pytest.mark.parametrize("journey", JOURNEYS)
def test_each_transfer_ends_once_in_order_when_the_queues_deliver_everything_twice(journey: str) -> None:
    with world(doubles=True) as w:
        w.connect()

        JOURNEYS[journey](w)

        all_ended_once_in_order(w, LANES)


@pytest.mark.parametrize("journey", JOURNEYS)
@pytest.mark.parametrize("effect", ["before PutItem", "before UpdateItem"])
def test_each_transfer_ends_once_in_order_when_aws_throttles_a_third_of_the_calls(journey: str, effect: str) -> None:
    with world() as w:
        w.connect()
        draws = random.Random(7)
        document: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "too fast"}}
        fault = ClientError(document, effect)
        w.failing = lambda name: fault if name == effect and draws.random() < 1 / 3 else None

        JOURNEYS[journey](w)
        for _ in range(60):  # a throttled message comes back within ten minutes
            if w.inbox.messages or w.outbox.messages:
                w.run(10 * MINUTE)

        all_ended_once_in_order(w, LANES)


def test_one_probes_when_many_ask_at_once() -> None:
    with world() as w:
        w.connect()
        failed(w, 10)
        w.receiver.answer = lambda _: (503, {})
        w.clock += 2 * MINUTE
        for number in range(8):
            w.post(number, chat=100 + number)

        w.settle()

        assert len(w.receiver.requests) == 1
        assert may_send(state_of(w), w.clock) is Permission.NO

"""Virtual time of the benchmarks: what runs at once takes the time of the longest, and a process has one CPU."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.virtual import Virtual
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from simulation.memory import Memory

START = datetime(2026, 11, 30, tzinfo=UTC)
REGION = "eu-central-1"


@pytest.fixture
def virtual() -> Iterator[Virtual]:
    made = Virtual(START, latency_s={("sqs", "get_queue_url"): 1.0})
    yield made
    made.close()


def process(virtual: Virtual) -> Runtime:
    settings = Settings(cell="virtual", region=REGION, country="DE", insert="partiql")
    return virtual.runtime(settings, virtual.clients(Memory(REGION).client))


def call(runtime: Runtime) -> Any:
    """Make a call that takes a second."""
    return runtime.clients.get("sqs").get_queue_url(QueueName="q")


def test_calls_take_their_time_when_they_are_made_one_after_another(virtual: Virtual) -> None:
    cell = process(virtual)

    took_s = virtual.run(lambda: [call(cell) for _ in range(3)])

    assert took_s == pytest.approx(3.0)
    assert virtual.now() == START + timedelta(seconds=3)
    assert virtual.calls == {("sqs", "get_queue_url"): 3}


@pytest.mark.parametrize(("size", "seconds"), [(1, 8), (3, 3), (8, 1)])
def test_so_many_calls_run_at_once_as_there_are_threads(virtual: Virtual, size: int, seconds: float) -> None:
    cell = process(virtual)

    took_s = virtual.run(lambda: list(cell.threads.map(size, lambda _: call(cell), range(8))))

    assert took_s == pytest.approx(seconds)


def test_invocations_take_the_time_of_the_longest_when_they_run_at_once(virtual: Virtual) -> None:
    one, other = process(virtual), process(virtual)

    def longer() -> None:
        call(other)
        other.sleep(4.0)

    took_s = virtual.together([lambda: call(one), longer])
    virtual.wait(60.0)

    assert took_s == pytest.approx(5.0)
    assert virtual.seconds == pytest.approx(65.0)


def test_threads_share_a_cpu_and_invocations_do_not(virtual: Virtual) -> None:
    cell = process(virtual)

    threads_s = virtual.run(lambda: list(cell.threads.map(4, lambda _: virtual.charge(1.0), range(4))))
    invocations_s = virtual.together([lambda: virtual.charge(1.0)] * 4)

    assert [threads_s, invocations_s] == pytest.approx([4.0, 1.0])


def test_a_call_fails_after_its_time_when_the_service_is_down(virtual: Virtual) -> None:
    cell = process(virtual)

    def down(service: str, operation: str, arguments: Any) -> None:
        raise ConnectionError(service)

    virtual.around = down

    with pytest.raises(ConnectionError, match="sqs"):
        virtual.run(lambda: call(cell))

    assert virtual.seconds == pytest.approx(1.0)


def test_a_thread_fails_its_caller_when_it_raises(virtual: Virtual) -> None:
    cell = process(virtual)

    def odd(number: int) -> int:
        if number == 2:
            raise KeyError(number)
        return number

    with pytest.raises(KeyError):
        virtual.run(lambda: list(cell.threads.map(2, odd, range(4))))

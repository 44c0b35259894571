"""Virtual time: real handlers over in-memory AWS, where each call takes as long as it does on AWS.

A benchmark that asks "how much does one function do in its minute" wraps the clients of its services, builds runtimes of
this clock, and runs invocations::

    virtual = Virtual(start=datetime(2026, 11, 30, tzinfo=UTC))
    stores = memory.Memory("eu-central-1")                      # or any clients that answer at once
    make = virtual.clients(stores.client)                       # each call now takes its time
    cell = virtual.runtime(settings, make)                      # one runtime is one process of Lambda
    took_s = virtual.run(lambda: seal.handle(cell))             # one invocation
    virtual.together([lambda: …, lambda: …])                    # several at once, as concurrent invocations
    virtual.wait(60.0)                                          # nothing runs for a minute
    virtual.calls["sqs", "receive_message"]                     # how many calls there were

``run`` and ``together`` return the virtual seconds from the first start to the last end. Threads of a process (``runtime.threads``)
and invocations run at once in virtual time, one at a time in real time, and in the same order in each run.

CPU is counted, too: the CPU time that our code takes between two calls advances the clock, multiplied by ``cpu``. A process has
one CPU, so that its threads share it. With ``cpu=0`` a run has the same figures on every machine.

``around`` fails calls: it is called with service, operation and arguments before each call, and what it raises is the call's end.
It runs after the latency, as a refusal also takes a way there and back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.region import Clients
from chalicelib.threads import Item, Result
from simulation.client import Client
from simulation.scheduler import Scheduler, SimulatedThreads

MakeClient = Callable[[str, str], Any]
Fault = Callable[[str, str, Mapping[str, Any]], None]

LATENCY_S: Mapping[str, float] = {"dynamodb": 0.006, "sqs": 0.009, "s3": 0.018, "kms": 0.010}
"""Assumed: seconds of one call, by service."""
OPERATION_S: Mapping[tuple[str, str], float] = {
    ("dynamodb", "get_item"): 0.004,
    ("dynamodb", "put_item"): 0.005,
    ("dynamodb", "query"): 0.008,
    ("dynamodb", "batch_get_item"): 0.008,
    ("dynamodb", "batch_execute_statement"): 0.008,
    ("sqs", "receive_message"): 0.008,
    ("sqs", "send_message_batch"): 0.010,
    ("s3", "put_object"): 0.025,
}
"""Assumed: seconds of one call where they differ from the service's other calls."""


class Virtual:
    """A clock that stands still but for calls and CPU.

    Args:
        start: the time at which the clock starts.
        cpu: virtual seconds for a second of CPU on this machine; 0 leaves CPU out.
        latency_s: replaces latencies, by service and operation.
    """

    def __init__(
        self, start: datetime, cpu: float = 0.0, latency_s: Mapping[tuple[str, str], float] | None = None
    ) -> None:
        self.start = start
        self.cpu = cpu
        self.calls: Counter[tuple[str, str]] = Counter()
        self.around: Fault = lambda _service, _operation, _arguments: None
        self._latency_s = {**OPERATION_S, **(latency_s or {})}
        self._scheduler = Scheduler()
        self._local = threading.local()
        self._busy_s: dict[Any, float] = {}
        self._processes = 0

    @property
    def seconds(self) -> float:
        """Virtual seconds since ``start``."""
        return self._scheduler.now_s

    def now(self) -> datetime:
        """Return the virtual time."""
        return self.start + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the running invocation or thread."""
        self.charge()
        self._scheduler.pause(seconds)
        self._mark()

    def runtime(self, settings: Settings, make: MakeClient, **parts: Any) -> Runtime:
        """Make the runtime of one process: its clock, its sleep and its threads are virtual."""
        return Runtime(
            settings,
            Clients(settings.region, make=make),
            now=self.now,
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            threads=_Threads(self),
            **parts,
        )

    def clients(self, make: MakeClient) -> MakeClient:
        """Return a function that makes the clients of ``make``, whose calls take time."""
        return lambda service, region: Client(make(service, region), self._taking(service))

    def _taking(self, service: str) -> Callable[[str, Mapping[str, Any], Callable[[], Any]], Any]:
        def around(operation: str, arguments: Mapping[str, Any], act: Callable[[], Any]) -> Any:
            self.charge()
            self.calls[service, operation] += 1
            self._scheduler.pause(self._latency_s.get((service, operation), LATENCY_S[service]))
            try:
                self.around(service, operation, arguments)
                return act()
            finally:
                self._mark()  # the stand-in's own CPU is not ours

        return around

    # Running

    def run(self, work: Callable[[], Any]) -> float:
        """Run one invocation to its end. Return how long it took. Raises what it raises."""
        return self.together([work])

    def together(self, works: Iterable[Callable[[], Any]]) -> float:
        """Run invocations at once, each with a CPU of its own. Return how long it took until all had ended.

        Raises:
            BaseException: what the first of them to fail raised.
        """
        began, faults = self.seconds, list[BaseException]()
        waiting = 0

        def invocation(work: Callable[[], Any]) -> Callable[[], None]:
            def run() -> None:
                nonlocal waiting
                try:
                    self.timed(work)
                except BaseException as fault:  # noqa: BLE001  (raised again below, in the caller's thread)
                    faults.append(fault)
                waiting -= 1

            return run

        for work in works:
            self._processes += 1
            waiting += 1
            self._scheduler.spawn(invocation(work), context=self._processes)
        self._scheduler.run(float("inf"), stop=lambda: waiting == 0)
        if faults:
            raise faults[0]
        return self.seconds - began

    def wait(self, seconds: float) -> None:
        """Let virtual time pass while nothing runs."""
        self._scheduler.run(self.seconds + seconds)

    def close(self) -> None:
        """End the threads of the simulation."""
        self._scheduler.close()

    # CPU

    def _mark(self) -> None:
        self._local.cpu_s = time.thread_time()

    def charge(self, seconds: float | None = None) -> None:
        """Let the CPU pass that the running thread used since its last call, or so many seconds of it.

        Other threads of the process that want CPU at the same virtual time get it afterwards.
        """
        task = self._scheduler.current
        if task is None:
            return
        used = seconds if seconds is not None else (time.thread_time() - self._local.cpu_s) * self.cpu
        if used > 0:
            until = max(self.seconds, self._busy_s.get(task.context, 0.0)) + used
            self._busy_s[task.context] = until
            self._scheduler.pause(until - self.seconds)
        self._mark()

    def timed(self, work: Callable[[], Result]) -> Result:
        """Run work on a thread of its own, and count its CPU. Return its result."""
        self._mark()
        try:
            return work()
        finally:
            self.charge()


class _Threads:
    """Threads of a process in virtual time."""

    def __init__(self, virtual: Virtual) -> None:
        self._virtual = virtual
        self._threads = SimulatedThreads(virtual._scheduler)

    def run(
        self, pool: str, size: int, calls: Sequence[Callable[[], Result]], timeout_s: float | None = None
    ) -> list[Future[Result]]:
        """Run calls, at most ``size`` at once, and wait for all."""
        done: list[Future[Result]] = [Future() for _ in calls]
        waiting = list(zip(calls, done, strict=True))[::-1]

        def thread() -> None:
            while waiting:
                call, future = waiting.pop()
                try:
                    future.set_result(self._virtual.timed(call))
                except Exception as fault:  # noqa: BLE001  (handed to the caller that asks for the result)
                    future.set_exception(fault)

        self._virtual.charge()
        self._threads.run(pool, size, [thread] * min(size, len(waiting)))
        return done

    def gathered(self, do: Callable[[list[Item]], list[Result]], most: int) -> Callable[[Item], Result]:
        """Return a function that does each item alone."""
        return self._threads.gathered(do, most)

    def map(self, size: int, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield a function's result for each item, at most ``size`` of them at once."""
        for future in self.run("", size, [partial(function, item) for item in items]):
            yield future.result()

"""A world in which many invocations run at once, in simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from chalicelib.flow.delivery import deliver
from infra.cell import engines
from simulation.scheduler import Scheduler, SimulatedThreads
from tests.support.world import START, World


class Simultaneous(World):
    """A world with concurrent invocations. Each effect takes up to 30 ms. ``nap_s`` lengthens a sleep, given its start and length."""

    nap_s: Callable[[float, float], float] = staticmethod(lambda now_s, seconds: seconds)

    def start(self, engine: engines.Engine) -> None:
        self.scheduler = Scheduler()
        self.latency = random.Random(11)
        super().start(engine)

    def restart(self) -> None:
        super().restart()
        self.runtime.now, self.runtime.monotonic, self.runtime.sleep = (
            self.now,
            lambda: self.scheduler.now_s,
            lambda seconds: self.scheduler.pause(self.nap_s(self.scheduler.now_s, seconds)),
        )
        self.runtime.threads = SimulatedThreads(self.scheduler)

    def now(self) -> datetime:
        self.clock = START + timedelta(seconds=self.scheduler.now_s)
        return self.clock

    def effect(self, name: str) -> None:
        self.scheduler.pause(self.latency.uniform(0, 0.03))
        self.now()
        super().effect(name)

    def deliver_until(
        self,
        done: Callable[[], bool],
        invocations: int,
        limit_s: float,
        pump_every_s: float = 0.1,
        poll_s: float = 0.02,
    ) -> None:
        """Run deliver in several invocations at once, and pump, until ``done`` or the end of the time."""

        def invoke() -> None:
            while not done():
                if not self.outbox.run(deliver.handle):
                    self.scheduler.pause(poll_s)

        def pump() -> None:
            while not done():
                started_s = self.scheduler.now_s
                self.pump()
                self.scheduler.pause(max(0.1, pump_every_s - (self.scheduler.now_s - started_s)))

        for _ in range(invocations):
            self.scheduler.spawn(invoke)
        self.scheduler.spawn(pump)
        self.scheduler.run(limit_s)
        self.scheduler.close()

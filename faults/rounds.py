"""One round: a random world, a storm, calm until nothing waits, and the judgement. One seed is one run, exactly."""

from __future__ import annotations

import contextlib
import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.core import times
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.flow.delivery.pump import HEALTH
from chalicelib.flow.jobs import replay
from chalicelib.flow.sealing import reconcile
from infra.cell import engines

from . import content, judge, off_record, owners, pulls, sealed
from .evidence import Evidence
from .lives import Lives
from .owners import Owners
from .platforms import POSTS, Person, Platforms
from .pulls import Pulls
from .receivers import OUTAGES, Receivers
from .story import Broken
from .weather import Weather, draw
from .world import REGION, START, Context, World

CHANGES: Mapping[str, owners.Change] = {**owners.CHANGES, **content.CHANGES, **off_record.CHANGES}
"""Everything that tenants change, by name."""
CHANGES_EACH = 12
"""How many changes each tenant makes during the storm."""
STORM_S = 1500.0
CALM_DAYS = 40
STEP_S = 60.0
SCHEDULES = {"pump": 1, "jobs": 1, "collect": 7, "sweep": 60}
"""The handlers that the clock runs, and each how many minutes. Sealing is given longer than a cell gives it, for speed."""
RECONCILED_HOURS = 48
"""Each tenant has its hour, in which reconcile compares the days before."""
RECONCILED_DAYS = reconcile.ROUND_DAYS
"""In so many days reconcile compares all days further back, too."""
LAST_MINUTES = 15
"""How long nothing has to happen before all is taken to be at rest."""


@dataclass(frozen=True)
class Progress:
    """Where a round is."""

    events: int
    clock: datetime
    faults: Counter[str]
    phase: str


@dataclass
class Outcome:
    """The result of a round. ``broken`` lists the broken promises; it should be empty."""

    seed: int
    events: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    simulated: timedelta = timedelta()
    broken: list[Broken] = field(default_factory=list)
    unhandled: Counter[str] = field(default_factory=Counter)
    digest: str = ""


class Round:
    """A world under way.

    Args:
        events: about how many webhooks people write.
    """

    def __init__(self, engine: engines.Engine, seed: int, events: int, say: Callable[[Progress], None]) -> None:
        self.seed, self.events, self._say = seed, events, say
        self.random = random.Random(f"{seed}/round")
        self.storm = draw(random.Random(f"{seed}/weather"))
        self.world = World(engine, seed, Weather())
        self.receivers = Receivers(self.world)
        self.pulls = Pulls(self.world)
        self.receivers.heard = self.pulls.told
        self.owners = Owners(self.world, self.receivers, CHANGES)
        self.platforms = Platforms(self.world)
        self.failed: Counter[str] = Counter()
        self.lives = Lives(self.world, self.owners, self.storm)
        self._minutes = 0

    def run(self) -> Outcome:
        """Run the round and judge it."""
        world = self.world
        with world.running(), self.receivers.listening():
            self._found()
            world.faults.weather = self.storm
            self._people()
            self._storm()
            stormed_at = world.now()
            world.faults.calm()
            for receiver in self.receivers.all.values():
                receiver.outages.clear()
                receiver.gone_at_s = None
            world.scheduler.spawn(self.owners.heal, context=Context())
            self._calm()
            self._redrive()
            self._calm()
            self._reconciled()
            self.lives.end(stormed_at)
            self._reconciled()
            self._reconciled_further_back()
            broken, seen = self._judged()
        return Outcome(
            self.seed, self.platforms.taken, seen.ends, world.faults.counts, Counter(self.owners.changes),
            Counter(world.invocations), world.deaths, world.now() - START, broken, Counter(world.unhandled), seen.digest,
        )  # fmt: skip

    def _judged(self) -> tuple[list[Broken], judge.Seen]:
        promises: tuple[judge.Promise, ...] = (
            *judge.PROMISES,
            functools.partial(judge.private, secrets=self.owners.secrets),
            functools.partial(judge.sound, failed=self.failed),
            functools.partial(pulls.judged, made=self.pulls.all),
            self.lives.judged,
            functools.partial(off_record.judged, stored=self.lives.seen),
        )
        return judge.judge(Evidence(self.world, self.owners.tenants, self.receivers, self.platforms.people), promises)

    def _run(self, seconds: float, phase: str, stop: Callable[[], bool] = lambda: False) -> None:
        scheduler = self.world.scheduler
        until = scheduler.now_s + seconds
        while scheduler.now_s < until and not stop():
            scheduler.run(min(until, scheduler.now_s + STEP_S), stop)
            self._say(Progress(self.platforms.taken, self.world.now(), self.world.faults.counts, phase))

    def _found(self) -> None:
        done: list[bool] = []

        def found() -> None:
            for _ in range(self.random.randint(2, 3)):
                channels = self.random.sample(sorted(POSTS), self.random.randint(2, 3))
                self.owners.found(channels, self.random.randint(2, 4))
            done.append(True)

        self.world.scheduler.spawn(found, context=Context())
        self._run(3600, "setting up", lambda: bool(done))

    def _people(self) -> None:
        sources = [source for tenant in self.owners.tenants for source in tenant.sources]
        people = [Person(self.random.choice(sources), number) for number in range(max(3, self.events // 12))]
        self.platforms.people = people
        counts = Counter(self.random.choices(range(len(people)), k=self.events))
        for number, person in enumerate(people):
            pauses = [self.random.expovariate(counts[number] / STORM_S) for _ in range(counts[number])]
            write = self._writer(person, pauses)
            self.world.scheduler.spawn(write, context=Context())
        for tenant in self.owners.tenants:
            pauses = [self.random.uniform(10, 250) for _ in range(CHANGES_EACH)]
            self.world.scheduler.spawn(functools.partial(self.owners.live, tenant, pauses), context=Context())
        now_s = self.world.scheduler.now_s
        for receiver in self.receivers.all.values():
            for _ in range(self.random.choice((0, 0, 1, 2))):
                since = now_s + self.random.uniform(0, STORM_S)
                length = self.random.choice((30, 120, 600, 3600))
                receiver.outages.append((since, since + length, self.random.choice(OUTAGES)))
            if self.random.random() < 0.1:
                receiver.gone_at_s = now_s + self.random.uniform(0, STORM_S)

    def _writer(self, person: Person, pauses: list[float]) -> Callable[[], None]:
        return lambda: self.platforms.write(person, pauses)

    def _minute(self) -> None:
        """Run the scheduled functions, each sometimes skipped or doubled."""
        world = self.world
        for name, minutes in SCHEDULES.items():
            if self._minutes % minutes:
                continue
            if world.faults.draws("pump_skipped"):
                world.faults.note(world.tick, world.scheduler.now_s, "pump_skipped", name)
                continue
            world.clock(name)
            if world.faults.draws("pump_doubled"):
                world.faults.note(world.tick, world.scheduler.now_s, "pump_doubled", name)
                world.clock(name)
        self._minutes += 1

    def _storm(self) -> None:
        world = self.world
        began = world.scheduler.now_s
        while self.platforms.busy or self.owners.busy or world.scheduler.now_s < began + STORM_S:
            self._minute()
            self._run(60, "storm")
            if world.scheduler.now_s > began + 6 * STORM_S:
                raise RuntimeError("the storm does not end: platforms or owners wait for ever")

    def _calm(self) -> None:
        """Advance time until nothing waits; skip minutes in which nothing is due."""
        world = self.world
        end_s = world.scheduler.now_s + CALM_DAYS * 86_400
        self._minutes = 0
        while world.scheduler.now_s < end_s:
            self._minute()
            self._run(60, "calm")
            if any(map(len, world.mappings.queues.values())):
                continue
            due = self.next_due()
            if due is None:
                if self._minutes > LAST_MINUTES and not len(world.seal_requests):
                    return
                continue
            self._minutes = 0
            wait_s = (due - world.now()).total_seconds()
            if wait_s > 60:
                self._run(wait_s, "calm")

    def _reconciled(self) -> None:
        """Advance the hours in which reconcile finds entries whose seal request was lost with its process.

        Faults are off by now: a failure now would last for ever.
        """
        before = len(self.world.unhandled)
        self._advance(RECONCILED_HOURS)
        self._calm()
        self.failed.update(self.world.unhandled[before:])

    def _reconciled_further_back(self) -> None:
        """Advance the days in which reconcile finds entries of past days.

        A sweep that ends an event's lifetime, or deletes a person with nothing left, may append to a day that is weeks back.
        """
        if not sealed.waiting(self.world):
            return
        before = len(self.world.unhandled)
        self._advance(RECONCILED_DAYS * 24)
        self._calm()
        self.failed.update(self.world.unhandled[before:])

    def _advance(self, hours: int) -> None:
        """Advance hours, and sweep only in those at which a tenant's turn comes."""
        world = self.world
        # In the middle of an hour, even with a clock that is ahead.
        self._run(3600 - (world.now().minute + 30) % 60 * 60, "sealing")
        for _ in range(hours):
            if any(reconcile.due(tenant.id, world.now()) for tenant in self.owners.tenants):
                for name in ("sweep", "collect"):
                    world.clock(name)
                    self._run(600, "sealing")
                self._run(2400, "sealing")
            else:
                self._run(3600, "sealing")

    def next_due(self) -> datetime | None:
        """Return when the next lane, job, walk of a hold or destination is due; None if no lane, job or walk waits.

        A failing destination is due for ever, with or without waiting transfers.
        """
        found: list[str] = []
        waits = False
        for shard in (*range(8), "jobs", "holds"):
            answer = self.world.tables.query(
                TableName=f"{self.world.inspector.settings.prefix}-data", IndexName="due",
                KeyConditionExpression="due_shard = :s", ExpressionAttributeValues={":s": {"S": f"due#{shard}"}},
            )  # fmt: skip
            found.extend(item["due_at"]["S"].partition("#")[0] for item in answer["Items"])
            waits = waits or any(not item["pk"]["S"].startswith(HEALTH) for item in answer["Items"])
        return times.parse(min(found)) if waits else None

    def _redrive(self) -> None:
        """Make a person replay every dead letter. A letter whose event is gone stays."""
        world = self.world

        def redrive() -> None:
            runtime = world.inspector
            for tenant in self.owners.tenants:
                for letter in list(replay.letters(runtime, tenant.id)):
                    with contextlib.suppress(Conflict, NotFound):
                        replay.redrive(runtime, tenant.id, letter, ("operator", "soak"))

        world.scheduler.spawn(redrive, context=Context())


@contextlib.contextmanager
def engine_of(name: str) -> Iterator[engines.Engine]:
    """Run a fresh engine."""
    with engines.start(name, REGION) as engine:
        yield engine


def play(engine: str, seed: int, events: int, say: Callable[[Progress], None] = lambda _: None) -> Outcome:
    """Run one round on a fresh engine and judge it."""
    with engine_of(engine) as running:
        return Round(running, seed, events, say).run()

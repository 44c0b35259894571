"""How much a cell seals: the real handlers in virtual time, over AWS in memory.

A minute of events is appended, and requested by as many processes as that rate needs. Then ``collect`` and ``seal`` run as Lambda
runs them: one collector, and a sealer for each log, at most ``SEALERS`` at once. One log keeps up with a rate if its minute is
sealed within a minute. An hour's backlog is sealed by runs of ``UNTIL_S``, with a minute of waiting for the collector between
them. A process of Lambda has one CPU, taken to be as fast as this machine's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.core import ids, times
from chalicelib.core.log import audit, leaf
from chalicelib.core.log import seal as log_seal
from chalicelib.flow.messages import from_lambda
from chalicelib.flow.seal_requests import notify_sealer
from chalicelib.flow.sealing import collect, seal
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.signer import SeedSigner, Signer
from infra.cell import feeders
from infra.deploy import template

from . import leaf as leaves
from .results import Result
from .sealing_aws import Bucket, Queues, Tables
from .virtual import Virtual

REGION = "eu-central-1"
START = datetime(2026, 11, 30, 10, tzinfo=UTC)
LOG = "2026"
BATCHES = {10: 3_000, 2: None, 1: 1_000}
"""Budgets, in events a second, by events in a batch of route and deliver."""
TENANTS_BUDGET = 2_000
HOUR_S = 3_600
RATE = 1_000
"""Events a second, of the tenant whose backlog is drained and of the processes that request seals."""
RUN_S = 0.1
"""Assumed: how long route or deliver works on a batch, which says how many processes there are at once."""
SIGN_S = 0.010
SEALERS = json.loads(template.RESOURCES.read_text("utf-8"))["Resources"]["Seal"]["Properties"]["Events"][
    "SealSqsEventSource"
]["Properties"]["ScalingConfig"]["MaximumConcurrency"]


class _SlowSigner:
    """A signer that takes as long as KMS."""

    def __init__(self, inner: Signer, virtual: Virtual) -> None:
        self._inner, self._virtual = inner, virtual

    @property
    def public_key(self) -> bytes:
        return self._inner.public_key

    def sign(self, message: bytes) -> bytes:
        self._virtual.sleep(SIGN_S)
        return self._inner.sign(message)


class Scene:
    """A cell of virtual time whose log gets entries.

    Args:
        cpu: as for ``Virtual``.
    """

    def __init__(self, cpu: float = 1.0) -> None:
        self.virtual = Virtual(START, cpu)
        self.tables = Tables(REGION, self.virtual)
        self.bucket = Bucket(REGION)
        self.sqs = Queues(REGION, self.virtual, int(START.timestamp() * 1000))
        services = {"dynamodb": self.tables, "s3": self.bucket, "sqs": self.sqs}
        self._make = self.virtual.clients(lambda service, _: services[service])
        self._signer = _SlowSigner(SeedSigner(bytes(32)), self.virtual)
        self._numbers = itertools.count()
        decision = leaves.decided()
        self._kinds = (decision, leaves.attempted(decision))
        self.most = 0

    def process(self) -> Runtime:
        """Start a process of a function."""
        settings = Settings(
            cell="scale",
            region=REGION,
            country="DE",
            insert="partiql",
            evidence_bucket="evidence",
            evidence_compact=True,
        )
        runtime = self.virtual.runtime(settings, self._make)
        runtime.signer = self._signer
        return runtime

    def append(self, tenant: str, at: datetime, number: int) -> dict[str, int]:
        """Store entries of one minute, decisions and attempts. Return how many each partition got."""
        found: dict[str, int] = {}
        for place in range(number):
            owner = f"evt_{next(self._numbers)}"
            name = audit.entry_id(times.minute(at), owner, "entry")
            when = times.text(at + timedelta(milliseconds=place * 60_000 // number))
            data = leaf.canonical({**self._kinds[place % 2], "tenant": tenant, "id": name, "at": when})
            row = {
                "pk": {"S": audit.partition_of(tenant, name)}, "sk": {"S": name}, "leaf": {"B": leaf.deflate(data)},
                "v": {"N": "1"}, "log": {"S": LOG},
            }  # fmt: skip
            self.tables.add("waybill-scale-audit-2026", row)
            partition = audit.partition_name(name)
            found[partition] = found.get(partition, 0) + 1
        return found

    def request(self, tenant: str, partitions: dict[str, int], batch: int) -> None:
        """Request seals of a minute's entries, as the processes that appended them do, ``batch`` events a call."""
        processes = max(1, round(RATE / batch * RUN_S))
        cells = [self.process() for _ in range(2 * processes)]  # of route and of deliver
        waiting = [name for _, name in sorted((n, name) for name, number in partitions.items() for n in range(number))]
        works: list[Callable[[], None]] = []
        for place, cell in enumerate(cells):
            mine = waiting[place :: len(cells)]
            works.append(lambda cell=cell, mine=mine: self._told(cell, tenant, mine, batch))  # type: ignore[misc]
        self.virtual.together(works)

    def _told(self, cell: Runtime, tenant: str, partitions: list[str], batch: int) -> None:
        for start in range(0, min(len(partitions), 40 * batch), batch):  # by then each process has requested all
            touched: dict[str, int] = {}
            for name in partitions[start : start + batch]:
                touched[name] = touched.get(name, 0) + 1
            cell.audit.touch_again({(tenant, LOG): touched})
            notify_sealer(cell)

    def collect(self) -> float:
        """Run the collector once. Return how long it took."""
        return self.virtual.run(lambda: collect.handle(self.process()))

    def seal(self) -> float:
        """Run sealers until no task is left. Return how long it took."""
        queue = self.process().sealing.name

        def sealer() -> None:
            cell = self.process()
            fifo = self.sqs.fifo(queue)
            while batch := fifo.receive(1, self.virtual.seconds):
                records = [m.record(self.sqs.start_ms) for m in batch]
                if seal.handle(cell, from_lambda(feeders.sqs_event(records, REGION, queue))):
                    raise RuntimeError("a sealer of the benchmark failed")
                for message in batch:
                    fifo.delete(message.handle, self.virtual.seconds)

        return self.virtual.together([sealer] * SEALERS)

    def sealed(self, tenant: str) -> int:
        """Return the size of a tenant's log."""
        last = self.process().seals.last(tenant, LOG)
        return last.size if last else 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Note in ``most`` how many entries a sealer holds at most."""
        module: Any = seal
        read, integrate = seal._unsealed, log_seal.integrate

        def reading(runtime: Any, one: Any, base: Any, piece: Any, horizon: Any) -> Any:
            self.most = max(self.most, len(piece))
            return read(runtime, one, base, piece, horizon)

        def integrating(last: Any, rows: Any, horizon: Any) -> Any:
            self.most = max(self.most, len(rows))
            return integrate(last, rows, horizon)

        module._unsealed, module.seal.integrate = reading, integrating
        try:
            yield
        finally:
            module._unsealed, module.seal.integrate = read, integrate


def one_log(batch: int, entries: int) -> tuple[float, float]:
    """Seal a minute of one log. Return how many events a second a sealer seals, and how long the collector took."""
    scene, tenant = Scene(), ids.derived("tnt", "one")
    scene.request(tenant, scene.append(tenant, START, entries), batch)
    scene.virtual.wait(400)
    collected_s = scene.collect()
    took_s = scene.seal()
    if scene.sealed(tenant) != entries:
        raise RuntimeError("the benchmark left entries unsealed")
    scene.virtual.close()
    return entries / 2 / took_s, collected_s


def tenants(number: int) -> float:
    """Seal a few entries of many tenants. Return how many tenants are sealed in five minutes."""
    scene = Scene()
    names = [ids.derived("tnt", str(n)) for n in range(number)]
    cell = scene.process()
    for name in names:
        cell.audit.touch_again({(name, LOG): scene.append(name, START, 10)})
    scene.virtual.run(lambda: notify_sealer(cell))
    scene.virtual.wait(400)
    took_s = scene.collect() + scene.seal()
    if any(scene.sealed(name) != 10 for name in names):
        raise RuntimeError("the benchmark left a tenant unsealed")
    scene.virtual.close()
    return number * 300 / took_s


def backlog(entries: int) -> tuple[float, int]:
    """Seal a backlog of several minutes of one log. Return entries a second, and the most that a sealer held."""
    scene, tenant = Scene(), ids.derived("tnt", "one")
    found: dict[str, int] = {}
    for minute in range(4):
        found |= scene.append(tenant, START + timedelta(minutes=minute), entries // 4)
    scene.request(tenant, found, 10)
    scene.virtual.wait(700)
    scene.collect()
    with scene.counting():
        took_s = scene.seal()
    scene.virtual.close()
    return scene.sealed(tenant) / took_s, scene.most


def run(quick: bool = False) -> list[Result]:
    """Measure."""
    entries, many = (8_000, 200) if quick else (40_000, 2_000)
    results = []
    for batch, budget in BATCHES.items():
        rate, collected_s = one_log(batch, entries)
        name = f"sealing one log, batches of {batch}"
        results.append(Result(name, round(rate), "events/s", budget, None, "min"))
        results.append(Result(f"{name}: collecting a minute of it", round(collected_s, 2), "s", 60))
    results.append(
        Result("sealing, tenants in five minutes", round(tenants(many)), "tenants", TENANTS_BUDGET, None, "min")
    )
    rate, most = backlog(2 * entries)
    drained_s = 2 * RATE * HOUR_S / rate * (seal.UNTIL_S + 60) / seal.UNTIL_S
    results.append(Result(f"sealing an hour's backlog of {RATE:,} events/s", round(drained_s), "s", HOUR_S))
    results.append(Result("sealing, entries that a sealer holds", most, "entries", 2 * log_seal.BATCH_ENTRIES))
    return results

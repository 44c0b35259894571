"""A cell as Lambda runs it, on a simulated clock: processes that live and die, queues that feed them, a minute that ticks."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import app
from chalicelib.api import gateway
from chalicelib.runtime import Runtime, install_each
from chalicelib.settings import Settings
from chalicelib.store.region import Clients
from infra.cell import local, local_server
from infra.cell.engines import Engine
from simulation.client import Client
from simulation.memory import KMS  # data keys that are the same in each run of a seed
from simulation.queues import Standard
from simulation.scheduler import Killed, Scheduler, SimulatedThreads
from simulation.tables import Served, Tables

from .aws import Queues, faulty
from .mappings import Mappings
from .weather import Faults, Weather

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CELL, REGION, COUNTRY = "local", "eu-central-1", "DE"
OPERATOR_KEY = "wb_operator_soak"
LIMIT_S = {"hooks": 29.0, "api": 29.0, "pump": 60.0, "jobs": 60.0, "collect": 60.0, "sweep": 600.0}
"""How long a function may run; functions fed by queues have a minute."""
SKEW_S = 150.0
TICK = {
    "version": "0", "id": "", "account": "", "region": REGION, "detail": {}, "detail-type": "Scheduled Event",
    "source": "aws.events", "time": "", "resources": [],
}  # fmt: skip
"""The event that a schedule gives its function.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html (read 2026-11-22).
"""


@dataclass(eq=False)
class Process:
    """One warm container of a function."""

    kind: str
    skew_s: float
    runtime: Runtime
    busy: bool = False
    dead: bool = False
    began: int = 0


@dataclass
class Context:
    """The process that a task runs for; None if it is a platform or an owner."""

    process: Process | None = None


class World:
    """One cell.

    Args:
        engine: a running engine with nothing on it.
        seed: decides everything that is drawn.
    """

    def __init__(self, engine: Engine, seed: int, weather: Weather) -> None:
        self.engine = engine
        self.random = random.Random(f"{seed}/world")
        self.faults = Faults(random.Random(f"{seed}/faults"), weather)
        self._bytes = random.Random(f"{seed}/bytes")
        self.scheduler = Scheduler()
        self._threads = SimulatedThreads(self.scheduler)
        self.tick = 0
        self.appended: dict[str, int] = {}
        self.begun: dict[str, int] = {}
        self.unhandled: list[str] = []
        self.deaths = 0
        self.invocations: dict[str, int] = {}
        self.log = io.StringIO()
        self._processes: list[Process] = []
        self.stopped = False
        local.make_resources(engine, CELL, REGION, COUNTRY)
        self._scratch = tempfile.TemporaryDirectory(prefix="waybill-")
        self._seed = Path(self._scratch.name) / "seal.seed"
        self._seed.touch(0o600)
        self._seed.write_text(self._bytes.randbytes(32).hex())
        self.sqs = Queues(self, REGION, int(START.timestamp() * 1000))
        self.seal_requests = Standard("seal-requests")
        self.seal_requests.on_sent = lambda message: print(message.body, file=self.mappings.bodies)
        self.sqs.standards[f"waybill-{CELL}-seal-requests"] = self.seal_requests
        self.tables = (Tables if engine.name == "moto" else Served)(engine, REGION, self._appended)
        self._raw: dict[str, Any] = {"dynamodb": self.tables, "kms": KMS(REGION), "sqs": self.sqs}
        self._raw["s3"] = engine.make_client("s3", REGION)
        self._clients = {
            service: Client(client, functools.partial(self.effect, service)) for service, client in self._raw.items()
        }
        self.mappings = Mappings(self, CELL, REGION)
        self.inspector = Runtime(
            self._settings(), Clients(REGION, make=lambda service, _: self._raw[service]), now=self.now,
            monotonic=lambda: self.scheduler.now_s, random=self._bytes.randbytes, sleep=lambda _: None, threads=self._threads,
        )  # fmt: skip

    # Time

    def now(self) -> datetime:
        """The true time."""
        return START + timedelta(seconds=self.scheduler.now_s)

    # Processes

    def _settings(self) -> Settings:
        return Settings(
            cell=CELL, region=REGION, country=COUNTRY, insert="partiql", allow_cidrs=local.LOOPBACK,
            operator_key_sha256=sha256(OPERATOR_KEY.encode()).hexdigest(), hooks_url="https://hooks.example",
            key_rate_per_s=10_000, source_rate_per_s=10_000, seal_seed=str(self._seed),
            evidence_bucket=f"waybill-{CELL}-evidence-{self.engine.account}",
            contents_bucket=f"waybill-{CELL}-contents-{self.engine.account}",
        )  # fmt: skip

    def _process(self, kind: str) -> Process:
        for process in self._processes:
            if process.kind == kind and not process.busy and not self.faults.draws("cold_start"):
                return process
        skew = self.faults.random.uniform(-SKEW_S, SKEW_S) if self.faults.draws("skewed_clock") else 0.0
        runtime = Runtime(
            self._settings(),
            Clients(REGION, make=lambda service, _: self._clients[service]),
            now=lambda: self.now() + timedelta(seconds=skew),
            monotonic=lambda: self.scheduler.now_s,
            random=self._bytes.randbytes,
            sleep=self.scheduler.pause,
            threads=self._threads,
        )
        made = Process(kind, skew, runtime)
        self._processes.append(made)
        if len(self._processes) > 60:
            self._processes.remove(next(p for p in self._processes if not p.busy))
        return made

    @property
    def process(self) -> Process | None:
        """The process that runs now; None where the harness does."""
        task = self.scheduler.current
        return task.context.process if task is not None and task.context is not None else None

    def runtime(self) -> Runtime:
        """The runtime of the process that runs now."""
        process = self.process
        return process.runtime if process is not None else self.inspector

    def fault_of_task(self, kind: str, where: str) -> bool:
        """Draw a fault for the process that runs now, and remember it. The harness itself meets none."""
        process = self.process
        if process is None or not self.faults.draws(kind):
            return False
        self.faults.note(self.tick, self.scheduler.now_s, kind, f"{process.kind} {where}")
        return True

    def _dies(self, where: str) -> None:
        process = self.process
        if process is not None and process.dead:
            raise Killed
        if process is not None and self.fault_of_task("death", where):
            process.dead = True
            raise Killed

    def arrive(self, where: str) -> None:
        """Note that a process does something that shows outside of AWS: it may die there.

        Raises:
            Killed: it does.
        """
        self.tick += 1
        self._dies(where)

    def effect(self, service: str, operation: str, arguments: Mapping[str, Any], act: Callable[[], Any]) -> Any:
        """Do an external effect; the process may die before or after it.

        Raises:
            Killed: the process died.
            Exception: the call's own error.
        """
        where = f"{service}.{operation}"
        self.tick += 1
        self._dies(f"before {where}")
        self.scheduler.pause(self.faults.random.uniform(0.001, 0.02) if self.process else 0.0)
        self._dies(f"before {where}")
        answer = faulty(self, service, operation, act)
        self.tick += 1
        self._dies(f"after {where}")
        return answer

    def _appended(self, table: str, entry: str) -> None:
        if "-audit-" in table:
            self.appended.setdefault(entry, self.tick)
            self.begun.setdefault(entry, self.process.began if self.process is not None else self.tick)

    def spawn(self, work: Callable[[], None]) -> None:
        """Start a task of the platform, which is no process of ours."""
        self.scheduler.spawn(work, context=Context())

    def invoke(self, kind: str, handler: Callable[[], Any], limit_s: float | None = None) -> Any:
        """Run a function's handler in the running task. Return its answer; None if the process died.

        Raises:
            Exception: an error that the handler raised: a failed invocation, to Lambda.
        """
        task = self.scheduler.current
        assert task is not None
        process = self._process(kind)
        before, deadline = task.context, task.deadline_s
        process.busy, process.began = True, self.tick
        task.context = Context(process)
        task.deadline_s = self.scheduler.now_s + (limit_s or LIMIT_S[kind])
        self.invocations[kind] = self.invocations.get(kind, 0) + 1
        try:
            return handler()
        except Killed:
            if task.cancelled:
                raise
            process.dead = True
            self.deaths += 1
            return None
        except Exception as fault:  # noqa: BLE001  (a failed invocation; which ones there were is told)
            self.unhandled.append(f"{kind}: {type(fault).__name__}")
            return None
        finally:
            process.busy = False
            if process.dead and process in self._processes:
                self._processes.remove(process)
            task.context, task.deadline_s = before, deadline

    # Doors

    def hook(self, source: str, query: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post a webhook in the running task. Return the status of its answer; 502 where the process died."""
        event = local_server.http_api_event("POST", f"/hooks/{source}", query, list(headers.items()), body)
        answer = self.invoke("hooks", lambda: app.hooks(event, None))
        return 502 if answer is None else int(answer["statusCode"])

    def api(
        self, key: str | None, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Make a request of the API in the running task. Return the status and the document; 502 where the process died."""
        path, _, query = path.partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {key}"} if key is not None else {}
        sent |= headers or {}
        if content:
            sent["Content-Type"] = "application/json"
        answer = self.invoke("api", lambda: gateway.handle(app.app, method, path, query, list(sent.items()), content))
        if answer is None:
            return 502, None
        text = answer["body"]
        return int(answer["statusCode"]), json.loads(text) if text else None

    # Clock

    def clock(self, name: str) -> None:
        """Run a scheduled handler, in a task of its own; none of that name, nothing."""
        handler = getattr(app, name, None)
        if handler is not None:
            self.spawn(lambda: self.invoke(name, lambda: handler(TICK, None)))

    # Whole

    @contextlib.contextmanager
    def running(self) -> Iterator[World]:
        """Put this world in the place of Lambda: the handlers' runtime and the log."""
        install_each(self.runtime)
        handlers = logging.getLogger("waybill").handlers
        streams = [(h, h.stream) for h in handlers if isinstance(h, logging.StreamHandler)]
        for handler, _ in streams:
            handler.setStream(self.log)
        printed, sys.stdout = sys.stdout, self.log
        try:
            yield self
        finally:
            self.stopped = True
            self.scheduler.close()
            self._scratch.cleanup()
            sys.stdout = printed
            for handler, stream in streams:
                handler.setStream(stream)
            install_each(None)

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
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import app
from chalicelib.api import endpoint, gateway
from chalicelib.flow.delivery import deliver
from chalicelib.flow.hooks import off_record
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store import lifetimes, log
from chalicelib.store.region import Clients
from infra.cell import feeders, local, local_server
from infra.cell.engines import Engine
from simulation.client import Client
from simulation.memory import KMS  # data keys that are the same in each run of a seed
from simulation.queues import VISIBILITY_S, Fifo, QueuedMessage, Standard
from simulation.scheduler import Killed, Scheduler, Threads
from simulation.tables import Served, Tables

from .aws import Queues, faulty
from .weather import Faults, Weather

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CELL, REGION, COUNTRY = "local", "eu-central-1", "DE"
OPERATOR_KEY = "wb_operator_soak"
LIMIT_S = {"hooks": 29.0, "api": 29.0, "pump": 60.0, "jobs": 60.0, "seal": 300.0, "sweep": 600.0}
"""How long a function may run; functions fed by queues have a minute."""
FEEDERS = {"inbox": 3, "outbox": 4, "inbox-dead": 1, "outbox-dead": 1}
SKEW_S = 150.0
POLL_S = 0.3
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
        self.tick = 0
        self.appended: dict[str, int] = {}
        self.begun: dict[str, int] = {}
        self.unhandled: list[str] = []
        self.deaths = 0
        self.invocations: dict[str, int] = {}
        self.log = io.StringIO()
        self.moved = io.StringIO()
        self.moves: list[tuple[int, str, str]] = []
        self.taken: list[tuple[int, str, str, str, str]] = []
        self._processes: list[Process] = []
        self._stopped = False
        local.make_resources(engine, CELL, REGION, COUNTRY)
        self._scratch = tempfile.TemporaryDirectory(prefix="waybill-")
        self._seed = Path(self._scratch.name) / "seal.seed"
        self._seed.touch(0o600)
        self._seed.write_text(self._bytes.randbytes(32).hex())
        self.sqs = Queues(self, REGION, int(START.timestamp() * 1000))
        self.seal_requests = Standard("seal-requests")
        self.seal_requests.on_sent = lambda message: print(message.body, file=self.moved)
        self.sqs.standards[f"waybill-{CELL}-seal-requests"] = self.seal_requests
        self.tables = (Tables if engine.name == "moto" else Served)(engine, REGION, self._appended)
        self._raw: dict[str, Any] = {"dynamodb": self.tables, "kms": KMS(REGION), "sqs": self.sqs}
        self._raw["s3"] = engine.make_client("s3", REGION)
        self._clients = {
            service: Client(client, functools.partial(self.effect, service)) for service, client in self._raw.items()
        }
        self.queues: dict[str, Fifo] = {}
        for name in ("inbox-dead", "outbox-dead", "inbox", "outbox"):
            queue = Fifo(name, self.queues.get(f"{name}-dead"))
            self.queues[name] = queue
            self.sqs.fifos[f"waybill-{CELL}-{name}.fifo"] = queue
            queue.on_ready = self._teller(name)
            queue.on_sent = self._hear
        self._feeding = dict.fromkeys(self.queues, 0)
        self._told: dict[str, float] = {}
        self._late: dict[str, float] = {}
        self.inspector = Runtime(
            self._settings(), Clients(REGION, make=lambda service, _: self._raw[service]), now=self.now,
            monotonic=lambda: self.scheduler.now_s, random=self._bytes.randbytes, sleep=lambda _: None,
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
        """The shell of the process that runs now. The handlers' ``shell``."""
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

    # Queues

    def _hear(self, queue: Fifo, message: QueuedMessage) -> None:
        """Keep each message of a queue, to be searched; and the accepted events, in their order."""
        self.moved.write(f"{message.body}\n{message.group}\n{message.deduplication}\n")
        if queue.name == "inbox":
            order = json.loads(message.body)
            self.taken.append((self.tick, order["tenant"], order["source"], order["event"], message.group))

    def _teller(self, name: str) -> Callable[[float], None]:
        def told(at_s: float) -> None:
            # A mapping's pollers see a message a moment later, together with newer ones.
            due = max(at_s + POLL_S, self.scheduler.now_s + POLL_S, self._late.get(name, 0.0))
            known = self._told.get(name)
            if known is None or due < known:
                self._told[name] = due
                self.scheduler.at(due, lambda: self._feed(name, due))

        return told

    def _feed(self, name: str, due_s: float) -> None:
        """Give the receivable messages to the queue's function, as its mapping does."""
        if self._told.get(name) != due_s:
            return  # an earlier look took its place
        del self._told[name]
        queue = self.queues[name]
        now_s = self.scheduler.now_s
        while self._feeding[name] < FEEDERS[name] and not self._stopped:
            if len(queue) and self.faults.draws("late_poll"):
                self.faults.note(self.tick, now_s, "late_poll", name)
                self._late[name] = now_s + self.faults.random.uniform(5, 120)
                self._teller(name)(now_s)
                return
            early = self.faults.draws("early_return")
            visibility_s = self.faults.random.uniform(0.05, 20) if early else VISIBILITY_S
            batch = queue.receive(10, now_s, visibility_s)
            if not batch:
                break
            if early:
                self.faults.note(self.tick, now_s, "early_return", name)
            self._feeding[name] += 1
            self.scheduler.spawn(self._feeder(name, batch), context=Context())
        waits = [m.visible_s for m in queue if m.visible_s > now_s]
        if waits:
            self._teller(name)(min(waits))

    def _feeder(self, name: str, batch: list[QueuedMessage]) -> Callable[[], None]:
        def work() -> None:
            try:
                self._handle(name, batch)
            finally:
                self._feeding[name] -= 1
                self._teller(name)(self.scheduler.now_s)

        return work

    def _handle(self, name: str, batch: list[QueuedMessage]) -> None:
        queue = self.queues[name]
        records = [m.record(self.sqs.start_ms) for m in batch]
        handles = {m.id: m.handle for m in batch}
        handler = getattr(app, local.HANDLERS[name])
        self._move("taken", name, batch)
        answer = self.invoke(name, lambda: handler(feeders.sqs_event(records, REGION, name), None), 60.0)
        if answer is None:
            self._move("left by a dead process", name, batch)
            return
        back = {f["itemIdentifier"] for f in answer["batchItemFailures"]}
        self._move("given back", name, [m for m in batch if m.id in back])
        self._move("done with", name, [m for m in batch if m.id not in back])
        for message in [m for m in batch if m.id not in back]:
            gone = queue.delete(handles[message.id], self.scheduler.now_s)
            if gone is not None and gone.copies < 2 and self.faults.draws("message_twice"):
                self.faults.note(self.tick, self.scheduler.now_s, "message_twice", name)
                later = self.faults.random.choice((0.1, 1, 30, 400, 1500))
                self.scheduler.at(self.scheduler.now_s + later, self._copier(queue, gone))

    def _copier(self, queue: Fifo, message: QueuedMessage) -> Callable[[], None]:
        return lambda: queue.copy(message, self.scheduler.now_s)

    def _move(self, what: str, queue: str, messages: list[QueuedMessage]) -> None:
        """Note what became of messages, by the event, transfer or lane that each is about."""
        for message in messages:
            order = json.loads(message.body)
            about = order.get("wake") or order.get("transfer") or order["event"]
            self.moves.append((self.tick, about, f"{queue} message {message.id} {what} (receipt {message.receives})"))

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
            self.scheduler.spawn(lambda: self.invoke(name, lambda: handler(TICK, None)), context=Context())

    # Whole

    @contextlib.contextmanager
    def running(self) -> Iterator[World]:
        """Put this world in the place of Lambda: the handlers' shell, deliver's threads, the log."""
        app.app.__dict__["_here"] = threading.local()  # with which threads may share it
        replaced = {
            (app.app, "__class__"): gateway.ThreadedApp,
            (app, "runtime"): self.runtime,
            (endpoint, "runtime"): self.runtime,
            (deliver, "_threads"): lambda: self.scheduler,
            (deliver, "wait"): self.scheduler.join,
            (off_record, "_threads"): lambda: self.scheduler,
            (off_record, "wait"): lambda running, timeout: self.scheduler.join(running),
            (lifetimes, "ThreadPoolExecutor"): lambda _: Threads(self.scheduler),
            (log, "ThreadPoolExecutor"): lambda _: Threads(self.scheduler),
        }
        before = {place: getattr(*place) for place in replaced}
        for (module, name), value in replaced.items():
            setattr(module, name, value)
        handlers = logging.getLogger("waybill").handlers
        streams = [(h, h.stream) for h in handlers if isinstance(h, logging.StreamHandler)]
        for handler, _ in streams:
            handler.setStream(self.log)
        printed, sys.stdout = sys.stdout, self.log
        try:
            yield self
        finally:
            self._stopped = True
            self.scheduler.close()
            self._scratch.cleanup()
            sys.stdout = printed
            for handler, stream in streams:
                handler.setStream(stream)
            for (module, name), value in before.items():
                setattr(module, name, value)

"""A cell as one process without Lambda: ``waybill serve``, for homes without an AWS region.

It serves HTTP, feeds the queues' handlers and keeps the clocks. Any number of such processes may run side by side.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.api import gateway, register
from chalicelib.core.errors import Misconfigured, WaybillError
from chalicelib.flow import dead, messages
from chalicelib.flow.delivery import deliver, pump
from chalicelib.flow.jobs import worker
from chalicelib.flow.retention import sweep
from chalicelib.flow.routing import route
from chalicelib.flow.sealing import collect, seal
from chalicelib.observe import error, info, record_with
from chalicelib.runtime import Runtime, runtime
from chalicelib.store.engines import profile

from ..deploy import template
from . import making, probe
from .census import COUNT_S, Census
from .feeders import FEEDERS, Handler, clock, feed_until, run_if_due, runs_of
from .heartbeat import BEAT_S, Heartbeat
from .metrics import Metrics
from .readiness import LOOK_S, Readiness
from .wsgi import App, Server

SEALED_S: Final = 60.0
"""How often a process notes at most that it has sealed a log."""


class _Seal:
    """The sealer, which notes in the store when a log was last sealed, for ``/metrics`` and ``waybill status``."""

    def __init__(self) -> None:
        self._noted_s = float("-inf")

    def handle(self, cell: Runtime, given: list[messages.QueueMessage]) -> list[str]:
        """Seal logs. Return the ids of the messages that must come back."""
        back = seal.handle(cell, given)
        if not back and cell.monotonic() - self._noted_s > SEALED_S:
            self._noted_s = cell.monotonic()
            runs_of(cell).note("seal", cell.now())
        return back


HANDLERS = {
    "inbox": route.handle,
    "outbox": deliver.handle,
    "inbox-dead": dead.handle_inbox,
    "outbox-dead": dead.handle_outbox,
    "sealing": _Seal().handle,
}
WAIT_S = 4
"""How long a queue waits for a first message; with nothing to do, a stop takes as long at most."""
FINISH_S = 90
"""How long the work in progress may take at a stop: a batch of deliveries ends within a minute."""
PERIODIC: Final[Mapping[str, tuple[timedelta, Callable[[Runtime], object]]]] = {
    "sweep": (timedelta(hours=1), sweep.handle),
    "people": (timedelta(minutes=5), sweep.handle_people),
}
"""The jobs whose last run is stored, with their periods; the sweep reconciles the logs, too. All others run at each tick."""
DUE_S = 60
"""How often a process looks whether one of them is due."""
BODY_BYTES = 8 * 1024 * 1024
"""How much of a body the server reads, in memory only. The application refuses a body over its own, lower limit."""


@dataclass(frozen=True)
class Options:
    """The options of ``waybill serve``."""

    host: str = "127.0.0.1"
    port: int = 8080
    threads: int = 16
    clock_s: float = 10


class JsonLines(logging.Formatter):
    """Other packages' log lines as JSON, without the text of exceptions: it may contain data of requests."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0]:
            line["fault"] = record.exc_info[0].__name__
        return json.dumps(line)


def _log() -> None:
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(JsonLines())
    out.addFilter(lambda record: record.name != "waybill")  # our own lines are written already
    logging.basicConfig(level=logging.WARNING, handlers=[out])


def init(lock: str) -> int:
    """Make the cell's tables, queues and bucket at its home; existing ones stay. Return the exit code."""
    try:
        cell = runtime()
        make(cell, lock)
    except (WaybillError, ClientError, BotoCoreError) as fault:
        return _refused(fault)
    print("made: tables, queues, buckets")
    return 0


def make(cell: Runtime, lock: str) -> None:
    """Make a cell's resources as its engine's profile allows.

    Raises:
        Misconfigured: its home is in AWS, where a deployment makes them.
    """
    settings, engine = cell.settings, profile(cell.settings.engine)
    if engine.on_aws:
        raise Misconfigured("in AWS a deployment makes them: see docs/deploy.md")
    buckets = {"evidence": settings.evidence_bucket, "exports": settings.exports_bucket}
    buckets["contents"] = settings.contents_bucket
    if not all(buckets.values()):
        missing = " and ".join(f"WAYBILL_{use.upper()}_BUCKET" for use, name in buckets.items() if not name)
        raise Misconfigured(f"set {missing} to the names of the buckets to make")
    names = (settings.cell, settings.region, settings.country)
    making.make_tables(cell.clients.get("dynamodb"), template.tables(*names, engine=engine))
    making.make_queues(cell.clients.get("sqs"), [*template.queues(*names, engine=engine), probe.queue(settings)])
    s3 = cell.clients.get("s3")
    for bucket in template.buckets(*names, engine=engine):
        name = buckets[bucket.use]
        making.make_bucket(s3, replace(bucket, create={**bucket.create, "Bucket": name}))
        if bucket.lock_years:
            making.lock_bucket(s3, name, lock, bucket.lock_years)
        if bucket.expire_days:
            making.expire_in_bucket(s3, name, bucket.expire_days)


def check() -> int:
    """Check the settings, and the abilities of the cell's home. Return the exit code."""
    try:
        cell = runtime()
        probe.check(cell, os.environ)
    except WaybillError as fault:
        return _refused(fault)
    print(f"fit to serve: {cell.settings.engine} in {cell.settings.country}")
    return 0


def _refused(fault: Exception) -> int:
    print(f"waybill serve: {fault.detail if isinstance(fault, WaybillError) else fault}", file=sys.stderr)
    return 1


def workers(
    cell: Runtime, stopping: threading.Event, clock_s: float, readiness: Readiness, heartbeat: Heartbeat
) -> list[threading.Thread]:
    """Make the threads that feed the queues' handlers and keep the clocks, until ``stopping``."""
    sqs, region = cell.clients.get("sqs"), cell.settings.region
    made: list[tuple[str, Callable[[], None]]] = []
    for name, number in FEEDERS.items():
        queue = f"{cell.settings.prefix}-{name}.fifo"
        run = feed_until(
            stopping, sqs, region, queue, _handler(cell, HANDLERS[name]), wait_s=WAIT_S, heartbeat=heartbeat
        )
        made += [(name, run)] * number
    made.append(("pump", clock(stopping, clock_s, lambda: pump.handle(cell))))
    made.append(("jobs", clock(stopping, clock_s, lambda: worker.handle(cell))))
    made.append(("collect", clock(stopping, clock_s, lambda: collect.handle(cell))))
    for name, (period, job) in PERIODIC.items():
        due = functools.partial(run_if_due, cell, runs_of(cell), name, period, job)
        made.append((name, clock(stopping, min(DUE_S, clock_s), due)))
    made.append(("readiness", clock(stopping, min(LOOK_S, clock_s), readiness.look)))
    return [threading.Thread(target=run, name=name, daemon=True) for name, run in made]


def _handler(cell: Runtime, run: Callable[[Runtime, list[messages.QueueMessage]], list[str]]) -> Handler:
    return lambda event, _: messages.answer(run(cell, messages.from_lambda(event)))


def serve(options: Options) -> int:
    """Serve a cell until SIGTERM or SIGINT, then finish the work in progress. Return the exit code."""
    _log()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        cell = runtime()
        probe.check(cell, os.environ)
        readiness = Readiness(cell)
        readiness.look()
        api = gateway.ThreadedApp(app_name="waybill")
        register(api)
        census = Census(cell)
        metrics = Metrics(readiness, census)
        record_with(metrics.record)
        app = App(api, {"/readyz": readiness.answer, "/metrics": metrics.answer})
        server = Server(app, options.host, options.port, threads=options.threads, body_bytes=BODY_BYTES)
    except (WaybillError, OSError) as fault:
        return _refused(fault)
    stopping = threading.Event()
    heartbeat = Heartbeat(cell.clients.get("sqs"))
    threads = workers(cell, stopping, options.clock_s, readiness, heartbeat)
    threads.append(threading.Thread(target=clock(stopping, COUNT_S, census.count), name="census", daemon=True))
    # It beats until the process ends: batches in hand are finished after the stop is asked for.
    threading.Thread(target=clock(threading.Event(), BEAT_S, heartbeat.beat), name="heartbeat", daemon=True).start()
    for thread in threads:
        thread.start()
    server.start()
    settings = cell.settings
    info("serving", url=server.url, engine=settings.engine, region=settings.region, country=settings.country)
    while not stop.wait(0.5):
        pass
    info("stopping")
    app.stopping.set()
    stopping.set()
    done = app.finish(FINISH_S)
    for thread in threads:
        thread.join(FINISH_S)
        done = done and not thread.is_alive()
    server.stop()
    if not done:
        error("stopped_in_the_middle", TimeoutError())  # unfinished messages come back to another process
    info("stopped")
    return 0 if done else 1

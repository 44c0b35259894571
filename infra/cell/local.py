"""The local cell: engine, HTTP server, queues and clock of a whole cell in one process, feeding the handlers of ``app.py``.

``make run`` starts it. Handlers get the events that Lambda would give them; nothing of the product knows that it is local,
but for one operator setting: destinations may name loopback addresses as literals.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib import law
from chalicelib.core.countries import COUNTRIES
from chalicelib.core.errors import Misconfigured, WaybillError
from chalicelib.flow.delivery import pump
from chalicelib.flow.jobs import worker
from chalicelib.flow.retention import sweep
from chalicelib.flow.sealing import collect
from chalicelib.runtime import Runtime, install
from chalicelib.settings import Settings
from chalicelib.store.region import Clients

from ..deploy import template
from . import engines, making
from .engines import Engine
from .feeders import FEEDERS, Sequence, clock, feed_until
from .local_options import Options
from .local_server import ExportLinks
from .wsgi import App, Server

CELL = "local"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
THREADS = 16
BODY_BYTES = 64 * 1024 * 1024
"""How much of a body the server reads before it answers that the body is too large, so that the client reads the answer."""
HANDLERS = {
    "inbox": "route",
    "outbox": "deliver",
    "inbox-dead": "dead_inbox",
    "outbox-dead": "dead_outbox",
    "sealing": "seal",
}


@dataclass
class Cell:
    """A running local cell."""

    url: str
    operator_key: str
    engine: Engine
    runtime: Runtime
    stopping: threading.Event

    def ready(self) -> dict[str, Any]:
        """Return the line that says that it serves."""
        return {
            "ready": True,
            "url": self.url,
            "operator_key": self.operator_key,
            "engine": self.engine.name,
            "region": self.runtime.settings.region,
            "country": self.runtime.settings.country,
        }


def make_resources(engine: Engine, cell: str, region: str, country: str) -> None:
    """Make the cell's key, tables, buckets and queues from ``resources.json``; existing ones stay."""
    make_stores(engine, cell, region, country)
    making.make_queues(engine.make_client("sqs", region), template.queues(cell, region, country, engine.account))


def make_stores(engine: Engine, cell: str, region: str, country: str) -> None:
    """Make what keeps something: the cell's key, tables and buckets."""
    kms, dynamodb, s3 = (engine.make_client(s, region) for s in ("kms", "dynamodb", "s3"))
    aliases = {a["AliasName"]: a.get("TargetKeyId") for a in kms.list_aliases()["Aliases"]}
    for key in template.keys(cell, region, country, engine.account):
        if key.alias not in aliases and (engine.signs or key.create["KeyUsage"] != "SIGN_VERIFY"):
            made = kms.create_key(**key.create)["KeyMetadata"]["KeyId"]
            kms.create_alias(AliasName=key.alias, TargetKeyId=made)
    making.make_tables(dynamodb, template.tables(cell, region, country, engine.account))
    for bucket in template.buckets(cell, region, country, engine.account):
        making.make_bucket(s3, bucket)


@contextlib.contextmanager
def resources(options: Options) -> Iterator[tuple[Engine, Settings, str]]:
    """Run an engine with a cell's resources on it. Yield it, the settings, and the operator's key."""
    country = options.country or law.region_country(options.region)
    if country not in COUNTRIES:
        raise Misconfigured("--country is an ISO 3166-1 alpha-2 code, such as DE")
    operator_key = kept_operator_key(options.state)
    with (
        engines.start(options.engine, options.region, options.state) as engine,
        tempfile.TemporaryDirectory(prefix="waybill-") as scratch,
    ):
        make_resources(engine, CELL, options.region, country)
        values: dict[str, Any] = {
            "cell": CELL,
            "region": options.region,
            "country": country,
            "operator_key_sha256": hashlib.sha256(operator_key.encode()).hexdigest(),
            "insert": engine.insert,
            "allow_cidrs": LOOPBACK,
            "evidence_bucket": f"waybill-{CELL}-evidence-{engine.account}",
            "exports_bucket": f"waybill-{CELL}-exports-{engine.account}",
            "contents_bucket": f"waybill-{CELL}-contents-{engine.account}",
            "seal_s": options.seal_s,
            "operator_name": "Local Cell Operator (fictitious)",
            "operator_contact": "operator@waybill.example",
            "seal_seed": "" if engine.signs else str(make_seed(Path(scratch))),
            "key_rate_per_s": 1000,
            "source_rate_per_s": 5000,
        }
        yield engine, Settings(**(values | dict(options.settings))), operator_key


def kept_operator_key(folder: Path | None) -> str:
    """Return the operator's key: that of the state in a folder, else a new one, which the folder keeps."""
    made = "wb_operator_" + secrets.token_urlsafe(24)
    if folder is None:
        return made
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "operator.key"
    kept = path.read_text("utf-8").strip() if path.exists() else ""
    if not kept:
        path.touch(0o600)
        path.write_text(made, "utf-8")
    return kept or made


def make_seed(folder: Path) -> Path:
    """Make a seed file for signing checkpoints, for an engine whose KMS has no such keys."""
    path = folder / "seal.seed"
    path.touch(0o600)
    path.write_text(secrets.token_hex(32))
    return path


# Queues and clock


def _feeder(cell: Cell, name: str, handler: Callable[[Any, Any], Any], sequence: Sequence | None) -> Callable[[], None]:
    queue = f"waybill-{CELL}-{name}.fifo"
    sqs = cell.engine.make_client("sqs", cell.runtime.settings.region)
    return feed_until(cell.stopping, sqs, cell.runtime.settings.region, queue, handler, sequence)


@contextlib.contextmanager
def running(options: Options) -> Iterator[Cell]:
    """Run a whole cell until the block ends."""
    with resources(options) as (engine, settings, operator_key):
        os.environ["WAYBILL_CELL"] = CELL
        import app

        served = App(app.app)
        server = Server(served, "127.0.0.1", options.port, threads=THREADS, body_bytes=BODY_BYTES)
        public = options.hooks_url or server.url
        served.exports = ExportLinks(public, lambda key: runtime.exports.get(key))
        runtime = Runtime(
            Settings(**{**vars(settings), "hooks_url": public}),
            Clients(settings.region, make=engine.make_client),
            link=served.exports.link,
        )
        install(runtime)
        cell = Cell(server.url, operator_key, engine, runtime, threading.Event())
        threads: list[threading.Thread] = []
        for name, number in FEEDERS.items():
            handler = getattr(app, HANDLERS[name])
            sequence = None if engine.sequences else Sequence()
            feeder = _feeder(cell, name, handler, sequence)
            threads += [threading.Thread(target=feeder, name=name) for _ in range(number)]
        threads.append(
            threading.Thread(target=clock(cell.stopping, options.pump_s, lambda: pump.handle(runtime)), name="pump")
        )
        threads.append(
            threading.Thread(target=clock(cell.stopping, options.pump_s, lambda: worker.handle(runtime)), name="jobs")
        )
        threads.append(threading.Thread(target=clock(cell.stopping, 3600, lambda: sweep.handle(runtime)), name="sweep"))
        threads.append(
            threading.Thread(
                target=clock(cell.stopping, options.seal_s, lambda: collect.handle(runtime)), name="collect"
            )
        )
        for thread in threads:
            thread.daemon = True
            thread.start()
        server.start()
        try:
            yield cell
        finally:
            cell.stopping.set()
            served.stopping.set()
            served.finish(15)
            server.stop()
            for thread in threads:
                thread.join(15)
            install(None)


def serve(options: Options) -> int:
    """Run a cell until SIGINT or SIGTERM; the only line on standard output says that it serves."""
    # Handlers log to standard output, as Lambda wants it; here that is standard error.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with running(options) as cell:
            print(json.dumps(cell.ready()), file=out, flush=True)
            while not stop.wait(0.5):
                pass
    except (OSError, ValueError, RuntimeError, WaybillError) as error:
        print(f"waybill local: {error}", file=sys.stderr)
        return 1
    return 0

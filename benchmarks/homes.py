"""``python -m benchmarks.homes``: what ``waybill serve`` costs on one machine, beside the least that its engines allow.

Engines, cell and sink are processes of this machine; nothing leaves 127.0.0.1. The *bare loop* does the least that stores
and forwards: put a row, send a message, receive it, post it, delete it. It uses the same engines and clients, one event
after the other. CPU is that of one process, its clients' included, as the kernel counts it. Numbers and times are bounded.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.store.region import make_client_at
from infra.cell.engines import free_port, ministack, stop

from .load import CHATS, CONNECTIONS, LoadError, Phase, Say, Sink, declare, percentile, play, webhook

ROOT = Path(__file__).resolve().parent.parent
PARTS = ROOT / "build" / "home"
REGION, CELL = "de-home1", "load"
PACE_PER_S = 20
PACED_S = 10
FLOOD = 2_000
FLOOD_POST_S = 60.0
BARE = 300
ENGINES = ("ministack", "home")
"""``home`` is Dynoxide and ElasticMQ, as ``make parts`` builds them; ministack stands in for the buckets."""


@dataclass(frozen=True)
class Endpoints:
    """Running engines: their addresses, and the name of the engine's profile."""

    dynamodb: str
    sqs: str
    s3: str
    profile: str


@contextlib.contextmanager
def running(engines: str, folder: Path) -> Iterator[Endpoints]:
    """Run engines by their name, with what they keep in a folder."""
    with contextlib.ExitStack() as stack:
        url = str(stack.enter_context(ministack(REGION)).endpoint)
        if engines == "ministack":
            yield Endpoints(url, url, url, "alternator")
            return
        store, queues = free_port(), free_port()
        environment = {
            **os.environ, "WAYBILL_HOME": str(folder), "WAYBILL_PARTS": str(PARTS),
            "STORE_PORT": str(store), "QUEUES_PORT": str(queues),
        }  # fmt: skip
        part = str(ROOT / "infra" / "home" / "part")
        subprocess.run([part, "prepare"], env=environment, check=True)
        for name in ("store", "queues"):
            output = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen([part, name], env=environment, stdout=output, stderr=output)
            stack.callback(stop, process)
        for name in ("store", "queues"):
            subprocess.run([part, "await", name], env=environment, check=True)
        yield Endpoints(f"http://127.0.0.1:{store}", f"http://127.0.0.1:{queues}", url, "dynoxide")


def cpu_s(process: int) -> float:
    """Return the CPU that a process has taken, in seconds. Linux has it in ``/proc``."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class ServedHome:
    """A running ``waybill serve``."""

    ready: dict[str, Any]
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> dict[str, float]:
        """Return its CPU."""
        return {"serve": cpu_s(self.process.pid)}


def _secret(folder: Path, name: str) -> str:
    path = folder / name
    path.touch(0o600)
    path.write_text(secrets.token_hex(32), "ascii")
    return str(path)


@contextlib.contextmanager
def serving(at: Endpoints, folder: Path, tree: Path = ROOT) -> Iterator[ServedHome]:
    """Make a home on engines, and serve it until the block ends.

    Args:
        tree: the checkout that serves.

    Raises:
        LoadError: it did not start.
    """
    operator_key = "wb_operator_" + secrets.token_urlsafe(24)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))} | {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION,
        "WAYBILL_CELL": CELL, "WAYBILL_COUNTRY": "DE", "WAYBILL_ENGINE": at.profile,
        "WAYBILL_DYNAMODB_URL": at.dynamodb, "WAYBILL_SQS_URL": at.sqs, "WAYBILL_S3_URL": at.s3,
        "WAYBILL_EVIDENCE_BUCKET": "waybill-load-evidence", "WAYBILL_EXPORTS_BUCKET": "waybill-load-exports",
        "WAYBILL_CONTENTS_BUCKET": "waybill-load-contents",
        "WAYBILL_MASTER_KEY": _secret(folder, "master.key"), "WAYBILL_SEAL_SEED": _secret(folder, "seal.seed"),
        "WAYBILL_OPERATOR_KEY_SHA256": hashlib.sha256(operator_key.encode()).hexdigest(),
        "WAYBILL_OPERATOR_NAME": "Load GmbH", "WAYBILL_OPERATOR_CONTACT": "operator@load.example",
        "WAYBILL_OPERATOR_DOMAIN": "waybill.localhost", "WAYBILL_ALLOW_CIDRS": "127.0.0.0/8",
        "WAYBILL_SOURCE_RATE_PER_S": "5000", "WAYBILL_KEY_RATE_PER_S": "1000",
    }  # fmt: skip
    command = [sys.executable, "cli.py", "serve"]
    made = subprocess.run(
        [*command, "--init", "--lock", "GOVERNANCE"], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    if made.returncode:
        raise LoadError(made.stderr)
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", "0"], cwd=tree, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield ServedHome({"url": _address(process, log), "operator_key": operator_key}, process)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        for line in log.read_text("utf-8").splitlines():
            if '"serving"' in line and line.endswith("}"):
                return str(json.loads(line)["url"])
        time.sleep(0.1)
    raise LoadError(log.read_text("utf-8")[-2000:])


@dataclass(frozen=True)
class Bare:
    """The result of the bare loop: CPU and time an event."""

    cpu_ms: float
    wall_ms: float


def bare(at: Endpoints, sink: Sink, events: int = BARE) -> Bare:
    """Store and forward events on a thread of this process, with the clients of the cell and nothing else."""
    endpoints = {"dynamodb": at.dynamodb, "sqs": at.sqs}
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    dynamodb, sqs = (make_client_at(endpoints, service, REGION) for service in endpoints)
    dynamodb.create_table(
        TableName="bare", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )  # fmt: skip
    queue = sqs.create_queue(QueueName="bare.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    address = urlsplit(sink.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)

    def once(number: int) -> None:
        body = webhook(number).decode()
        dynamodb.put_item(TableName="bare", Item={"pk": {"S": str(number)}, "body": {"S": body}})
        sqs.send_message(
            QueueUrl=queue, MessageBody=body, MessageGroupId=str(number % 80), MessageDeduplicationId=str(number)
        )
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        connection.request("POST", address.path, message["Body"].encode(), {"Content-Type": "application/json"})
        connection.getresponse().read()
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    for number in range(20):
        once(number)
    began, cpu = time.monotonic(), time.thread_time()
    for number in range(20, 20 + events):
        once(number)
    taken = time.thread_time() - cpu
    connection.close()
    return Bare(taken / events * 1000, (time.monotonic() - began) / events * 1000)


@dataclass(frozen=True)
class Row:
    """What was measured on one set of engines."""

    engines: str
    flood: Phase
    paced: Phase
    bare: Bare


def measured(engines: str, flood: int, paced: int, say: Say, tree: Path = ROOT) -> Row:
    """Measure a served home, and the bare loop on its engines."""
    sink = Sink()
    try:
        with tempfile.TemporaryDirectory(prefix="waybill-") as name, running(engines, Path(name)) as at:
            least = bare(at, sink)
            with serving(at, Path(name), tree) as cell:
                source = declare(cell.ready, sink.url)
                warm_up = CONNECTIONS * CHATS
                say(f"{engines}: warming up")
                play(cell, source, sink, 0, warm_up, 0, lambda _: None)
                say(f"{engines}: {PACE_PER_S} a second")
                slow = play(cell, source, sink, warm_up, paced, 1 / PACE_PER_S, say, paced / PACE_PER_S + 10)
                say(f"{engines}: {flood} at once")
                first = -(-(warm_up + paced) // CONNECTIONS) * CONNECTIONS
                fast = play(cell, source, sink, first, flood, 0, say, FLOOD_POST_S)
            return Row(engines, fast, slow, least)
    finally:
        sink.close()


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out."""
    heads = ("", "CPU, flood", "delivered/s", "CPU, 20/s", "p50", "p99", "lost", "late", "bare CPU", "bare/s")
    widths = (12, 12, 13, 12, 9, 9, 6, 6, 10, 8)
    lines = ["".join(h.rjust(w) for h, w in zip(heads, widths, strict=True))]
    for row in rows:
        cpu = [f"{p.cpu_s['serve'] / max(1, len(p.first_came)) * 1000:.1f} ms" for p in (row.flood, row.paced)]
        waits = row.paced.waits_ms(row.paced.first_came)
        cells = (
            row.engines, cpu[0], f"{row.flood.rate_per_s:.0f}", cpu[1], f"{percentile(waits, 50):.0f} ms",
            f"{percentile(waits, 99):.0f} ms", str(row.flood.lost + row.paced.lost),
            str(row.flood.disordered + row.paced.disordered), f"{row.bare.cpu_ms:.1f} ms", f"{1000 / row.bare.wall_ms:.0f}",
        )  # fmt: skip
        lines.append("".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure a home on each set of engines. Return 1 if an accepted event was lost or came out of order."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.homes", description=__doc__)
    parser.add_argument(
        "--engines", action="append", choices=ENGINES, help="which; all that are there, if none is named"
    )
    parser.add_argument("--flood", type=int, default=FLOOD, help=f"webhooks at once ({FLOOD})")
    parser.add_argument("--paced", type=int, default=PACE_PER_S * PACED_S, help="webhooks at 20 a second (200)")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout that serves; this one unless given")
    given = parser.parse_args(arguments)
    there = [name for name in ENGINES if name == "ministack" or (PARTS / "bin" / "dynoxide").exists()]
    say: Say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    rows = [measured(name, given.flood, given.paced, say, given.tree) for name in given.engines or there]
    print(table(rows))
    broken = [row.engines for row in rows for p in (row.flood, row.paced) if p.lost or p.disordered or not p.answered]
    if broken:
        print(f"\nlost or out of order: {', '.join(sorted(set(broken)))}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

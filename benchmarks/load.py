"""``python -m benchmarks.load``: the local cell's throughput and delay, and the cost of an event as the stores fill.

The cell is a process of its own (``served``), which gets posts over HTTP and delivers to a sink here; nothing leaves
127.0.0.1. First a few connections post webhooks as fast as they can, then at half of the pace that the cell kept. Each of
these is due at its own moment: a delay caused by an earlier slow event counts. Number and duration are bounded.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from infra.demo import journey
from infra.demo.gateway import Gateway, Tenant

from . import stored, warm

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 8
CHATS = 10
"""Conversations of each connection, which posts them in order."""
POST_S = 20.0
DRAIN_S = 60.0
ENGINES = ("moto", "ministack")
SECRET = "load-hook-secret"
_NUMBER = re.compile(rb"load-(\d+)-")
Say = Callable[[str], None]


class LoadError(Exception):
    """The cell did not do its work."""


class Sink:
    """A recipient's server on loopback that notes when each event came."""

    def __init__(self) -> None:
        self.came: list[tuple[int, float]] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = _NUMBER.search(body)
                if found is not None:
                    sink.came.append((int(found[1]), time.monotonic()))
                self.send_response(204 if found else 400)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/in"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Cell(Protocol):
    """A running cell: where it answers, and the CPU that it has taken by stage."""

    ready: dict[str, Any]

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU that each stage has taken since the start."""


@dataclass
class Served:
    """A running local cell."""

    ready: dict[str, Any]
    process: subprocess.Popen[str]

    def cpu_s(self) -> dict[str, float]:
        """Ask for the CPU that each stage has taken since the start."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, float] = json.loads(self.process.stdout.readline())
        return found


@contextlib.contextmanager
def served(engine: str) -> Iterator[Served]:
    """Run a cell as a child process.

    Raises:
        LoadError: it did not start.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.served", engine],
        cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise LoadError(f"the cell did not start on {engine}; python cli.py local --engine {engine} says why")
            yield Served(json.loads(line), process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def declare(ready: dict[str, Any], sink_url: str) -> str:
    """Set up a tenant whose messages may go to the sink. Return its Telegram source."""
    api = Gateway(ready["url"])
    made = Tenant(api, ready["operator_key"])(
        "POST",
        "/v1/tenants",
        {
            "name": "Load", "edition": "enterprise", "tenant_class": "general", "retention": {"default_days": 30},
            "controller": {"legal_name": "Load GmbH", "country": "DE", "contact": "privacy@load.example"},
        },
    )  # fmt: skip
    tenant = Tenant(api, made["key"]["secret"])
    source = {
        "channel": "telegram",
        "name": "bot",
        "secret": {"secret_token": SECRET},
        "subject_country": "DE",
        "special": [],
    }
    made = tenant("POST", "/v1/sources", source)
    for kind in ("instruction", "contract"):
        basis = {"kind": kind, "valid_from": "2026-01-01", "valid_until": None, "evidence": journey.EVIDENCE}
        tenant("POST", "/v1/bases", basis)
    recipient = tenant(
        "POST",
        "/v1/recipients",
        {
            "legal_name": "Sink GmbH", "contact": "dpo@sink.example", "entity_country": "DE",
            "processing_countries": ["DE"], "role": "processor", "contract": journey.CONTRACT,
            "classes": journey.CLASSES, "onward": [], "granted": True,
        },
    )  # fmt: skip
    config = {"name": "sink", "kind": "http", "config": {"url": sink_url}, "recipient": recipient["id"]}
    destination = tenant("POST", "/v1/destinations", config)
    route = {"name": "messages", "pattern": {"kind": ["message"]}, "destination": destination["id"]}
    tenant("POST", "/v1/routes", {**route, "purpose": "customer_support", "mode": "replicate"})
    return str(made["id"])


@dataclass
class Phase:
    """The result of one phase. Times are of the monotonic clock, in seconds; an event's id is its number."""

    began: float
    due: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)
    came: list[tuple[int, float]] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)

    @property
    def first_came(self) -> dict[int, float]:
        """When each event came first."""
        return dict(reversed(self.came))

    @property
    def lost(self) -> int:
        """How many were taken and did not come."""
        return len(self.answered.keys() - self.first_came.keys())

    @property
    def again(self) -> int:
        """How many came more than once."""
        return len(self.came) - len(self.first_came)

    @property
    def disordered(self) -> int:
        """How many came first after a later one of their conversation."""
        last: dict[int, int] = {}
        found = 0
        for number, _ in sorted(self.first_came.items(), key=lambda one: one[1]):
            found += last.get(_chat(number), -1) > number
            last[_chat(number)] = max(last.get(_chat(number), -1), number)
        return found

    @property
    def rate_per_s(self) -> float:
        """Events delivered a second, from the first post to the last delivery."""
        return len(self.first_came) / (max(self.first_came.values(), default=self.began + 1) - self.began)

    def waits_ms(self, ends: dict[int, float]) -> list[float]:
        """Return how long each event took from when it was due to its end, shortest first."""
        return sorted((at - self.due[number]) * 1000 for number, at in ends.items())


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of them do not exceed; 0 if there are none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _chat(number: int) -> int:
    return number % (CONNECTIONS * CHATS)


def webhook(number: int) -> bytes:
    """Make a message of about 1 KB as Telegram posts it."""
    chat = 1000 + _chat(number)
    person = {"id": chat, "is_bot": False, "first_name": "Guest", "username": "guest", "language_code": "de"}
    message = {
        "message_id": number + 1, "date": int(time.time()), "from": person, "text": f"load-{number}- {warm.TEXT * 6}",
        "chat": {"id": chat, "type": "private", "first_name": "Guest"},
    }  # fmt: skip
    return json.dumps({"update_id": number + 1, "message": message}).encode()


def _post(
    url: str, source: str, numbers: range, gap_s: float, post_s: float, phase: Phase, ready: threading.Barrier
) -> None:
    """Post one connection's events, for ``post_s`` at most. ``gap_s`` is the time between two of all connections; 0: none."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.connect()
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET}
    ready.wait()
    ready.wait()  # between the two the cell has reported its CPU, and the clock has started
    first = numbers.start - numbers.start % CONNECTIONS
    for number in numbers:
        due = phase.began + (number - first) * gap_s if gap_s else time.monotonic()
        if due - phase.began > post_s or time.monotonic() - phase.began > post_s:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        phase.due[number] = due
        connection.request("POST", f"/hooks/{source}", webhook(number), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            phase.answered[number] = time.monotonic()
        else:
            phase.refused[answer.status] += 1
    ready.wait()
    ready.wait()  # keep the connection until the cell has reported its CPU: its thread there would be gone
    connection.close()


def play(
    cell: Cell, source: str, sink: Sink, first: int, events: int, gap_s: float, say: Say, post_s: float = POST_S
) -> Phase:
    """Post so many events, from number ``first`` on, and wait until every accepted event has come."""
    ready = threading.Barrier(CONNECTIONS + 1)
    phase = Phase(began=0.0)
    came = len(sink.came)
    posters = [
        threading.Thread(
            target=_post,
            args=(
                cell.ready["url"],
                source,
                range(first + n, first + events, CONNECTIONS),
                gap_s,
                post_s,
                phase,
                ready,
            ),
            daemon=True,
        )
        for n in range(CONNECTIONS)
    ]
    for poster in posters:
        poster.start()
    ready.wait(30)
    before = cell.cpu_s()
    phase.began = time.monotonic()
    ready.wait(30)
    ready.wait(post_s + 60)
    until = time.monotonic() + DRAIN_S
    while len({number for number, _ in sink.came[came:]}) < len(phase.answered) and time.monotonic() < until:
        time.sleep(0.05)
    phase.came = sink.came[came:]
    after = cell.cpu_s()
    phase.cpu_s = {stage: after[stage] - before[stage] for stage in before}
    ready.wait(30)
    for poster in posters:
        poster.join(30)
    say(f"{len(phase.answered)} of {len(phase.due)} taken, {len(phase.first_came)} delivered, {phase.rate_per_s:.1f}/s")
    return phase


def loaded(engine: str, events: int, say: Say, post_s: float = POST_S) -> tuple[Phase, Phase]:
    """Load a cell on an engine: as fast as it takes, then at half the pace that it kept."""
    sink = Sink()
    try:
        with served(engine) as cell:
            source = declare(cell.ready, sink.url)
            say(f"{engine}: warming up")
            warm_up = CONNECTIONS * CHATS
            play(cell, source, sink, 0, warm_up, 0, lambda _: None)
            say(f"{engine}: {events} events as fast as {CONNECTIONS} connections post")
            flood = play(cell, source, sink, warm_up, events, 0, say, post_s)
            gap_s = 2 / max(flood.rate_per_s, 0.1)
            say(f"{engine}: at half that pace")
            start = -(-(warm_up + events) // CONNECTIONS) * CONNECTIONS
            return flood, play(cell, source, sink, start, events, gap_s, say, post_s)
    finally:
        sink.close()


def table(phases: Sequence[tuple[str, Phase]]) -> str:
    """Lay phases out."""
    heads = ("", "events", "events/s", "hook p50", "p95", "p99", "delivered p50", "p95", "p99", "lost", "again", "late")
    widths = (18, 8, 10, 10, 8, 8, 15, 9, 9, 6, 7, 6)
    lines = ["".join(h.rjust(w) for h, w in zip(heads, widths, strict=True))]
    for name, phase in phases:
        waits = [phase.waits_ms(phase.answered), phase.waits_ms(phase.first_came)]
        times = [f"{percentile(one, percent):,.0f} ms" for one in waits for percent in (50, 95, 99)]
        tail = [str(n) for n in (phase.lost, phase.again, phase.disordered)]
        row = (name, str(len(phase.first_came)), f"{phase.rate_per_s:.1f}", *times, *tail)
        lines.append("".join(c.rjust(w) for c, w in zip(row, widths, strict=True)))
    lines.append("\nCPU of the cell's process an event, its AWS clients' included (on moto the engine, too):")
    for name, phase in phases:
        number = max(1, len(phase.first_came))
        parts = ", ".join(f"{stage} {taken / number * 1000:.1f} ms" for stage, taken in phase.cpu_s.items())
        lines.append(f"{name:>18}  {parts}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Load each engine, then measure the cost by stored events. Return 1 if an accepted event was lost or came out of order."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--events", type=int, default=500, help="webhooks in each phase (500)")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="which engine; both, if none is named")
    parser.add_argument("--sizes", type=int, nargs="*", default=stored.SIZES, help="stored events; none: leave it out")
    given = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    phases: list[tuple[str, Phase]] = []
    for engine in given.engine or ENGINES:
        flood, paced = loaded(engine, given.events, say)
        phases += [(f"{engine}, all at once", flood), (f"{engine}, half", paced)]
    print(table(phases))
    if given.sizes:
        found = stored.costs(given.sizes, min(given.events * 2, stored.EVENTS), say)
        print(f"\nThe cost of an event by the number of stored events:\n{stored.table(found)}")
    broken = [name for name, phase in phases if phase.lost or phase.disordered or not phase.answered]
    if broken:
        print(f"\nlost or out of order: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

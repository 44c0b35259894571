"""A cell under a simulated clock: moto's tables, FIFO queues of our own, a real listener, and a process that can die.

``World`` runs the flow as Lambda would, one invocation at a time. ``Crash`` is raised before or after the n-th AWS call of
the run and passes through everything, as the death of a process does; the queues then give the messages again.
"""

from __future__ import annotations

import base64
import json
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.channels.base import Inbound, Reply
from chalicelib.core import ids, times
from chalicelib.core.errors import Unavailable
from chalicelib.core.tenant.records import (
    Basis,
    Contract,
    Controller,
    Destination,
    Recipient,
    Retention,
    Retry,
    Route,
    Source,
    Tenant,
)
from chalicelib.flow import dead
from chalicelib.flow.delivery import deliver, pump
from chalicelib.flow.hooks import receive
from chalicelib.flow.routing import route
from chalicelib.flow.sealing import collect, seal
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store import signer
from chalicelib.store.region import Clients
from infra.cell import engines, local
from simulation.sqs import Sqs
from simulation.tables import STRAIGHT, Tables, without_wire
from tests.support import empty_stores
from tests.support.counted import CountedSigner, Crash, FifoQueue, NoticeQueue, Receiver
from tests.support.planted import nothing_planted_in_a_log

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
REGION = "eu-central-1"
SEED = str(local.make_seed(Path(tempfile.mkdtemp(prefix="waybill-"))))
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
CLASSES = ("identifier", "contact", "name", "content", "media", "location", "behaviour", "technical")


WRITES = frozenset(
    {
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchExecuteStatement",
        "GenerateDataKeyWithoutPlaintext",
        "PutObject",
        "CopyObject",
        "DeleteObject",
    }
)


@dataclass
class World:
    """One cell, one tenant, one telegram source, one destination."""

    clock: datetime = START
    doubles: bool = False
    compact: bool = False
    crash_at: int | None = None
    effects: list[str] = field(default_factory=list)
    counting: threading.Lock = field(default_factory=threading.Lock)
    asking: threading.Lock = field(default_factory=threading.Lock)
    crashes: int = 0
    failing: Callable[[str], Exception | None] = lambda name: None
    outage: Callable[[str], Exception | None] = lambda service: None
    failed_runs: int = 0
    signed: list[bytes] = field(default_factory=list)

    def start(self, engine: engines.Engine) -> None:
        self.engine = engine
        self.randomness = random.Random(7)
        empty_stores.make(engine, "test", REGION, "DE")  # its queues are these
        self.sqs = Sqs(REGION, lambda: self.now_s, START_MS)
        self.dead_inbox, self.dead_outbox = FifoQueue(self, "dead_inbox"), FifoQueue(self, "dead_outbox")
        self.inbox = FifoQueue(self, "inbox", self.dead_inbox)
        self.outbox = FifoQueue(self, "outbox", self.dead_outbox)
        self.seal_requests, self.sealing = NoticeQueue(self), FifoQueue(self, "sealing")
        self.receiver = Receiver()
        self.monotonic_s = 0.0
        self.restart()

    @property
    def now_s(self) -> float:
        """The queues' clock."""
        return (self.clock - START).total_seconds()

    def at(self, seconds: float) -> datetime:
        """The time of the queues' clock."""
        return START + timedelta(seconds=seconds)

    def effect(self, name: str) -> None:
        """Count an effect; die here if this is the one."""
        with self.counting:  # an invocation has threads of its own
            self.effects.append(name)
            number = len(self.effects)
        if self.crash_at is not None and number == self.crash_at:
            self.crash_at = None
            raise Crash
        fault = self.failing(name)
        if fault is not None:
            raise fault

    def reach(self, service: str) -> None:
        """Fail a call of a service during its outage; reads fail, too."""
        fault = self.outage(service)
        if fault is not None:
            raise fault

    def _client(self, service: str, region: str) -> Any:
        client = self.engine.make_client(service, region)
        call = client._make_api_call if service != "dynamodb" else self._without_wire(client._make_api_call, region)

        def counted(operation: str, arguments: Any) -> Any:
            self.reach(service)
            if operation not in WRITES:
                return call(operation, arguments)  # dying around a read is dying before the next write
            self.effect(f"before {operation}")
            answer = call(operation, arguments)
            self.effect(f"after {operation}")
            return answer

        client._make_api_call = counted
        return client

    def _without_wire(self, call: Callable[[str, Any], Any], region: str) -> Callable[[str, Any], Any]:
        """Call moto's tables directly, one call at a time."""
        straight = without_wire(call, Tables(self.engine, region, lambda *_: None))

        def asked(operation: str, arguments: Any) -> Any:
            if operation not in STRAIGHT:
                return call(operation, arguments)
            with self.asking:
                return straight(operation, arguments)

        return asked

    def restart(self) -> None:
        """A new process: nothing remembered, the same tables and queues."""
        settings = Settings(
            cell="test", region=REGION, country="DE", insert=self.engine.insert, allow_cidrs=local.LOOPBACK,
            source_rate_per_s=10_000, account=self.engine.account, seal_seed=SEED,
            evidence_bucket=f"waybill-test-evidence-{self.engine.account}", hooks_url="https://cell.example",
            contents_bucket=f"waybill-test-contents-{self.engine.account}", evidence_compact=self.compact,
        )  # fmt: skip
        self.runtime = Runtime(
            settings,
            Clients(settings.region, make=self._client),
            now=lambda: self.clock,
            random=self.randomness.randbytes,
            monotonic=lambda: (self.clock - START).total_seconds(),
            sleep=lambda _s: None,
        )
        self.runtime.inbox, self.runtime.outbox = self.inbox, self.outbox
        self.runtime.seal_requests, self.runtime.sealing = self.seal_requests, self.sealing
        self.runtime.signer = CountedSigner(self, signer.from_file(Path(SEED)))

    # Declarations

    def connect(self, **changes: Any) -> None:
        """Declare a tenant whose messages go to one recipient in the EU. ``changes`` alter the records' fields."""
        config = self.runtime.config
        new = lambda prefix: ids.sortable(prefix, self.clock, self.randomness.randbytes(11))  # noqa: E731
        at = self.clock
        self.tenant = new("tnt")
        config.create_tenant(
            Tenant(
                id=self.tenant, name="Nord", edition="enterprise", tenant_class="general", created_at=at,
                controller=Controller(legal_name="Nord GmbH", country="DE", contact="privacy@nord.example"),
                retention=Retention(default_days=changes.pop("days", 30)),
            )
        )  # fmt: skip
        self.source = new("src")
        source = {"channel": "telegram", "name": "bot", "subject_country": "DE", "special": ()} | changes.pop(
            "source", {}
        )
        config.insert(
            self.tenant,
            Source(id=self.source, created_at=at, **source),
            [{"secret": {"secret_token": "hook-secret"}, "until": None}],
        )
        config.insert_lookup(self.source, self.tenant, self.source)
        for kind in ("instruction", "contract"):
            config.insert(
                self.tenant,
                Basis(id=new("bas"), kind=kind, valid_from="2026-01-01", evidence="sha256:" + "00" * 32, created_at=at),
            )
        self.recipient = new("rcp")
        recipient = {
            "legal_name": "CRM", "contact": "dpo@crm.example", "entity_country": "DE", "processing_countries": ("DE",),
            "role": "processor", "classes": CLASSES, "onward": (), "granted": True,
            "contract": Contract(id="dpa", sha256="00" * 32, valid_from="2026-01-01"),
        } | changes.pop("recipient", {})  # fmt: skip
        config.insert(self.tenant, Recipient(id=self.recipient, created_at=at, **recipient))
        self.destination = new("dst")
        destination = {
            "name": "crm",
            "kind": "http",
            "recipient": self.recipient,
            "retry": Retry(delays_s=(5, 300, 1800, 7200)),
        }
        destination |= changes.pop("destination", {})
        config.insert(
            self.tenant,
            Destination(id=self.destination, created_at=at, **destination),
            {
                "config": changes.pop("config", {"url": self.receiver.url}),
                "signing": [{"secret": SECRET, "until": None}],
            },
        )
        self.route = new("rte")
        declared = {
            "name": "messages", "pattern": {"kind": ["message"]}, "destination": self.destination, "purpose": "customer_support",
        } | changes.pop("route", {})  # fmt: skip
        config.insert(self.tenant, Route(id=self.route, created_at=at, **declared))
        assert not changes

    def change(self, record_id: str, **values: Any) -> None:
        """Change a record."""
        row = self.runtime.config.get(self.tenant, record_id)
        self.runtime.config.replace(self.tenant, row.record.model_copy(update=values), row.version)

    # What happens

    def post(self, number: int, text: str | None = None, chat: int = 100, at: datetime | None = None) -> Reply:
        """A person writes to the bot."""
        person = {"id": chat, "is_bot": False, "first_name": "Canary Person"}
        message = {
            "message_id": number, "date": int((at or self.clock).timestamp()), "chat": {"id": chat, "type": "private"},
            "from": person, "text": text or f"m{number}",
        }  # fmt: skip
        body = json.dumps({"update_id": number, "message": message}).encode()
        headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}
        return self.hook(Inbound("POST", f"https://h/hooks/{self.source}", headers, {}, body, self.clock))

    def hook(self, request: Inbound) -> Reply:
        """Post a webhook; a process that dies is a platform that posts again."""
        while True:
            try:
                return receive.handle(self.runtime, self.source, request)
            except Crash:
                self.crashes += 1
                self.restart()

    def step(self) -> bool:
        """Run the tasks that are ready now; False if there was none."""
        done = self.inbox.run(route.handle) + self.outbox.run(deliver.handle)
        done += self.dead_inbox.run(dead.handle_inbox) + self.dead_outbox.run(dead.handle_outbox)
        return done > 0

    def pump(self) -> None:
        self._tick(lambda: pump.handle(self.runtime))

    def seal(self) -> None:
        """Collect seal requests, and run the sealer until it has no task."""
        self.collect()
        self.seal_tasks()

    def collect(self) -> None:
        """Collect seal requests, as the clock does each minute."""
        self._tick(lambda: collect.handle(self.runtime))

    def seal_tasks(self) -> None:
        """Run the sealer until it has no task."""
        while self.sealing.run(seal.handle):
            pass

    def _tick(self, handler: Callable[[], object]) -> None:
        try:
            handler()
        except Crash:
            self.crashes += 1
            self.restart()
        except Unavailable:  # a failed invocation; the next minute has another
            self.failed_runs += 1

    def settle(self) -> None:
        """Run until nothing is ready at this instant."""
        for _ in range(500):
            if not self.step():
                return
        raise AssertionError("the queues never come to rest")

    def run(self, duration: timedelta, every: timedelta = timedelta(minutes=1)) -> None:
        """Advance time: queues are served as messages become visible, pump runs each minute that it finds a due lane in."""
        end = self.clock + duration
        next_pump = self.clock
        seen, due = -1, ""
        while True:
            self.settle()
            if self.clock >= next_pump:
                if len(self.effects) != seen:  # something was written since
                    seen, due = len(self.effects), self.next_due()
                if due <= times.text(self.clock) + "~":
                    self.pump()
                next_pump = self.clock + every
                continue
            moments = [q.next_at() for q in (self.inbox, self.outbox, self.dead_inbox, self.dead_outbox)]
            soon = min([m for m in moments if m is not None and m > self.clock] + [next_pump])
            if soon > end:
                self.clock = end
                return
            self.clock = soon

    # Observations

    def next_due(self) -> str:
        """When the first lane is due, by the index; "~", which sorts after every time, if none waits."""
        found = self.rows("data")
        return min((row["due_at"]["S"] for row in found if "due_shard" in row), default="~")

    def entries(self) -> list[dict[str, Any]]:
        """Every entry of the tenant, in the order of the log's keys."""
        found: list[dict[str, Any]] = []
        start = None
        while True:
            page = self.runtime.audit.between(
                self.tenant,
                START - timedelta(days=1),
                self.clock + timedelta(days=1),
                now=self.clock,
                limit=250,
                start=start,
            )
            found.extend(dict(entry) for entry in page.entries)
            start = page.next
            if start is None:
                return found

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.entries() if e["kind"] == kind]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every raw row of a table."""
        return Tables(self.engine, REGION, lambda *_: None).rows(f"waybill-test-{table}")

    def close(self) -> None:
        self.receiver.close()


def raw(row: dict[str, Any]) -> bytes:
    """A row as bytes, to search for forbidden text."""
    return json.dumps(row, default=lambda b: base64.b64encode(b).decode()).encode() + b"".join(
        v["B"] for v in row.values() if "B" in v
    )


CANARIES = (b"Canary", b"privacy@nord.example", b"dpo@crm.example", b"Nord GmbH", b"hook-secret", SECRET.encode())
"""Texts that every world uses and no entry may hold: a person's name, contacts, a legal name, secrets."""


@contextmanager
def world(**options: Any) -> Iterator[World]:
    """A fresh world on a fresh moto."""
    with engines.moto() as engine:
        made = World(**options)
        made.start(engine)
        try:
            yield made
            nothing_planted_in_a_log(engine.make_client("dynamodb", REGION), CANARIES)
        finally:
            made.close()

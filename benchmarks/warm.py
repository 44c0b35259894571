"""A cell with one tenant, one Telegram source and one destination, driven batch by batch, its AWS calls counted.

It runs over any engine's clients: ministack's to count calls as they are deployed, ``simulation.memory``'s to measure our own CPU.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.core import ids
from chalicelib.core.tenant.records import (
    Basis,
    Contract,
    Controller,
    Destination,
    Recipient,
    Retention,
    Route,
    Source,
    Tenant,
)
from chalicelib.destinations import vetted
from chalicelib.flow.delivery import deliver
from chalicelib.flow.hooks import http_event, receive
from chalicelib.flow.messages import answer, from_lambda
from chalicelib.flow.routing import route
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.region import Clients
from infra.cell import feeders, local
from infra.cell.local_server import http_api_event
from simulation.client import Client

REGION = "eu-central-1"
COUNTRY = "DE"
CELL = "bench"
BATCH = 10
TICK = timedelta(microseconds=1300)
"""The clock's step at each reading: no two events share an instant, so that no write is saved by that."""
STAGES = ("receive", "route", "deliver")
CLASSES = ("identifier", "contact", "name", "content", "media", "location", "behaviour", "technical")
TEXT = "The parcel that you announced for Monday has not come yet. Could you tell me where it is? Number 4711-0815. "
MakeClient = Callable[[str, str], Any]


@dataclass(frozen=True)
class Call:
    """One call of AWS: its stage, operation and arguments."""

    stage: str
    operation: str
    arguments: Mapping[str, Any]


@dataclass
class Meter:
    """The recorded calls, and the CPU of the clients for them, which is not ours."""

    stage: str = "declare"
    calls: list[Call] = field(default_factory=list)
    cpu_s: float = 0.0

    def watched(self, make: MakeClient) -> MakeClient:
        """Make clients whose calls are recorded."""
        return lambda service, region: Client(make(service, region), self._record)

    def _record(self, operation: str, arguments: Mapping[str, Any], act: Callable[[], Any]) -> Any:
        self.calls.append(Call(self.stage, operation, arguments))
        began = time.thread_time()
        try:
            return act()
        finally:
            self.cpu_s += time.thread_time() - began


class Warm:
    """A cell whose process has seen its tenant, its people and its minute before.

    Args:
        make: an engine's clients; tables, queues and keys are there.
        size: how many events a batch has, at most ten.
    """

    def __init__(self, make: MakeClient, size: int = BATCH) -> None:
        self.size = size
        self.meter = Meter()
        self._drawn = 0
        self.seconds = 0.0
        self.at = datetime.now(UTC).replace(second=30, microsecond=0)
        self.runtime = Runtime(
            Settings(
                cell=CELL, region=REGION, country=COUNTRY, insert="partiql", allow_cidrs=local.LOOPBACK,
                source_rate_per_s=1_000_000,
            ),
            Clients(REGION, make=self.meter.watched(make)),
            now=self._now,
            monotonic=lambda: self.seconds,
            random=self._random,
        )  # fmt: skip
        self._sqs = make("sqs", REGION)
        self.number = 0
        self.source = self._declare()

    def _now(self) -> datetime:
        self.at += TICK
        return self.at

    def _random(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_128(self._drawn.to_bytes(8, "big")).digest(size)

    def _declare(self) -> str:
        config, at = self.runtime.config, self.at
        tenant, source, recipient, destination, route_id, *bases = (
            ids.sortable(prefix, at, self._random(11)) for prefix in ("tnt", "src", "rcp", "dst", "rte", "bas", "bas")
        )
        controller = Controller(legal_name="Nord GmbH", country="DE", contact="privacy@nord.example")
        config.create_tenant(
            Tenant(
                id=tenant, name="Nord", edition="enterprise", tenant_class="general", created_at=at, controller=controller,
                retention=Retention(default_days=30),
            )
        )  # fmt: skip
        config.insert(
            tenant,
            Source(id=source, channel="telegram", name="bot", subject_country="DE", special=(), created_at=at),
            [{"secret": {"secret_token": "hook-secret"}, "until": None}],
        )
        config.insert_lookup(source, tenant, source)
        digest, since = "00" * 32, at.date().replace(month=1, day=1)
        for basis, kind in zip(bases, ("instruction", "contract"), strict=True):
            declared = {"kind": kind, "valid_from": since, "evidence": f"sha256:{digest}"}
            config.insert(tenant, Basis.model_validate({**declared, "id": basis, "created_at": at}))
        config.insert(
            tenant,
            Recipient.model_validate(
                {
                    "id": recipient, "created_at": at, "legal_name": "CRM", "contact": "dpo@crm.example", "role": "processor",
                    "entity_country": "DE", "processing_countries": ("DE",), "classes": CLASSES, "onward": (), "granted": True,
                    "contract": Contract(id="dpa", sha256=digest, valid_from=since),
                }
            ),
        )  # fmt: skip
        config.insert(
            tenant,
            Destination(id=destination, name="crm", kind="http", recipient=recipient, created_at=at),
            {
                "config": {"url": "http://127.0.0.1:9/in"},
                "signing": [{"secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "until": None}],
            },
        )
        config.insert(
            tenant,
            Route.model_validate(
                {
                    "id": route_id, "name": "messages", "pattern": {"kind": ["message"]}, "destination": destination,
                    "purpose": "customer_support", "created_at": at,
                }
            ),
        )  # fmt: skip
        config.mark_published(tenant, config.snapshot(tenant).configuration.hash)
        return source

    def webhook(self, chat: int) -> dict[str, Any]:
        """Make the HTTP API's event of a person who writes a message of about 1 KB as Telegram posts it."""
        self.number += 1
        person = {"id": chat, "is_bot": False, "first_name": "Guest", "username": "guest", "language_code": "de"}
        message = {
            "message_id": self.number, "date": int(self.at.timestamp()), "from": person, "text": TEXT * 6,
            "chat": {"id": chat, "type": "private", "first_name": "Guest"},
        }  # fmt: skip
        body = json.dumps({"update_id": self.number, "message": message}).encode()
        headers = [("content-type", "application/json"), ("x-telegram-bot-api-secret-token", "hook-secret")]
        return http_api_event("POST", f"/hooks/{self.source}", "", headers, body)

    def receive(self, event: dict[str, Any]) -> None:
        """Take a webhook, as the ``hooks`` function does.

        Raises:
            RuntimeError: it was not accepted.
        """
        source, request = http_event.request(event, self.runtime.now(), "https://hooks.example")
        if http_event.reply(receive.handle(self.runtime, source, request))["statusCode"] != 200:
            raise RuntimeError("a webhook of the benchmark was refused")

    def batch(self, timed: Callable[[str, Callable[[], Any]], None] = lambda _stage, act: act()) -> None:
        """Bring a batch of events, each of its own conversation, from their webhooks to their destination.

        Args:
            timed: runs each stage; the default only runs it.

        Raises:
            RuntimeError: a message came back, or events were lost: then no figure would mean anything.
        """
        self.seconds += 1  # a process that compares versions often in one second would make fewer calls
        events = [self.webhook(1000 + number) for number in range(self.size)]
        self._stage("receive", lambda: self._received(events), timed)
        self._fed("route", "inbox", lambda e: answer(route.handle(self.runtime, from_lambda(e))), timed)
        self._fed("deliver", "outbox", lambda e: answer(deliver.handle(self.runtime, from_lambda(e))), timed)

    def _received(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self.receive(event)

    def _fed(
        self,
        stage: str,
        queue: str,
        handle: Callable[[dict[str, Any]], dict[str, Any]],
        timed: Callable[[str, Callable[[], Any]], None],
    ) -> None:
        def handler(event: dict[str, Any], _context: None) -> dict[str, Any]:
            answers: list[dict[str, Any]] = []
            stamp = str(int(self.at.timestamp() * 1000))  # the queue's clock is the real one
            for record in event["Records"]:
                record["attributes"]["SentTimestamp"] = stamp
            self._stage(stage, lambda: answers.append(handle(event)), timed)
            if answers[0]["batchItemFailures"]:
                raise RuntimeError(f"{stage} gave messages of the benchmark back")
            return answers[0]

        name = f"waybill-{CELL}-{queue}.fifo"
        url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        if feeders.feed_once(self._sqs, url, REGION, name, handler) != self.size:
            raise RuntimeError(f"{stage} did not get a full batch")

    def _stage(self, stage: str, act: Callable[[], Any], timed: Callable[[str, Callable[[], Any]], None]) -> None:
        self.meter.stage = stage
        timed(stage, act)
        self.meter.stage = "between"


def body_of(event: Mapping[str, Any]) -> bytes:
    """Return the body of a webhook's event."""
    return base64.b64decode(event["body"])


@contextmanager
def answering() -> Iterator[None]:
    """Answer every request to a destination with 204 at once, without a connection."""
    real = vetted.request
    vetted.request = lambda *_arguments, **_named: vetted.HttpResponse(204, {}, b"", False)
    try:
        yield
    finally:
        vetted.request = real

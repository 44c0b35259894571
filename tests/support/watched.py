"""A cell whose functions run as Lambda runs them, and the metrics that AWS and the functions give of it.

The functions are those of ``app.py``. The metrics of Lambda, the gateways, SQS and DynamoDB follow from what the functions
did: an exception is an error, an answer 5xx a fault, no invocation no point.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import app
from chalicelib import runtime as runtimes
from chalicelib.api import gateway
from infra.cell import feeders, local_server
from infra.deploy import alarms, template, tripwire
from tests.support.cloudwatch import CloudWatch
from tests.support.counted import Crash, FifoQueue
from tests.support.promise import throttled
from tests.support.world import REGION, World, world

HOOKS_API, REST_API = "HooksApi", alarms.rest_api("test")
OPERATOR_KEY = "wb_operator"
POISON = 3
"""SQS leaves a message that was received so often out of the age of the oldest.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html (read
2026-11-30).
"""
RATES_S = {"pump": 60, "jobs": 60, "collect": 60, "sweep": 3600}
QUEUES = {
    "inbox": "route", "outbox": "deliver", "inbox-dead": "dead_inbox", "outbox-dead": "dead_outbox", "sealing": "seal",
}  # fmt: skip
"""The queue → the function that its mapping calls."""
TICK = {
    "version": "0", "id": "", "source": "aws.events", "account": "", "time": "", "region": REGION, "resources": [],
    "detail-type": "Scheduled Event", "detail": {},
}  # fmt: skip
RESOURCES = template.resources("test", REGION, "DE")
ALARMS: Mapping[str, Mapping[str, Any]] = {
    resource["Properties"]["AlarmName"].removeprefix("waybill-test-"): resource["Properties"]
    for resource in RESOURCES.values()
    if resource.get("Type") == "AWS::CloudWatch::Alarm"
}


class Died(Crash):
    """The process of a function died: out of memory, or out of time."""


class Lines(logging.Handler):
    """Collects the fields of each line."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Mapping[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(vars(record))


class Watched:
    """A world, watched."""

    def __init__(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.w, self.monkeypatch, self.cloudwatch, self.lines = w, monkeypatch, CloudWatch(), Lines()
        self.stopped: set[str] = set()
        """Rules and mappings that are disabled, by function."""
        self.throttled: set[str] = set()
        """Functions without free concurrency."""
        self.numbers = 0
        w.runtime.settings = replace(
            w.runtime.settings, operator_key_sha256=hashlib.sha256(OPERATOR_KEY.encode()).hexdigest()
        )

    # Faults

    def broken(self, owner: Any, name: str, fault: BaseException | type[BaseException] = KeyError) -> None:
        """Let a function of the product raise."""

        def raises(*_: Any, **__: Any) -> Any:
            raise fault

        self.monkeypatch.setattr(owner, name, raises)

    def slow_table(self, table: str, metric: str) -> None:
        """Throttle the reads or the writes of a table."""
        client = self.w.runtime.clients.get("dynamodb")
        call = client._make_api_call
        wanted = {
            "ReadThrottleEvents": ("Get", "Query", "BatchGet"),
            "WriteThrottleEvents": ("Put", "Up", "Del", "Batch"),
        }

        def asked(operation: str, arguments: Mapping[str, Any]) -> Any:
            inserts = operation == "BatchExecuteStatement"
            reads = operation.startswith(wanted["ReadThrottleEvents"])
            kind = operation.startswith(wanted[metric]) and (reads or metric == "WriteThrottleEvents")
            if (
                kind
                and not (reads and metric == "WriteThrottleEvents")
                and re.search(
                    f"waybill-test-{table}\\b",
                    repr(arguments) if inserts or "RequestItems" in arguments else arguments["TableName"],
                )
            ):
                self.cloudwatch.add("AWS/DynamoDB", metric, 4, self.w.now_s, TableName=f"waybill-test-{table}")
                raise throttled(operation)  # after four tries of the SDK
            return call(operation, arguments)

        self.monkeypatch.setattr(client, "_make_api_call", asked)

    def refuse(self, operation: str, code: str, queue: str = "") -> None:
        """Let SQS refuse a call for a queue."""
        call = getattr(self.w.sqs, operation)

        def asked(**arguments: Any) -> Any:
            if queue in arguments["QueueUrl"]:
                raise throttled(operation)
            return call(**arguments)

        self.monkeypatch.setattr(self.w.sqs, operation, asked)

    # What happens

    def invoke(self, function: str, event: Any) -> Any:
        """Run a function once. Return its answer, or None if it failed or was not run."""
        dimensions = {"FunctionName": f"waybill-test-{function.replace('_', '-').replace('app', 'api')}"}
        if function in self.throttled:
            self.cloudwatch.add("AWS/Lambda", "Throttles", 1, self.w.now_s, **dimensions)
            return None
        self.cloudwatch.add("AWS/Lambda", "Invocations", 1, self.w.now_s, **dimensions)
        context = SimpleNamespace(aws_request_id=str(uuid.uuid4()))
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                return (tripwire.handler if function == "tripwire" else getattr(app, function))(event, context)
        except (Exception, Crash):  # noqa: BLE001  (the runtime of Lambda: each exception is an error)
            self.cloudwatch.add("AWS/Lambda", "Errors", 1, self.w.now_s, **dimensions)
            return None
        finally:
            self.cloudwatch.read(output.getvalue(), self.w.now_s)

    def post(self, text: str = "Canary text", chat: int = 100) -> int:
        """A person writes to the bot. Return the status that the platform sees."""
        self.numbers += 1
        person = {"id": chat, "is_bot": False, "first_name": "Canary Person"}
        message = {
            "message_id": self.numbers, "date": int(self.w.clock.timestamp()),
            "chat": {"id": chat, "type": "private"}, "from": person, "text": text,
        }  # fmt: skip
        body = json.dumps({"update_id": self.numbers, "message": message}).encode()
        headers = [("content-type", "application/json"), ("x-telegram-bot-api-secret-token", "hook-secret")]
        event = local_server.http_api_event("POST", f"/hooks/{self.w.source}", "", headers, body)
        return self._answered("hooks", event, "5xx", ApiId=HOOKS_API)

    def call(self, method: str, path: str, body: Any = None) -> int:
        """The operator calls the API. Return the status."""
        headers = [("authorization", f"Bearer {OPERATOR_KEY}"), ("content-type", "application/json")]
        event = gateway.event(method, path, "", headers, json.dumps(body).encode() if body is not None else b"")
        return self._answered("app", event, "5XXError", ApiName=REST_API)

    def _answered(self, function: str, event: Any, metric: str, **dimensions: str) -> int:
        answer = self.invoke(function, event)
        status = 500 if answer is None else int(answer["statusCode"])
        if status >= 500:
            self.cloudwatch.add("AWS/ApiGateway", metric, 1, self.w.now_s, **dimensions)
        return status

    def run(self, minutes: int, *functions: str, every_s: int = 60) -> None:
        """Let time pass: mappings give messages, and rules run their functions.

        Args:
            functions: only these; all unless given.
            every_s: how long each step lasts.
        """
        for _ in range(minutes * 60 // every_s):
            for queue, function in QUEUES.items():
                if not self.stopped & {function} and (not functions or function in functions):
                    while self._batch(queue, function):
                        pass
            for function, rate_s in RATES_S.items():
                due = int(self.w.now_s) % rate_s < every_s
                if due and function not in self.stopped and (not functions or function in functions):
                    self.invoke(function, TICK)
            self.w.clock += timedelta(seconds=every_s)
            self._measure()

    def _batch(self, queue: str, function: str) -> bool:
        fifo = self._queue(queue)
        batch = fifo.receive()
        if not batch:
            return False
        records = [{**message.record(self.w.sqs.start_ms)} for message in batch]
        for record in records:
            record["MessageId"] = str(uuid.uuid5(uuid.NAMESPACE_OID, record["MessageId"]))
        answer = self.invoke(function, feeders.sqs_event(records, REGION, fifo.name))
        if answer is not None:
            back = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
            for record in records:
                if record["MessageId"] not in back:
                    fifo.fifo.delete(record["ReceiptHandle"], self.w.now_s)
        return function not in self.throttled

    def _queue(self, queue: str) -> FifoQueue:
        found: FifoQueue = getattr(self.w, f"dead_{queue[:-5]}" if queue.endswith("-dead") else queue)
        return found

    def _measure(self) -> None:
        """Give the metrics of the queues for this minute."""
        for queue in QUEUES:
            messages, name = list(self._queue(queue).fifo), f"waybill-test-{queue}.fifo"
            visible = [m for m in messages if m.visible_s <= self.w.now_s]
            ages = [self.w.now_s - m.sent_s for m in messages if m.receives < POISON]
            for metric, value in (
                ("ApproximateNumberOfMessagesVisible", len(visible)),
                ("ApproximateAgeOfOldestMessage", max(ages, default=0)),
            ):
                self.cloudwatch.add("AWS/SQS", metric, value, self.w.now_s - 1, QueueName=name)

    # Observations

    def ringing(self, since_s: float = 0) -> set[str]:
        """Return the alarms that rang."""
        until_s = self.w.now_s
        return {name for name, alarm in ALARMS.items() if self.cloudwatch.rings(alarm, since_s, until_s)}


@contextlib.contextmanager
def watched(
    monkeypatch: pytest.MonkeyPatch, prepare: Callable[[World], None] = lambda w: w.connect()
) -> Iterator[Watched]:
    """A watched world."""
    with world() as w:
        runtimes.install_each(lambda: w.runtime)
        made = Watched(w, monkeypatch)
        logging.getLogger("waybill").addHandler(made.lines)
        try:
            prepare(w)
            yield made
        finally:
            runtimes.install(None)

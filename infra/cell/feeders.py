"""Queues and clock of a cell that Lambda does not run: threads that give the handlers what Lambda would give them.

The local cell and ``waybill serve`` share them. Any number of threads and processes may feed from one queue: the groups of a
FIFO queue keep two of them from working on one conversation or one lane at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from chalicelib.observe import error
from chalicelib.runtime import Runtime
from chalicelib.store.items import Table
from chalicelib.store.runs import RunStore

from ..deploy.template import LOCAL_ACCOUNT
from .heartbeat import VISIBILITY_S, Heartbeat

Handler = Callable[[Any, Any], Any]
FEEDERS = {"inbox": 1, "outbox": 3, "inbox-dead": 1, "outbox-dead": 1, "sealing": 1}
"""Threads that feed each queue's handler."""
IDLE_S = 0.02
IDLE_MAX_S = 0.2
TROUBLE_MAX_S = 5.0
LEASE = timedelta(minutes=10)
"""How long a run of a job may take: a sweep ends after eight minutes and some seconds."""


def sqs_event(messages: list[dict[str, Any]], region: str, queue: str) -> dict[str, Any]:
    """Build the event of Lambda's SQS mapping."""
    return {
        "Records": [
            {
                "messageId": m["MessageId"],
                "receiptHandle": m["ReceiptHandle"],
                "body": m["Body"],
                "attributes": m["Attributes"],
                "messageAttributes": {},
                "md5OfBody": m["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{region}:{LOCAL_ACCOUNT}:{queue}",
                "awsRegion": region,
            }
            for m in messages
        ]
    }


class Sequence:
    """Number a queue's messages in the order they are first received in, for an engine whose own numbers do not grow."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def stamp(self, message: dict[str, Any]) -> None:
        """Give a message its number; the same one each time."""
        with self._lock:
            number = self._numbers.setdefault(message["MessageId"], len(self._numbers))
        message["Attributes"]["SequenceNumber"] = f"{number:020d}"


def receive(sqs: Any, url: str, wait_s: int, **more: Any) -> list[dict[str, Any]]:
    """Receive up to ten messages with all their attributes.

    Args:
        wait_s: how long the queue may wait for a first message.
        more: further parameters of the call.
    """
    received: list[dict[str, Any]] = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
        WaitTimeSeconds=wait_s,
        **more,
    ).get("Messages", [])
    return received


def feed_once(
    sqs: Any,
    url: str,
    region: str,
    queue: str,
    handler: Handler,
    sequence: Sequence | None = None,
    wait_s: int = 0,
    heartbeat: Heartbeat | None = None,
) -> int:
    """Give one batch of a queue to its handler, and delete the messages that it took. Return how many messages there were.

    Args:
        wait_s: how long the queue may wait for a first message before it answers that there is none.
        heartbeat: holds the messages while the handler works; without it they have the queue's visibility timeout.
    """
    received = receive(sqs, url, wait_s, **({} if heartbeat is None else {"VisibilityTimeout": VISIBILITY_S}))
    if not received:
        return 0
    if sequence is not None:
        for message in received:
            sequence.stamp(message)
    with nullcontext() if heartbeat is None else heartbeat.holding(url, [m["ReceiptHandle"] for m in received]):
        answer = handler(sqs_event(received, region, queue), None)
    back = {f["itemIdentifier"] for f in answer["batchItemFailures"]}
    done = [m for m in received if m["MessageId"] not in back]
    if done:
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(done)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return len(received)


def feed_until(
    stopping: threading.Event,
    sqs: Any,
    region: str,
    queue: str,
    handler: Handler,
    sequence: Sequence | None = None,
    wait_s: int = 0,
    heartbeat: Heartbeat | None = None,
) -> Callable[[], None]:
    """Return the function of a thread that feeds a handler until ``stopping``. It always finishes the batch in progress.

    If a queue does not answer, the thread asks again after a pause, which grows up to ``TROUBLE_MAX_S``.
    """

    def run() -> None:
        url, idle, trouble = "", IDLE_S, IDLE_S
        while not stopping.is_set():
            try:
                url = url or sqs.get_queue_url(QueueName=queue)["QueueUrl"]
                took = feed_once(sqs, url, region, queue, handler, sequence, wait_s, heartbeat)
            except Exception as fault:  # noqa: BLE001  (the feeder's edge: what was not taken comes back to a queue)
                error("feed_failed", fault, queue=queue)
                trouble = min(trouble * 2, TROUBLE_MAX_S)
                stopping.wait(trouble)
                continue
            trouble = IDLE_S
            idle = IDLE_S if took else min(idle * 1.5, IDLE_MAX_S)
            if not took and not wait_s:
                stopping.wait(idle)

    return run


def clock(stopping: threading.Event, period_s: float, run: Callable[[], Any]) -> Callable[[], None]:
    """Return the function of a thread that calls ``run`` at once and then every ``period_s`` until ``stopping``.

    It logs a fault and goes on.
    """

    def tick() -> None:
        while not stopping.is_set():
            try:
                run()
            except Exception as fault:  # noqa: BLE001  (the clock's edge: the next tick is the retry)
                error("schedule_failed", fault)
            stopping.wait(period_s)

    return tick


def runs_of(cell: Runtime) -> RunStore:
    """Return the last runs of a cell's jobs, which ``config`` keeps."""
    settings = cell.settings
    return RunStore(Table(cell.clients.get("dynamodb"), settings.table("config"), settings.region))


def run_if_due(cell: Runtime, runs: RunStore, name: str, period: timedelta, run: Callable[[Runtime], Any]) -> None:
    """Run a job unless a process of this cell has run it within its period, or is at it.

    A run that fails is tried again after ``LEASE``.
    """
    if runs.claim(name, cell.now(), period, LEASE):
        run(cell)
        runs.ended(name, cell.now())

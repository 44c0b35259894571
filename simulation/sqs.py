"""A client of SQS whose queues are those of ``queues``: the calls that the product makes, as SQS answers them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from .queues import VISIBILITY_S, Fifo, Standard

Document = dict[str, Any]
Entries = list[Mapping[str, Any]]


def refused(code: str, operation: str, status: int = 400) -> ClientError:
    """Make the error of a refused call."""
    answer: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class Sqs:
    """Queues of one region. A queue's URL is its name; a queue is made when its name is first used.

    Args:
        now_s: the queues' clock, in seconds.
        start_ms: the time at which that clock showed zero, in milliseconds since 1970.
    """

    def __init__(self, region: str, now_s: Callable[[], float], start_ms: int = 0) -> None:
        self.meta = SimpleNamespace(region_name=region)
        self.fifos: dict[str, Fifo] = {}
        self.standards: dict[str, Standard] = {}
        self.start_ms, self._now_s = start_ms, now_s
        self._lock = threading.RLock()  # the threads of an invocation share a client

    def fifo(self, url: str) -> Fifo:
        """Return a FIFO queue."""
        return self.fifos.setdefault(url, Fifo(url))

    def standard(self, url: str) -> Standard:
        """Return a standard queue."""
        return self.standards.setdefault(url, Standard(url))

    def _queue(self, url: str) -> Fifo | Standard:
        return self.fifo(url) if url.endswith(".fifo") else self.standard(url)

    def _send(self, url: str, message: Mapping[str, Any]) -> str:
        if not url.endswith(".fifo"):
            return self.standard(url).send(message["MessageBody"], self._now_s()).id
        return self.fifo(url).send(
            message["MessageBody"], message["MessageGroupId"], message["MessageDeduplicationId"], self._now_s()
        )

    def get_queue_url(self, *, QueueName: str) -> Document:  # noqa: N803  (AWS's names)
        """Return a queue's URL."""
        return {"QueueUrl": QueueName}

    def send_message(self, *, QueueUrl: str, **message: Any) -> Document:  # noqa: N803
        """Accept a message."""
        with self._lock:
            return {"MessageId": self._send(QueueUrl, message)}

    def send_message_batch(self, *, QueueUrl: str, Entries: Entries) -> Document:  # noqa: N803
        """Accept messages."""
        with self._lock:
            return {"Successful": [{"Id": e["Id"], "MessageId": self._send(QueueUrl, e)} for e in Entries]}

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int = 1,  # noqa: N803
        VisibilityTimeout: float = VISIBILITY_S,  # noqa: N803
        **_: Any,
    ) -> Document:
        """Receive messages. All attributes are returned, whichever are asked for."""
        with self._lock:
            batch = self._queue(QueueUrl).receive(MaxNumberOfMessages, self._now_s(), VisibilityTimeout)
            return {"Messages": [m.record(self.start_ms) for m in batch]}

    def delete_message_batch(self, *, QueueUrl: str, Entries: Entries) -> Document:  # noqa: N803
        """Delete messages. One whose receipt has expired stays, and the answer does not show it."""
        with self._lock:
            for entry in Entries:
                self._queue(QueueUrl).delete(entry["ReceiptHandle"], self._now_s())
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> Document:
        """Change when a message becomes visible again.

        Raises:
            ClientError: ``InvalidParameterValue`` if the receipt has expired.
        """
        with self._lock:
            if not self._queue(QueueUrl).change_visibility(ReceiptHandle, VisibilityTimeout, self._now_s()):
                raise refused("InvalidParameterValue", "ChangeMessageVisibility")
        return {}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: Entries) -> Document:  # noqa: N803
        """Change when messages become visible again. An entry whose receipt has expired changes nothing."""
        with self._lock:
            for entry in Entries:
                self._queue(QueueUrl).change_visibility(
                    entry["ReceiptHandle"], entry["VisibilityTimeout"], self._now_s()
                )
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

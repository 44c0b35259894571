"""The cell's FIFO queues. Bodies are sealed or hold refs only; groups and deduplication ids are refs and keyed hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ..core import encoders
from ..core.errors import Unavailable
from .items import call

Refused = ClientError
"""The errors of a call with a message that the queue does not take."""
ENTRIES_A_CALL = 10
BYTES_A_CALL = 240_000
"""The largest call that every engine takes; AWS takes 1 MiB."""


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to send: a JSON body, its group and its deduplication id."""

    body: str
    group: str
    deduplication: str


class NamedQueue:
    """A queue as it is known by its name."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The queue's address, asked for once."""
        if self._url is None:
            self._url = str(call(self._client.get_queue_url, QueueName=self.name)["QueueUrl"])
        return self._url


class Queue(NamedQueue):
    """One FIFO queue."""

    def send(self, messages: Iterable[OutgoingMessage]) -> None:
        """Send messages in order, at most ten a call and one of each group: of a call SQS may take some messages and refuse
        others, and a later one of a group must never be taken before an earlier one.

        Raises:
            Unavailable: some were not taken; sending all of them again does no harm.
        """
        batch: list[OutgoingMessage] = []
        groups: set[str] = set()
        size = 0
        for message in messages:
            length = len(message.body.encode())
            full = len(batch) == ENTRIES_A_CALL or size + length > BYTES_A_CALL
            if batch and (full or message.group in groups):
                self._send(batch)
                batch, groups, size = [], set(), 0
            batch.append(message)
            groups.add(message.group)
            size += length
        if batch:
            self._send(batch)

    def _send(self, batch: list[OutgoingMessage]) -> None:
        try:
            if len(batch) == 1:
                call(
                    self._client.send_message,
                    QueueUrl=self.url,
                    MessageBody=batch[0].body,
                    MessageGroupId=batch[0].group,
                    MessageDeduplicationId=batch[0].deduplication,
                )
                return
            answer = call(
                self._client.send_message_batch,
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(number),
                        "MessageBody": m.body,
                        "MessageGroupId": m.group,
                        "MessageDeduplicationId": m.deduplication,
                    }
                    for number, m in enumerate(batch)
                ],
            )
        except ClientError as error:
            raise Unavailable("a queue did not take messages; try again") from error
        if answer.get("Failed"):
            raise Unavailable("a queue did not take all messages; try again")

    def retry_in(self, receipt_handle: str, delay_s: int) -> None:
        """Make a received message come back after ``delay_s`` instead of the visibility timeout."""
        call(
            self._client.change_message_visibility,
            QueueUrl=self.url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=delay_s,
        )


def body(values: Mapping[str, Any]) -> str:
    """Write a message's body."""
    return encoders.escaped(values)

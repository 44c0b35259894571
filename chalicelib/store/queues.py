"""The cell's FIFO queues. Bodies are sealed or hold refs only; groups and deduplication ids are refs and keyed hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ..core import encoders
from ..core.errors import Unavailable, WaybillError
from ..threads import PROCESS_THREADS, Threads
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
    """One FIFO queue.

    Args:
        threads: gathers single messages that threads send at the same time.
    """

    def __init__(self, client: Any, name: str, threads: Threads = PROCESS_THREADS) -> None:
        super().__init__(client, name)
        self._one = threads.gathered(self._apart, ENTRIES_A_CALL)

    def send(self, messages: Iterable[OutgoingMessage]) -> None:
        """Send messages in order, at most ten a call and one of each group: of a call SQS may take some messages and refuse
        others, and a later one of a group must never be taken before an earlier one.

        Raises:
            Unavailable: some were not taken; sending all of them again does no harm.
        """
        messages = list(messages)
        if len(messages) == 1:
            fault = self._one(messages[0])
            if fault is not None:
                raise fault
            return
        for batch in _batches(messages):
            for fault in self._send(batch):
                if fault is not None:
                    raise fault

    def _apart(self, messages: list[OutgoingMessage]) -> list[Exception | None]:
        """Send messages that know nothing of each other. Return the fault of each that was not taken."""
        outcomes: list[Exception | None] = []
        for batch in _batches(messages):
            try:
                outcomes += self._send(batch)
            except (WaybillError, Refused) as fault:
                outcomes += [fault] * len(batch)
        return outcomes

    def _send(self, batch: list[OutgoingMessage]) -> list[Exception | None]:
        try:
            if len(batch) == 1:
                call(
                    self._client.send_message,
                    QueueUrl=self.url,
                    MessageBody=batch[0].body,
                    MessageGroupId=batch[0].group,
                    MessageDeduplicationId=batch[0].deduplication,
                )
                return [None]
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
        failed = {entry["Id"] for entry in answer.get("Failed") or ()}
        fault = Unavailable("a queue did not take all messages; try again")
        return [fault if str(number) in failed else None for number in range(len(batch))]

    def retry_in(self, receipt_handle: str, delay_s: int) -> None:
        """Make a received message come back after ``delay_s`` instead of the visibility timeout."""
        call(
            self._client.change_message_visibility,
            QueueUrl=self.url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=delay_s,
        )


def _batches(messages: Iterable[OutgoingMessage]) -> Iterator[list[OutgoingMessage]]:
    """Yield messages in order, as many as one call takes."""
    batch: list[OutgoingMessage] = []
    groups: set[str] = set()
    size = 0
    for message in messages:
        length = len(message.body.encode())
        full = len(batch) == ENTRIES_A_CALL or size + length > BYTES_A_CALL
        if batch and (full or message.group in groups):
            yield batch
            batch, groups, size = [], set(), 0
        batch.append(message)
        groups.add(message.group)
        size += length
    if batch:
        yield batch


def body(values: Mapping[str, Any]) -> str:
    """Write a message's body."""
    return encoders.escaped(values)

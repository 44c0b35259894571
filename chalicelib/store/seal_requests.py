"""The queue of seal requests: partitions of the log with new entries. At least once, in no order.

A request stays in the queue until its log is sealed: the queue is the only list of logs to seal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from botocore.exceptions import ClientError

from ..core import times
from ..core.errors import Unavailable
from .items import call
from .queues import ENTRIES_A_CALL, NamedQueue

PARTITIONS_A_REQUEST = 500


@dataclass(frozen=True)
class SealRequest:
    """Buckets of one log, ``{minute}#{shard}`` each, and how many entries were appended to them."""

    tenant: str
    log: str
    buckets: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class ReceivedSealRequest:
    """A notice as it was received; ``receipt`` gives it back or removes it."""

    notice: SealRequest
    receipt: str
    sent_at: datetime


class SealRequestQueue(NamedQueue):
    """The cell's notice queue."""

    def send(self, notices: Iterable[SealRequest]) -> None:
        """Send notices.

        Raises:
            Unavailable: some were not taken; sending all of them again does no harm.
        """
        split = [
            SealRequest(n.tenant, n.log, n.buckets[start : start + PARTITIONS_A_REQUEST], n.count if start == 0 else 0)
            for n in notices
            for start in range(0, len(n.buckets), PARTITIONS_A_REQUEST)
        ]
        for start in range(0, len(split), ENTRIES_A_CALL):
            entries = [{"Id": str(i), "MessageBody": _body(n)} for i, n in enumerate(split[start:][:ENTRIES_A_CALL])]
            try:
                answer = call(self._client.send_message_batch, QueueUrl=self.url, Entries=entries)
            except ClientError as error:
                raise Unavailable("the notice queue did not take notices; try again") from error
            if answer.get("Failed"):
                raise Unavailable("the notice queue did not take all notices; try again")

    def receive(self, hidden_s: int) -> list[ReceivedSealRequest]:
        """Receive up to ten requests and hide them for ``hidden_s`` seconds. A message that is no request is removed."""
        answer = call(
            self._client.receive_message,
            QueueUrl=self.url,
            MaxNumberOfMessages=ENTRIES_A_CALL,
            VisibilityTimeout=hidden_s,
            AttributeNames=["SentTimestamp"],
        )
        return [
            ReceivedSealRequest(
                _seal_request(m["Body"]), m["ReceiptHandle"], times.from_millis(int(m["Attributes"]["SentTimestamp"]))
            )
            for m in answer.get("Messages", ())
        ]

    def remove(self, receipts: Iterable[str]) -> None:
        """Remove notices that have been done. One that comes back all the same is done again, to no effect."""
        receipts = list(receipts)
        for start in range(0, len(receipts), ENTRIES_A_CALL):
            entries = [{"Id": str(i), "ReceiptHandle": r} for i, r in enumerate(receipts[start:][:ENTRIES_A_CALL])]
            call(self._client.delete_message_batch, QueueUrl=self.url, Entries=entries)

    def give_back(self, receipts: Iterable[str]) -> None:
        """Return requests that are not due yet to the queue."""
        receipts = list(receipts)
        for start in range(0, len(receipts), ENTRIES_A_CALL):
            entries = [
                {"Id": str(i), "ReceiptHandle": r, "VisibilityTimeout": 0}
                for i, r in enumerate(receipts[start:][:ENTRIES_A_CALL])
            ]
            call(self._client.change_message_visibility_batch, QueueUrl=self.url, Entries=entries)


def _body(notice: SealRequest) -> str:
    values = {"v": 1, "tenant": notice.tenant, "log": notice.log, "buckets": notice.buckets, "count": notice.count}
    return json.dumps(values, separators=(",", ":"))


def _seal_request(text: str) -> SealRequest:
    """Read a request; a foreign message becomes an empty request, for which the sealer does nothing."""
    try:
        values = json.loads(text)
        buckets = tuple(str(b) for b in values["buckets"])
        return SealRequest(str(values["tenant"]), str(values["log"]), buckets, int(values["count"]))
    except (ValueError, TypeError, KeyError):
        return SealRequest("", "", (), 0)

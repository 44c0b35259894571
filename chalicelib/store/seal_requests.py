"""The queue of seal requests: partitions of the log with new entries. At least once, in no order.

A request stays in the queue until its log is due. Then its partitions are in a task of the FIFO queue ``sealing``, whose groups
are the logs. The two queues are the only list of logs to seal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ..core import times
from ..core.errors import Unavailable
from .items import call
from .queues import ENTRIES_A_CALL, NamedQueue, OutgoingMessage

PARTITIONS_A_REQUEST = 500


@dataclass(frozen=True)
class SealRequest:
    """Partitions of one log, ``{minute}#{shard}`` each, and how many entries were appended to them.

    ``until`` is set where the process that sent it sends no other request for these partitions before that time, though it may
    append more: sealing before would miss these. ``since`` is when the first of the entries was reported; None for the time at
    which the message was sent.
    """

    tenant: str
    log: str
    buckets: tuple[str, ...]
    count: int
    until: datetime | None = None
    since: datetime | None = None

    def split(self) -> list[SealRequest]:
        """Return requests of which each fits into a message."""
        starts = range(0, len(self.buckets), PARTITIONS_A_REQUEST)
        return [
            SealRequest(
                self.tenant, self.log, self.buckets[start : start + PARTITIONS_A_REQUEST],
                0 if start else self.count, self.until, self.since,
            )
            for start in starts
        ]  # fmt: skip


@dataclass(frozen=True)
class ReceivedSealRequest:
    """A request as it was received; ``receipt`` gives it back or removes it."""

    notice: SealRequest
    receipt: str
    sent_at: datetime

    @property
    def since(self) -> datetime:
        """When the first of its entries was reported."""
        return self.notice.since or self.sent_at


@dataclass(frozen=True)
class SealTask:
    """Partitions of a log that a sealer works on now. ``since`` is as in ``SealRequest``."""

    tenant: str
    log: str
    partitions: tuple[str, ...]
    since: datetime | None = None

    def message(self, unique: str) -> OutgoingMessage:
        """Write the task. ``unique`` keeps the queue from dropping a later task of the same partitions."""
        values: dict[str, Any] = {"v": 1, "tenant": self.tenant, "log": self.log, "partitions": self.partitions}
        if self.since is not None:
            values["since"] = times.millis(self.since)
        return OutgoingMessage(json.dumps(values, separators=(",", ":")), f"{self.tenant}/{self.log}", unique)

    @staticmethod
    def from_document(document: Mapping[str, Any] | None) -> SealTask | None:
        """Read a task; None for a foreign message."""
        try:
            values = document or {}
            partitions = tuple(str(name) for name in values["partitions"])
            return SealTask(str(values["tenant"]), str(values["log"]), partitions, _moment(values.get("since")))
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class ReconcileTask:
    """A day of a log, since 1970, whose entries are compared with the seals.

    ``limit`` is the time before which they should be sealed. ``after`` is the last partition that is done, and ``rounds`` how
    often the task was handed on.
    """

    tenant: str
    log: str
    day: int
    limit: datetime
    after: str = ""
    rounds: int = 0

    def message(self, unique: str) -> OutgoingMessage:
        """Write the task. It has a group of its own, since it only reads the log. ``unique`` is as in ``SealTask``."""
        values = {
            "v": 1, "tenant": self.tenant, "log": self.log, "day": self.day, "limit": times.millis(self.limit),
            "after": self.after, "rounds": self.rounds,
        }  # fmt: skip
        group = f"{self.tenant}/{self.log}/{self.day}"
        return OutgoingMessage(json.dumps(values, separators=(",", ":")), group, unique)

    @staticmethod
    def from_document(document: Mapping[str, Any] | None) -> ReconcileTask | None:
        """Read a task; None for another message."""
        try:
            values = document or {}
            limit = times.from_millis(int(values["limit"]))
            place = (str(values["after"]), int(values["rounds"]))
            return ReconcileTask(str(values["tenant"]), str(values["log"]), int(values["day"]), limit, *place)
        except (ValueError, TypeError, KeyError):
            return None


class SealRequestQueue(NamedQueue):
    """The cell's queue of seal requests."""

    def send(self, notices: Iterable[SealRequest]) -> None:
        """Send requests.

        Raises:
            Unavailable: some were not taken; sending all of them again does no harm.
        """
        split = [part for notice in notices for part in notice.split()]
        for start in range(0, len(split), ENTRIES_A_CALL):
            entries = [{"Id": str(i), "MessageBody": _body(n)} for i, n in enumerate(split[start:][:ENTRIES_A_CALL])]
            try:
                answer = call(self._client.send_message_batch, QueueUrl=self.url, Entries=entries)
            except ClientError as error:
                raise Unavailable("the queue of seal requests did not take requests; try again") from error
            if answer.get("Failed"):
                raise Unavailable("the queue of seal requests did not take all requests; try again")

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
        """Remove requests that have been done. One that comes back all the same is done again, to no effect."""
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
    values: dict[str, Any] = {
        "v": 1, "tenant": notice.tenant, "log": notice.log, "buckets": notice.buckets, "count": notice.count,
    }  # fmt: skip
    for name, at in (("until", notice.until), ("since", notice.since)):
        if at is not None:
            values[name] = times.millis(at)
    return json.dumps(values, separators=(",", ":"))


def _seal_request(text: str) -> SealRequest:
    """Read a request; a foreign message becomes an empty request, for which the sealer does nothing."""
    try:
        values = json.loads(text)
        buckets = tuple(str(b) for b in values["buckets"])
        until, since = _moment(values.get("until")), _moment(values.get("since"))
        return SealRequest(str(values["tenant"]), str(values["log"]), buckets, int(values["count"]), until, since)
    except (ValueError, TypeError, KeyError):
        return SealRequest("", "", (), 0)


def _moment(millis: Any) -> datetime | None:
    return None if millis is None else times.from_millis(int(millis))

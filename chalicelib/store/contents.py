"""The contents bucket: contents of events that are too large for a row or a message, each encrypted under a key of its own.

| key | content |
|---|---|
| ``in/{day}/{tenant}/{event}/{random}`` | of an event on its way through the inbox, or in a dead letter |
| ``ev/{day}/{tenant}/{event}/{conversation}/{random}`` | of a stored event |

An object's own key is where its content would be: in the message under the tenant's key, in the event's row under the
person's (``event_rows``). So an object without its message or row is unreadable. ``{day}`` is the first day on which the
sweep may delete the object. The bucket has no lifecycle: no rule of it knows a legal hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .buckets import Bucket
from .event_rows import EventKey
from .ttl import NET

ARRIVING, STORED = "in", "ev"
ARRIVES_FOR = timedelta(days=19)
"""Longer than a message is in the inbox (4 days) and then in its dead-letter queue (14 days)."""
PAGE = 100
"""Objects that a sweep looks at together: their rows are read in one call."""


class ContentObject(NamedTuple):
    """The name of an object, taken apart. ``event`` is the key of the row that may still need it; None on its way."""

    name: str
    event: EventKey | None


def arriving(tenant: str, event: str, random: bytes, until: datetime) -> str:
    """Name the object of an event that is on its way until a time."""
    return f"{ARRIVING}/{_day(until)}/{tenant}/{event}/{random.hex()}"


def stored(key: EventKey, arrived: str, expires_at: datetime) -> str:
    """Name the object of a stored event that lives until a time, given the name under which it arrived."""
    random = arrived.rpartition("/")[2]
    return f"{STORED}/{_day(expires_at + NET)}/{key.tenant}/{key.event}/{key.conversation}/{random}"


def _day(until: datetime) -> str:
    return (until + timedelta(days=1)).date().isoformat()


def _read(name: str) -> ContentObject:
    kind, _, tenant, event, *rest = name.split("/")
    return ContentObject(name, EventKey(tenant, event, rest[0]) if kind == STORED else None)


class ContentsBucket(Bucket):
    """Read, write and delete objects of the contents bucket."""

    def __init__(self, client: Callable[[], Any], bucket: str, region: str) -> None:
        super().__init__(client, bucket, region, "contents")

    def copy(self, name: str, to: str) -> None:
        """Copy an object. The copy opens with the same key.

        Raises:
            Unavailable: the object is not there, or the bucket does not answer.
        """
        self._call("copy_object", Key=to, CopySource={"Bucket": self._bucket, "Key": name})

    def delete(self, name: str) -> None:
        """Delete an object; none there is as good.

        Raises:
            Unavailable: the bucket does not answer.
        """
        self._call("delete_object", Key=name)

    def over(self, now: datetime) -> Iterator[list[ContentObject]]:
        """Yield the objects whose day has come, in pages, the oldest first.

        Raises:
            Unavailable: the bucket does not answer.
        """
        for kind in (ARRIVING, STORED):
            after, end = f"{kind}/", f"{kind}/{now.date().isoformat()}~"
            while True:
                answer = self._call("list_objects_v2", Prefix=f"{kind}/", StartAfter=after, MaxKeys=PAGE)
                names = [item["Key"] for item in answer.get("Contents", ())]
                due = [name for name in names if name < end]
                if due:
                    yield [_read(name) for name in due]
                if len(due) < len(names) or not answer.get("IsTruncated"):
                    break
                after = names[-1]

"""The sweep's own rows in the ``data`` table, and its writes to rows whose life is over.

| row | ``pk`` | ``sk`` |
|---|---|---|
| a length of life in use, in days | ``{tenant}#kept`` | ``00030`` |
| the content that a released legal hold had kept | ``{tenant}#kept`` | ``hld_…`` |
| a warning of a record's end that was published | ``{tenant}#told`` | record, its last day and the days left |
| a person to check | ``{tenant}#ending`` | the person's key in ``people`` |

A row of a length stores the time of receipt up to which events of that length have been checked. The sweep checks events
when they reach that age. An event that is still alive therefore lies after the position of its own length, no matter when
the row is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core import times
from ..threads import PROCESS_THREADS, Threads
from . import restriction
from .data import NET, ttl
from .event_rows import EventKey, EventRow
from .items import Table
from .restriction import Restriction

DELETERS = 8
DAY = timedelta(days=1)
TOLD_FOR = timedelta(days=60)
"""Longer than a record is warned of."""
_REGION = {"#region": "region"}


@dataclass(frozen=True)
class LifeLength:
    """A length of life that some of a tenant's events have, and how far these have been looked at."""

    days: int
    place: str


@dataclass(frozen=True)
class ReleasedHold:
    """A released hold, which events it was on by their time of receipt, and how far these have been looked at."""

    hold: str
    place: str
    before: datetime


@dataclass(frozen=True)
class EndingPerson:
    """A person of whom nothing may be left.

    Args:
        asked: how often this was said.
        ref: as the log knows the person; None until the person was looked at.
        since: since when the person's row says that it ends, in milliseconds; None likewise.
    """

    person: str
    asked: int
    ref: str | None = None
    since: int | None = None


def in_days(received_at: datetime, expires_at: datetime) -> int:
    """Return the length of a life in days, none of which is cut."""
    return max(1, -((received_at - expires_at) // DAY))


class LifetimeStore:
    """Store lengths of life and people to check, and end events and people whose life is over.

    Args:
        table: ``data``.
    """

    def __init__(self, table: Table, threads: Threads = PROCESS_THREADS) -> None:
        self._table = table
        self._threads = threads

    # Lengths, and what releases left

    def use(self, tenant: str, days: int, since: datetime) -> None:
        """Have events that live so many days looked at when they are over; said twice, it is said once.

        Args:
            since: none of them was received before. Of those that are alive that is as many days ago.
        """
        self._table.insert({"pk": f"{tenant}#kept", "sk": f"{days:05d}", "place": times.text(since)})

    def released(self, tenant: str, one: ReleasedHold) -> None:
        """Make the next sweep check the content that a released legal hold had kept."""
        row = {"place": one.place, "before": times.text(one.before)}
        self._table.insert({"pk": f"{tenant}#kept", "sk": one.hold, **row})

    def to_look_at(self, tenant: str) -> tuple[list[LifeLength], list[ReleasedHold]]:
        """Return a tenant's lengths, the shortest first, and its released holds."""
        lengths, released = [], []
        for item in self._table.query("pk = :p", {":p": f"{tenant}#kept"}):
            if "before" in item:
                released.append(ReleasedHold(item["sk"], item["place"], times.parse(item["before"])))
            else:
                lengths.append(LifeLength(int(item["sk"]), item["place"]))
        return lengths, released

    def move(self, tenant: str, one: LifeLength | ReleasedHold, place: str) -> None:
        """Remember how far has been looked."""
        names = {"#place": "place"}
        self._table.update(_kept(tenant, one), "SET #place = :p", {":p": place}, names=names)

    def done(self, tenant: str, one: ReleasedHold) -> None:
        """Forget a released hold all of whose events have been looked at."""
        self._table.delete(_kept(tenant, one))

    # Events

    def end(self, keys: Iterable[EventKey], now: datetime) -> int:
        """Delete the rows of events whose life is over. Return how many were deleted by this."""
        bound = {":now": times.millis(now)}

        def one(key: EventKey) -> bool:
            return self._table.delete(key.key, "expires_at <= :now", bound)

        return sum(self._threads.map(DELETERS, one, keys))

    def keep(self, keys: Iterable[EventKey]) -> None:
        """Take rows out of the table's own expiry: a hold is on them."""
        for key in keys:
            self._table.update(key.key, "REMOVE #ttl", {}, names={"#ttl": "ttl"})

    def restrict(self, row: EventRow, why: Restriction) -> bool:
        """Restrict an event's content, and let its life end with the restriction. Restricted content stays as it is.

        Return False where the content was restricted before or is gone.
        """
        bound: dict[str, str | int] = {
            ":r": restriction.write(why),
            ":e": times.millis(why.until),
            ":t": ttl(why.until + NET),
        }
        done = self._table.update(
            row.key.key,
            "SET restricted = :r, expires_at = :e, #ttl = :t",
            bound,
            condition="attribute_exists(body) AND attribute_not_exists(restricted)",
            names={"#ttl": "ttl"},
        )
        return done is not None

    def erased(self, tenant: str) -> None:
        """Forget all that is remembered of a tenant."""
        for pk in (f"{tenant}#kept", f"{tenant}#ending", f"{tenant}#told", f"{tenant}#awaits"):
            for item in list(self._table.query("pk = :p", {":p": pk})):
                self._table.delete({"pk": pk, "sk": item["sk"]})

    # Warnings

    def told(self, tenant: str) -> frozenset[str]:
        """Return the warnings that were published."""
        return frozenset(item["sk"] for item in self._table.query("pk = :p", {":p": f"{tenant}#told"}))

    def tell(self, tenant: str, name: str, now: datetime) -> None:
        """Remember a warning as published."""
        self._table.insert({"pk": f"{tenant}#told", "sk": name, "ttl": ttl(now + TOLD_FOR)})

    # People

    def ask(self, tenant: str, person: str) -> None:
        """Make the next sweep check a person whose data may all be gone."""
        key = {"pk": f"{tenant}#ending", "sk": person}
        self._table.update(key, "SET #region = :r ADD asked :one", {":one": 1, ":r": self._table.region}, None, _REGION)

    def asked(self, tenant: str) -> Iterator[EndingPerson]:
        """Yield the people to look at."""
        for item in self._table.query("pk = :p", {":p": f"{tenant}#ending"}):
            yield EndingPerson(item["sk"], item["asked"], item.get("ref"), item.get("since"))

    def ends(self, tenant: str, person: str, ref: str, since: int) -> None:
        """Remember as whom the log knows a person, and since when the person's row says that it ends."""
        key = {"pk": f"{tenant}#ending", "sk": person}
        bound: dict[str, str | int] = {":r": ref, ":s": since}
        self._table.update(key, "SET #ref = :r, since = :s", bound, names={"#ref": "ref"})

    def looked(self, tenant: str, one: EndingPerson) -> None:
        """Delete the row of a checked person, unless another request was made since."""
        key = {"pk": f"{tenant}#ending", "sk": one.person}
        if not self._table.delete(key, "asked = :a", {":a": one.asked}):
            self._table.update(key, "REMOVE #ref, since", {}, names={"#ref": "ref"})


def _kept(tenant: str, one: LifeLength | ReleasedHold) -> dict[str, str]:
    return {"pk": f"{tenant}#kept", "sk": f"{one.days:05d}" if isinstance(one, LifeLength) else one.hold}

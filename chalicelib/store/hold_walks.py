"""Walks over the events of a legal hold, in the ``data`` table: to take them out of TTL, or to put them back.

| row | ``pk`` | ``sk`` | indexed |
|---|---|---|---|
| walk | ``{tenant}#walks`` | hold | ``due_shard`` = ``due#holds``, ``due_at`` = ``{due}#{hold}`` |

The due time is also the lease, as that of a job. A hold has one walk at a time: its release replaces a walk that still secures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..core import times
from .items import Item, Table

SHARD = "due#holds"
Mode = Literal["secure", "release"]
_NAMES = {"#mode": "mode", "#place": "place", "#round": "round", "#begun": "begun", "#region": "region"}


@dataclass(frozen=True)
class HoldWalk:
    """A walk over the events of a hold.

    Args:
        begun: when the hold was placed or released.
        round: 1, and 2 once every process knows of the hold or of its release.
        place: how far this round is; empty before its first event.
        seen: what the row must still say to be changed.
    """

    tenant: str
    hold: str
    mode: Mode
    begun: datetime
    round: int = 1
    place: str = ""
    seen: str = ""


class HoldWalkStore:
    """Begin walks, and lease them.

    Args:
        table: ``data``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, tenant: str, hold: str, mode: Mode, at: datetime) -> None:
        """Begin a walk, unless there is one of this mode."""
        bound: dict[str, str | int] = {
            ":m": mode, ":p": "", ":n": 1, ":b": times.text(at), ":s": SHARD, ":d": f"{times.text(at)}#{hold}",
            ":r": self._table.region,
        }  # fmt: skip
        self._table.update(
            {"pk": f"{tenant}#walks", "sk": hold},
            "SET #mode = :m, #place = :p, #round = :n, #begun = :b, due_shard = :s, due_at = :d, #region = :r",
            bound,
            "attribute_not_exists(pk) OR #mode <> :m",
            _NAMES,
        )

    def of_tenant(self, tenant: str) -> dict[str, HoldWalk]:
        """Return a tenant's walks, by hold."""
        found = self._table.query("pk = :p", {":p": f"{tenant}#walks"})
        return {item["sk"]: _read(item) for item in found}

    def due(self, now: datetime, limit: int) -> Iterator[tuple[str, str, str]]:
        """Yield tenant, hold and due time of walks that are due, at most ``limit``."""
        bound = {":s": SHARD, ":n": f"{times.text(now)}~"}
        found = self._table.query("due_shard = :s AND due_at <= :n", bound, index="due", limit=limit)
        for number, item in enumerate(found, 1):
            yield item["pk"].removesuffix("#walks"), item["sk"], item["due_at"]
            if number == limit:
                return

    def take(self, tenant: str, hold: str, seen: str, until: datetime) -> HoldWalk | None:
        """Lease a walk that was seen due. Return None if another process was faster."""
        bound = {":seen": seen, ":d": f"{times.text(until)}#{hold}"}
        key = {"pk": f"{tenant}#walks", "sk": hold}
        item = self._table.update(key, "SET due_at = :d", bound, "due_at = :seen")
        return _read(item) if item is not None else None

    def save(self, walk: HoldWalk, due_at: datetime) -> None:
        """Store how far a leased walk is, unless another process or a release has taken it."""
        bound: dict[str, str | int] = {
            ":p": walk.place, ":n": walk.round, ":d": f"{times.text(due_at)}#{walk.hold}", ":seen": walk.seen,
        }  # fmt: skip
        expression, names = "SET #place = :p, #round = :n, due_at = :d", {"#place": "place", "#round": "round"}
        self._table.update(_key(walk), expression, bound, "due_at = :seen", names)

    def done(self, walk: HoldWalk) -> None:
        """Forget a leased walk that is at its end, unless another process or a release has taken it."""
        self._table.delete(_key(walk), "due_at = :seen", {":seen": walk.seen})


def _key(walk: HoldWalk) -> dict[str, str]:
    return {"pk": f"{walk.tenant}#walks", "sk": walk.hold}


def _read(item: Item) -> HoldWalk:
    return HoldWalk(
        item["pk"].removesuffix("#walks"), item["sk"], item["mode"], times.parse(item["begun"]), item["round"],
        item["place"], item["due_at"],
    )  # fmt: skip

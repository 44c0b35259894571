"""The list of events that are stored sealed, in the ``data`` table: a ground for storing them is missing.

| row | ``pk`` | ``sk`` |
|---|---|---|
| an event that awaits a ground | ``{tenant}#awaits`` | ``{received_at}#{event}`` |

The event's own row says that it is sealed (``lives_until``). This list leads to it, oldest first, and shows what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core import times
from .event_rows import EventKey, EventRow
from .items import Table
from .lifetimes import update_life
from .ttl import AWAITED_NET, ttl


@dataclass(frozen=True)
class AwaitingRow:
    """One listed event.

    Args:
        source: the event's source.
        rules: the rules that ask for the ground, as an entry has them.
        missing: the records that are missing.
        routed: its transfers are held, and show it among the holds.
    """

    key: EventKey
    place: str
    source: str
    waits_until: datetime
    rules: tuple[Mapping[str, str], ...]
    missing: tuple[str, ...]
    routed: bool


class AwaitingStore:
    """List events that await a ground, and release them.

    Args:
        table: ``data``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def insert(
        self,
        row: EventRow,
        source: str,
        rules: Iterable[Mapping[str, str]],
        missing: Iterable[str],
        *,
        routed: bool,
    ) -> None:
        """List an event; one that is listed stays as it is."""
        tenant, event, conversation = row.key
        why = {"rules": [dict(r) for r in rules], "missing": list(missing), "routed": routed, "source": source}
        self._table.insert(
            {
                "pk": f"{tenant}#awaits",
                "sk": f"{times.text(row.received_at)}#{event}",
                "conversation": conversation,
                "waits_until": times.millis(row.expires_at),
                "why": json.dumps(why),
                "ttl": ttl(row.expires_at + AWAITED_NET),
            }
        )

    def list(self, tenant: str, after: str = "") -> Iterator[AwaitingRow]:
        """Yield a tenant's events that await a ground, the oldest first, starting after a place."""
        for item in self._table.query("pk = :p AND sk > :a", {":p": f"{tenant}#awaits", ":a": after or " "}):
            why: dict[str, Any] = json.loads(item["why"])
            yield AwaitingRow(
                EventKey(tenant, item["sk"].partition("#")[2], item["conversation"]),
                item["sk"],
                why["source"],
                times.from_millis(item["waits_until"]),
                tuple(why["rules"]),
                tuple(why["missing"]),
                why["routed"],
            )

    def remove(self, row: AwaitingRow) -> None:
        """Take an event off the list."""
        self._table.delete({"pk": f"{row.key.tenant}#awaits", "sk": row.place})

    def release(self, row: EventRow) -> None:
        """Make an event that has a ground now readable, for the rest of its life. A held one stays out of TTL."""
        if row.lives_until is not None:
            changed = "SET expires_at = :e REMOVE lives_until", {":e": times.millis(row.lives_until)}
            update_life(self._table, row.key, *changed, "attribute_exists(lives_until)", row.lives_until)

    def destroy(self, row: AwaitingRow, now: datetime) -> bool:
        """Delete an event whose wait is over, unless it was released meanwhile. Return whether it was deleted."""
        bound = {":now": times.millis(now)}
        condition = "attribute_exists(lives_until) AND expires_at <= :now"
        return self._table.delete(row.key.key, condition, bound)

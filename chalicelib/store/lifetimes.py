"""The lives of stored events, and the sweep's own rows in the ``data`` table.

| row | ``pk`` | ``sk`` |
|---|---|---|
| a warning of a record's end that was published | ``{tenant}#told`` | record, its last day and the days left |
| up to which slot people have ended | ``sweep#people`` | ``slot`` |
| which people of earlier releases are adopted | ``sweep#people`` | ``adopted`` |
| rows of the release before: lengths of life, people to check | ``{tenant}#kept``, ``{tenant}#ending`` | |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ..core import times
from ..threads import PROCESS_THREADS, Threads
from . import restriction
from .event_rows import EventKey, EventRow
from .items import Table, Value
from .restriction import Restriction
from .ttl import NET, ttl

WRITERS = 8
TOLD_FOR = timedelta(days=60)
"""Longer than a record is warned of."""
PEOPLE = "sweep#people"
_TTL = {"#ttl": "ttl"}


def update_life(
    table: Table, key: EventKey, expression: str, bound: Mapping[str, Value], condition: str, expires_at: datetime
) -> bool:
    """Change when an event ends, and its TTL with that. An event without a TTL is held, and gets none.

    Args:
        expression: begins with ``SET`` and changes the rest.

    Returns:
        Whether the condition held.
    """
    names, later = {"#ttl": "ttl"}, {**bound, ":ttl": ttl(expires_at + NET)}
    with_ttl = expression.replace("SET ", "SET #ttl = :ttl, ", 1)
    if table.update(key.key, with_ttl, later, f"{condition} AND attribute_exists(#ttl)", names) is not None:
        return True
    return table.update(key.key, expression, bound, f"{condition} AND attribute_not_exists(#ttl)", names) is not None


class LifetimeStore:
    """Change how long events live, and keep the sweep's progress.

    Args:
        table: ``data``.
    """

    def __init__(self, table: Table, threads: Threads = PROCESS_THREADS) -> None:
        self._table = table
        self._threads = threads

    # Events

    def end(self, keys: Iterable[EventKey], now: datetime) -> int:
        """Delete the rows of events whose life is over. Return how many were deleted by this."""
        bound = {":now": times.millis(now)}

        def one(key: EventKey) -> bool:
            return self._table.delete(key.key, "expires_at <= :now", bound)

        return sum(self._threads.map(WRITERS, one, keys))

    def keep(self, keys: Iterable[EventKey]) -> None:
        """Take rows out of the table's own expiry: a hold is on them."""
        list(self._threads.map(WRITERS, lambda key: self._table.update(key.key, "REMOVE #ttl", {}, names=_TTL), keys))

    def let_go(self, rows: Iterable[EventRow]) -> None:
        """Put rows back into the table's own expiry: no hold is on them any longer."""

        def one(row: EventRow) -> None:
            bound = {":ttl": ttl(row.expires_at + NET), ":e": times.millis(row.expires_at)}
            self._table.update(row.key.key, "SET #ttl = :ttl", bound, "expires_at = :e", _TTL)

        list(self._threads.map(WRITERS, one, rows))

    def restrict(self, row: EventRow, why: Restriction) -> bool:
        """Restrict an event's content, and let its life end with the restriction. Restricted content stays as it is.

        Return False where the content was restricted before or is gone.
        """
        bound: dict[str, str | int] = {":r": restriction.write(why), ":e": times.millis(why.until)}
        condition = "attribute_exists(body) AND attribute_not_exists(restricted)"
        return update_life(self._table, row.key, "SET restricted = :r, expires_at = :e", bound, condition, why.until)

    def erased(self, tenant: str) -> None:
        """Forget all that is remembered of a tenant."""
        for pk in (f"{tenant}#{kind}" for kind in ("kept", "ending", "told", "awaits", "walks")):
            for item in list(self._table.query("pk = :p", {":p": pk})):
                self._table.delete({"pk": pk, "sk": item["sk"]})

    # Warnings

    def told(self, tenant: str) -> frozenset[str]:
        """Return the warnings that were published."""
        return frozenset(item["sk"] for item in self._table.query("pk = :p", {":p": f"{tenant}#told"}))

    def tell(self, tenant: str, name: str, now: datetime) -> None:
        """Remember a warning as published."""
        self._table.insert({"pk": f"{tenant}#told", "sk": name, "ttl": ttl(now + TOLD_FOR)})

    # How far people have ended

    def slot(self) -> datetime | None:
        """Return the oldest slot in which people may be left; None before the first sweep."""
        row = self._table.get({"pk": PEOPLE, "sk": "slot"})
        return times.parse(row["place"]) if row is not None else None

    def move(self, slot: datetime) -> None:
        """Remember that nobody is left in the slots before this one."""
        self._set("slot", times.text(slot))

    def adopting(self) -> tuple[str, datetime] | None:
        """Return up to which row people are adopted, and from when on; None if all are."""
        row = self._table.get({"pk": PEOPLE, "sk": "adopted"})
        if row is None:
            return "", times.EARLIEST
        return (row["place"], times.parse(row["begins"])) if "begins" in row else None

    def adopt(self, place: str, begins: datetime | None) -> None:
        """Remember up to which row people are adopted, and from when on; None when all are."""
        self._set("adopted", place, begins)

    def _set(self, name: str, place: str, begins: datetime | None = None) -> None:
        names, bound = {"#place": "place", "#region": "region"}, {":p": place, ":r": self._table.region}
        expression = "SET #place = :p, #region = :r"
        if begins is not None:
            expression, bound[":b"] = f"{expression}, begins = :b", times.text(begins)
        elif name == "adopted":
            expression += " REMOVE begins"
        self._table.update({"pk": PEOPLE, "sk": name}, expression, bound, None, names)

    # Rows of the release before

    def left_by_the_release_before(self, tenant: str) -> bool:
        """Return whether a sweep of the release before has run since ``forget_the_release_before``."""
        return any(True for _ in self._table.query("pk = :p", {":p": f"{tenant}#kept"}, limit=1))

    def forget_the_release_before(self, tenant: str) -> Iterator[str]:
        """Delete the rows of the release before: yield each person that it had listed, then delete all.

        Also yields the released holds (``hld_…``) whose content it had not ended.
        """
        for pk in (f"{tenant}#ending", f"{tenant}#kept"):  # the rows by which it is noticed last
            for item in list(self._table.query("pk = :p", {":p": pk})):
                if pk.endswith("#ending") or "before" in item:
                    yield item["sk"]
                self._table.delete({"pk": pk, "sk": item["sk"]})

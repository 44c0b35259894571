"""Counts of what each source sends, by the hour, in the ``data`` table.

| row | ``pk`` | ``sk`` |
|---|---|---|
| one hour of a source | ``{tenant}#source#{source}`` | ``2026-11-30T12`` |

The counts are close, not exact: a process adds its own to a row once a minute, and loses the last ones when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from ..core import times
from ..core.tenant.activity import HABIT, WORDS, HourActivity
from .items import Table
from .ttl import ttl

KEPT = HABIT + timedelta(days=2)


class SourceCountStore:
    """Add to the counts of a source's hours, and read them.

    Args:
        table: ``data``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, tenant: str, source: str, now: datetime, counts: Mapping[str, int]) -> None:
        """Add counts to the current hour of a source."""
        names = {f"#{word}": word for word in counts} | {"#ttl": "ttl", "#region": "region"}
        bound: dict[str, int | str] = {f":{word}": number for word, number in counts.items()}
        bound |= {":ttl": ttl(now + KEPT), ":region": self._table.region}
        expression = "SET #ttl = :ttl, #region = :region"
        if "accepted" in counts:
            names, bound = names | {"#last": "last"}, bound | {":last": times.millis(now)}
            expression += ", #last = :last"
        expression += " ADD " + ", ".join(f"#{word} :{word}" for word in counts)
        key = {"pk": f"{tenant}#source#{source}", "sk": times.text(now)[:13]}
        self._table.update(key, expression, bound, condition=None, names=names)

    def hours(self, tenant: str, source: str, since: datetime) -> Iterator[HourActivity]:
        """Yield the hours of a source from a time on, the oldest first."""
        bound = {":p": f"{tenant}#source#{source}", ":s": times.text(since)[:13]}
        for item in self._table.query("pk = :p AND sk >= :s", bound):
            hour = datetime.fromisoformat(f"{item['sk']}:00:00").replace(tzinfo=UTC)
            last = times.from_millis(item["last"]) if item.get("last") is not None else None
            yield HourActivity(hour, {word: item[word] for word in WORDS if item.get(word) is not None}, last)

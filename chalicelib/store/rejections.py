"""Webhooks of a source that became no event, in the ``data`` table: why and how many in each minute, for a day.

| row | ``pk`` | ``sk`` |
|---|---|---|
| one verdict and reason in one minute | ``{tenant}#rejections#{source}`` | ``2026-11-30T12:05#{verdict}#{code}`` |

A row holds no value of a request: the names of its headers, and our own words. The counts are close, not exact: a process adds
its own to a row once a minute, and loses the last ones when it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core import times
from .items import Table
from .ttl import ttl

SHOWN = timedelta(days=1)
"""How long a rejection is shown."""
_MINUTE = 16


@dataclass(frozen=True)
class Rejection:
    """The webhooks of one minute with one verdict and reason.

    Args:
        detail: the reason in our own words; ``headers``: the names of the headers of the last one.
        place: the position of the row in the list.
    """

    minute: str
    verdict: str
    code: str
    detail: str
    number: int
    last_at: datetime
    headers: tuple[str, ...]
    place: str


class RejectionStore:
    """Add to the rejections of a source, and read them.

    Args:
        table: ``data``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(
        self,
        tenant: str,
        source: str,
        now: datetime,
        verdict: str,
        code: str,
        detail: str,
        headers: Sequence[str],
        number: int,
    ) -> None:
        """Add webhooks to the row of the current minute."""
        self._table.update(
            {"pk": f"{tenant}#rejections#{source}", "sk": f"{times.text(now)[:_MINUTE]}#{verdict}#{code}"},
            "SET #ttl = :ttl, #region = :region, detail = :detail, headers = :headers, last_at = :at ADD #number :n",
            {
                ":ttl": ttl(now + SHOWN),
                ":region": self._table.region,
                ":detail": detail,
                ":headers": json.dumps(headers),
                ":at": times.millis(now),
                ":n": number,
            },
            condition=None,
            names={"#ttl": "ttl", "#region": "region", "#number": "number"},
        )

    def newest(self, tenant: str, source: str, now: datetime, before: str = "") -> Iterator[Rejection]:
        """Yield the rejections of the last day, the newest first.

        Args:
            before: only those before this place.
        """
        bound = {":p": f"{tenant}#rejections#{source}", ":s": times.text(now - SHOWN)[:_MINUTE], ":b": before or "~"}
        found = self._table.query("pk = :p AND sk BETWEEN :s AND :b", bound, ascending=False)
        for item in found:
            if item["sk"] == before:
                continue
            minute, verdict, code = item["sk"].split("#")
            yield Rejection(
                minute=f"{minute}:00.000Z",
                verdict=verdict,
                code=code,
                detail=item["detail"],
                number=item["number"],
                last_at=times.from_millis(item["last_at"]),
                headers=tuple(json.loads(item["headers"])),
                place=item["sk"],
            )

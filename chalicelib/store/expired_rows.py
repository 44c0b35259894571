"""Rows past their time to live, on engines that do not delete them by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .items import Table

SCANNED_A_PAGE = 500
_TTL = {"#ttl": "ttl"}


def delete_expired(table: Table, now: datetime, goes_on: Callable[[], bool]) -> int:
    """Delete the rows that TTL would have deleted. Return how many.

    It reads the whole table, and ends early where ``goes_on`` says no; the next call begins at the start.
    """
    deleted, start = 0, None
    bound = {":now": int(now.timestamp())}
    while goes_on():
        rows, start = table.page("#ttl < :now", bound, SCANNED_A_PAGE, start, _TTL)
        for row in rows:
            key = {"pk": row["pk"], "sk": row["sk"]}
            deleted += table.delete(key, "#ttl < :now", bound, _TTL)  # a hold may have taken its TTL away meanwhile
        if start is None:
            break
    return deleted

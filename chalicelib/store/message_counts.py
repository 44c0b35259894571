"""Counts of queue messages, and of tasks in lanes, in the ``data`` table.

| row | ``pk`` | ``sk`` | counts |
|---|---|---|---|
| counts | ``{tenant}#fault`` | ``{queue}#{message}`` | ``faults``: failures for a reason of its own; ``begun``: beginnings without an end |
"""

from __future__ import annotations

from datetime import datetime

from .items import Table
from .ttl import NET, ttl


def count_fault(table: Table, tenant: str, queue: str, message: str, now: datetime) -> int:
    """Count one more fault of a message. Return how many there are."""
    return _count(table, tenant, queue, message, "faults", now)


def count_beginning(table: Table, tenant: str, queue: str, message: str, now: datetime) -> int:
    """Count one more beginning of a message. Return how many have no end."""
    return _count(table, tenant, queue, message, "begun", now)


def forget_beginnings(table: Table, tenant: str, queue: str, message: str) -> None:
    """Take the beginnings of a message back: the last one has ended, and with it the process lives."""
    table.update(_place(tenant, queue, message), "REMOVE begun", {})


def _count(table: Table, tenant: str, queue: str, message: str, name: str, now: datetime) -> int:
    item = table.update(
        _place(tenant, queue, message),
        "SET #ttl = :ttl, #region = :region ADD #name :one",
        {":ttl": ttl(now + NET), ":region": table.region, ":one": 1},
        condition=None,
        names={"#ttl": "ttl", "#region": "region", "#name": name},
    )
    return int(item[name]) if item is not None else 0


def _place(tenant: str, queue: str, message: str) -> dict[str, str]:
    return {"pk": f"{tenant}#fault", "sk": f"{queue}#{message}"}

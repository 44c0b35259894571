"""How long rows outlive their end, and the attribute by which DynamoDB deletes them."""

from __future__ import annotations

from datetime import datetime, timedelta

NET = timedelta(days=1)
"""How long an event outlives its life in the table. A legal hold that is placed meanwhile finds it."""
AWAITED_NET = timedelta(days=14)
"""The same for events that await a ground: the sweep destroys these, and says so in the log."""


def ttl(expires_at: datetime) -> int:
    """Return the TTL attribute of a row, in whole seconds since 1970."""
    return int(expires_at.timestamp()) + 1

"""Long sealed logs for tests: entries are sealed in one go, without passing through the audit table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.core import audit, ids, leaf, seal, times
from chalicelib.flow import seal as sealing
from tests.api_cell import Api


def an_id(prefix: str, number: int) -> str:
    """Return an id that nothing else has."""
    return ids.derived(prefix, "bulk", str(number))


def clones(decided: Mapping[str, Any], attempted: Mapping[str, Any], first: int, end: int) -> Iterator[audit.Entry]:
    """Yield decisions and attempts like a pair of an event's, for events of numbers."""
    for number in range(first, end):
        event = an_id("evt", number)
        (route,) = decided["routes"]
        transfer = an_id("trf", number)
        one = {**decided, "event": event, "routes": [{**route, "transfer": transfer}]}
        one["id"] = audit.entry_id(audit.minute_of(decided["id"]), event, audit.natural_key(one))
        yield one
        tried = {**attempted, "event": event, "decided": one["id"], "transfer": transfer, "outcome": "delivered"}
        tried |= {"code": "http_200", "classes": route["classes_out"], "size_bytes": 1}
        tried["id"] = audit.attempt_id(one["id"], event, transfer, tried["attempt"])
        yield tried


def acts(tenant: str, at: datetime, first: int, end: int) -> Iterator[audit.Entry]:
    """Yield acts of numbers that tell of nothing but themselves."""
    for number in range(first, end):
        yield audit.act(
            "viewed",
            tenant=tenant,
            minute=times.minute(at),
            at=at,
            actor=("key", an_id("key", number)),
            request=an_id("req", number),
            range={"after": None, "before": None, "count": number},
        )


def seal_at_once(api: Api, entries: Iterator[audit.Entry], at_once: int = 50_000) -> None:
    """Seal entries of the current log, so many at once."""
    one = sealing.sealed_log(api.shell, api.made["tenant"], f"{api.clock.at.year:04d}")
    rows: list[seal.Row] = [seal.Row(entry["at"], entry["id"], leaf.canonical(entry)) for entry in entries]
    for start in range(0, len(rows), at_once):
        horizon = max(times.parse(row.at) for row in rows) + timedelta(seconds=1)
        made, data = seal.integrate(one.last(), rows[start : start + at_once], horizon)
        api.shell.evidence.put(one.prefix + made.batch, data)
        assert api.shell.seals.insert(one.tenant, one.log, made)
        sealing.publish(api.shell, one, made)


def digest(data: bytes) -> str:
    """Return a SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()

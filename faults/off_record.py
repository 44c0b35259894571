"""Conversations that are off the record for a while: their events are decided, sent at most once, and stored nowhere."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import timedelta
from typing import Any

from chalicelib.core import times
from chalicelib.core.tenant.intervals import EFFECT

from .evidence import Evidence, is_off
from .owners import Change, Owners
from .story import Broken
from .tenants import Span, Tenant, Unrecorded
from .world import LIMIT_S

SETTLE = EFFECT + timedelta(seconds=2 * LIMIT_S["hooks"])
"""After so long, no process that has not read the change is still at work."""
SOME = 3


def leave(owners: Owners, tenant: Tenant) -> bool:
    """Take some conversations off the record for a while."""
    chosen = [c for c in _conversations(owners, tenant) if c not in tenant.unrecorded]
    if not chosen:
        return False
    for conversation in chosen:
        tenant.unrecorded[conversation] = Unrecorded(Span(owners.world.tick, owners.world.tick))
    for conversation in chosen:
        _turn(owners, tenant, conversation, off_record=True)
    owners.world.scheduler.pause(SETTLE.total_seconds())
    for conversation in chosen:
        tenant.unrecorded[conversation].span.since = owners.world.tick
    owners.wait(400)
    for conversation in chosen:
        tenant.unrecorded[conversation].span.until = owners.world.tick
    for conversation in chosen:
        _turn(owners, tenant, conversation, off_record=False)
    owners.world.scheduler.pause(SETTLE.total_seconds())
    for conversation in chosen:
        tenant.unrecorded[conversation].span.ended = owners.world.tick
    return True


def _conversations(owners: Owners, tenant: Tenant) -> list[str]:
    listed = owners.listed(tenant, "/v1/events?limit=20")
    found: dict[str, None] = {}
    for event in owners.random.sample(listed, min(SOME, len(listed))):
        for row in owners.listed(tenant, f"/v1/audit/entries?event={event['id']}&kind=decided"):
            receipt = row["entry"]["receipt"]
            if receipt["conversation"] is not None and receipt["channel"] != "waybill":
                found[receipt["conversation"]] = None
    return list(found)


def _turn(owners: Owners, tenant: Tenant, conversation: str, *, off_record: bool) -> None:
    answer = owners.ask(tenant.key, "PUT", f"/v1/conversations/{conversation}/off-the-record", {"otr": off_record})
    tenant.unrecorded[conversation].intervals = [
        (times.parse(i["since"]), times.parse(i["until"]) if i["until"] is not None else None)
        for i in answer["intervals"]
    ]


CHANGES: Mapping[str, Change] = {"off the record": leave}
"""The changes of conversations, by name."""


def judged(evidence: Evidence, stored: Container[str]) -> Iterator[Broken]:
    """Events within an interval are off the record, and no others; each was sent at most once and never stored.

    Args:
        stored: the events that were stored at some time.
    """
    for event, entries in evidence.decided.items():
        first = next((e for e in entries if e["cause"] == "received"), None)
        if first is None or evidence.closed(first["tenant"]):
            continue
        detail = _marked(evidence, event, first)
        if detail:
            yield Broken("unrecorded", event, detail)
        if is_off(first) and event in stored:
            yield Broken("unrecorded", event, "was stored, though it was said off the record")
    for transfer in evidence.transfers.values():
        if evidence.closed(transfer.tenant):
            continue
        off = transfer.event in evidence.off
        if off and (len(transfer.requests) > 1 or len(transfer.decisions) > 1):
            yield evidence.broken("unrecorded", transfer, "was tried again, though it was said off the record")
        if not off and {"off_record", "lost"} & {a["code"] for a in transfer.attempts}:
            yield evidence.broken("unrecorded", transfer, "was ended as if it had been said off the record")


def _marked(evidence: Evidence, event: str, first: Mapping[str, Any]) -> str:
    receipt = first["receipt"]
    mark = evidence.tenants[first["tenant"]].unrecorded.get(receipt["conversation"])
    off = is_off(first)
    if mark is None:
        return "is off the record, and its conversation never was" if off else ""
    span, tick = mark.span, evidence.tick(first) if off else evidence.taken_at.get(event, evidence.tick(first))
    if tick < span.begun:
        return "is off the record, and its conversation was not yet" if off else ""
    over = span.ended is not None and tick > span.ended
    if not over and not (span.begun < span.since < tick and (span.until is None or tick < span.until)):
        return ""  # another process was changing it
    received_at = times.parse(receipt["received_at"])
    # A process with a late clock ends an interval in the past of others, which saw it open.
    covered = any(
        since <= received_at and (not over or until is None or received_at < until) for since, until in mark.intervals
    )
    if covered and not off:
        return "is on the record, though its conversation was off"
    return "is off the record, though its conversation was on" if off and not covered else ""

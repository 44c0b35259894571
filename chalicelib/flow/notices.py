"""Operational events about a tenant's flows and records: a flow that stops, content that is destroyed, a record that ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ..core import times
from ..core.tenant.activity import Activity
from ..core.tenant.configuration import UnreadableRecord
from ..core.tenant.operational import source_id
from ..core.tenant.switches import RULE as SWITCH
from ..runtime import Runtime
from ..store.awaiting import AwaitingRow
from .notify import notify

if TYPE_CHECKING:  # for annotations only
    from ..core.tenant.subscription import Subscription
    from .routed import RoutedEvent

TOLD_MAX = 10_000


def _once_a_day(runtime: Runtime, tenant: str, type: str, data: Mapping[str, Any], once: str, about: str) -> None:
    """Publish an event at most once for a cause and a UTC day. The event's id is derived from both: processes may repeat it."""
    name = f"{type}\n{about}\n{once}"
    if name in runtime.told:
        return
    notify(runtime, tenant, type, data, once, about)
    if len(runtime.told) >= TOLD_MAX:
        runtime.told.clear()
    runtime.told[name] = None


def stopped(runtime: Runtime, work: RoutedEvent) -> None:
    """Tell the tenant of the flows that stop: an event is not stored as usual, or a route refuses it.

    A transfer that is held for another reason stops no flow: others of the same route may pass.

    Raises:
        NotFound: the tenant is closed.
        Unavailable: it is not sent; repeating it does no harm.
    """
    source, day = str(work.document["source"]), times.text(runtime.now())[:10]
    if work.plan is None or source == source_id(work.tenant):
        return
    plan, entry = work.plan, work.entry
    if not entry["routes"] and (plan.waits_until is not None or not plan.keep):
        decision = "held" if plan.keep else "refused"
        _stop(runtime, work.tenant, source, None, decision, plan.store_rules, plan.store_missing, day)
    missing = {t.transfer: t.judgement.missing for t in plan.transfers}
    for route in entry["routes"]:
        stops = route["decision"] == "refused" or (route["decision"] == "held" and plan.waits_until is not None)
        if stops and route["rules"][:1] != [dict(SWITCH)]:
            why = missing.get(route["transfer"], ())
            _stop(runtime, work.tenant, source, route["route"], route["decision"], route["rules"], why, day)


def _stop(
    runtime: Runtime,
    tenant: str,
    source: str,
    route: str | None,
    decision: str,
    rules: Iterable[Mapping[str, Any]],
    missing: Iterable[str],
    day: str,
) -> None:
    found = [{"id": r["id"], "ref": r["ref"]} for r in rules]
    ids = " ".join(sorted({r["id"] for r in found}))
    data = {"source": source, "route": route, "decision": decision, "rules": found, "missing": sorted(missing)}
    _once_a_day(runtime, tenant, "flow.stopped", data, f"{source}\n{route}\n{decision}\n{ids}\n{day}", route or source)


def destroyed(runtime: Runtime, one: AwaitingRow, now: datetime) -> None:
    """Tell the tenant that content of a source was destroyed, since no ground for storing it came in time."""
    data = {"source": one.source, "rules": [dict(r) for r in one.rules], "missing": list(one.missing)}
    once = f"{one.source}\n{times.text(now)[:10]}"
    _once_a_day(runtime, one.key.tenant, "content.destroyed", data, once, one.source)


def silent(runtime: Runtime, tenant: str, source: str, found: Activity, unsubscribes_after_h: int | None) -> None:
    """Tell the tenant that a source is silent against its habit: its platform may have ended the subscription."""
    last = times.text(found.last_received_at) if found.last_received_at is not None else None
    data = {
        "source": source,
        "last_received_at": last,
        "usual_silence_h": found.usual_silence_h,
        "unsubscribes_after_h": unsubscribes_after_h,
    }
    notify(runtime, tenant, "source.silent", data, f"{source}\n{last}", source)


def unsubscribed(runtime: Runtime, tenant: str, source: str, before: Subscription, after: Subscription) -> None:
    """Tell the tenant that a platform no longer sends a source's webhooks as it did at the check before."""
    data = {"source": source, "state": after.state, "error": after.error, "checked_at": times.text(after.checked_at)}
    once = f"{source}\n{after.state}\n{times.text(before.checked_at)}"
    notify(runtime, tenant, "source.unsubscribed", data, once, source)


def record_ends(runtime: Runtime, tenant: str, record: str, kind: str, last: date, days: int) -> None:
    """Tell the tenant that a record ends in some days, or has ended (0)."""
    type = "record.expired" if days == 0 else "record.expiring"
    data = {"record": record, "kind": kind, "valid_until": last.isoformat(), "days": days}
    notify(runtime, tenant, type, data, f"{record}\n{last}\n{days}", record.partition(".")[0])


def record_unreadable(runtime: Runtime, tenant: str, one: UnreadableRecord) -> None:
    """Tell the tenant that a stored record is not of the form that this version reads, and how to cure that."""
    notify(runtime, tenant, "record.unreadable", one.document(), f"{one.record}\n{one.field}", one.record)

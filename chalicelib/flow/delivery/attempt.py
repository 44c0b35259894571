"""One attempt: decide again, send if that still says yes, and write down what came of it.

1 the decision in force → 2 decide again, and write the decision that takes its place → 3 send → 4 ``attempted``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core import times
from ...core.decide.plan import Facts, PlannedTransfer, RouteDecision, entry_facts, recipient_of, routes_of
from ...core.decide.retention import hold_ends_at
from ...core.delivery.retry import DEFAULT_DELAYS_S, next_attempt, outcome_of
from ...core.errors import DeliveryError, OurError
from ...core.log import audit
from ...core.pattern.redaction import redact
from ...core.tenant.records import Destination
from ...destinations import of_kind
from ...destinations.base import SendingClients
from ...observe import count
from ...runtime import Runtime
from ...store.snapshot import Snapshot
from ..clients import clients_of
from ..messages import NO_CONVERSATION
from ..published import keep_published
from ..redecision import facts_now, grounds_now, redecide
from ..rendering import delivery_of, pull_url, render
from ..seal_requests import notify_sealer
from ..state import Batch, DeliveryState, Order, following
from . import admission

LOOK_AGAIN = timedelta(hours=1)
"""How often a held transfer is looked at without being asked for."""


@dataclass(frozen=True)
class Ended:
    """The transfer has ended."""


@dataclass(frozen=True)
class Waits:
    """The transfer is to be looked at again ``due_at``; ``order`` is its state from now on.

    ``listed``: it waits for its destination, and is woken as soon as that is back.
    """

    due_at: datetime
    order: Order
    attempts: int
    listed: bool = False


def delays_of(batch: Batch, order: Order) -> tuple[int, ...]:
    """Return the waits between the attempts at an order; there are none off the record."""
    if order.get("otr"):
        return ()
    snapshot = batch.snapshot(order["tenant"])
    destination = snapshot.configuration.destinations.get(order["destination"]) if snapshot else None
    return destination.retry.delays_s if destination and destination.retry else DEFAULT_DELAYS_S


def deliver(
    batch: Batch, order: Order, one: DeliveryState, held_since: datetime | None, *, woken: bool = False
) -> Ended | Waits:
    """Decide again, and send if that still says yes and the destination takes it now.

    Args:
        woken: the order has waited in its lane.
    """
    runtime = batch.runtime
    now = runtime.now()
    if order.get("otr"):
        return _lost(batch, order, one, now)
    snapshot = batch.snapshot(order["tenant"])
    if snapshot is None:
        ended = expire(batch, order, "tenant_closed", now)
        notify_sealer(runtime)  # before its row is gone: nobody reconciles an erased tenant's log
        return ended
    if one.row is None:
        return expire(batch, order, "retention", now)
    if one.row.sealed is None or one.data_key is None:
        if one.row.restriction is not None:  # which ended what waited then: this was replayed at the same time
            _act(batch, order, "erased", one.row.restriction.ground, now)
        return Ended()  # erased: that act's entry is the end of all that the event had under way
    destination = snapshot.configuration.destinations.get(order["destination"])
    route = snapshot.configuration.routes.get(order["route"])
    if destination is None or route is None:
        if order["decision"] == "held":  # what is not allowed to leave is not attempted
            return expire(batch, order, "removed", now)
        return attempted(batch, order, one, "no_destination", 0, (), None, None, now)
    expires_at = times.parse(order["expires_at"])
    if held_since is not None and hold_ends_at(snapshot.configuration.tenant, held_since, expires_at) <= now:
        return expire(batch, order, "hold_expired", now)  # whatever it would be decided now
    document = one.row.open(one.data_key, runtime.settings.region)
    grounds = grounds_now(snapshot, document, one.consents)
    base = facts_now(runtime, snapshot, order, document, now, grounds)
    judgement = redecide(runtime, snapshot, order, base, grounds, held_since)
    if judgement.verdict == "held" and order["decision"] == "held":
        _held_anew(runtime, snapshot, order, one, document)
        return _still_held(snapshot, order, judgement, held_since or now, now)
    # The law's own limit: it counts where the law is changed to a shorter one than the tenant's.
    if held_since is not None and any(r["id"] == "ANY.hold-expired" for r in judgement.rules):
        return expire(batch, order, "hold_expired", now)
    recipient = recipient_of(snapshot.configuration, destination)
    wanted = (judgement.verdict, sorted(judgement.classes_out), recipient)
    while wanted != (order["decision"], order["classes_out"], order["recipient"]):  # again where somebody was faster
        order = _redecide(batch, order, snapshot, base, judgement, recipient, now)
        if order["decision"] == "refused":
            return Ended()
    if order["decision"] == "held":
        _held_anew(runtime, snapshot, order, one, document)
        return _still_held(snapshot, order, judgement, now, now)
    leave = admission.admit(batch, order, destination, woken=woken)
    if isinstance(leave, datetime):
        return Waits(leave, order, one.made, listed=True)
    return send(batch, order, one, snapshot, destination, document, judgement, probe=leave)


def _held_anew(
    runtime: Runtime, snapshot: Snapshot, order: Order, one: DeliveryState, document: dict[str, Any]
) -> None:
    """Ask for a consent where something is held for the first time: by a second look, or by a replay."""
    if "held_since" in order:
        return
    from .. import consent_requests  # loads what few events need: most are not held

    entry = runtime.audit.get(order["tenant"], order["decided"], order["log"])
    if entry is not None:
        consent_requests.request(runtime, snapshot, document, entry, one.consents)


def _still_held(
    snapshot: Snapshot, order: Order, judgement: RouteDecision, held_since: datetime, now: datetime
) -> Waits:
    ends_at = hold_ends_at(snapshot.configuration.tenant, held_since, times.parse(order["expires_at"]))
    due_at = min(now + LOOK_AGAIN, ends_at)
    if judgement.retry_at is not None:
        due_at = min(due_at, max(times.parse(judgement.retry_at), now))
    return Waits(due_at, {**order, "held_since": times.text(held_since)}, 0)


def _act(batch: Batch, order: Order, kind: str, reason: str, now: datetime) -> Mapping[str, Any]:
    entry = audit.act(
        kind,
        tenant=order["tenant"],
        minute=order["minute"],
        at=now,
        actor=("service", "deliver"),
        request=order["decided"],
        event=order["event"],
        object=("transfer", order["transfer"]),
        reason=reason,
    )
    stored: Mapping[str, Any] = batch.runtime.audit.append(entry).entry
    return stored


def _lost(batch: Batch, order: Order, one: DeliveryState, now: datetime) -> Ended:
    """End what its door has not ended, though it had the time: it may have been sent, and nobody can send it again."""
    decided = batch.runtime.audit.get(order["tenant"], order["decided"], order["log"])
    if decided is None:
        return Ended()  # it was never decided, hence never sent; its platform has posted it again, or will
    if not decided["facts"].get("otr"):
        return Ended()  # it was on the record when its platform posted it first: that order is on its way
    if order["decision"] == "held":
        return expire(batch, order, "off_record", now)
    attempted(batch, order, one, "lost", 0, tuple(order["classes_out"]), None, None, now)
    return Ended()


def expire(batch: Batch, order: Order, reason: str, now: datetime) -> Ended:
    """End a transfer that nothing will be sent for."""
    _act(batch, order, "expired", reason, now)
    count("transfers", outcome="expired")
    return Ended()


def _redecide(
    batch: Batch,
    order: Order,
    snapshot: Snapshot,
    base: Facts,
    judgement: RouteDecision,
    recipient: Mapping[str, Any] | None,
    now: datetime,
) -> Order:
    """Write the decision that takes the place of the first, and follow it (or the one that a crash left)."""
    first = batch.runtime.audit.get(order["tenant"], order["decided"], order["log"])
    if first is None:
        raise OurError("the decision of a delivery is not in the log")
    by = None
    if order["decision"] == "held" and judgement.verdict in ("allowed", "redacted"):
        by = _act(batch, order, "released", "basis_given", now)["id"]
    planned = PlannedTransfer(
        order["route"], order["transfer"], order["delivery"], order["destination"], recipient, judgement
    )
    cause = "released" if by else "rechecked"
    entry = decided_anew(
        batch.runtime, first, base, (planned,), snapshot, now, cause=cause, by=by, supersedes=order["decided"]
    )
    return following(order, batch.runtime.audit.append(entry).entry)


def decided_anew(
    runtime: Runtime,
    first: Mapping[str, Any],
    base: Facts,
    planned: tuple[PlannedTransfer, ...],
    snapshot: Snapshot,
    now: datetime,
    *,
    cause: str,
    by: str | None = None,
    supersedes: str | None = None,
) -> audit.Entry:
    """Make a later decision on the event of ``first``, for some of its routes. The caller appends it, and follows what
    then stands in the log.

    Args:
        base: the facts that it was made on.
    """
    keep_published(runtime, snapshot)
    return audit.decided(
        tenant=first["tenant"],
        minute=audit.minute_of(first["id"]),
        at=now,
        event=first["event"],
        receipt=first["receipt"],
        expires_at=times.parse(first["expires_at"]),
        facts=entry_facts(base, tuple(p.judgement for p in planned)),
        rules_hash=runtime.law.hash.removeprefix("sha256:"),
        config_hash=snapshot.configuration.hash,
        routes=routes_of(planned),
        cause=cause,
        by=by,
        supersedes=supersedes,
    )


def send(
    batch: Batch,
    order: Order,
    one: DeliveryState,
    snapshot: Snapshot,
    destination: Destination,
    document: dict[str, Any],
    judgement: RouteDecision,
    *,
    probe: bool,
    clients: SendingClients | None = None,
) -> Ended | Waits:
    """Send an event along a route, and write down what came of it.

    Args:
        document: all of the event; what may not leave is taken out here.
        clients: what it is sent through, where that is not what its destination always has.
    """
    runtime = batch.runtime
    now = runtime.now()
    if judgement.redact:
        document = redact(document, judgement.redact, snapshot.keys.pseudonyms(destination.recipient))
    route = snapshot.configuration.routes[order["route"]]
    started = runtime.monotonic()
    size, fault, code = None, None, ""
    sent: tuple[str, ...] = judgement.classes_out
    try:
        delivery = delivery_of(
            destination,
            snapshot.secrets(destination.id),
            document,
            now,
            delivery_id=order["delivery"],
            transfer_id=order["transfer"],
            event_id=order["event"],
            tenant_id=order["tenant"],
            conversation=order["conversation"] if order["conversation"] != NO_CONVERSATION else None,
            attempt=one.made + 1,
        )
        link = pull_url(runtime, snapshot, route, order["transfer"], now)
        request = render(destination, route.transform.select, document, delivery, link)
        size = len(request.body)
        clients = clients or clients_of(runtime, order["tenant"], snapshot.keys, destination)
        code = of_kind(destination.kind).send(request, clients).code
    except DeliveryError as refusal:
        fault, code = refusal, refusal.attempt_code
        if not refusal.sent:
            sent, size = (), None
    took_ms = int((runtime.monotonic() - started) * 1000)
    retry_after, now = fault.retry_after_s if fault else None, runtime.now()
    result = attempted(batch, order, one, code, took_ms, sent, size, retry_after, now)
    if order.get("otr"):
        return result  # whoever answers a webhook changes nothing but the log
    admission.record_result(
        batch,
        order,
        destination,
        code,
        sent=fault is None or fault.sent,
        probe=probe,
        gone=fault is not None and fault.gone,
        retry_after_s=retry_after,
        now=now,
    )
    return result


def attempted(
    batch: Batch,
    order: Order,
    one: DeliveryState,
    code: str,
    took_ms: int,
    classes: tuple[str, ...],
    size_bytes: int | None,
    retry_after_s: float | None,
    now: datetime,
) -> Ended | Waits:
    """Write an attempt's entry; whoever finds another outcome already there writes his own as another take."""
    delays = delays_of(batch, order)
    made = one.made + 1
    outcome = outcome_of(code, made, delays)
    entry = None
    for take in range(100):
        entry = audit.attempted(
            tenant=order["tenant"],
            at=now,
            decided=order["decided"],
            log=order["log"],
            event=order["event"],
            transfer=order["transfer"],
            destination=order["destination"],
            attempt=made,
            take=take,
            outcome=outcome.value,
            code=code,
            took_ms=took_ms,
            classes=classes,
            size_bytes=size_bytes,
        )
        stored = batch.runtime.audit.append(entry)
        if stored.new or stored.entry["outcome"] == outcome:
            break
    count("attempts", outcome=outcome.value)
    due_at = next_attempt(made, delays, outcome, now, order["delivery"], retry_after_s)
    return Ended() if due_at is None else Waits(due_at, order, made)

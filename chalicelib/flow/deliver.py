"""Deliver: bring what was allowed to its destination, in lane order, and write down every try.

For one delivery: 1 look for its own ``attempted`` entries and its lane's head (one consistent round trip for the whole
batch) → 2 decide again → 3 send → 4 ``attempted`` → 5 park or clean up → 6 acknowledge.

Deliver, inside a lane's FIFO group, is the only writer of the lane's rows: one writer, hence the order. A lane with a head
is parked: what arrives is put behind what waits, and only a wake (from pump) drains it. Held transfers wait in their lanes
like failed ones, so that nothing overtakes them. What has been tried is known from the log alone: rows hold no counters.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import audit, times
from ..core.errors import DeliveryError, NotFound, OurError, PreconditionFailed, Unavailable
from ..core.event import classes_of
from ..core.plan import Cell, Judgement, Planned, judge, recipient_of, routes_of, source_facts
from ..core.redaction import redact
from ..core.retention import hold_ends_at
from ..core.retry import DEFAULT_DELAYS_S, Outcome, next_attempt, outcome_of
from ..core.tenant import Destination
from ..destinations import of_kind
from ..destinations.base import Delivery
from ..observe import count, error, warning
from ..shell import Shell
from ..store.config import Snapshot
from .messages import Message, send_back
from .state import FIRST_ATTEMPTS, Batch, Found, Order, following, look, up_to_date

SHORT_WAIT_S = 10
"""The longest first wait that uses the message's visibility instead of a parked row."""
WAITED_S = 60
"""What has waited this long in the outbox is parked, so that one slow group cannot stop the cell."""
LOOK_AGAIN = timedelta(hours=1)
"""How often a held transfer, or one for a disabled destination, is looked at without being asked for."""
THREADS = 32
"""At most; an invocation has ten lanes, the local cell several invocations at once."""


@dataclass(frozen=True)
class Ended:
    """The transfer has ended."""


@dataclass(frozen=True)
class Waits:
    """The transfer is to be looked at again ``due_at``; ``order`` is its state from now on."""

    due_at: datetime
    order: Order
    attempts: int


@functools.cache
def _threads() -> ThreadPoolExecutor:
    # Kept, since making ten threads costs more CPU than the ten deliveries that they make.
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="lane")


def handle(shell: Shell, messages: list[Message]) -> list[str]:
    """Deliver up to ten messages, each lane in its own thread. Return the ids of those that must come back."""
    batch = Batch(shell)
    readable = [m for m in messages if m.body is not None and m.body.get("v") == 1]
    failed: dict[str, float | None] = {m.id: None for m in messages if m not in readable}
    lanes: dict[str, list[Message]] = {}
    for message in readable:
        lanes.setdefault(message.group, []).append(message)
    try:
        orders = [dict(m.body) for m in readable if m.body and "wake" not in m.body]
        batch.load({str(m.body["tenant"]) for m in readable if m.body})
        found = look(batch, orders, attempts=FIRST_ATTEMPTS)
    except Unavailable as fault:
        error("deliver_failed", fault)
        return send_back(shell.outbox, messages, {m.id: None for m in messages})
    except Exception as fault:  # noqa: BLE001  (one of them cannot be read: each lane looks for itself)
        error("deliver_failed", fault)
        found = {}
    if len(lanes) == 1:
        results = [_lane(batch, group, found) for group in lanes.values()]
    else:
        running = [_threads().submit(_lane, batch, group, found) for group in lanes.values()]
        wait(running)  # nothing of this invocation goes on after it, whatever one of the lanes meets
        results = [lane.result() for lane in running]
    for result in results:
        failed.update(result)
    return send_back(shell.outbox, messages, failed)


def _lane(batch: Batch, messages: list[Message], found: Mapping[str, Found]) -> dict[str, float | None]:
    """Take one lane's messages in order. Return the message that stopped the lane, if any, and when it wants to come back
    (seconds; None where nobody can say)."""
    parked: bool | None = None
    for message in messages:
        if batch.late:
            return {message.id: 1}
        body = dict(message.body or {})
        try:
            if "wake" in body:
                drain(batch, body["wake"], body["due"])
                parked, found = None, {}
                continue
            if body["transfer"] not in found:  # a wake, or its double, came before it: things are not as they were
                found = look(batch, [body], attempts=FIRST_ATTEMPTS)
            one = found[body["transfer"]]
            found = {transfer: other for transfer, other in found.items() if transfer != body["transfer"]}
            parked = one.parked if parked is None else parked
            waits = _first(batch, message, body, one, parked)
            if waits is None:
                continue
            wait_s = (waits.due_at - batch.shell.now()).total_seconds()
            if waits.attempts == 1 and not parked and wait_s <= SHORT_WAIT_S and waits.order["decision"] != "held":
                return {message.id: wait_s}
            park(batch, message.sequence, waits)
            parked = True
        except Exception as fault:  # noqa: BLE001  (each lane has its own outcome)
            error("deliver_failed", fault)
            return {message.id: None}
    return {}


def _first(batch: Batch, message: Message, order: Order, one: Found, parked: bool) -> Waits | None:
    """Deliver a message that is not parked yet; None where its transfer has ended."""
    shell = batch.shell
    now = shell.now()
    if one.made < FIRST_ATTEMPTS:
        order, one = up_to_date(batch, order, one, FIRST_ATTEMPTS)
    if one.ended or order["decision"] == "refused":
        return None
    if parked:
        return Waits(now, order, one.made)
    if one.made >= 2:  # twice tried, not parked: a crash came between the entry and the row
        return _after(batch, order, one, now)
    overdue = now - times.from_millis(message.sent_ms) > timedelta(seconds=WAITED_S)
    if one.made == 0 and overdue:
        return Waits(now, order, 0)
    result = deliver(batch, order, one, held_since=None)
    return result if isinstance(result, Waits) else None


def _after(batch: Batch, order: Order, one: Found, now: datetime) -> Waits:
    """Work out when an order is due whose last attempt failed and was logged."""
    delays = _delays(batch, order)
    last = one.attempts[one.made]
    due = next_attempt(one.made, delays, Outcome.FAILED, times.parse(last["at"]), order["delivery"])
    return Waits(due or now, order, one.made)


def _delays(batch: Batch, order: Order) -> tuple[int, ...]:
    snapshot = batch.snapshot(order["tenant"])
    destination = snapshot.configuration.destinations.get(order["destination"]) if snapshot else None
    return destination.retry.delays_s if destination and destination.retry else DEFAULT_DELAYS_S


def park(batch: Batch, sequence: str, waits: Waits) -> None:
    """Put an order into its lane, behind what waits there; the head says when the lane is looked at."""
    order = waits.order
    held = order["decision"] == "held"
    waiting = {**order, "due_at": times.text(waits.due_at)}
    if held:
        waiting.setdefault("held_since", times.text(batch.shell.now()))
    batch.shell.data.park(order["lane"], sequence, waiting, times.parse(order["expires_at"]), held)
    batch.shell.data.make_head(order["lane"], waits.due_at)
    count("parked", state="held" if held else "retry")


# Draining a lane


def drain(batch: Batch, lane: str, due: str) -> None:
    """Work off a parked lane in order until it is empty, not due, or the time is over.

    Args:
        due: when the lane was due, as pump saw it.
    """
    shell = batch.shell
    for waiting in shell.data.waiting(lane):
        sequence = waiting.pop("sequence")
        now = shell.now()
        due_at = times.parse(waiting["due_at"])
        # What is held is looked at whenever its lane is woken: a basis may have come before its hour.
        if batch.late or (due_at > now and waiting["decision"] != "held"):
            shell.data.move_head(lane, now if batch.late else due_at, due)
            return
        result = _waiting(batch, waiting)
        if isinstance(result, Waits):
            held = result.order["decision"] == "held"
            state = {**result.order, "due_at": times.text(result.due_at)}
            if not held:
                state.pop("held_since", None)
            shell.data.update_waiting(lane, sequence, state, held)
            shell.data.move_head(lane, result.due_at, due)
            return
        shell.data.remove_waiting(lane, sequence)
    shell.data.remove_head(lane)


def _waiting(batch: Batch, waiting: Order) -> Ended | Waits:
    """Look at one waiting order: what the log says of it decides what is next."""
    order = {k: v for k, v in waiting.items() if k != "due_at"}
    attempts = len(_delays(batch, order)) + 1
    order, one = up_to_date(batch, order, look(batch, [order], attempts)[order["transfer"]], attempts)
    if one.ended or order["decision"] == "refused":
        return Ended()
    if one.made:
        waits = _after(batch, order, one, batch.shell.now())
        if waits.due_at > batch.shell.now() and times.parse(waiting["due_at"]) < waits.due_at:
            return waits  # a crash came between the entry and the row
    held_since = None
    if order["decision"] == "held":
        held_since = times.parse(order.get("held_since") or times.text(batch.shell.now()))
    return deliver(batch, order, one, held_since)


# One attempt


def deliver(batch: Batch, order: Order, one: Found, held_since: datetime | None) -> Ended | Waits:
    """Decide again, and send if that still says yes."""
    shell = batch.shell
    now = shell.now()
    snapshot = batch.snapshot(order["tenant"])
    if snapshot is None:
        return _expire(batch, order, "tenant_closed", now)
    if one.row is None:
        return _expire(batch, order, "retention", now)
    if one.row.sealed is None or one.data_key is None:
        return Ended()  # erased: that act's entry is the end of all that the event had under way
    destination = snapshot.configuration.destinations.get(order["destination"])
    route = snapshot.configuration.routes.get(order["route"])
    if destination is None or route is None:
        return _attempted(batch, order, one, "no_destination", 0, (), None, None, now)
    document = one.row.open(one.data_key, shell.settings.region)
    classes = classes_of(document)
    judgement = judge_again(shell, snapshot, order, classes, now, held_since)
    if judgement.verdict == "held" and order["decision"] == "held":
        return _still_held(batch, order, judgement, held_since or now, now)
    if held_since is not None and any(r["id"] == "ANY.hold-expired" for r in judgement.rules):
        return _expire(batch, order, "hold_expired", now)
    recipient = recipient_of(snapshot.configuration, destination.recipient)
    wanted = (judgement.verdict, sorted(judgement.classes_out), recipient)
    while wanted != (order["decision"], order["classes_out"], order["recipient"]):  # again where somebody was faster
        order = _redecide(batch, order, snapshot, judgement, recipient, now)
        if order["decision"] == "refused":
            return Ended()
    if order["decision"] == "held":
        return _still_held(batch, order, judgement, now, now)
    if not destination.enabled:
        return Waits(now + LOOK_AGAIN, order, one.made)
    return _send(batch, order, one, snapshot, destination, document, judgement)


def judge_again(
    shell: Shell,
    snapshot: Snapshot,
    order: Order,
    classes: list[str],
    now: datetime,
    held_since: datetime | None = None,
) -> Judgement:
    """Decide an order's event along its route, as the law and the records are now."""
    configuration = snapshot.configuration
    route = configuration.routes[order["route"]]
    if route.destination != order["destination"]:  # it leads elsewhere by now; this order does not
        route = route.model_copy(update={"destination": order["destination"]})
    base = source_facts(
        configuration,
        configuration.sources[order["source"]],
        Cell(shell.settings.region, shell.settings.country),
        op="store",
        classes=classes,
        now=now,
        received_at=times.parse(order["received_at"]),
    )
    decide = shell.decider.decide
    return judge(configuration, route, decide(base), base, decide, held_since)


def _still_held(batch: Batch, order: Order, judgement: Judgement, held_since: datetime, now: datetime) -> Ended | Waits:
    ends_at = hold_ends_at(held_since, times.parse(order["expires_at"]))
    if ends_at <= now:
        return _expire(batch, order, "hold_expired", now)
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
    stored: Mapping[str, Any] = batch.shell.audit.append(entry).entry
    return stored


def _expire(batch: Batch, order: Order, reason: str, now: datetime) -> Ended:
    """End a transfer that nothing will be sent for."""
    _act(batch, order, "expired", reason, now)
    count("transfers", outcome="expired")
    return Ended()


def _redecide(
    batch: Batch,
    order: Order,
    snapshot: Snapshot,
    judgement: Judgement,
    recipient: Mapping[str, Any] | None,
    now: datetime,
) -> Order:
    """Write the decision that takes the place of the first, and follow it (or the one that a crash left)."""
    first = batch.shell.audit.get(order["tenant"], order["decided"], order["log"])
    if first is None:
        raise OurError("the decision of a delivery is not in the log")
    configuration = snapshot.configuration
    by = None
    if order["decision"] == "held" and judgement.verdict in ("allowed", "redacted"):
        by = _act(batch, order, "released", "basis_given", now)["id"]
    planned = Planned(order["route"], order["transfer"], order["delivery"], order["destination"], recipient, judgement)
    entry = audit.decided(
        tenant=order["tenant"],
        minute=order["minute"],
        at=now,
        event=order["event"],
        receipt=first["receipt"],
        expires_at=times.parse(first["expires_at"]),
        facts={**first["facts"], "now": times.text(now)},
        rules_hash=batch.shell.law.hash.removeprefix("sha256:"),
        config_hash=configuration.hash,
        routes=routes_of((planned,)),
        cause="released" if by else "rechecked",
        by=by,
        supersedes=order["decided"],
    )
    return following(order, batch.shell.audit.append(entry).entry)


def _send(
    batch: Batch,
    order: Order,
    one: Found,
    snapshot: Snapshot,
    destination: Destination,
    document: dict[str, Any],
    judgement: Judgement,
) -> Ended | Waits:
    shell = batch.shell
    now = shell.now()
    if judgement.redact:
        document = redact(document, judgement.redact, snapshot.keys.pseudonyms(destination.recipient))
    sealed = snapshot.secrets(destination.id)
    kind = of_kind(destination.kind)
    live = [s["secret"] for s in sealed["signing"] if s.get("until") is None or times.parse(s["until"]) > now]
    delivery = Delivery(
        delivery_id=order["delivery"],
        transfer_id=order["transfer"],
        event_id=order["event"],
        kind=str(document["kind"]),
        occurred_at=times.parse(document["occurred_at"]),
        attempt=one.made + 1,
        now=now,
        config=kind.Config.model_validate(sealed["config"]),
        secrets=tuple(live),
        format=destination.format,
    )
    started = time.monotonic()
    size, fault, code = None, None, ""
    sent: tuple[str, ...] = judgement.classes_out
    try:
        parcel = kind.render(document, delivery)
        size = len(parcel.body)
        code = kind.send(parcel, shell.destination_clients).code
    except DeliveryError as refusal:
        fault, code = refusal, refusal.attempt_code
        if not refusal.sent:
            sent, size = (), None
    took_ms = int((time.monotonic() - started) * 1000)
    if fault is not None and fault.gone:
        _disable(batch, order["tenant"], destination.id)
    retry_after = fault.retry_after_s if fault else None
    return _attempted(batch, order, one, code, took_ms, sent, size, retry_after, shell.now())


def _attempted(
    batch: Batch,
    order: Order,
    one: Found,
    code: str,
    took_ms: int,
    classes: tuple[str, ...],
    size_bytes: int | None,
    retry_after_s: float | None,
    now: datetime,
) -> Ended | Waits:
    """Write an attempt's entry; whoever finds another outcome already there writes his own as another take."""
    delays = _delays(batch, order)
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
        stored = batch.shell.audit.append(entry)
        if stored.new or stored.entry["outcome"] == outcome:
            break
    count("attempts", outcome=outcome.value)
    due_at = next_attempt(made, delays, outcome, now, order["delivery"], retry_after_s)
    return Ended() if due_at is None else Waits(due_at, order, made)


def _disable(batch: Batch, tenant: str, destination: str) -> None:
    """Disable a destination that says it is gone. What arrives for it waits in its lanes until it expires."""
    try:
        row = batch.shell.config.get(tenant, destination)
        changed = row.record.model_copy(update={"enabled": False, "disabled_because": "gone"})
        batch.shell.config.replace(tenant, changed, row.version)
    except (NotFound, PreconditionFailed):
        return  # deleted or changed meanwhile: the next attempt sees it as it is then
    warning("destination_gone", tenant=tenant, destination=destination)

"""Route: plan each event, write the decision, keep the event, queue its allowed transfers.

1 refs, first sight, withdrawals → 2 plan, and keep the people → 3 ``decided`` → 4 event into ``data`` → 5 outbox, and a
request for a consent if that would lift a hold → 6 acknowledge. After a crash a second run completes the missing steps: ids are
derived, writes are insert-if-absent, and a run that finds a stored decision follows it.
"""

from __future__ import annotations

import base64
import functools
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...core import encoders, times
from ...core.decide.plan import plan, routes_of
from ...core.decide.retention import expires_at
from ...core.envelope import commitment, decrypt, unpack
from ...core.errors import Misconfigured, NotFound, WaybillError, is_outage
from ...core.law.volumes import asking
from ...core.log import audit
from ...core.tenant.consents import grounds_of, none_given
from ...core.tenant.subject import subject_facts
from ...observe import about_each, count, error, warning
from ...runtime import Runtime
from ...store.data import DataStore
from ...store.event_rows import EventKey, EventRow, sealed_content
from ...store.people import PersonRow
from ...store.snapshot import Snapshot
from .. import source_counts
from ..alone import Waits, handled
from ..deliveries import deliveries
from ..messages import NO_CONVERSATION, QueueMessage, wait_after
from ..person_ends import ask_for_unstored, is_held, keep_people
from ..published import keep_published
from ..routed import RoutedEvent, in_order
from ..seal_requests import notify_sealer
from .people import find_people
from .withdrawals import withdraw


def handle(runtime: Runtime, messages: list[QueueMessage]) -> list[str]:
    """Route up to ten events. Return the ids of messages that must come back."""
    return handled(runtime, "inbox", runtime.inbox, messages, _handle, _end)


def _handle(runtime: Runtime, messages: list[QueueMessage]) -> Waits:
    failed: dict[str, BaseException] = {}
    works: list[RoutedEvent] = []
    firsts: dict[str, str] = {}
    doubles: list[tuple[QueueMessage, str]] = []
    snapshots: dict[str, Snapshot | WaybillError] = {}
    for message in about_each(messages):
        try:
            work = _open(runtime, message, snapshots)
            if work is None:
                continue
            first = firsts.setdefault(work.document["id"], message.id)
            if first == message.id:
                works.append(work)
            else:
                doubles.append((message, first))  # it shares the first one's fate
        except Exception as fault:  # noqa: BLE001  (each message has its own outcome)
            failed[message.id] = fault
    # One that no entry can end stops nothing, once it has been tried often enough.
    ordered = [message for message in messages if message.tenant is not None or not message.received_often]
    live = in_order(ordered, works, failed)
    if live:
        shared = _tried(runtime, live, failed)
        if shared is not None and not is_outage(shared) and len(live) > 1:  # it may be the fault of one event alone
            for work in live:
                if in_order(ordered, [work], failed):
                    _shared(_tried(runtime, [work], failed), [work], failed)
        else:
            _shared(shared, live, failed)
    failed.update({double.id: failed[first] for double, first in doubles if first in failed})
    waits: dict[str, float | None] = {}
    for message in about_each(message for message in messages if message.id in failed):
        error("route_failed", failed[message.id])
        waits[message.id] = wait_after(
            runtime, "inbox", message, failed[message.id], functools.partial(_end, runtime, message)
        )
    return waits


def _tried(runtime: Runtime, works: list[RoutedEvent], failed: dict[str, BaseException]) -> Exception | None:
    """Route events, and notify the sealer. Return the fault that all of them share."""
    try:
        _route(runtime, works, failed)
        notify_sealer(runtime)
    except Exception as fault:  # noqa: BLE001  (what all share failed: all come back)
        return fault
    return None


def _shared(fault: Exception | None, works: list[RoutedEvent], failed: dict[str, BaseException]) -> None:
    if fault is not None:
        failed.update({work.message.id: fault for work in works if work.message.id not in failed})


def _end(runtime: Runtime, message: QueueMessage) -> None:
    from .. import dead  # loads what only a dead letter needs

    assert message.body is not None
    dead.end_event(runtime, message.body, message.group)
    notify_sealer(runtime)


def _open(runtime: Runtime, message: QueueMessage, snapshots: dict[str, Snapshot | WaybillError]) -> RoutedEvent | None:
    order = message.task
    if order is None:
        raise Misconfigured("an inbox message is not one of ours")
    tenant = order["tenant"]
    if tenant not in snapshots:
        try:
            snapshots[tenant] = runtime.config.snapshot(tenant, fresh=False)
        except WaybillError as fault:  # kept: a service that does not answer is asked once in a batch
            snapshots[tenant] = fault
    snapshot = snapshots[tenant]
    if isinstance(snapshot, NotFound):
        warning("tenant_closed", tenant=order["tenant"], event_id=order["event"])
        return None
    if isinstance(snapshot, WaybillError):
        raise snapshot
    context = f"{runtime.settings.region}/{order['event']}"
    packed = decrypt(snapshot.keys.queue, base64.b64decode(order["sealed"]), context)
    received_at, own, whole = times.parse(str(order["received_at"])), None, packed
    if "object" in order:
        from .. import large_contents  # loads what few events need

        own, whole = large_contents.read_arriving(runtime, snapshot.keys, order)
    return RoutedEvent(message, snapshot, unpack(whole), received_at, packed, own)


def _route(runtime: Runtime, works: list[RoutedEvent], failed: dict[str, BaseException]) -> None:
    now = runtime.now()
    people = find_people(runtime, works)  # 1
    failed.update(withdraw(runtime, works))
    works = in_order([w.message for w in works], works, failed)
    for work in works:
        try:
            plan_of(runtime, work, people, now)  # 2
        except WaybillError as fault:
            failed[work.message.id] = fault
    works = in_order([w.message for w in works], works, failed)
    failed.update(keep_people(runtime, works, people, now))
    works = in_order([w.message for w in works], works, failed)
    for snapshot in {id(work.snapshot): work.snapshot for work in works}.values():
        keep_published(runtime, snapshot)
    stored = runtime.audit.append_many([work.entry for work in works])  # 3
    for work, outcome in zip(works, stored, strict=True):
        if isinstance(outcome, BaseException):
            failed[work.message.id] = outcome
        else:
            work.entry = outcome.entry
    # Its platform posted it again off the record, and that was decided first: of this copy nothing is kept either.
    works = [w for w in works if not w.entry["facts"].get("otr")]
    failed.update(keep_people(runtime, works, people, now))  # a stored decision may keep content for longer
    works = in_order([w.message for w in works], works, failed)
    listed = [w for w in works if times.parse(w.entry["expires_at"]) > now]
    rows = _rows(runtime, listed, people, failed)
    works = in_order([w.message for w in works], works, failed)
    owned = {id(w) for w in listed if w.keeps}
    ask_for_unstored(runtime, (w for w in works if id(w) not in owned), people, now)
    stored_rows = runtime.data.insert_events(row for _, row in rows)  # 4
    for (work, row), refused in zip(rows, stored_rows, strict=True):
        if refused is not None:
            failed[work.message.id] = refused
        work.row = row
    works = in_order([w.message for w in works], works, failed)
    _end_expired(runtime, works, now, failed)
    works = in_order([w.message for w in works], works, failed)
    runtime.outbox.send(  # 5
        message for w in works for message in deliveries(w.snapshot.configuration, w.entry, w.owner, now)
    )
    for work in works:
        if not work.flows:
            _stopped(runtime, work, failed)
    for channel, number in Counter(str(work.document["channel"]) for work in works).items():
        count("events", number, channel=channel)
    source_counts.note_routed(runtime, works)
    if any(work.object_key is not None for work in works):
        from .. import large_contents

        failed.update(large_contents.settle(runtime, works))


def _stopped(runtime: Runtime, work: RoutedEvent, failed: dict[str, BaseException]) -> None:
    """List an event that awaits a ground, ask for a consent that would help, and tell the tenant that its flow stops."""
    from .. import awaiting, consent_requests, notices  # they load what few events need: most flow

    try:
        if work.row is not None:
            awaiting.remember(runtime, work, work.row)
        consent_requests.request(runtime, work.snapshot, work.document, work.entry, work.consents)
        notices.stopped(runtime, work)
    except WaybillError as fault:
        failed[work.message.id] = fault


def _end_expired(runtime: Runtime, works: list[RoutedEvent], now: datetime, failed: dict[str, BaseException]) -> None:
    """End an event that came too late: it outlived its time in the queue, or was replayed after that time."""
    late = [
        w
        for w in works
        if times.parse(w.entry["expires_at"]) <= now and any(r["decision"] != "refused" for r in w.entry["routes"])
    ]
    acts = [
        audit.act(
            "expired",
            tenant=w.tenant,
            minute=audit.minute_of(w.entry["id"]),
            at=now,
            actor=("service", "route"),
            request=w.entry["id"],
            event=w.entry["event"],
            reason="retention",
        )
        for w in late
    ]
    for work, outcome in zip(late, runtime.audit.append_many(acts), strict=True):
        if isinstance(outcome, BaseException):
            failed[work.message.id] = outcome


def plan_of(runtime: Runtime, work: RoutedEvent, people: Mapping[str, PersonRow], now: datetime) -> None:
    """Plan an event, and make the entry of the plan.

    Raises:
        Misconfigured: the event's source is gone.
    """
    document, configuration = work.document, work.snapshot.configuration
    source = configuration.sources.get(document["source"])
    if source is None:
        raise Misconfigured("the source of an event on its way is gone")
    cell = runtime.cell
    classes = work.classes
    if document["occurred_at_is_receipt"]:
        first = times.minute(work.received_at)
        ends = expires_at(configuration.tenant, source, work.received_at)
        work.minute = runtime.data.first_minute(work.tenant, document["id"], first, ends)
    else:
        work.minute = times.minute(times.parse(document["occurred_at"]))
    work.plan = plan(
        document,
        classes,
        configuration,
        source,
        cell,
        asking(runtime.decider.decide, lambda: work.volumes),
        minute=work.minute,
        received_at=work.received_at,
        now=now,
        subject=subject_facts(work.located, configuration.tenant, source),
        grounds=grounds_of(work.consents, configuration.shared_notices) if work.consents else none_given,
        minimum=runtime.minima.of,
    )
    if work.plan.undecided:
        warning("patterns_undecided", tenant=work.tenant, event_id=document["id"])
        count("patterns_undecided")
    plain = canonical(document)
    # Off the record no one can ever prove the content: the salt is not stored.
    salt_of = runtime.random(32) if document["otr"] else people[work.owner].key
    work.entry = audit.decided(
        tenant=work.tenant,
        minute=work.minute,
        at=now,
        event=document["id"],
        receipt={
            "source": document["source"],
            "channel": document["channel"],
            "kind": document["kind"],
            "received_at": times.text(work.received_at),
            "classes": classes,
            "size_bytes": len(plain),
            "commitment": commitment(salt_of, document["id"], plain),
            "subjects": list(dict.fromkeys(people[pk].ref for pk in work.people)),
            "conversation": people[work.conversation].ref if work.conversation else None,
            "store": {"region": cell.region, "country": cell.country},
        },
        expires_at=work.plan.expires_at,
        facts=work.plan.facts,
        rules_hash=runtime.law.hash.removeprefix("sha256:"),
        config_hash=configuration.hash,
        routes=routes_of(work.plan.transfers),
        cause="replayed" if work.replayed_by else "received",
        by=work.replayed_by,
    )


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of an event that its commitment covers: keys sorted, no white space, UTF-8."""
    return encoders.ordered(document).encode()


def _rows(
    runtime: Runtime, works: list[RoutedEvent], people: Mapping[str, PersonRow], failed: dict[str, BaseException]
) -> list[tuple[RoutedEvent, EventRow]]:
    rows = []
    for work in works:
        try:
            rows.append((work, _row(runtime, work, people[work.owner])))
        except WaybillError as fault:  # the contents bucket does not answer
            failed[work.message.id] = fault
    return rows


def _row(runtime: Runtime, work: RoutedEvent, owner: PersonRow) -> EventRow:
    assert work.plan is not None
    key = EventKey(work.tenant, work.document["id"], work.entry["receipt"]["conversation"] or NO_CONVERSATION)
    missing = {t.transfer: list(t.judgement.missing) for t in work.plan.transfers if t.judgement.missing}
    expires_at, waits_until = times.parse(work.entry["expires_at"]), work.plan.waits_until
    awaits = work.keeps and waits_until is not None
    sealed, large, region = None, None, runtime.settings.region
    if work.keeps:
        nonce = runtime.random(DataStore.NONCE_BYTES)
        sealed = sealed_content(region, key, work.packed, owner.key, nonce)
        if work.object_key is not None:
            from .. import large_contents

            large = large_contents.keep(runtime, work, key, owner.key, sealed, expires_at)
    return EventRow(
        key=key,
        received_at=work.received_at,
        expires_at=waits_until if waits_until is not None and awaits else expires_at,
        minute=work.minute,
        owner=owner.pk if sealed is not None else None,
        sealed=sealed,
        missing=missing,
        lives_until=expires_at if awaits else None,
        held=is_held(work),
        large=large,
    )

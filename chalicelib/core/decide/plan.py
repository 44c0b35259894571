"""The plan of an event: one decision for every matching route, and how long the event is kept. Pure.

``judge`` runs twice: in ``plan`` before a transfer is written, and again before each attempt, since a consent can have been
withdrawn or a rule have changed in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import times
from ..event.event import OPERATIONAL
from ..event.messengers import messenger_facts, messenger_in
from ..law.bases import BasisDocuments
from ..law.decision import Decision, awaits_ground, is_curable
from ..log.entry import VERDICTS
from ..log.entry_types import EntryRecipient, EntryRoute
from ..log.transfers import delivery_id, transfer_id
from ..pattern.fields import WorkBudget
from ..tenant.configuration import Configuration
from ..tenant.consents import Documents, Grounds, kept, none_given
from ..tenant.intervals import LIFE
from ..tenant.operational import with_own_records
from ..tenant.records import Destination, Route, Source
from ..tenant.subject import subject_facts
from ..tenant.switches import RULE, Switch, stopped_by
from .retention import expires_at, hold_ends_at

if TYPE_CHECKING:  # for an annotation only
    from ..law.minima import Minimum

Facts = dict[str, Any]
Decide = Callable[[Facts], Decision]

PROCESSING_GROUNDS = frozenset(
    {
        "consent",
        "explicit-consent",
        "contract",
        "legal-obligation",
        "vital-interest",
        "public-interest",
        "legitimate-interest",
    }
)

NAMED_MAX = 20
"""Unreadable records that one hold names; preflight names all."""


@dataclass(frozen=True)
class Cell:
    """The place of this cell: an AWS region and its country, and the engine of its store.

    ``provider`` None is unknown: no entry holds it, and no rule reads it.
    """

    region: str
    country: str
    provider: str | None = None


@dataclass(frozen=True)
class RouteDecision:
    """The decision for one event along one route: the stricter of storing it and delivering it.

    ``switch`` is the tenant's switch that refused the transfer before the law was asked. ``grounds`` are the basis records
    that the person's consents amount to. ``volumes`` are the counts of people that the law read, if it read any.
    """

    verdict: str
    rules: tuple[Mapping[str, str], ...]
    missing: tuple[str, ...]
    redact: tuple[Mapping[str, Any], ...]
    classes_out: tuple[str, ...]
    basis: str | None
    retry_at: str | None
    switch: str | None = None
    grounds: Documents = ()
    volumes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedTransfer:
    """One transfer of a plan."""

    route: str
    transfer: str
    delivery: str
    destination: str
    recipient: EntryRecipient | None
    judgement: RouteDecision


@dataclass(frozen=True)
class Plan:
    """The plan of an event. ``keep`` is False where the law forbids to store it, and off the record.

    ``waits_until``: a ground or a record is missing, so that the event is stored sealed, at most until then; None where it is
    stored as usual. ``store_rules`` and ``store_missing`` name the rules and records.

    ``undecided``: some patterns could not be tried within the event's budget, and do not match.
    """

    transfers: tuple[PlannedTransfer, ...]
    expires_at: datetime
    keep: bool
    facts: Facts
    undecided: bool = False
    waits_until: datetime | None = None
    store_rules: tuple[Mapping[str, str], ...] = ()
    store_missing: tuple[str, ...] = ()


def source_facts(
    configuration: Configuration,
    source: Source,
    cell: Cell,
    *,
    op: str,
    classes: list[str],
    now: datetime,
    received_at: datetime,
    subject: Facts | None = None,
    messenger: str | None = None,
    off_record: bool = False,
) -> Facts:
    """Build the facts of receiving or storing the events of a source.

    Args:
        subject: the facts of the event's people (``subject.subject_facts``); None where the facts are about the source alone.
        messenger: the one that the event's payload names.
        off_record: only the decision is kept, and it is written first.
    """
    tenant = configuration.tenant
    collector: Facts = {"country": tenant.controller.country, "tenant_class": tenant.tenant_class}
    if tenant.zone is not None:
        collector["zone"] = tenant.zone
    if tenant.requires and source.channel != OPERATIONAL:  # the tenant asks it for the data of people
        collector["requires"] = sorted(tenant.requires)
    facts: Facts = (
        {"item": {"layer": "content", "created_at": times.text(received_at), "otr": True}} if off_record else {}
    )
    return {
        **facts,
        "now": times.text(now),
        "op": op,
        "channel": source.channel,
        **messenger_facts(source.channel, source.messengers, messenger),
        # The tenant sets purpose and destination and we make no use of our own, hence the processor; whether there is an
        # instruction is for the rules to ask.
        "router_role": "processor",
        "purpose": source.purpose,
        "subject": subject_facts((), tenant, source) if subject is None else subject,
        "data": {"classes": classes, "special": list(source.special) if source.special is not None else None},
        "collector": collector,
        "store": {"country": cell.country, "provider": cell.provider, "copies": [cell.country]},
        "first_write": {"country": cell.country, "at": times.text(now if off_record else received_at)},
        "bases": with_own_records(source.channel, tenant, configuration.basis_documents),
        "volumes": {},
    }


def route_facts(base: Facts, configuration: Configuration, route: Route, held_since: datetime | None = None) -> Facts:
    """Build the facts of delivering along a route from those of storing."""
    facts = {
        **base,
        "op": "deliver",
        "purpose": route.purpose,
        "recipient": configuration.recipient_document(route.destination),
        "route": {"mode": route.mode, "redactions": [r.document() for r in route.transform.redact]},
        "bases": with_own_records(base.get("channel"), configuration.tenant, configuration.bases_of(route)),
    }
    if held_since is not None:
        facts["held_since"] = times.text(held_since)
    return facts


def combine(
    store: Decision, deliver: Decision, bases: tuple[Mapping[str, Any], ...], *, kept: bool = True
) -> RouteDecision:
    """Take the stricter of two decisions; where they are alike, the rules of both count.

    Where a record would lift every refusal, the transfer is held for that record: nothing of it is lost meanwhile.

    Args:
        kept: the event may be stored while it is held; off the record it may not.
    """
    if kept and is_curable(store, deliver):
        return _held_for_records(store, deliver)
    verdict = max(store.verdict, deliver.verdict, key=VERDICTS.index)
    rules: dict[str, Mapping[str, str]] = {}
    for decision in (deliver, store):
        if decision.verdict == verdict:
            for rule in decision.selected_rules():
                rules.setdefault(rule["id"], rule)
        if verdict in ("allowed", "redacted"):
            break  # what allows a delivery are the delivery's own rules
    grounds = {b["id"] for b in bases if b["kind"] in PROCESSING_GROUNDS}
    leaves = verdict in ("allowed", "redacted")
    retry = [d.retry_at for d in (store, deliver) if d.retry_at is not None]
    return RouteDecision(
        verdict=verdict,
        rules=tuple(rules[i] for i in sorted(rules)),
        missing=tuple(sorted({*store.missing, *deliver.missing})) if not leaves else (),
        redact=tuple(deliver.redact) if leaves else (),
        classes_out=tuple(deliver.classes_out) if leaves else (),
        basis=next((b for b in deliver.bases if b in grounds), None),
        retry_at=max(retry, default=None),
        volumes={code: counts for d in (store, deliver) for code, counts in (d.facts or {}).get("volumes", {}).items()},
    )


def _held_for_records(store: Decision, deliver: Decision) -> RouteDecision:
    refusing = [decision for decision in (deliver, store) if decision.verdict == "refused"]
    rules = {rule["id"]: {**rule, "verdict": "held"} for decision in refusing for rule in decision.selected_rules()}
    missing = {path for d in (store, deliver) for path in (*d.missing, *d.lifted_by)}
    retry = [d.retry_at for d in (store, deliver) if d.retry_at is not None]
    ordered = tuple(rules[id] for id in sorted(rules))
    return RouteDecision("held", ordered, tuple(sorted(missing)), (), (), None, max(retry, default=None))


def stopped(switch: Switch) -> RouteDecision:
    """Return the refusal by a switch of the tenant."""
    return RouteDecision("refused", (RULE,), (), (), (), None, None, switch.id)


def with_grounds(facts: Facts, route: str | None, grounds: Grounds) -> Facts:
    """Add the basis records of a person's consents to facts, for storing (``route`` None) or for delivering along a route."""
    given = grounds(route, facts)
    return {**facts, "bases": BasisDocuments((*facts["bases"], *given))} if given else facts


def judge(
    configuration: Configuration,
    route: Route,
    store: Decision,
    base: Facts,
    decide: Decide,
    held_since: datetime | None = None,
    grounds: Grounds = none_given,
) -> RouteDecision:
    """Decide one route, given the decision and the facts of storing the event. The tenant's switches come before the law."""
    facts = route_facts(base, configuration, route, held_since)
    if configuration.switches:
        switch = stopped_by(configuration.switches, route.destination, facts, times.parse(base["now"]))
        if switch is not None:
            return stopped(switch)
    given = grounds(route.id, facts)
    if given:
        facts["bases"] = BasisDocuments((*facts["bases"], *given))
    judged = combine(store, decide(facts), tuple(facts["bases"]), kept=not is_off_record(base))
    if judged.verdict == "held" and configuration.unreadable:
        unread = (one.path for one in configuration.unreadable_of(route)[:NAMED_MAX])
        judged = replace(judged, missing=tuple(sorted({*judged.missing, *unread})))
    return replace(judged, grounds=given) if given else judged


def recipient_of(configuration: Configuration, destination: Destination | None) -> EntryRecipient | None:
    """Return the fields of a destination's current recipient that an entry holds; None where no recipient is declared."""
    recipient = configuration.recipients.get(destination.recipient) if destination else None
    if destination is None or recipient is None:
        return None
    processing = configuration.processing_of(destination)
    return {"id": recipient.id, "country": recipient.entity_country, "processing": processing}


def _nothing_demanded(facts: Facts, received_at: datetime) -> None:
    return None


def plan(
    document: Mapping[str, Any],
    classes: list[str],
    configuration: Configuration,
    source: Source,
    cell: Cell,
    decide: Decide,
    *,
    minute: int,
    received_at: datetime,
    now: datetime,
    subject: Facts | None = None,
    grounds: Grounds = none_given,
    minimum: Callable[[Facts, datetime], Minimum | None] = _nothing_demanded,
) -> Plan:
    """Make the plan of an event.

    Args:
        document: the event.
        classes: the data classes that it holds.
        decide: ``residency.decide`` with a law, or a ``Decider``.
        minute: of the event's entries.
        subject: the facts of the event's people.
        grounds: the consents of the event's person.
        minimum: until when the law demands that the content is kept (``minima.Minima.of``).
    """
    off_record = bool(document.get("otr"))
    base = source_facts(
        configuration,
        source,
        cell,
        op="store",
        classes=classes,
        now=now,
        received_at=received_at,
        subject=subject,
        messenger=messenger_in(document),
        off_record=off_record,
    )
    base = with_grounds(base, None, grounds)
    store = decide(base)
    transfers, effort = [], WorkBudget()
    for route_id in sorted(configuration.index.match(document, effort)):
        route = configuration.routes[route_id]
        destination = configuration.destinations.get(route.destination)
        transfer = transfer_id(minute, str(document["id"]), route_id)
        transfers.append(
            PlannedTransfer(
                route=route_id,
                transfer=transfer,
                delivery=delivery_id(transfer),
                destination=route.destination,
                recipient=recipient_of(configuration, destination),
                judgement=judge(configuration, route, store, base, decide, grounds=grounds),
            )
        )
    ends_at = received_at + LIFE if off_record else expires_at(configuration.tenant, source, received_at)
    kept_until = None if off_record else minimum(base, received_at)
    if kept_until is not None:
        ends_at = max(ends_at, kept_until.until)
    waits_until = None
    if awaits_ground(store) and not off_record:
        # A law that demands to keep the content for longer is obeyed: it stays sealed.
        waits_until = ends_at if kept_until is not None else hold_ends_at(configuration.tenant, received_at, ends_at)
    return Plan(
        transfers=tuple(transfers),
        expires_at=ends_at,
        keep=(store.verdict != "refused" or store.curable) and not off_record,
        facts=entry_facts(base, tuple(t.judgement for t in transfers)),
        undecided=effort.refused > 0,
        waits_until=waits_until,
        store_rules=tuple(store.selected_rules()),
        store_missing=tuple(sorted({*store.missing, *store.lifted_by})),
    )


def is_off_record(facts: Facts) -> bool:
    """Say whether facts are those of an event of which nothing is kept."""
    return bool(facts.get("item", {}).get("otr"))


def entry_facts(base: Facts, judgements: tuple[RouteDecision, ...]) -> Facts:
    """Return the facts that a ``decided`` entry keeps: those that neither its receipt nor the configuration holds.

    Args:
        base: the facts of storing the event, by which the routes were judged.
    """
    facts: Facts = {"now": base["now"], "subject": base["subject"], "special": base["data"]["special"]}
    if is_off_record(base):
        facts["otr"] = True
    if base.get("messenger") is not None:
        facts["messenger"] = base["messenger"]
    volumes = {code: counts for j in judgements for code, counts in j.volumes.items()}
    if volumes:
        facts["volumes"] = volumes
    switches = [j.switch for j in judgements if j.switch is not None]
    if switches:
        facts["switch"] = min(switches)
    consents = kept(tuple(b for b in base["bases"] if b["id"].startswith("cns_")), (j.grounds for j in judgements))
    return {**facts, "bases": consents} if consents else facts


def routes_of(transfers: tuple[PlannedTransfer, ...]) -> list[EntryRoute]:
    """Return ``routes[]`` of a ``decided`` entry."""
    return [
        {
            "route": t.route,
            "transfer": t.transfer,
            "destination": t.destination,
            "decision": t.judgement.verdict,
            "rules": [{"id": r["id"], "verdict": r["verdict"], "ref": r["ref"]} for r in t.judgement.rules],
            "basis": t.judgement.basis,
            "recipient": t.recipient,
            "classes_out": sorted(t.judgement.classes_out),
        }
        for t in transfers
    ]

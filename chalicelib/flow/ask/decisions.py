"""Ask the law without sending anything: a look at content from abroad, an explained decision, a preview, a preflight."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...channels import IDS_ARE_NUMBERS, KINDS
from ...core import times
from ...core.decide.plan import Facts, judge, route_facts, source_facts, with_grounds
from ...core.delivery import links
from ...core.errors import DeliveryError, NotFound, RefusedByLaw
from ...core.event.event import OPERATIONAL, DataClass, EventKind
from ...core.event.event_fields import classes_of
from ...core.event.messengers import messenger_in
from ...core.explain import explanation
from ...core.explain.readiness import readiness
from ...core.ids import derived
from ...core.pattern.compiler import Pattern
from ...core.pattern.redaction import redact
from ...core.tenant.configuration import Configuration
from ...core.tenant.consents import Grounds
from ...core.tenant.records import (
    Basis,
    BasisSettings,
    Destination,
    DestinationSettings,
    Recipient,
    RecipientSettings,
    Route,
    RouteSettings,
    Source,
    SourceSettings,
)
from ...core.tenant.subject import people_of, subject_facts
from ...core.tenant.switches import stopped_by
from ...core.validation import check_word
from ...store.snapshot import Snapshot
from ..redecision import consents_of, deciding, facts_now, grounds_now
from ..rendering import delivery_of, render
from ..request import Request

ALL_CLASSES = sorted(c.value for c in DataClass)
PREVIEWED_LINK = f"…{links.PATH}…"
"""Stands in a preview for a pull link: nothing is sent, so that there is nothing to pull."""


def snapshot_of(request: Request) -> Snapshot:
    """Return the tenant's configuration as it is now."""
    return request.runtime.config.snapshot(request.tenant.id)


def source_of(configuration: Configuration, document: Mapping[str, Any]) -> Source:
    """Return the source of an event.

    Raises:
        NotFound: the tenant has no such source.
    """
    source = configuration.sources.get(str(document["source"]))
    if source is None:
        raise NotFound("no such source")
    return source


def event_facts(
    request: Request,
    configuration: Configuration,
    document: Mapping[str, Any],
    op: str,
    classes: list[str] | None = None,
) -> Facts:
    """Build the facts of doing something with an event."""
    received = document.get("received_at")
    now = request.runtime.now()
    tenant, source = configuration.tenant, source_of(configuration, document)
    people = people_of(tenant, source, document, source.channel in IDS_ARE_NUMBERS)
    return source_facts(
        configuration,
        source,
        request.cell,
        op=op,
        classes=classes_of(document) if classes is None else classes,
        now=now,
        received_at=times.parse(received) if received else now,
        subject=subject_facts(people, tenant, source),
        messenger=messenger_in(document),
    )


def is_abroad(request: Request) -> bool:
    """Say whether the key is used in another country than the controller's: reading content is then a transfer."""
    return request.country is not None and request.country != request.tenant.controller.country


def as_viewed(request: Request, configuration: Configuration, document: dict[str, Any]) -> dict[str, Any]:
    """Return an event, if the law lets this key see it.

    Raises:
        RefusedByLaw: the law forbids reading it from the country where the key is used.
    """
    if not is_abroad(request):
        return document
    source = source_of(configuration, document)
    facts = {
        **event_facts(request, configuration, document, "view"),
        "purpose": source.purpose,
        "recipient": {
            "id": request.actor[1],
            "entity_country": request.country,
            "processing_countries": [request.country],
            "role": "staff",
            "granted": True,  # an admin made the key for this country
            "classes": ALL_CLASSES,
            "onward": [],
        },
        "route": {"mode": "replicate"},
    }
    decision = deciding(request.runtime, request.tenant.id, facts)(facts)
    if decision.verdict in ("held", "refused"):
        text = "the law does not let this content be read from where this key is used; see rules and missing"
        raise RefusedByLaw(text, decision.selected_rules(), decision.missing)
    if decision.redact:
        keys = snapshot_of(request).keys
        return redact(document, decision.redact, keys.pseudonyms(request.actor[1]))
    return document


def explain(request: Request, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decision on facts with every rule, explained."""
    return explanation.explain(dict(facts), request.runtime.law)


def explain_route(request: Request, document: Mapping[str, Any], route: Route) -> dict[str, Any]:
    """Return the explained decision of the next attempt to deliver an event along a route."""
    snapshot = snapshot_of(request)
    base, grounds = _as_attempted(request, snapshot, document)
    facts = route_facts(base, snapshot.configuration, route)
    switch = stopped_by(snapshot.configuration.switches, route.destination, facts, times.parse(base["now"]))
    decide = deciding(request.runtime, request.tenant.id, base)
    base, facts = decide(base).facts, decide(with_grounds(facts, route.id, grounds)).facts
    return explanation.explain_transfer(base, facts, request.runtime.law, switch)


def _as_attempted(request: Request, snapshot: Snapshot, document: Mapping[str, Any]) -> tuple[Facts, Grounds]:
    """Return the facts of storing an event and its person's grounds, as an attempt would find them now."""
    runtime, now = request.runtime, request.runtime.now()
    source_of(snapshot.configuration, document)
    grounds = grounds_now(snapshot, document, consents_of(runtime, snapshot, document))
    received_at = document.get("received_at") or times.text(now)
    return facts_now(runtime, snapshot, document["source"], received_at, document, now, grounds), grounds


def preview(request: Request, document: dict[str, Any], settings: RouteSettings) -> dict[str, Any]:
    """Return whether a draft route matches an event and why, the decision, and the rendered request. Nothing is stored."""
    snapshot = snapshot_of(request)
    route = Route(**dict(settings), id=derived("rte", "draft"), created_at=request.at)
    pattern = Pattern.compile(route.pattern)
    base, grounds = _as_attempted(request, snapshot, document)
    decide = deciding(request.runtime, request.tenant.id, base)
    judgement = judge(snapshot.configuration, route, decide(base), base, decide, grounds=grounds)
    matched, explanation = pattern.matches(document), pattern.explain(document)
    leaves = judgement.verdict in ("allowed", "redacted")
    destination = snapshot.configuration.destinations.get(route.destination)
    body, fault = None, None
    if leaves and destination is not None:
        if judgement.redact:
            pseudonyms = snapshot.keys.pseudonyms(destination.recipient)
            document = redact(document, judgement.redact, pseudonyms)
        body, fault = _written(request, snapshot, destination, route, document)
    return {
        "matched": matched,
        "explanation": explanation,
        "decision": judgement.verdict,
        "rules": request.runtime.law.marked(judgement.rules),
        "missing": list(judgement.missing),
        "body": body,
        "fault": fault,
    }


def _written(
    request: Request, snapshot: Snapshot, destination: Destination, route: Route, document: dict[str, Any]
) -> tuple[Any, dict[str, str] | None]:
    """Return the body that would be sent, as JSON where it is, or why there is none."""
    event_id = document["id"] or derived("evt", "draft")
    delivery = delivery_of(
        destination,
        snapshot.secrets(destination.id),
        document,
        request.runtime.now(),
        delivery_id=derived("dlv", event_id, route.id),
        transfer_id=derived("trf", event_id, route.id),
        event_id=event_id,
        tenant_id=request.tenant.id,
        conversation=derived("cnv", event_id),
    )
    pull_url = PREVIEWED_LINK if route.mode == "restrict" else None
    try:
        body: bytes = render(destination, route.transform.select, document, delivery, pull_url).body
    except DeliveryError as fault:
        return None, {"code": fault.attempt_code, "detail": fault.detail}
    try:
        return json.loads(body), None
    except ValueError:
        return body.decode("utf-8", "replace"), None


# Preflight


@dataclass(frozen=True)
class PlannedFlow:
    """A flow that is not declared yet: each part as it would be declared, or the id of one that is."""

    source: SourceSettings | str
    recipient: RecipientSettings | str
    purpose: str
    mode: str
    redact: tuple[Any, ...] = ()
    bases: tuple[BasisSettings, ...] = ()


def _id(request: Request, given: Any, prefix: str) -> str:
    return given if isinstance(given, str) else request.new_id(prefix)


def planned(request: Request, flow: PlannedFlow) -> dict[str, Any]:
    """Return all gaps of a planned flow.

    Raises:
        Invalid: there is no such channel.
        NotFound: it names an unknown record.
    """
    at = request.at
    if isinstance(flow.source, SourceSettings):
        check_word(flow.source.channel, KINDS, "body.source.channel", "unknown_channel")
    configuration = snapshot_of(request).configuration
    source_id, recipient_id = _id(request, flow.source, "src"), _id(request, flow.recipient, "rcp")
    sources, recipients = dict(configuration.sources), dict(configuration.recipients)
    if isinstance(flow.source, SourceSettings):
        sources[source_id] = Source(**dict(flow.source), id=source_id, created_at=at)
    if isinstance(flow.recipient, RecipientSettings):
        recipients[recipient_id] = Recipient(**dict(flow.recipient), id=recipient_id, created_at=at)
    if source_id not in sources or recipient_id not in recipients:
        raise NotFound("no such source or recipient")
    destination = Destination(
        **dict(DestinationSettings(name="planned", kind="http", recipient=recipient_id)),
        id=request.new_id("dst"),
        created_at=at,
    )
    bases = dict(configuration.bases)
    for number, settings in enumerate(flow.bases):
        basis = Basis(**dict(settings), id=derived("bas", "planned", str(number)), created_at=at)
        bases[basis.id] = basis
    route = Route.model_validate(
        {
            "name": "planned",
            "pattern": {"kind": ["message"]},
            "destination": destination.id,
            "purpose": flow.purpose,
            "mode": flow.mode,
            "transform": {"redact": list(flow.redact)},
            "id": request.new_id("rte"),
            "created_at": at,
        }
    )
    configuration = replace(
        configuration,
        sources=sources,
        recipients=recipients,
        destinations={**configuration.destinations, destination.id: destination},
        bases=bases,
    )
    names = {
        "source": source_id if isinstance(flow.source, str) else "{new source}",
        "recipient": recipient_id if isinstance(flow.recipient, str) else "{new recipient}",
        "route": "{new route}",
    }
    return _preflight(request, configuration, sources[source_id], route, names)


def standing(request: Request, only: str | None, after: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all gaps of each route with each source whose events it can match, starting after a position.

    Args:
        only: one route.
    """
    configuration = snapshot_of(request).configuration
    if only is not None and only not in configuration.routes:
        raise NotFound("no such resource")
    for route_id in sorted(configuration.routes):
        if only not in (None, route_id):
            continue
        route = configuration.routes[route_id]
        pattern = Pattern.compile(route.pattern)
        for source_id in sorted(configuration.sources):
            place = f"{route_id}#{source_id}"
            source = configuration.sources[source_id]
            if place <= after or source.closed_at is not None or not pattern.may_match(_known_of(source, request)):
                continue
            destination = configuration.destinations.get(route.destination)
            names = {
                "source": source_id,
                "route": route_id,
                "recipient": destination.recipient if destination else "{id}",
            }
            shown = _preflight(request, configuration, source, route, names)
            yield place, {"route": route_id, "source": source_id, **shown}


def _known_of(source: Source, request: Request) -> dict[str, str]:
    """Return the fields that every event of a source has."""
    known = {"tenant": request.tenant.id, "source": source.id, "channel": source.channel}
    return {**known, "kind": EventKind.SYSTEM.value} if source.channel == OPERATIONAL else known


def _preflight(
    request: Request, configuration: Configuration, source: Source, route: Route, names: Mapping[str, str]
) -> dict[str, Any]:
    now = request.runtime.now()
    # The cell's own events have no subject.
    classes = [DataClass.TECHNICAL.value] if source.channel == OPERATIONAL else ALL_CLASSES
    base = source_facts(configuration, source, request.cell, op="store", classes=classes, now=now, received_at=now)
    return readiness(
        configuration,
        source,
        route,
        request.cell,
        classes=classes,
        now=now,
        law=request.runtime.law,
        decide=deciding(request.runtime, request.tenant.id, base),
        names=names,
    )

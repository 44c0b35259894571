"""Decide a stored event along a route again, from the current law, records, consents and switches.

Attempts, replays and previews of the next attempt all use this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from ..channels import IDS_ARE_NUMBERS
from ..core import times
from ..core.decide.plan import Decide, Facts, RouteDecision, judge, source_facts, with_grounds
from ..core.event.event_fields import classes_of
from ..core.event.messengers import messenger_in
from ..core.law.volumes import asking
from ..core.tenant.consents import Consent, Grounds, grounds_of, none_given, subjects_of
from ..core.tenant.records import Route
from ..core.tenant.subject import people_of, subject_facts
from ..runtime import Runtime
from ..store.snapshot import Snapshot
from .identities import identity_keys
from .volumes import known


def grounds_now(snapshot: Snapshot, document: Mapping[str, Any], consents: tuple[Consent, ...]) -> Grounds:
    """Return the grounds from the person of an event; one person's consent is no ground for others whom it is about."""
    if not consents or len(subjects_of(document)) != 1:
        return none_given
    return grounds_of(consents, snapshot.configuration.shared_notices)


def consents_of(runtime: Runtime, snapshot: Snapshot, document: Mapping[str, Any]) -> tuple[Consent, ...]:
    """Read the consents of the one person of an event; none where it is about several."""
    if not snapshot.consents or len(subjects_of(document)) != 1:
        return ()
    (rows,) = identity_keys(snapshot, document)
    given = runtime.consents.of_people(runtime.people.all_rows_of(rows))
    return tuple(consent for one in given.values() for consent in one)


def facts_now(
    runtime: Runtime,
    snapshot: Snapshot,
    source_id: str,
    received_at: str,
    document: Mapping[str, Any],
    now: datetime,
    grounds: Grounds,
) -> Facts:
    """Build the facts of storing an event of a source, as the law and the records are now."""
    tenant, source = snapshot.configuration.tenant, snapshot.configuration.sources[source_id]
    people = people_of(tenant, source, document, source.channel in IDS_ARE_NUMBERS)
    base = source_facts(
        snapshot.configuration,
        source,
        runtime.cell,
        op="store",
        classes=classes_of(document),
        now=now,
        received_at=times.parse(received_at),
        subject=subject_facts(people, tenant, source),
        messenger=messenger_in(document),
    )
    return with_grounds(base, None, grounds)


def deciding(runtime: Runtime, tenant: str, base: Facts) -> Decide:
    """Return the decider of an event, given the facts of one operation: it reads the counts of people once, where the law asks."""
    return asking(runtime.decider.decide, cache(lambda: known(runtime, tenant, base)))


def route_of(snapshot: Snapshot, route_id: str, destination: str) -> Route:
    """Return a route as it is declared now, but to the destination of the transfer: the route may lead elsewhere by now."""
    route = snapshot.configuration.routes[route_id]
    if route.destination == destination:
        return route
    return route.model_copy(update={"destination": destination})


def redecide(
    runtime: Runtime,
    snapshot: Snapshot,
    route_id: str,
    destination: str,
    base: Facts,
    grounds: Grounds,
    held_since: datetime | None = None,
) -> RouteDecision:
    """Decide on an event along a route to a destination.

    Args:
        base: the facts that ``facts_now`` has built.
        held_since: since when the transfer is held; None where it is not.
    """
    route = route_of(snapshot, route_id, destination)
    decide = deciding(runtime, snapshot.configuration.tenant.id, base)
    return judge(snapshot.configuration, route, decide(base), base, decide, held_since, grounds)

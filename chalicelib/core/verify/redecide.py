"""Make a logged decision again: from the entry, and from the law and configuration that it names.

``core.decide.plan`` builds the facts from a configuration read back from its document. If a plan reads a field that the
document lacks, this comparison shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from .. import times
from ..decide.plan import Cell, Decide, Facts, RouteDecision, judge, source_facts, with_grounds
from ..errors import AuditBroken
from ..law.bases import BasisDocuments
from ..law.volumes import asking
from ..tenant.configuration import Configuration, configuration_document
from ..tenant.consents import Grounds, is_kept, kept_grounds
from ..tenant.dates import STORED
from ..tenant.records import Destination, Recipient, Route, Source, Tenant
from ..tenant.switches import Switch

FACTS = frozenset({"now", "subject", "special", "held_since", "switch", "bases", "otr", "volumes", "messenger"})
"""The facts of an entry that this version takes into account; a decision on others is not made again."""
_SAID_ELSEWHERE = "-"
"""Stands for the names and contacts that a record must have and its document never holds."""


def configuration_of(document: Mapping[str, Any]) -> Configuration:
    """Read a configuration back from its document.

    Raises:
        AuditBroken: the document is not one that this version writes.
    """
    try:
        read = _read(document)
        same = configuration_document(read) == document
    except (ValidationError, KeyError, TypeError, AttributeError, ValueError):
        same = False
    if not same:
        raise AuditBroken("a configuration is not in the form that this version writes")
    return read


def _read(document: Mapping[str, Any]) -> Configuration:
    name, since = {"name": _SAID_ELSEWHERE}, {"created_at": times.EARLIEST}
    person = {"legal_name": _SAID_ELSEWHERE, "contact": _SAID_ELSEWHERE}
    told = document["tenant"]
    tenant = Tenant.model_validate(
        {
            **{key: told[key] for key in ("id", "edition", "tenant_class", "zone", "requires", "strict_plus7")},
            **name,
            **since,
            "controller": {**person, "country": told["country"]},
            "retention": {"default_days": told["retention_days"]},
            **{key: told[key] for key in ("hold_hours", "collected_in") if key in told},
        },
        context=STORED,
    )
    sources = [Source.model_validate({**s, **name, **since}, context=STORED) for s in document["sources"]]
    recipients = [Recipient.model_validate({**r, **person, **since}, context=STORED) for r in document["recipients"]]
    destinations = [
        Destination.model_validate(
            {
                **name,
                **since,
                "id": d["id"],
                "kind": _SAID_ELSEWHERE,
                "recipient": d["recipient"]["id"],
                "place": d["recipient"]["processing"],
            }
        )
        for d in document["destinations"]
    ]
    routes = [
        Route.model_validate(
            {
                **{key: r[key] for key in ("id", "destination", "purpose", "bases", "mode", "enabled")},
                **name,
                **since,
                "pattern": {},
                "transform": {"redact": r["redactions"]},
            }
        )
        for r in document["routes"]
    ]
    switches = [
        Switch.model_validate({**s, **since, "reason": _SAID_ELSEWHERE}, context=STORED)
        for s in document.get("switches", ())
    ]
    # Bases and contracts stand in the document side by side, as the evaluator reads them.
    bases = BasisDocuments(dict(b) for b in document["bases"])
    if not all(isinstance(b["id"], str) and isinstance(b["kind"], str) for b in bases):
        raise ValueError("a basis has an id and a kind")
    return Configuration(
        tenant,
        0,
        switches={s.id: s for s in switches},
        sources={s.id: s for s in sources},
        recipients={r.id: r for r in recipients},
        destinations={d.id: d for d in destinations},
        routes={r.id: r for r in routes},
        lost=frozenset(document.get("lost", ())),
        declared=bases,
    )


def store_facts(entry: Mapping[str, Any], configuration: Configuration) -> Facts | None:
    """Build the facts of storing that a ``decided`` entry was written on.

    Returns:
        The facts; None where the entry or the configuration does not suffice.
    """
    facts, receipt = entry["facts"], entry["receipt"]
    source = configuration.sources.get(receipt["source"])
    if source is None or not {"now", "subject", "special"} <= set(facts) <= FACTS:
        return None
    if not is_kept(facts.get("bases", [])):
        return None
    try:
        now = times.parse(str(facts["now"]))
    except ValueError:
        return None
    store = receipt["store"]
    base = source_facts(
        configuration,
        source,
        Cell(store["region"], store["country"]),
        op="store",
        classes=receipt["classes"],
        now=now,
        received_at=times.parse(receipt["received_at"]),
        messenger=facts.get("messenger"),
        off_record=facts.get("otr") is True,
    )
    base["subject"] = facts["subject"]
    base["data"] = {**base["data"], "special": facts["special"]}
    return with_grounds(base, None, grounds_kept(entry, None))


def grounds_kept(entry: Mapping[str, Any], route: Mapping[str, Any] | None) -> Grounds:
    """Return the consents that a ``decided`` entry counted, for storing and for one of its routes."""
    place = next((n for n, one in enumerate(entry["routes"]) if one is route or one == route), len(entry["routes"]))
    return kept_grounds(entry["facts"].get("bases", ()), place)


def declared_route(route: Mapping[str, Any], configuration: Configuration) -> Route | None:
    """Return the route of a decision as it was declared, leading where the transfer was to go; None where it is not there.

    A route may have been led elsewhere while a transfer was under way: the transfer was not.
    """
    declared = configuration.routes.get(route["route"])
    return declared.model_copy(update={"destination": route["destination"]}) if declared is not None else None


def as_told(entry: Mapping[str, Any], decide: Decide) -> Decide:
    """Return ``decide`` that reads the counts of people that a ``decided`` entry holds."""
    return asking(decide, lambda: entry["facts"].get("volumes", {}))


def redecide(
    entry: Mapping[str, Any], route: Mapping[str, Any], configuration: Configuration, decide: Decide
) -> RouteDecision | None:
    """Decide one route of a ``decided`` entry again.

    Returns:
        The decision; None where the entry or the configuration does not suffice.
    """
    base, declared = store_facts(entry, configuration), declared_route(route, configuration)
    if base is None or declared is None:
        return None
    held = entry["facts"].get("held_since")
    try:
        held_since = times.parse(str(held)) if held is not None else None
    except ValueError:
        return None
    decide = as_told(entry, decide)
    return judge(configuration, declared, decide(base), base, decide, held_since, grounds_kept(entry, route))

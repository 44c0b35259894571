"""Report who is accountable for the data of a person, an event or a period, from the log and the records that decisions name.

Reading a report is no act: like the list of entries it shows the log and the tenant's declarations, no content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ...core.decide.plan import route_facts
from ...core.errors import AuditBroken, Misconfigured
from ...core.explain import accountability
from ...core.log import audit
from ...core.log.transfers import Transfer
from ...core.tenant.configuration import Configuration
from ...core.tenant.records import Recipient
from ...core.tenant.roles import RoleParty, accountable
from ...core.times import text
from ...core.verify import redecide
from ..pagination import Filter, ListItem
from ..request import Request
from ..sealing import proofs
from . import read
from .decisions import snapshot_of

EVENT_COST = 20
"""What reading all that there is to know of one event costs, in keys looked at."""


@dataclass(frozen=True)
class EventAccount:
    """All entries of one event, or the one of an act about none, and what held transfers of it wait for."""

    entries: tuple[Mapping[str, Any], ...]
    missing: Mapping[str, Sequence[str]]


def operator_of(request: Request) -> RoleParty:
    """Return the operator of the cell.

    Raises:
        Misconfigured: no operator is configured.
    """
    settings = request.runtime.settings
    if not settings.operator_name or not settings.operator_contact:
        raise Misconfigured(
            "set WAYBILL_OPERATOR_NAME and WAYBILL_OPERATOR_CONTACT: the operator answers for the router's own duties"
        )
    return accountable(
        RoleParty("operator", None, settings.operator_name, settings.operator_contact, settings.operator_country)
    )


def of_period(request: Request, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield the events of a period, and the acts without an event, each once, by the event's own time.

    The search starts a day before the tenant was made and ends now. A position after an event is after all of its entries, which share the beginning of their ids.
    """
    now, day = request.runtime.now(), timedelta(days=1)  # a platform's clock may be ahead of ours, or late
    after = max(wanted.after or now, request.tenant.created_at - day)
    before = min(wanted.before or now, now + day)
    if after >= before:
        return iter(())
    return _grouped(request, read.entries(request, Filter(after=after, before=before), position))


def of_subject(request: Request, subject: str, position: str) -> Iterator[ListItem]:
    """Yield the events that a person sent, oldest first, and acts about that person."""
    return _grouped(request, read.entries_of_subject(request, subject, Filter(), position))


def _grouped(request: Request, found: Iterable[ListItem]) -> Iterator[ListItem]:
    told: str | None = None
    for step in found:
        entry = step.item
        if entry is None:
            yield step
        elif entry["event"] is None:
            yield ListItem(entry["id"], EventAccount((entry,), {}), step.cost)
        elif entry["event"] != told:
            told = entry["event"]
            behind = entry["id"][:18] + "z" * (len(entry["id"]) - 18)
            yield ListItem(behind, _event(request, audit.minute_of(entry["id"]), told), EVENT_COST)


def of_event(request: Request, event: str, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield one event.

    Raises:
        Invalid: the event is no longer stored and no time says where to look.
    """
    for step in read.entries_of_event(request, event, wanted, position):
        if step.item is None:
            yield step
            continue
        minute = audit.minute_of(step.item["id"])
        yield ListItem(step.item["id"][:18] + "z" * 12, _event(request, minute, event), EVENT_COST)
        return


def _event(request: Request, minute: int, event: str) -> EventAccount:
    now = request.runtime.now()
    entries = request.runtime.audit.of_event(request.tenant.id, minute, event, now)
    row = request.runtime.data.event(request.tenant.id, event, now)
    return EventAccount(tuple(e for e in entries if e["event"] == event), row.missing if row is not None else {})


def page(request: Request, told: Sequence[EventAccount]) -> dict[str, Any]:
    """Make one page of a report; see ``docs/answer.md``.

    Raises:
        Misconfigured: an accountable party has no name.
    """
    runtime = request.runtime
    controller = request.tenant.controller
    tenant = RoleParty("tenant", request.tenant.id, controller.legal_name, controller.contact, controller.country)
    every = [entry for one in told for entry in one.entries]
    hashes, recipients = accountability.wanted(every)
    now = snapshot_of(request).configuration
    configurations = {h: c for h in hashes if (c := _configuration(request, h, now)) is not None}
    sources = accountability.Sources(
        tenant=accountable(tenant),
        operator=operator_of(request),
        configurations=configurations,
        recipients=dict(_versions(request, recipients, configurations, now)),
        current=now.recipients,
        indexes=proofs.indexes(request, every),
        decide=runtime.decider.decide,
        mark=runtime.law.marked,
        oblige=runtime.law.obliged,
        rules_hash=runtime.law.hash.removeprefix("sha256:"),
        now=runtime.now(),
    )
    writer = accountability.AccountabilityReport(sources)
    data = [writer.tell(one.entries, one.missing) for one in told]
    return {
        "made_at": text(sources.now),
        "asked_by": {"kind": request.actor[0], "id": request.actor[1]},
        "cell": {"region": runtime.settings.region, "country": runtime.settings.country},
        "tenant": sources.tenant.document(),
        "operator": sources.operator.document(),
        "laws": sorted(writer.laws),
        "data": data,
        "responsibility": writer.responsibility,
        "limits": sorted(writer.limits),
    }


class Obligations:
    """The acts that the law in force asks for beside transfers. A configuration is read once for all transfers of a request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._read: dict[str, Configuration | None] = {}

    def of(self, transfer: Transfer) -> list[dict[str, Any]]:
        """Return the obligations on the facts of a transfer's decision in force.

        Returns:
            The obligations; none where the entry or its configuration no longer suffices.
        """
        entry, runtime = transfer.entry, self._request.runtime
        configuration = self._configuration(entry["config_hash"])
        route = next(r for r in entry["routes"] if r["transfer"] == transfer.id)
        facts = redecide.store_facts(entry, configuration) if configuration is not None else None
        declared = redecide.declared_route(route, configuration) if configuration is not None else None
        if configuration is None or facts is None or declared is None:
            return []
        decide = redecide.as_told(entry, runtime.decider.decide)
        decisions = decide(facts), decide(route_facts(facts, configuration, declared))
        found = {str(one["rule"]): one for decision in decisions for one in decision.obligations}
        return runtime.law.obliged(found[rule] for rule in sorted(found))

    def _configuration(self, digest: str) -> Configuration | None:
        if digest not in self._read:
            self._read[digest] = _configuration(self._request, digest, snapshot_of(self._request).configuration)
        return self._read[digest]


def _configuration(request: Request, digest: str, now: Configuration) -> Configuration | None:
    """Return the configuration of a hash: the current one or a published one; None where it is missing or unreadable."""
    if digest == now.hash:
        return now
    data = request.runtime.evidence.get_fixed(f"configs/{request.tenant.id}/{digest}.json")
    if data is None:
        return None
    try:
        return redecide.configuration_of(json.loads(data))
    except (AuditBroken, ValueError):
        return None  # written by a later version; the answer says that it is left out


def _versions(
    request: Request, ids: Iterable[str], configurations: Mapping[str, Configuration], now: Configuration
) -> Iterator[tuple[tuple[str, int], Recipient]]:
    """Yield the recipients' records of the versions that configurations name."""
    wanted = {(i, c.recipients[i].version) for i in ids for c in configurations.values() if i in c.recipients}
    for recipient, version in sorted(wanted):
        current = now.recipients.get(recipient)
        if current is not None and current.version == version:
            yield (recipient, version), current
        elif (kept := request.runtime.config.kept_version(request.tenant.id, recipient, version)) is not None:
            yield (recipient, version), kept

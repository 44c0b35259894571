"""Erase an event's content, or restrict it until it may be erased.

Two things forbid erasure, the stronger first: a legal hold, which must be released; a statutory minimum, which ends by
itself. Under a minimum the content is restricted and its life ends with the minimum: the request stands, and needs no
repetition.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from ...core import times
from ...core.errors import NotFound, RefusedByLaw
from ...core.law.minima import LAYER
from ...core.log import audit
from ...core.log.entry_types import Act
from ...core.log.transfers import of_entries
from ...core.tenant.legal_holds import HoldActive, covering
from ...store.event_rows import EventRow
from ...store.person_ends import end_of
from ...store.restriction import Restriction
from ..ask.decisions import event_facts, snapshot_of
from ..ask.read import opened, restricted, row_of
from ..request import Request

WAITING = ("pending", "held")


def erase(request: Request, event: str, ground: str) -> None:
    """Erase an event's content and end its waiting deliveries. Erasing erased content does no harm.

    Raises:
        NotFound: there is no such event.
        HoldActive: a legal hold is on it.
        RefusedByLaw: the law demands that the content is kept; with ``until``: it is restricted, and erased then.
    """
    runtime, tenant = request.runtime, request.tenant.id
    row = row_of(request, event)
    if row.sealed is not None or row.restriction is not None:
        hold = covering(runtime.legal_holds.standing(tenant), row.key.conversation, row.owner, row.received_at)
        if hold is not None:
            raise HoldActive(f"the legal hold {hold.id} is on this content; it can be erased once that is released")
    if row.restriction is not None:
        _seal(request, row, row.restriction)  # an earlier try may have died on the way
    document = opened(request, {event: row}, whole=False).get(event)
    if document is not None:
        facts = event_facts(request, snapshot_of(request).configuration, document, "erase")
        minimum = runtime.minima.of(facts, row.received_at)
        if minimum is not None and minimum.until > runtime.now():
            _seal(request, row, Restriction(minimum.until, ground, minimum.rules))
        item = {"layer": LAYER, "created_at": times.text(row.received_at), "legal_hold": False}
        decision = runtime.decider.decide({**facts, "item": item})
        if decision.verdict == "refused":
            raise RefusedByLaw("the law demands that this content is kept", decision.selected_rules(), decision.missing)
    # Before the row changes, since it names no person afterwards. The sweep looks an hour later at the earliest.
    if row.owner is not None:
        runtime.person_ends.ask(row.owner, runtime.now())
    runtime.data.erase_content(row.key)
    if row.large is not None:
        runtime.contents.delete(row.large.name)
    runtime.data.remove_dead(tenant, "inbox", event)
    request.note("erased", event=event, minute=row.minute, reason=ground)


def _seal(request: Request, row: EventRow, why: Restriction) -> NoReturn:
    """Restrict content that may not be erased yet: 1 its person, 2 the row, 3 end waiting deliveries, 4 the entry.

    Raises:
        RefusedByLaw: always, saying until when.
    """
    runtime, tenant, event = request.runtime, request.tenant.id, row.key.event
    now = runtime.now()
    if row.owner is not None:
        runtime.person_ends.at_least(row.owner, None, end_of(why.until, now))  # 1
        runtime.person_ends.ask(row.owner, now)  # the life may be shorter now
    if not runtime.lifetimes.restrict(row, why):  # 2
        there = row_of(request, event).restriction
        if there is None:
            raise NotFound("the content of this event was erased; its transfers and audit entries remain")
        why = there
    runtime.data.remove_dead(tenant, "inbox", event)
    entries = [e for e in runtime.audit.of_event(tenant, row.minute, event, now) if e["event"] == event]
    acts = [
        _act(request, row, "erased", now, one.decided, why.ground, object=("transfer", one.id))
        for one in of_entries(entries, {}, now)
        if one.outcome in WAITING
    ]
    subjects = [s for e in entries if e["kind"] == "decided" for s in e["receipt"]["subjects"][:1]]
    acts.append(
        _act(request, row, "restricted", now, "restrict", why.ground, subject=subjects[0] if subjects else None)
    )
    for outcome in runtime.audit.append_many(acts):  # 3, 4
        if isinstance(outcome, Exception):
            raise outcome
    raise restricted(why)


def _act(request: Request, row: EventRow, kind: str, now: datetime, by: str, ground: str, **about: Any) -> Act:
    # Not by the request's id: a repeated request completes the same entries.
    return audit.act(
        kind,
        tenant=request.tenant.id,
        minute=row.minute,
        at=now,
        actor=request.actor,
        request=by,
        event=row.key.event,
        reason=ground,
        **about,
    )

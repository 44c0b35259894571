"""Keep people for as long as the content that is stored of them, before it is stored.

A person who is made now gets an end at once, so that the only event of a person costs no further call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from ..core import times
from ..core.decide.retention import expires_at
from ..core.errors import Unavailable, WaybillError
from ..core.tenant.legal_holds import covering
from ..runtime import Runtime
from ..store.people import PersonRow
from ..store.person_ends import end_of
from .messages import NO_CONVERSATION
from .routed import RoutedEvent

RAISERS = 8


def first_ends(works: Iterable[RoutedEvent], now: datetime) -> dict[str, int]:
    """Return the ends of people who are made for events: when content ends that is stored for as long as usual."""
    ends: dict[str, int] = {}
    for work in works:
        configuration = work.snapshot.configuration
        source = configuration.sources.get(work.document["source"])
        stored = source is not None and not work.document.get("otr")
        last = expires_at(configuration.tenant, source, work.received_at) if stored and source is not None else now
        for person in rows_of(work):
            ends[person] = max(ends.get(person, 0), end_of(last, now))
    return ends


def rows_of(work: RoutedEvent) -> dict[str, None]:
    """Return the keys of all rows of an event's people: those of their other ids live as long as they do."""
    return dict.fromkeys((*work.people, *(pk for rows in work.identities for pk in rows)))


def is_held(work: RoutedEvent) -> bool:
    """Return whether a legal hold covers an event whose entry is there."""
    conversation = work.entry["receipt"]["conversation"] or NO_CONVERSATION
    return covering(work.snapshot.holds, conversation, work.owner, work.received_at) is not None


def keep_people(
    runtime: Runtime, works: Iterable[RoutedEvent], people: dict[str, PersonRow], now: datetime
) -> dict[str, WaybillError]:
    """Keep the people of events for as long as their content will be stored, as the events' entries say.

    Args:
        people: as they were read; those that are kept for longer now are replaced.

    Returns:
        By message, why an event must come back: one of its people has ended meanwhile.
    """
    works, wanted, held = list(works), dict[str, int](), dict[str, None]()
    for work in works:
        stored = work.keeps and not work.document.get("otr")
        ends = [now]
        if stored and work.plan is not None:
            ends += [times.parse(work.entry["expires_at"]), work.plan.waits_until or now]
        for person in rows_of(work):
            wanted[person] = max(wanted.get(person, 0), end_of(max(ends), now))
        if stored and work.people and is_held(work) and not people[work.owner].unsure:
            held[work.owner] = None
    calls: list[tuple[str, Callable[[], bool]]] = []
    for person, end in wanted.items():
        known = people[person].ends_at
        if known is not None and known < end:
            calls.append((person, _raising(runtime, people[person], end)))
    calls += [(person, _doubting(runtime, person)) for person in held]
    done = _all(runtime, [call for _, call in calls])
    lost = {person for (person, _), kept in zip(calls, done, strict=True) if not kept}
    for person, _ in calls:
        row = people[person]
        known = None if row.ends_at is None else max(row.ends_at, wanted[person])
        people[person] = replace(row, ends_at=known, unsure=row.unsure or person in held)
    fault = Unavailable("a person of this event has ended meanwhile; try again")
    return {work.message.id: fault for work in works if lost.intersection(rows_of(work))}


def _raising(runtime: Runtime, person: PersonRow, end: int) -> Callable[[], bool]:
    return lambda: runtime.person_ends.at_least(person.pk, person.ref, end)


def _doubting(runtime: Runtime, person: str) -> Callable[[], bool]:
    return lambda: runtime.person_ends.doubt(person) is not None


def _all(runtime: Runtime, calls: list[Callable[[], bool]]) -> list[bool]:
    if len(calls) < 2:  # threads cost more than the call
        return [call() for call in calls]
    return list(runtime.threads.map(RAISERS, lambda call: call(), calls))


def ask_for_unstored(
    runtime: Runtime, works: Iterable[RoutedEvent], people: Mapping[str, PersonRow], now: datetime
) -> None:
    """Make the sweep look at the people of events that are not stored, unless they end soon anyway."""
    soon = end_of(now, now)
    for person in dict.fromkeys(person for work in works for person in rows_of(work)):
        known = people[person].ends_at
        if known is None or known > soon:
            runtime.person_ends.ask(person, now)

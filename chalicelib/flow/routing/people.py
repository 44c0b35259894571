"""Find or make the people and conversations of events. A person of several ids stays one person.

Where an event tells other ids of a person, each id has a row, and the rows lead to one of them by ``same_as``: the *main*
row, whose ref and key count. A row is a person's own as before, so that the release before reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ...channels import IDS_ARE_NUMBERS
from ...core.envelope import TenantKeys
from ...core.tenant.subject import people_of
from ...runtime import Runtime
from ...store.items import BATCH_GET, Item, batch_get
from ...store.people import PersonRow, others_of, people_key
from ..identities import identity_keys
from ..person_ends import first_ends
from ..routed import RoutedEvent
from ..volumes import ReadCounters, shares_of

HOPS = 3
"""How far rows lead to other rows: one hop, and the hops that two processes make at once."""

Wanted = dict[str, tuple[str, TenantKeys]]


def find_people(runtime: Runtime, works: list[RoutedEvent]) -> dict[str, PersonRow]:
    """Find or make the people and conversations of events, with their places and consents, and count them."""
    now = runtime.now()
    wanted: Wanted = {}
    sources: dict[str, str] = {}
    for work in works:
        _name(work, wanted, sources)
        _locate(runtime, work, now)
    tally, rows = ReadCounters(runtime), list[Item]()
    joined: dict[str, str] = {}
    for _ in range(HOPS):
        rows = _read(runtime, wanted, works, tally)
        mains = _mains(works, rows)
        joined.update(mains)
        others = {str(row["pk"]): others_of(row) for row in rows}
        moved = [work for work in works if _is_moved(work, mains, others)]
        if not moved:
            break
        for work in moved:
            _move(work, mains, others, wanted)
            _locate(runtime, work, now)
    people = runtime.people.find_or_make(wanted, rows, sources, first_ends(works, now), joined)
    for pk, main in joined.items():
        if pk in people and people[pk].same_as is None and pk != main:
            runtime.people.join(pk, main)
    tally.take((share for work in works for share in work.shares), people)
    for work in works:
        work.volumes = tally.facts(work.shares)
    return people


def _name(work: RoutedEvent, wanted: Wanted, sources: dict[str, str]) -> None:
    keys, document = work.snapshot.keys, work.document
    work.identities = identity_keys(work.snapshot, document)
    work.people = [own for own, *_ in work.identities]
    conversation = document["conversation"]["id"]
    scope = (work.tenant, keys, "conversation", document["channel"], document["source"])
    place = people_key(*scope, conversation or "")
    if conversation is not None:
        work.conversation, sources[place] = place, document["source"]
    work.owner = work.people[0] if work.people else place
    wanted.update(dict.fromkeys((pk for rows in work.identities for pk in rows), ("subject", keys)))
    wanted[place] = ("conversation", keys)


def _is_moved(work: RoutedEvent, mains: Mapping[str, str], others: Mapping[str, list[str]]) -> bool:
    """Return whether another row stands for a person, or a person has rows that are not read yet."""
    return any(own[0] in mains or not set(others.get(own[0], ())) <= set(own) for own in work.identities)


def _move(work: RoutedEvent, mains: Mapping[str, str], others: Mapping[str, list[str]], wanted: Wanted) -> None:
    """Let the main rows of an event's people stand for them, and name all rows of theirs."""
    moved = [mains.get(pk, pk) for pk in work.people]
    work.identities = [
        tuple(dict.fromkeys((pk, *own, *others.get(pk, ())))) for pk, own in zip(moved, work.identities, strict=True)
    ]
    if work.people:
        work.people, work.owner = moved, moved[0]
    wanted.update(dict.fromkeys((pk for own in work.identities for pk in own), ("subject", work.snapshot.keys)))


def _mains(works: Iterable[RoutedEvent], rows: Iterable[Item]) -> dict[str, str]:
    """Return the main rows of those that are not main themselves.

    Of several people who prove to be one, the same stays in every process. A person who is new is known by the id that the
    event uses.
    """
    leads = {str(row["pk"]): str(row.get("same_as") or row["pk"]) for row in rows}
    mains: dict[str, str] = {}
    for work in works:
        for own in work.identities:
            known = {leads[pk] for pk in own if pk in leads}
            main = min(known) if known else own[0]
            for pk in own:
                leads[pk] = main
                if pk != main:
                    mains[pk] = main
    return mains


def _locate(runtime: Runtime, work: RoutedEvent, now: datetime) -> None:
    """Say where an event's people are, and for which counts."""
    configuration, document = work.snapshot.configuration, work.document
    source = configuration.sources.get(document["source"])
    if source is not None:
        work.located = people_of(configuration.tenant, source, document, document["channel"] in IDS_ARE_NUMBERS)
        people = zip(work.people, work.located, strict=True)
        work.shares = shares_of(runtime, configuration, source, people, work.classes, now)


def _read(runtime: Runtime, wanted: Iterable[str], works: list[RoutedEvent], tally: ReadCounters) -> list[Item]:
    """Read known people, their consents, and the count of people, in one round trip."""
    # One person's consent is no basis for the other people of an event.
    asked = [work for work in works if work.snapshot.consents and len(work.people) == 1]
    counters = tally.keys(share for work in works for share in work.shares)
    table = runtime.people.table.name
    places: list[tuple[str, Mapping[str, Any]]] = [(table, {"pk": pk}) for pk in wanted]
    asking = dict.fromkeys(pk for work in asked for pk in work.identities[0])
    places += [*(runtime.consents.key(pk) for pk in asking), *counters]
    rows: dict[str, list[Item]] = {}
    for start in range(0, len(places), BATCH_GET):
        some = batch_get(runtime.clients.get("dynamodb"), places[start : start + BATCH_GET], runtime.settings.region)
        for name, items in some.items():
            rows.setdefault(name, []).extend(items)
    given = {item["pk"]: item for item in rows.get(runtime.consents.table.name, ())}
    for work in asked:
        work.consents = tuple(one for pk in work.identities[0] for one in runtime.consents.read(given.get(pk)))
    tally.read(rows.get(runtime.volumes.table.name, ()))
    return rows.get(table, [])

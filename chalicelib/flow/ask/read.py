"""Read stored events, transfers and entries of the log. An event is shown only after its ``viewed`` entry is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ...core import times
from ...core.errors import Invalid, NotFound, RefusedByLaw
from ...core.log import audit
from ...core.log.entry_types import Entry, EntryRange
from ...core.log.transfers import Transfer, of_entries
from ...core.tenant.records import RETENTION_DAYS_MAX
from ...store.event_rows import EventKey, EventRow
from ...store.restriction import Restriction
from ..pagination import Filter, ListItem
from ..request import Request
from .decisions import as_viewed, is_abroad, snapshot_of

READ_AT_ONCE = 100
DAYS_AT_ONCE = 100
"""For how many days one call asks whether their lists have parts."""
DAY_COST = 20
"""What looking into one more day costs, in keys looked at."""
CALL_COST = 10
"""What one call costs that looks for entries in one day of one log, whether it finds any or not."""
ROW_COST = 4
"""What reading one event costs where a filter needs its content."""


# Events


def keys(request: Request, wanted: Filter, position: str) -> Iterator[tuple[EventKey | None, str]]:
    """Yield the keys of the tenant's events, newest first by receipt, with their positions; None for each finished day.

    Args:
        position: a position from an earlier call to go on after; empty to begin.
    """
    now = request.runtime.now()
    first = max(request.tenant.created_at, now - timedelta(days=RETENTION_DAYS_MAX), wanted.after or times.EARLIEST)
    last = min(wanted.before or times.LATEST, now + timedelta(minutes=1))
    low, high = times.text(first), position or times.text(last)
    if wanted.after is None:
        low = low[:10]  # the clock of the process that made the tenant may have been ahead of the door's
    day = datetime.fromisoformat(f"{high[:10]}T00:00:00+00:00")
    asked, parts = 0, frozenset[str]()
    while times.text(day)[:10] >= low[:10]:
        text = times.text(day)[:10]
        if not asked % DAYS_AT_ONCE:
            days = (times.text(day - timedelta(days=number)) for number in range(DAYS_AT_ONCE))
            parts = request.runtime.data.with_parts(request.tenant.id, (one for one in days if one[:10] >= low[:10]))
        asked += 1
        before = high if high[:10] == text else None
        for key, place in request.runtime.data.event_keys(
            request.tenant.id, text, before=before, after=low if low[:10] == text else "", parts=parts
        ):
            if wanted.conversation in (None, key.conversation):
                yield key, place
        yield None, f"{text}T"
        day -= timedelta(days=1)


def opened(request: Request, rows: Mapping[str, EventRow], *, whole: bool = True) -> dict[str, dict[str, Any]]:
    """Return the documents of events whose content is there and not sealed, by event id; none that awaits its ground.

    Args:
        whole: read large events whole; without it they are shortened, as a list shows them.
    """
    owners = {row.owner for row in rows.values() if row.owner is not None}
    people = request.runtime.people.get_many((owner, request.keys) for owner in owners)
    region, fetch = request.runtime.settings.region, request.runtime.contents.get if whole else None
    return {
        event: row.open(people[row.owner].key, region, fetch)
        for event, row in rows.items()
        if row.owner in people and row.sealed is not None and row.lives_until is None
    }


def events(request: Request, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield a tenant's events, newest first by receipt. The caller MUST log the shown ones with ``viewed``.

    Raises:
        RefusedByLaw: the law forbids reading one from the country where the key is used.
    """
    snapshot = snapshot_of(request)
    found = keys(request, wanted, position)
    while batch := list(islice(found, READ_AT_ONCE)):
        read = [key for key, _ in batch if key is not None]
        rows = request.runtime.data.events(read, request.runtime.now()) if read else {}
        documents = opened(request, rows, whole=False)
        for key, place in batch:
            document = documents.get(key.event) if key is not None else None
            if key is None:
                yield ListItem(place, cost=DAY_COST)
            elif document is not None and _is_wanted(wanted, document):
                yield ListItem(place, as_viewed(request, snapshot.configuration, document), ROW_COST)
            else:
                yield ListItem(place, cost=ROW_COST)


def _is_wanted(wanted: Filter, document: Mapping[str, Any]) -> bool:
    return wanted.source in (None, document["source"]) and wanted.kind in (None, document["kind"])


def viewed_list(request: Request, wanted: Filter, count: int) -> None:
    """Write that events were looked at, before they are shown."""
    covered: EntryRange = {
        "after": times.text(wanted.after) if wanted.after else None,
        "before": times.text(wanted.before) if wanted.before else None,
        "count": count,
    }
    request.note("viewed", range=covered)


def row_of(request: Request, event: str) -> EventRow:
    """Return an event's row.

    Raises:
        NotFound: there is none, or its life is over.
    """
    row = request.runtime.data.event(request.tenant.id, event, request.runtime.now())
    if row is None:
        raise NotFound("no such event, or its life is over")
    return row


def content(request: Request, event: str) -> dict[str, Any]:
    """Return an event's document after writing its ``viewed`` entry.

    Raises:
        NotFound: there is none, or its content was erased.
        RefusedByLaw: the law forbids reading it from the key's country, or its content is restricted.
    """
    return _looked_at(request, row_of(request, event))


def shown(request: Request, event: str) -> dict[str, Any]:
    """Return an event's document and when its life ends. Writes and raises as ``content``."""
    row = row_of(request, event)
    return {**_looked_at(request, row), "expires_at": times.text(row.expires_at)}


def restricted(why: Restriction) -> RefusedByLaw:
    """Return the refusal to show or erase content that is kept only because the law demands it."""
    text = (
        "erasing this content was asked for, and the law demands that it is kept: it is sealed, and erased after until"
    )
    return RefusedByLaw(text, why.rules, (), why.until)


def _looked_at(request: Request, row: EventRow) -> dict[str, Any]:
    event = row.key.event
    if row.restriction is not None:
        raise restricted(row.restriction)
    if row.lives_until is not None:
        text = "this event has no ground for being stored: it is sealed, and destroyed after until (GET /v1/holds)"
        raise RefusedByLaw(text, (), (), row.expires_at)
    document = opened(request, {event: row}).get(event)
    if document is None:
        text = "the content of this event was erased, or never stored; its transfers and audit entries remain"
        raise NotFound(text)
    if is_abroad(request):
        document = as_viewed(request, snapshot_of(request).configuration, document)
    request.note("viewed", event=event, minute=row.minute)
    return document


# Transfers


def transfers_of(request: Request, row: EventRow) -> list[Transfer]:
    """Return the transfers of one event."""
    entries = request.runtime.audit.of_event(request.tenant.id, row.minute, row.key.event, request.runtime.now())
    mine = [e for e in entries if e["event"] == row.key.event]
    return of_entries(mine, row.missing, request.runtime.now())


def transfer(request: Request, transfer_id: str) -> Transfer:
    """Return a transfer; its id leads to its entries.

    Raises:
        NotFound: there is none.
    """
    now = request.runtime.now()
    entries = request.runtime.audit.of_transfer(request.tenant.id, transfer_id, now)
    event = next(
        (
            e["event"]
            for e in entries
            if e["kind"] == "decided" and any(r["transfer"] == transfer_id for r in e["routes"])
        ),
        None,
    )
    if event is None:
        raise NotFound("no such transfer")
    row = request.runtime.data.event(request.tenant.id, event, now)
    mine = [e for e in entries if e["event"] == event]
    return next(t for t in of_entries(mine, row.missing if row else {}, now) if t.id == transfer_id)


def transfers(request: Request, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield the transfers of a tenant's events, newest event first.

    A position is the event's, and after a space the transfer's id where the list goes on within an event.
    """
    place, _, within = position.partition(" ")
    start = place + "~" if within else place  # "~" sorts after every id, so that the event itself is read again
    found = keys(request, wanted, start)
    while batch := list(islice(found, READ_AT_ONCE)):
        read = [key for key, _ in batch if key is not None]
        rows = request.runtime.data.events(read, request.runtime.now()) if read else {}
        for key, at in batch:
            row = rows.get(key.event) if key is not None else None
            if row is None:
                yield ListItem(at, cost=DAY_COST if key is None else 1)
                continue
            for one in transfers_of(request, row):
                if at != place or one.id > within:
                    yield ListItem(f"{at} {one.id}", one, ROW_COST)
            yield ListItem(at, cost=ROW_COST)


def transfers_of_event(request: Request, event: str, position: str) -> Iterator[ListItem]:
    """Yield the transfers of one event.

    Raises:
        NotFound: there is no such event.
    """
    for one in transfers_of(request, row_of(request, event)):
        if one.id > position:
            yield ListItem(one.id, one)


def transfers_of_subject(request: Request, subject: str, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield the transfers of a person's events, oldest first.

    A position is the previous entry's, and after a space the transfer's id, so that a list can go on within an event.
    """
    before, _, within = position.partition(" ")
    for found in entries_of_subject(request, subject, wanted, before):
        entry = found.item
        if entry is not None and entry["kind"] == "decided" and entry["cause"] == "received":
            now = request.runtime.now()
            mine = request.runtime.audit.of_event(request.tenant.id, audit.minute_of(entry["id"]), entry["event"], now)
            row = request.runtime.data.event(request.tenant.id, entry["event"], now)
            for one in of_entries([e for e in mine if e["event"] == entry["event"]], row.missing if row else {}, now):
                if within[4:18] != entry["id"][4:18] or one.id > within:
                    yield ListItem(f"{before} {one.id}", one, ROW_COST)
        yield ListItem(found.position, cost=found.cost)
        before = found.position


# Entries


def _span(request: Request, wanted: Filter) -> tuple[datetime, datetime]:
    """Entries lie by their event's own time, which a platform's clock may put before the tenant or ahead of ours."""
    now = request.runtime.now()
    first = wanted.after or request.tenant.created_at - timedelta(days=1)
    return max(times.EARLIEST, first), min(wanted.before or now + timedelta(days=1), times.LATEST)


def entries(request: Request, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield the tenant's audit entries by the time of the event or act, oldest first."""
    after, before = _span(request, wanted)
    start: str | None = position or None
    while after < before:
        page = request.runtime.audit.between(
            request.tenant.id,
            after,
            before,
            now=request.runtime.now(),
            limit=READ_AT_ONCE,
            start=start,
            since=request.tenant.created_at,
        )
        for entry in page.entries:
            yield ListItem(entry["id"], entry)
        if page.next is None:
            return
        start = page.next
        yield ListItem(start, cost=CALL_COST * page.calls)


def entries_of_subject(request: Request, subject: str, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield the entries of a person, oldest first."""
    after, before = _span(request, wanted)
    start: str | None = position or None
    while after < before:
        page = request.runtime.audit.of_subject(
            request.tenant.id,
            subject,
            after,
            before,
            now=request.runtime.now(),
            limit=READ_AT_ONCE,
            start=start,
            since=request.tenant.created_at,
        )
        for entry in page.entries:
            yield ListItem(entry["id"], entry)
        if page.next is None:
            return
        start = page.next
        yield ListItem(start, cost=CALL_COST * page.calls)


def entries_of_event(request: Request, event: str, wanted: Filter, position: str) -> Iterator[ListItem]:
    """Yield the entries of one event in order of time.

    Raises:
        Invalid: the event is no longer stored and no time says where to look.
    """
    row = request.runtime.data.event(request.tenant.id, event, request.runtime.now())
    if row is not None:
        mine = request.runtime.audit.of_event(request.tenant.id, row.minute, event, request.runtime.now())
    elif wanted.after is None or wanted.before is None:
        text = "this event is not stored, or no longer: give after and before, between which it happened"
        raise Invalid(text, [{"loc": "query.after", "code": "needed", "msg": text}])
    else:
        for found in entries(request, wanted, position):
            keep = found.item is not None and found.item["event"] == event
            yield ListItem(found.position, found.item if keep else None, found.cost)
        return
    seen = not position
    for entry in mine:
        if seen and entry["event"] == event:
            yield ListItem(entry["id"], entry)
        seen = seen or entry["id"] == position


def entry(request: Request, entry_id: str) -> Entry:
    """Return one entry, whichever year's log holds it.

    Raises:
        NotFound: the tenant's logs have no such entry.
    """
    minute = audit.minute_of(entry_id)
    for log in audit.logs_of(minute, minute, request.runtime.now()):
        stored: Entry | None = request.runtime.audit.get(request.tenant.id, entry_id, log)
        if stored is not None:
            return stored
    raise NotFound("no such entry")

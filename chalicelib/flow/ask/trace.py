"""Trace: the whole way of one event, with times, from its entries, its row, its lanes and its dead letters. Ids only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from ...core import ids, times
from ...core.errors import NotFound
from ...core.log.transfers import Transfer, of_entries
from ...store.event_rows import EventRow
from ...store.items import Item
from ..deliveries import tasks_of
from ..request import Request
from ..sealing import proofs
from .decisions import snapshot_of

Stored = Literal["stored", "sealed", "restricted", "erased", "no"]
Waits = Literal["queue", "lane", "held", "listed"]
LOOKED_MAX = 1000
"""How many deliveries of a lane are read to find one."""
_DECIDED = ("route", "transfer", "destination", "decision")
_ATTEMPTED = ("transfer", "destination", "attempt", "outcome", "code", "took_ms")
UNKNOWN = "no such event, or it is still in its queue, or it is no longer stored: a transfer's id leads further back"


@dataclass(frozen=True)
class TransferWait:
    """Where a transfer waits.

    Args:
        waits: ``queue``: on its way to its destination; ``lane``: for its next attempt, or behind others; ``held``: for the
            law; ``listed``: for its destination.
        due_at: when it is looked at next, if that is known.
        behind: how many deliveries of its lane come before it.
    """

    waits: Waits
    due_at: str | None = None
    behind: int | None = None


@dataclass(frozen=True)
class EventTrace:
    """The records of one event. ``steps`` are in order of time; ``letters`` are the dead letters, by event or transfer."""

    event: str
    receipt: Mapping[str, Any]
    stored: Stored
    expires_at: str | None
    waits_until: str | None
    transfers: tuple[tuple[Transfer, TransferWait | None], ...]
    steps: tuple[Mapping[str, Any], ...]
    letters: Mapping[str, Item]


def event_of(request: Request, source: str, message: str) -> str:
    """Return the id of the event that a source's platform names by ``message``, as hooks derives it.

    Raises:
        NotFound: the tenant has no such source.
    """
    request.runtime.config.get(request.tenant.id, source)
    return ids.event_id(request.keys.ids, source, message)


def of_event(request: Request, event: str) -> EventTrace:
    """Trace an event.

    Raises:
        NotFound: the tenant has none, or it is neither stored nor a dead letter.
    """
    runtime, now = request.runtime, request.runtime.now()
    row = runtime.data.event(request.tenant.id, event, now)
    letter = _letter(request, "inbox", event)
    minute = row.minute if row is not None else int(letter["minute"]) if letter is not None else None
    if minute is None:
        raise NotFound(UNKNOWN)
    return _traced(request, event, row, letter, runtime.audit.of_event(request.tenant.id, minute, event, now), now)


def of_transfer(request: Request, transfer: str) -> EventTrace:
    """Trace the event of a transfer, which may be stored no longer.

    Raises:
        NotFound: the tenant has no such transfer.
    """
    runtime, now = request.runtime, request.runtime.now()
    entries = runtime.audit.of_transfer(request.tenant.id, transfer, now)
    for entry in entries:
        if entry["kind"] == "decided" and any(route["transfer"] == transfer for route in entry["routes"]):
            event = entry["event"]
            row = runtime.data.event(request.tenant.id, event, now)
            return _traced(request, event, row, _letter(request, "inbox", event), entries, now)
    raise NotFound("no such transfer")


def _traced(
    request: Request,
    event: str,
    row: EventRow | None,
    letter: Item | None,
    entries: Iterable[Mapping[str, Any]],
    now: datetime,
) -> EventTrace:
    mine = [entry for entry in entries if entry["event"] == event]
    found = of_entries(mine, {}, now)
    letters = {event: letter} if letter is not None else {}
    for one in found:
        parked = _letter(request, "outbox", one.id)
        if parked is not None:
            letters[one.id] = parked
    first = next((entry for entry in mine if entry["kind"] == "decided"), None)
    places = proofs.indexes(request, mine)
    steps = [*_steps(mine, places), *(_parked(name, item) for name, item in letters.items())]
    receipt = first["receipt"] if first is not None else {}
    if receipt:
        steps.append({"at": receipt["received_at"], "what": "received"})
    return EventTrace(
        event=event,
        receipt=receipt,
        stored=_stored(row),
        expires_at=times.text(row.expires_at) if row is not None else None,
        waits_until=times.text(row.expires_at) if row is not None and row.lives_until is not None else None,
        transfers=tuple((one, _wait(request, one, now)) for one in found),
        steps=tuple(sorted(steps, key=lambda step: (step["at"], step["what"] != "received"))),
        letters=letters,
    )


def _letter(request: Request, queue: str, thing: str) -> Item | None:
    found: Item | None = request.runtime.data.table.get({"pk": f"{request.tenant.id}#dead", "sk": f"{queue}#{thing}"})
    return found


def _stored(row: EventRow | None) -> Stored:
    if row is None:
        return "no"
    if row.restriction is not None:
        return "restricted"
    if row.lives_until is not None:
        return "sealed"
    return "stored" if row.sealed is not None else "erased"


def _parked(name: str, letter: Item) -> dict[str, Any]:
    transfer = name if name.startswith("trf_") else None
    return {"at": letter["parked_at"], "what": "dead_letter", "transfer": transfer}


def _steps(entries: Iterable[Mapping[str, Any]], places: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        step = {"at": entry["at"], "what": entry["kind"], "entry": entry["id"], "log": entry["log"]}
        step["index"] = places.get(entry["id"])
        if entry["kind"] == "decided":
            decided = {**step, "reason": entry["cause"]}
            yield from ({**decided, **{name: route[name] for name in _DECIDED}} for route in entry["routes"])
            if not entry["routes"]:
                yield decided
        elif entry["kind"] == "attempted":
            yield {**step, **{name: entry[name] for name in _ATTEMPTED}}
        else:
            about = entry["object"] or {}
            transfer = about["id"] if about.get("kind") == "transfer" else None
            yield {**step, "transfer": transfer, "reason": entry["reason"]}


def _wait(request: Request, transfer: Transfer, now: datetime) -> TransferWait | None:
    """Find where a transfer waits; None if it has ended."""
    if transfer.outcome not in ("pending", "held"):
        return None
    tasks = tasks_of(snapshot_of(request).configuration, transfer.entry, "", now)
    lane = next((task.lane for task in tasks if task.transfer == transfer.id), None)
    if lane is None:
        return None
    data = request.runtime.data
    for number, waiting in enumerate(islice(data.waiting(lane), LOOKED_MAX)):
        if waiting.get("transfer") != transfer.id:
            continue
        head = data.table.get(data.lane_keys(lane)[1]) or {}
        if waiting.get("decision") == "held":
            return TransferWait("held", waiting["due_at"], number)
        if "day" in head:
            state = request.runtime.destination_state.get(request.tenant.id, transfer.destination).state
            due = times.text(state.wake_at) if state.wake_at is not None else head["due_at"].partition("#")[0]
            return TransferWait("listed", due, number)
        return TransferWait("lane", waiting["due_at"], number)
    return TransferWait("queue")

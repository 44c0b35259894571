"""``/v1/events``, ``/v1/transfers``, ``/v1/holds`` and ``/v1/audit/entries``: what happened."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from ..core import times
from ..core.errors import Invalid
from ..core.event.event import DataClass, Event, EventKind, Time
from ..core.log.entry import Conversation, DestinationId, EventId, SourceId, Subject
from ..core.log.transfers import Outcome, RuleShown, Transfer
from ..flow.ask import read
from ..flow.pagination import Filter, Listed
from ..flow.retention import erase as erase_flow
from ..flow.sealing import proofs
from .endpoint import ApiCall, Empty, Resource, Schema, TimeQuery
from .problems import EndpointResponse

events = Resource("events")
transfers = Resource("transfers")
holds = Resource("holds")
entries = Resource("audit")


class EventsQuery(TimeQuery):
    """Filters of the list of events."""

    source: SourceId | None = None
    conversation: Conversation | None = None
    kind: EventKind | None = None


class TransfersQuery(TimeQuery):
    """Filters of the list of transfers."""

    event: EventId | None = None
    destination: DestinationId | None = None
    outcome: Outcome | None = None
    subject: Subject | None = None


class EntriesQuery(TimeQuery):
    """Filters of the list of entries."""

    event: EventId | None = None
    subject: Subject | None = None
    destination: DestinationId | None = None
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,30}$")] | None = None


class ShownEvent(Event):
    """An event, and when its life ends: it is neither shown nor delivered after that."""

    expires_at: Annotated[Time, DataClass.TECHNICAL]


class EraseQuery(Empty):
    """Why content is erased."""

    ground: Literal[
        "subject_request", "withdrawal", "authority_request", "unlawful", "purpose_reached", "controller_request"
    ]


class Hold(Schema):
    """A held transfer, what it waits for, and when it stops waiting."""

    id: str
    transfer: str
    event: str
    route: str
    destination: str
    rules: list[RuleShown]
    missing: list[str]
    held_since: str
    expires_at: str


class ShownEntry(Schema):
    """An entry of the log. ``index`` is null until the entry is sealed."""

    entry: dict[str, Any]
    log: str
    index: int | None


def _wanted(call: ApiCall, **more: Any) -> Filter:
    after: datetime | None = call.query.after
    before: datetime | None = call.query.before
    if after is not None and before is not None and before <= after:
        text = "before must be later than after"
        raise Invalid(text, [{"loc": "query.before", "code": "not_after", "msg": text}])
    return Filter(after=after, before=before, **more)


def _only(steps: Iterable[Listed], keep: Callable[[Any], bool], show: Callable[[Any], Any]) -> Iterator[Listed]:
    for step in steps:
        kept = step.item is not None and keep(step.item)
        yield replace(step, item=show(step.item) if kept else None)


def _marked(call: ApiCall, document: dict[str, Any]) -> dict[str, Any]:
    """Say of the rules of a transfer or a hold how they stand."""
    return {**document, "rules": call.runtime.law.marked(document["rules"])}


def transfer_shown(call: ApiCall, transfer: Transfer) -> dict[str, Any]:
    """Return a transfer as it is shown."""
    return _marked(call, transfer.model_dump())


@events.endpoint("GET", "/v1/events", scope="read", query=EventsQuery, answer=Event, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List events, newest first by receipt. Looking at content is written to the log."""
    asked = call.query
    wanted = _wanted(call, source=asked.source, conversation=asked.conversation, kind=asked.kind)
    answer = call.listed(read.events(call.request, wanted, call.position()))
    if answer.body["data"]:
        read.viewed_list(call.request, wanted, len(answer.body["data"]))
    return answer


@events.endpoint("GET", "/v1/events/{id}", scope="read", answer=ShownEvent)
def show(call: ApiCall) -> EndpointResponse:
    """Show an event. Looking at content is written to the log."""
    return EndpointResponse(200, read.shown(call.request, call.thing("evt")))


@events.endpoint("DELETE", "/v1/events/{id}/content", scope="write", query=EraseQuery, status=204)
def erase(call: ApiCall) -> EndpointResponse:
    """Erase an event's content, on a ground; what waits for it ends."""
    erase_flow.erase(call.request, call.thing("evt"), call.query.ground)
    return EndpointResponse(204)


@transfers.endpoint("GET", "/v1/transfers", scope="read", query=TransfersQuery, answer=Transfer, listed=True)
def index_transfers(call: ApiCall) -> EndpointResponse:
    """List transfers, newest event first; those of a person oldest first."""
    asked, wanted = call.query, _wanted(call)

    def keep(one: Transfer) -> bool:
        return bool(
            asked.destination in (None, one.destination)
            and asked.outcome in (None, one.outcome)
            and asked.event in (None, one.event)
        )

    if asked.subject is not None:
        steps = read.transfers_of_subject(call.request, asked.subject, wanted, call.position())
    elif asked.event is not None:
        steps = read.transfers_of_event(call.request, asked.event, call.position())
    else:
        steps = read.transfers(call.request, wanted, call.position())
    return call.listed(_only(steps, keep, partial(transfer_shown, call)))


@transfers.endpoint("GET", "/v1/transfers/{id}", scope="read", answer=Transfer)
def show_transfer(call: ApiCall) -> EndpointResponse:
    """Show a transfer with its attempts."""
    return EndpointResponse(200, transfer_shown(call, read.transfer(call.request, call.thing("trf"))))


@holds.endpoint("GET", "/v1/holds", scope="read", query=TimeQuery, answer=Hold, listed=True)
def index_holds(call: ApiCall) -> EndpointResponse:
    """List the transfers that wait for what the law asks, the longest held first."""
    wanted = _wanted(call)
    after = times.text(wanted.after or times.EARLIEST)
    before = times.text(wanted.before or times.LATEST)

    def keep(hold: dict[str, Any]) -> bool:
        return bool(after <= hold["held_since"] < before)

    return call.listed(_only(read.holds(call.request, call.position()), keep, partial(_marked, call)))


@holds.endpoint("POST", "/v1/holds/{id}/decision", scope="write", body=Empty, answer=Transfer, status=201)
def decide(call: ApiCall) -> EndpointResponse:
    """Have a held transfer decided again now; what comes of it shows in the transfer."""
    return EndpointResponse(201, transfer_shown(call, read.decide_hold(call.request, call.thing("hld"))))


def _shown(entry: dict[str, Any], index: int | None = None) -> dict[str, Any]:
    return {"entry": entry, "log": entry["log"], "index": index}


def _placed(call: ApiCall, answer: EndpointResponse) -> EndpointResponse:
    """Say of the entries of a page where they are in their log; those sealed first, in its order."""
    page = answer.body["data"]
    found = proofs.indexes(call.request, [one["entry"] for one in page])
    placed = [{**one, "index": found.get(one["entry"]["id"])} for one in page]
    placed.sort(key=lambda one: (one["index"] is None, one["log"], one["index"] or 0))
    return replace(answer, body={**answer.body, "data": placed})


@entries.endpoint("GET", "/v1/audit/entries", scope="audit", query=EntriesQuery, answer=ShownEntry, listed=True)
def index_entries(call: ApiCall) -> EndpointResponse:
    """List audit entries by the time of what they tell of, oldest first."""
    asked, wanted = call.query, _wanted(call)

    def keep(entry: dict[str, Any]) -> bool:
        to = {r["destination"] for r in entry.get("routes", ())} | {entry.get("destination")}
        return bool(
            asked.kind in (None, entry["kind"])
            and (asked.destination is None or asked.destination in to)
            and (asked.event is None or asked.event == entry["event"])
        )

    if asked.subject is not None:
        steps = read.entries_of_subject(call.request, asked.subject, wanted, call.position())
    elif asked.event is not None:
        steps = read.entries_of_event(call.request, asked.event, wanted, call.position())
    else:
        steps = read.entries(call.request, wanted, call.position())
    return _placed(call, call.listed(_only(steps, keep, _shown)))


@entries.endpoint("GET", "/v1/audit/entries/{id}", scope="audit", answer=ShownEntry)
def show_entry(call: ApiCall) -> EndpointResponse:
    """Show an entry; its ETag is the hash of its leaf."""
    from ..core.log.leaf import leaf  # and with it all that writing entries takes, which reading them here does not

    entry = read.entry(call.request, call.thing("ent"))
    digest = hashlib.sha256(b"\x00" + leaf(entry)).hexdigest()
    index = proofs.indexes(call.request, [entry]).get(entry["id"])
    return EndpointResponse(200, _shown(entry, index), {"ETag": f'"{digest}"'})


RESOURCES = (events, transfers, holds, entries)

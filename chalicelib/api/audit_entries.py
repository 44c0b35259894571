"""``/v1/audit/entries``: the entries of the tenant's logs. Their proofs are in ``audit_evidence``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import StringConstraints

from ..core.log.entry import DestinationId, EventId, Subject
from ..flow.ask import read
from ..flow.sealing import proofs
from .endpoint import ApiCall, Resource, Schema, TimeQuery
from .filters import filtered, time_filter
from .problems import EndpointResponse

audit_entries = Resource("audit_entries", "Audit log")


class EntriesQuery(TimeQuery):
    """Filters of the list of entries."""

    event: EventId | None = None
    subject: Subject | None = None
    destination: DestinationId | None = None
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,30}$")] | None = None


class ShownEntry(Schema):
    """An entry of the audit log. ``index`` is null until the entry is sealed."""

    entry: dict[str, Any]
    log: str
    index: int | None


def _shown(entry: Mapping[str, Any], index: int | None = None) -> dict[str, Any]:
    return {"entry": entry, "log": entry["log"], "index": index}


def _placed(call: ApiCall, answer: EndpointResponse) -> EndpointResponse:
    """Say of the entries of a page where they are in their log; those sealed first, in its order."""
    page = answer.body["data"]
    found = proofs.indexes(call.request, [one["entry"] for one in page])
    placed = [{**one, "index": found.get(one["entry"]["id"])} for one in page]
    placed.sort(key=lambda one: (one["index"] is None, one["log"], one["index"] or 0))
    return replace(answer, body={**answer.body, "data": placed})


@audit_entries.endpoint(
    "GET",
    "/v1/audit/entries",
    operation_id="list_entries",
    scope="audit",
    query=EntriesQuery,
    answer=ShownEntry,
    listed=True,
)
def index(call: ApiCall) -> EndpointResponse:
    """List audit entries by the time of their event or act, oldest first."""
    asked, wanted = call.query, time_filter(call)

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
    return _placed(call, call.listed(filtered(steps, keep, _shown)))


@audit_entries.endpoint(
    "GET", "/v1/audit/entries/{id}", operation_id="get_entry", scope="audit", answer=ShownEntry, etag=True
)
def show(call: ApiCall) -> EndpointResponse:
    """Get an audit entry.

    Its ETag is the hash of its leaf.
    """
    from ..core.log.leaf import leaf  # and with it all that writing entries takes, which reading them here does not

    entry = read.entry(call.request, call.thing("ent"))
    digest = hashlib.sha256(b"\x00" + leaf(entry)).hexdigest()
    position = proofs.indexes(call.request, [entry]).get(entry["id"])
    return EndpointResponse(200, _shown(entry, position), {"ETag": f'"{digest}"'})


RESOURCES = (audit_entries,)

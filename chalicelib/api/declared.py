"""Responses that the declared resources share: one record with its ETag, and a list of a tenant's records."""

from __future__ import annotations

from typing import Any

from ..core.tenant.records import Record
from ..flow.pagination import ListItem
from ..store.records import RecordRow
from .endpoint import ApiCall, shown, tagged
from .problems import EndpointResponse

_READ_BY_DECISIONS = ("bas", "rcp")
"""Prefixes of the records that decisions read as evidence."""


class ShownUnreadableRecord(Record):
    """A record that counts as absent, the field that cannot be read, and the call that corrects it."""

    record: str
    field: str
    supply: str


def unreadable_of(call: ApiCall, row: RecordRow) -> list[dict[str, str]]:
    """Say for which fields a record, or the contract in it, counts as absent."""
    found = call.runtime.config.snapshot(call.request.tenant.id).configuration.unreadable
    return [one.document() for one in found if one.record.partition(".")[0] == row.record.id]


def record_response(row: RecordRow, status: int = 200, **more: Any) -> EndpointResponse:
    """Answer with a record, ``more`` fields and its ETag."""
    return tagged(row.version, shown(row.record, **more), status)


def show_record(call: ApiCall, prefix: str) -> EndpointResponse:
    """Answer with the record that the path names by an id with this prefix."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing(prefix))
    if prefix in _READ_BY_DECISIONS:
        return record_response(row, unreadable=unreadable_of(call, row))
    return record_response(row)


def list_records(call: ApiCall, prefix: str) -> EndpointResponse:
    """Answer with a page of the tenant's records whose ids have this prefix."""
    rows = call.runtime.config.list(call.request.tenant.id, prefix, call.position(), call.query.limit + 1)
    return call.listed(ListItem(r.record.id, shown(r.record)) for r in rows)

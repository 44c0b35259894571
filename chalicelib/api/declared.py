"""Responses that the declared resources share: one record with its ETag, and a list of a tenant's records."""

from __future__ import annotations

from typing import Any

from ..flow.pagination import ListItem
from ..store.records import RecordRow
from .endpoint import ApiCall, shown, tagged
from .problems import EndpointResponse


def record_response(row: RecordRow, status: int = 200, **more: Any) -> EndpointResponse:
    """Answer with a record, ``more`` fields and its ETag."""
    return tagged(row.version, shown(row.record, **more), status)


def show_record(call: ApiCall, prefix: str) -> EndpointResponse:
    """Answer with the record that the path names by an id with this prefix."""
    return record_response(call.runtime.config.get(call.request.tenant.id, call.thing(prefix)))


def list_records(call: ApiCall, prefix: str) -> EndpointResponse:
    """Answer with a page of the tenant's records whose ids have this prefix."""
    rows = call.runtime.config.list(call.request.tenant.id, prefix, call.position(), call.query.limit + 1)
    return call.listed(ListItem(r.record.id, shown(r.record)) for r in rows)

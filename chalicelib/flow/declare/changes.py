"""Store one change of a tenant's declarations: a record, its ``config_changed`` entry, the wake of held transfers.

Each change: 1 validate, 2 the record, 3 a ``config_changed`` entry with the configuration's hash before and after. A
second try of a request with an idempotency key makes the same ids and finds the records of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core import ids
from ...core.errors import Conflict, Invalid, NotFound, Unavailable
from ...observe import error
from ...store.records import RecordRow
from .. import awaiting
from ..published import publish
from ..request import Request

WAKE_MAX = 200
"""Lanes with held transfers that one change wakes; the others wait for their hour."""


def invalid(loc: str, code: str, text: str) -> Invalid:
    """Return the refusal of one value."""
    return Invalid(text, [{"loc": loc, "code": code, "msg": text}])


def hash_now(request: Request) -> str:
    """Return the hash of the tenant's configuration as it is now."""
    return request.runtime.config.snapshot(request.tenant.id).configuration.hash


def noted(request: Request, thing: str, reason: str, before: str) -> None:
    """Append ``config_changed``, unless the change is part of a profile, which has one entry for all."""
    if request.profile is not None:
        return
    kinds = {
        "tnt": "tenant", "src": "source", "dst": "destination", "rte": "route", "rcp": "recipient", "bas": "basis",
        "swi": "switch",
    }  # fmt: skip
    kind = kinds.get(thing[:3], thing[:3])
    snapshot = request.runtime.config.snapshot(request.tenant.id)
    configuration = snapshot.configuration
    if configuration.hash != snapshot.published:
        publish(request.runtime, snapshot)
        request.runtime.config.mark_published(request.tenant.id, configuration.hash)
    request.note("config_changed", object=(kind, thing), before=before, after=configuration.hash, reason=reason)


def stored(request: Request, record: Any, secrets: Any = None, before: str | None = None) -> RecordRow:
    """Store a new record, or find it where an earlier try of this request stored it.

    Raises:
        Conflict: the id stands for something else.
    """
    before = hash_now(request) if before is None else before
    tenant = request.tenant.id
    if not request.runtime.config.insert(tenant, record, secrets):
        found = request.runtime.config.get(tenant, record.id)
        if found.record != record:
            raise Conflict("an earlier request with this idempotency key made something else; use another key")
    noted(request, record.id, "created", before)
    return request.runtime.config.get(tenant, record.id)


def changed(
    request: Request, row: RecordRow, record: Any, expected: int | None, reason: str, secrets: Any = None
) -> RecordRow:
    """Store a changed record.

    Args:
        expected: the version that the caller saw; None takes the one just read.

    Raises:
        PreconditionFailed: it has changed since.
    """
    before = hash_now(request)
    version = request.runtime.config.replace(
        request.tenant.id, record, row.version if expected is None else expected, secrets
    )
    noted(request, record.id, reason, before)
    return RecordRow(record, version)


def wake_held(request: Request) -> None:
    """Decide held transfers again after a change that may lift them. The change counts even where this fails: lanes that are not
    woken are looked at in their hour.
    """
    lanes: dict[str, None] = {}
    try:
        awaiting.settle(request.runtime, request.tenant.id)
        for lane, _ in request.runtime.data.held(request.tenant.id):
            lanes[lane] = None
            if len(lanes) == WAKE_MAX:
                break
        for lane in lanes:
            request.runtime.data.wake_at(lane, request.runtime.now())
    except Unavailable as fault:
        error("lanes_not_woken", fault, tenant=request.tenant.id)


# Routes


def must_exist(request: Request, record_id: str, prefix: str, loc: str) -> Any:
    """Return a record that another one names.

    Raises:
        Invalid: there is none with this id.
    """
    try:
        if not ids.is_id(record_id, prefix):
            raise NotFound("no such resource")
        return request.runtime.config.get(request.tenant.id, record_id).record
    except NotFound:
        raise invalid(loc, "unknown_id", f"there is no {prefix}_… with this id") from None


def settings_of(record: Any, model: type[Any]) -> dict[str, Any]:
    """Return the declared fields of a record as JSON values, without those that we added."""
    whole: Mapping[str, Any] = record.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in whole.items() if name in model.model_fields}

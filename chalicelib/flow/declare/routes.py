"""Declare, change and delete routes, and refuse a route that could never act."""

from __future__ import annotations

import json

from ...channels import KINDS
from ...core.errors import Conflict, Invalid, Misconfigured
from ...core.event.event import OPERATIONAL
from ...core.pattern.misfits import compile_fitting
from ...core.pattern.redaction import check_redactions
from ...core.tenant.records import (
    Route,
    RouteSettings,
)
from ...store.records import RecordRow
from ..rendering import selects
from ..request import Request
from .changes import changed, hash_now, invalid, must_exist, noted, stored, wake_held

ROUTES_MAX = 10_000
PATTERNS_BYTES_MAX = 4 * 1024 * 1024
"""Of all of a tenant's patterns together. Compiled they take fifty times as much, in functions that serve other tenants too."""


def check_route(request: Request, settings: RouteSettings, stored_pattern: object = None) -> None:
    """Refuse a route that could never act.

    Args:
        stored_pattern: the pattern that the route has. It may name fields that events no longer have: such a route can still
            be disabled.

    Raises:
        Invalid: its pattern, destination, bases, mode, redactions or selection; each with its place.
        Misconfigured: the cell has no public address for its pull links.
    """
    if settings.pattern != stored_pattern:
        compile_fitting(settings.pattern, (*KINDS, OPERATIONAL))
    destination = must_exist(request, settings.destination, "dst", "body.destination")
    for number, basis in enumerate(settings.bases or ()):
        must_exist(request, basis, "bas", f"body.bases.{number}")
    faults = check_redactions([r.document() for r in settings.transform.redact])
    if faults:
        errors = [{"loc": "body.transform.redact", "code": "invalid_redaction", "msg": str(f)} for f in faults]
        raise Invalid("a redaction cannot be done", errors)
    if settings.transform.select is not None:
        _check_select(settings.transform.select, destination.kind)
    if settings.mode == "restrict":
        _check_restrict(request, destination.kind)


def _check_room(request: Request, route_id: str, settings: RouteSettings) -> None:
    routes = request.runtime.config.snapshot(request.tenant.id).configuration.routes
    others = [route.pattern for route in routes.values() if route.id != route_id]
    here = routes.get(route_id)
    if here is not None and len(json.dumps(settings.pattern)) <= len(json.dumps(here.pattern)):
        return
    if here is None and len(others) >= ROUTES_MAX:
        raise Conflict(f"a tenant has at most {ROUTES_MAX} routes: delete some first")
    if sum(len(json.dumps(pattern)) for pattern in (*others, settings.pattern)) > PATTERNS_BYTES_MAX:
        text = f"all patterns of a tenant together are at most {PATTERNS_BYTES_MAX >> 20} MiB: delete routes, or shorten patterns"
        raise Conflict(text)


def _check_select(select: str, kind: str) -> None:
    from ...core.pattern import transform  # loads JMESPath, which few requests need

    transform.compile(select)
    if not selects(kind):
        text = f"destinations of kind {kind} write a form of their own: leave select out"
        raise invalid("body.transform.select", "own_form", text)


def _check_restrict(request: Request, kind: str) -> None:
    if not selects(kind):
        text = f"destinations of kind {kind} write a form of their own, in which no pull link has a place: use another mode"
        raise invalid("body.mode", "own_form", text)
    if not request.runtime.settings.links_url:
        raise Misconfigured("set WAYBILL_HOOKS_URL or WAYBILL_API_URL: pull links name it")


def create_route(request: Request, settings: RouteSettings) -> RecordRow:
    """Declare a route.

    Raises:
        Conflict: the tenant has as many as there may be.
    """
    check_route(request, settings)
    route_id = request.new_id("rte")
    _check_room(request, route_id, settings)
    of = {"id": route_id, "created_at": request.at, "profile": request.profile}
    return stored(request, Route(**dict(settings), **of))


def change_route(request: Request, route_id: str, settings: RouteSettings, expected: int | None) -> RecordRow:
    """Replace a route.

    Raises:
        Conflict: the tenant's patterns are as long as they may be.
    """
    row = request.runtime.config.get(request.tenant.id, route_id)
    check_route(request, settings, row.record.pattern)
    _check_room(request, route_id, settings)
    new = Route(**dict(settings), id=row.record.id, created_at=row.record.created_at)
    row = changed(request, row, new, expected, "changed")
    wake_held(request)
    return row


def delete_route(request: Request, route_id: str) -> None:
    """Delete a route: nothing matches it from now on, and what still waits along it ends with ``no_destination``."""
    request.runtime.config.to_change(request.tenant.id, route_id)
    before = hash_now(request)
    request.runtime.config.delete(request.tenant.id, route_id)
    noted(request, route_id, "removed", before)

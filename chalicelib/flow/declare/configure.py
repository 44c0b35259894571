"""Change a tenant's declarations: the tenant itself, keys, recipients, bases and routes.

Each change: 1 validate, 2 the record, 3 a ``config_changed`` entry with the configuration's hash before and after. A
second try of a request with an idempotency key makes the same ids and finds the records of the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ...core import ids
from ...core.errors import Conflict, Invalid, Misconfigured, NotFound, Unavailable
from ...core.law.bases import NEEDS_LAW
from ...core.pattern.compiler import Pattern
from ...core.pattern.redaction import check_redactions
from ...core.tenant.records import (
    ApiKey,
    Basis,
    BasisSettings,
    KeySettings,
    Recipient,
    RecipientSettings,
    Route,
    RouteSettings,
    Scope,
    Tenant,
    TenantSettings,
)
from ...observe import error
from ...runtime import Runtime
from ...store.config import RecordRow
from ..published import publish
from ..rendering import selects
from ..request import Request
from ..retention.legal_holds import refuse_while_held

WAKE_MAX = 200
"""Lanes with held transfers that one change wakes; the others wait for their hour."""
ROUTES_MAX = 10_000
PATTERNS_BYTES_MAX = 4 * 1024 * 1024
"""Of all of a tenant's patterns together. Compiled they take fifty times as much, in functions that serve other tenants too."""


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
        for lane, _ in request.runtime.data.held(request.tenant.id):
            lanes[lane] = None
            if len(lanes) == WAKE_MAX:
                break
        for lane in lanes:
            request.runtime.data.wake_at(lane, request.runtime.now())
    except Unavailable as fault:
        error("lanes_not_woken", fault, tenant=request.tenant.id)


# Tenants


def create_tenant(
    runtime: Runtime, tenant: Tenant, as_tenant: Callable[[Tenant], Request]
) -> tuple[Tenant, ApiKey, str]:
    """Make a tenant and its first key; return them and the key's secret.

    Args:
        as_tenant: makes the request that acts on the new tenant.
    """
    runtime.config.create_tenant(tenant)
    request = as_tenant(tenant)
    key, secret = create_key(request, KeySettings(name="first key", scopes=("admin",)))
    return tenant, key, secret


def change_tenant(request: Request, settings: TenantSettings, expected: int | None) -> RecordRow:
    """Replace the settings of the tenant.

    Raises:
        PreconditionFailed: it has changed since it was read.
    """
    tenant = request.tenant.model_copy(update=dict(settings))
    if tenant.retention != request.tenant.retention:  # events that live as long as before are there
        request.runtime.lifetimes.use(tenant.id, request.tenant.retention.default_days, tenant.created_at)
    before = hash_now(request)
    version = request.runtime.config.replace_tenant(tenant, request.version if expected is None else expected)
    noted(request, tenant.id, "changed", before)
    wake_held(request)
    return RecordRow(tenant, version)


def close_tenant(request: Request, expected: int | None) -> None:
    """Close the tenant: its keys and sources answer as if they were not there, from then on.

    Raises:
        HoldActive: a legal hold is on something of it.
    """
    if request.tenant.state == "closed":
        return
    refuse_while_held(request.runtime, request.tenant.id)
    before = hash_now(request)
    closed = request.tenant.model_copy(update={"state": "closed"})
    request.runtime.config.replace_tenant(closed, request.version if expected is None else expected)
    request.note("config_changed", object=("tenant", closed.id), before=before, reason="tenant_closed")


# Keys


def create_key(request: Request, settings: KeySettings) -> tuple[ApiKey, str]:
    """Make an API key; return it and its secret, of which only the SHA-256 is stored.

    Raises:
        Invalid: it would have expired already.
    """
    if settings.expires_at is not None and settings.expires_at <= request.at:
        raise invalid("body.expires_at", "in_the_past", "expires_at must be in the future")
    secret = "wb_" + ids.encode(int.from_bytes(request.bytes_for("secret"), "big"), 52)
    key = ApiKey(**dict(settings), id=request.new_id("key"), created_at=request.at)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = key.model_copy(update={"secret_sha256": digest})
    stored(request, key)
    request.runtime.config.insert_lookup(f"hash#{digest}", request.tenant.id, key.id)
    return key, secret


def delete_key(request: Request, key_id: str) -> None:
    """Delete a key: it opens nothing from the next request on.

    Raises:
        Conflict: it is the last one that can make keys.
    """
    config, tenant = request.runtime.config, request.tenant.id
    key: ApiKey = config.to_delete(tenant, key_id).record
    admins = [r.record.id for r in config.list(tenant, "key") if admin_at(r.record, request)]
    if admins == [key.id]:
        raise Conflict("this is the last key with the scope admin; make another one first")
    before = hash_now(request)
    config.delete_lookup(f"hash#{key.secret_sha256}")
    config.delete(tenant, key.id)
    noted(request, key.id, "removed", before)


def admin_at(key: ApiKey, request: Request) -> bool:
    """Say whether a key can make keys now."""
    admin: Scope = "admin"
    return admin in key.scopes and (key.expires_at is None or key.expires_at > request.at)


# Recipients


def _granted(settings: RecipientSettings, request: Request, earlier: Recipient | None) -> dict[str, Any]:
    if not settings.granted:
        return {"granted_at": None, "granted_by": None}
    if earlier is not None and earlier.granted:
        return {"granted_at": earlier.granted_at, "granted_by": earlier.granted_by}
    return {"granted_at": request.at, "granted_by": request.actor[1]}


def create_recipient(request: Request, settings: RecipientSettings) -> RecordRow:
    """Declare a recipient."""
    more = _granted(settings, request, None)
    of = {"id": request.new_id("rcp"), "created_at": request.at, "profile": request.profile}
    row = stored(request, Recipient(**dict(settings), **more, **of))
    wake_held(request)
    return row


def replace_recipient(
    request: Request, recipient_id: str, settings: RecipientSettings, expected: int | None
) -> RecordRow:
    """Declare a new version of a recipient; the earlier ones are kept."""
    row = request.runtime.config.get(request.tenant.id, recipient_id)
    old: Recipient = row.record
    request.runtime.config.keep_version(request.tenant.id, old)
    new = Recipient(
        **dict(settings),
        **_granted(settings, request, old),
        id=old.id,
        version=old.version + 1,
        created_at=old.created_at,
    )
    row = changed(request, row, new, expected, "changed")
    wake_held(request)
    return row


# Bases


def create_basis(request: Request, settings: BasisSettings) -> RecordRow:
    """Declare evidence for a ground.

    Raises:
        Invalid: the recipient or the law does not exist, or no law is named for a kind that needs one.
    """
    laws = sorted(file.code for file in request.runtime.law.files)
    if settings.law is None and settings.kind in NEEDS_LAW:
        text = f"a record of the kind {settings.kind.value} counts under the law that it names alone: use one of"
        raise invalid("body.law", "missing", f"{text} {', '.join(laws)}")
    if settings.law is not None and settings.law not in laws:
        raise invalid("body.law", "unknown_law", f"use null or one of: {', '.join(laws)}")
    if settings.recipient is not None and settings.recipient not in _other_hops(request):
        must_exist(request, settings.recipient, "rcp", "body.recipient")
    of = {"id": request.new_id("bas"), "created_at": request.at, "profile": request.profile}
    row = stored(request, Basis(**dict(settings), **of))
    wake_held(request)
    return row


def _other_hops(request: Request) -> set[str]:
    """Return the values that a record may be bound to besides recipients: the home store, and onward parties."""
    recipients = request.runtime.config.snapshot(request.tenant.id).configuration.recipients.values()
    return {"store", *(party.id for recipient in recipients for party in recipient.onward or ())}


def withdraw_basis(request: Request, basis_id: str) -> RecordRow:
    """Withdraw a basis; a second withdrawal finds the first. Deliveries that rest on it stop at their next decision."""
    row = request.runtime.config.get(request.tenant.id, basis_id)
    if row.record.withdrawn_at is not None:
        request.runtime.config.count_again(request.tenant.id)
        return row
    before = hash_now(request)
    withdrawn = row.record.model_copy(update={"withdrawn_at": request.at})
    basis = request.runtime.config.withdraw(request.tenant.id, withdrawn)
    noted(request, basis.id, "withdrawal", before)
    return RecordRow(basis, row.version)


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


def check_route(request: Request, settings: RouteSettings) -> None:
    """Refuse a route that could never act.

    Raises:
        Invalid: its pattern, destination, bases, mode, redactions or selection; each with its place.
        Misconfigured: the cell has no public address for its pull links.
    """
    Pattern.compile(settings.pattern)
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
    check_route(request, settings)
    _check_room(request, route_id, settings)
    new = Route(**dict(settings), id=row.record.id, created_at=row.record.created_at)
    row = changed(request, row, new, expected, "changed")
    wake_held(request)
    return row


def delete_route(request: Request, route_id: str) -> None:
    """Delete a route: nothing matches it from now on, and what still waits along it ends with ``no_destination``."""
    request.runtime.config.to_delete(request.tenant.id, route_id)
    before = hash_now(request)
    request.runtime.config.delete(request.tenant.id, route_id)
    noted(request, route_id, "removed", before)


def settings_of(record: Any, model: type[Any]) -> dict[str, Any]:
    """Return the declared fields of a record as JSON values, without those that we added."""
    whole: Mapping[str, Any] = record.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in whole.items() if name in model.model_fields}

"""``/v1/tenants`` for the operator, and ``/v1/tenant`` for the tenant itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core import times
from ..core.errors import Conflict, Invalid
from ..core.tenant.legal_holds import HoldActive
from ..core.tenant.records import Tenant, TenantSettings
from ..flow.declare import changes
from ..flow.declare import tenants as tenants_flow
from ..flow.jobs import key_rotation
from ..flow.pagination import ListItem
from ..flow.request import Request
from ..store.keys import MasterKey
from ..store.records import RecordRow
from .bodies import checked_value, merge
from .endpoint import ApiCall, ListQuery, Resource, Schema, new_tenant_id, shown, tagged
from .jobs import ShownJob
from .jobs import shown as shown_job
from .keys import NewKey
from .problems import EndpointResponse

tenants = Resource("tenants", "Tenants")
own = Resource("tenant", "Own tenant")


class NewTenant(Schema):
    """A tenant and its first API key."""

    tenant: Tenant
    key: NewKey


class TenantKey(Schema):
    """The newest version of a tenant's master key. It encrypts from ``active_at`` on; earlier versions stay readable.

    No version before ``wraps_from`` wraps a data key of a person or a secret. ``job`` wraps them under the newest version.
    """

    version: int
    active_at: str
    wraps_from: int
    job: ShownJob | None


def _shown_key(call: ApiCall, tenant: Tenant, key: MasterKey) -> EndpointResponse:
    job = call.runtime.jobs.get(tenant.id, key.job, call.runtime.now()) if key.job is not None else None
    body = {
        "version": key.version,
        "active_at": times.text(key.active_at or tenant.created_at),
        "wraps_from": key.wraps_from,
        "job": shown_job(call, job) if job is not None else None,
    }
    return EndpointResponse(200, body)


def _merged(row_tenant: Tenant, patch: dict[str, Any]) -> TenantSettings:
    document = merge(changes.settings_of(row_tenant, TenantSettings), patch)
    settings: TenantSettings = checked_value(TenantSettings, document)
    return settings


@tenants.endpoint(
    "POST",
    "/v1/tenants",
    operation_id="create_tenant",
    scope="operator",
    body=TenantSettings,
    answer=NewTenant,
    status=201,
    etag=True,
)
def create(call: ApiCall) -> EndpointResponse:
    """Create a tenant and its first API key.

    The secret of the key is shown only in this answer. The key has the scope ``admin``.
    """
    tenant = Tenant(**dict(call.body), id=new_tenant_id(call), created_at=call.at)

    def as_tenant(made: Tenant) -> Request:
        return call.for_tenant(RecordRow(made, 1))

    tenant, key, secret = tenants_flow.create_tenant(call.runtime, tenant, as_tenant)
    return tagged(1, {"tenant": shown(tenant), "key": {**shown(key), "secret": secret}}, 201)


@tenants.endpoint(
    "GET", "/v1/tenants", operation_id="list_tenants", scope="operator", query=ListQuery, answer=Tenant, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenants of the cell, oldest first."""

    def steps() -> Iterator[ListItem]:
        for tenant in call.runtime.config.tenants(call.position()):
            yield ListItem(tenant, shown(call.runtime.config.tenant(tenant).record))

    return call.listed(steps())


@tenants.endpoint("GET", "/v1/tenants/{id}", operation_id="get_tenant", scope="operator", answer=Tenant, etag=True)
def show(call: ApiCall) -> EndpointResponse:
    """Get a tenant."""
    row = call.runtime.config.tenant(call.thing("tnt"))
    return tagged(row.version, shown(row.record))


@tenants.endpoint(
    "PATCH",
    "/v1/tenants/{id}",
    operation_id="update_tenant",
    scope="operator",
    body=TenantSettings,
    merges=True,
    answer=Tenant,
    etag=True,
    matches=True,
)
def change(call: ApiCall) -> EndpointResponse:
    """Change the settings of a tenant."""
    row = call.runtime.config.tenant(call.thing("tnt"))
    row = tenants_flow.change_tenant(call.for_tenant(row), _merged(row.record, call.body), call.expected)
    return tagged(row.version, shown(row.record))


@tenants.endpoint(
    "DELETE",
    "/v1/tenants/{id}",
    operation_id="close_tenant",
    scope="operator",
    status=204,
    matches=True,
    raises=(HoldActive,),
)
def close(call: ApiCall) -> EndpointResponse:
    """Close a tenant.

    Its API keys stop working and its sources answer 404. A legal hold prevents this.
    """
    row = call.runtime.config.tenant(call.thing("tnt"))
    tenants_flow.close_tenant(call.for_tenant(row), call.expected)
    return EndpointResponse(204)


@tenants.endpoint(
    "POST",
    "/v1/tenants/{id}/key/rotate",
    operation_id="rotate_tenant_key",
    scope="operator",
    answer=TenantKey,
    raises=(Conflict,),
)
def rotate_key(call: ApiCall) -> EndpointResponse:
    """Rotate the master key of a tenant.

    Data that is encrypted under earlier versions stays readable. A job wraps data keys and secrets under the new version.
    """
    row = call.runtime.config.tenant(call.thing("tnt"))
    return _shown_key(call, row.record, key_rotation.begin(call.for_tenant(row)))


@tenants.endpoint(
    "GET",
    "/v1/tenants/{id}/key",
    operation_id="get_tenant_key",
    scope="operator",
    answer=TenantKey,
)
def show_key(call: ApiCall) -> EndpointResponse:
    """Get the newest version of a tenant's master key, and the progress of its rotation.

    No key material is shown.
    """
    row = call.runtime.config.tenant(call.thing("tnt"))
    return _shown_key(call, row.record, call.runtime.keys.newest(row.record.id))


@own.endpoint("GET", "/v1/tenant", operation_id="get_own_tenant", scope="read", answer=Tenant, etag=True)
def show_own(call: ApiCall) -> EndpointResponse:
    """Get the tenant of the API key."""
    return tagged(call.request.version, shown(call.request.tenant))


@own.endpoint(
    "PATCH",
    "/v1/tenant",
    operation_id="update_own_tenant",
    scope="admin",
    body=TenantSettings,
    merges=True,
    answer=Tenant,
    etag=True,
    matches=True,
)
def change_own(call: ApiCall) -> EndpointResponse:
    """Change the settings of the API key's tenant.

    Only the operator can change the edition.
    """
    settings = _merged(call.request.tenant, call.body)
    if settings.edition != call.request.tenant.edition:
        text = "the edition is changed by the operator"
        raise Invalid(text, [{"loc": "body.edition", "code": "fixed", "msg": text}])
    row = tenants_flow.change_tenant(call.request, settings, call.expected)
    return tagged(row.version, shown(row.record))


RESOURCES = (tenants, own)

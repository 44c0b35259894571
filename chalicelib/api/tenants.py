"""``/v1/tenants`` for the operator, ``/v1/tenant`` and ``/v1/keys`` for the tenant itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.errors import Invalid
from ..core.event.event import Time
from ..core.tenant.records import ApiKey, KeySettings, Tenant, TenantSettings
from ..flow.declare import configure
from ..flow.pagination import Listed
from ..flow.request import Request
from ..store.config import RecordRow
from .bodies import merge
from .endpoint import ApiCall, ListQuery, Resource, Schema, checked_value, new_tenant_id, shown, tagged
from .problems import EndpointResponse

tenants = Resource("tenants")
own = Resource("tenant")
keys = Resource("keys")


class ShownKey(KeySettings):
    """A key."""

    id: str
    created_at: Time


class NewKey(ShownKey):
    """A key with its secret, which is shown once."""

    secret: str


class NewTenant(Schema):
    """A tenant and its first key."""

    tenant: Tenant
    key: NewKey


def _key(key: ApiKey) -> dict[str, Any]:
    return shown(key)


def _merged(row_tenant: Tenant, patch: dict[str, Any]) -> TenantSettings:
    document = merge(configure.settings_of(row_tenant, TenantSettings), patch)
    settings: TenantSettings = checked_value(TenantSettings, document)
    return settings


@tenants.endpoint("POST", "/v1/tenants", scope="operator", body=TenantSettings, answer=NewTenant, status=201)
def create(call: ApiCall) -> EndpointResponse:
    """Make a tenant and its first key."""
    tenant = Tenant(**dict(call.body), id=new_tenant_id(call), created_at=call.at)

    def as_tenant(made: Tenant) -> Request:
        return call.for_tenant(RecordRow(made, 1))

    tenant, key, secret = configure.create_tenant(call.runtime, tenant, as_tenant)
    return tagged(1, {"tenant": shown(tenant), "key": {**_key(key), "secret": secret}}, 201)


@tenants.endpoint("GET", "/v1/tenants", scope="operator", query=ListQuery, answer=Tenant, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the cell's tenants, in order of their making."""

    def steps() -> Iterator[Listed]:
        for tenant in call.runtime.config.tenants(call.position()):
            yield Listed(tenant, shown(call.runtime.config.tenant(tenant).record))

    return call.listed(steps())


@tenants.endpoint("GET", "/v1/tenants/{id}", scope="operator", answer=Tenant)
def show(call: ApiCall) -> EndpointResponse:
    """Show a tenant."""
    row = call.runtime.config.tenant(call.thing("tnt"))
    return tagged(row.version, shown(row.record))


@tenants.endpoint("PATCH", "/v1/tenants/{id}", scope="operator", body=TenantSettings, merges=True, answer=Tenant)
def change(call: ApiCall) -> EndpointResponse:
    """Change what is declared of a tenant."""
    row = call.runtime.config.tenant(call.thing("tnt"))
    row = configure.change_tenant(call.for_tenant(row), _merged(row.record, call.body), call.expected)
    return tagged(row.version, shown(row.record))


@tenants.endpoint("DELETE", "/v1/tenants/{id}", scope="operator", status=204)
def close(call: ApiCall) -> EndpointResponse:
    """Close a tenant: its keys and sources answer as if they were not there."""
    row = call.runtime.config.tenant(call.thing("tnt"))
    configure.close_tenant(call.for_tenant(row), call.expected)
    return EndpointResponse(204)


@own.endpoint("GET", "/v1/tenant", scope="read", answer=Tenant)
def show_own(call: ApiCall) -> EndpointResponse:
    """Show the key's own tenant."""
    return tagged(call.request.version, shown(call.request.tenant))


@own.endpoint("PATCH", "/v1/tenant", scope="admin", body=TenantSettings, merges=True, answer=Tenant)
def change_own(call: ApiCall) -> EndpointResponse:
    """Change what is declared of the key's own tenant; its edition is the operator's to change."""
    settings = _merged(call.request.tenant, call.body)
    if settings.edition != call.request.tenant.edition:
        text = "the edition is changed by the operator"
        raise Invalid(text, [{"loc": "body.edition", "code": "fixed", "msg": text}])
    row = configure.change_tenant(call.request, settings, call.expected)
    return tagged(row.version, shown(row.record))


@keys.endpoint("POST", "/v1/keys", scope="admin", body=KeySettings, answer=NewKey, status=201)
def create_key(call: ApiCall) -> EndpointResponse:
    """Make an API key; its secret is shown once."""
    key, secret = configure.create_key(call.request, call.body)
    return tagged(1, {**_key(key), "secret": secret}, 201)


@keys.endpoint("GET", "/v1/keys", scope="admin", query=ListQuery, answer=ShownKey, listed=True)
def index_keys(call: ApiCall) -> EndpointResponse:
    """List the tenant's keys."""
    rows = call.runtime.config.list(call.request.tenant.id, "key", call.position(), call.query.limit + 1)
    return call.listed(Listed(r.record.id, _key(r.record)) for r in rows)


@keys.endpoint("GET", "/v1/keys/{id}", scope="admin", answer=ShownKey)
def show_key(call: ApiCall) -> EndpointResponse:
    """Show a key."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("key"))
    return tagged(row.version, _key(row.record))


@keys.endpoint("DELETE", "/v1/keys/{id}", scope="admin", status=204)
def delete_key(call: ApiCall) -> EndpointResponse:
    """Delete a key: it opens nothing from the next request on."""
    configure.delete_key(call.request, call.thing("key"))
    return EndpointResponse(204)


RESOURCES = (tenants, own, keys)

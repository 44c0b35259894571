"""Create, change and close a tenant."""

from __future__ import annotations

from collections.abc import Callable

from ...core.tenant.records import (
    ApiKey,
    KeySettings,
    Tenant,
    TenantSettings,
)
from ...runtime import Runtime
from ...store.records import RecordRow
from ..request import Request
from ..retention.legal_holds import refuse_while_held
from .changes import hash_now, noted, wake_held
from .keys import create_key

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

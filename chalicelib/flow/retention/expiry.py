"""Expiry: end the records of each tenant whose life is over, then people without data left (``people``).

TTL deletes events. Readers filter expired rows themselves, so a late run exposes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from ...core.errors import WaybillError
from ...core.tenant.records import Tenant
from ...observe import count, error
from ...runtime import Runtime
from .. import awaiting
from . import people, warnings


def handle(runtime: Runtime, tenants: Iterable[Tenant], left_s: Callable[[], float]) -> None:
    """End what is over, tenant by tenant, and then people, while there is time."""
    now = runtime.now()
    for tenant in tenants:
        if left_s() <= 0:
            count("expiry_late")
            return
        try:
            _secure(runtime, tenant.id, now)
            if tenant.state == "active":
                _settle_and_warn(runtime, tenant.id, now)
        except Exception as fault:  # noqa: BLE001  (one tenant's fault is not another's)
            error("expiry_failed", fault, tenant=tenant.id)
            count("expiry_failed")
    people.handle(runtime, left_s)


def _secure(runtime: Runtime, tenant: str, now: datetime) -> None:
    """Begin the walks of holds that have none: a process died before it began one, or an earlier release placed the hold."""
    unsecured = [hold for hold in runtime.legal_holds.standing(tenant) if hold.secured_at is None]
    for hold in unsecured:
        runtime.hold_walks.begin(tenant, hold.id, "secure", now)


def _settle_and_warn(runtime: Runtime, tenant: str, now: datetime) -> None:
    try:
        awaiting.settle(runtime, tenant)
        warnings.tell(runtime, tenant, now)
    except WaybillError as fault:  # the next hour completes it; what else is over does not wait for that
        error("tenant_not_warned", fault, tenant=tenant)

"""The source of a tenant's operational events: events of the cell about destinations and its own work.

Every tenant has this source without declaring it: it follows from the tenant's record. It has no hook.
"""

from __future__ import annotations

from ..event.event import OPERATIONAL
from ..ids import derived
from .records import Source, Tenant


def source_id(tenant: str) -> str:
    """Name the operational source of a tenant."""
    return derived("src", tenant, OPERATIONAL)


def source_of(tenant: Tenant) -> Source:
    """Return the operational source: its events have no subject, and are the controller's own."""
    return Source(
        id=source_id(tenant.id),
        channel=OPERATIONAL,
        name="Waybill",
        subject_country=tenant.controller.country,
        special=(),
        created_at=tenant.created_at,
    )

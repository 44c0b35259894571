"""Lifetimes: when an event and its waiting deliveries end."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..tenant.records import Source, Tenant

AFTER_EXPIRY = timedelta(days=2)
"""How long a waiting row outlives its event in the table, so that its end is written before the table forgets it."""


def expires_at(tenant: Tenant, source: Source, received_at: datetime) -> datetime:
    """Return the end of an event's life: receipt plus the source's retention, else the tenant's."""
    return received_at + timedelta(days=source.retention_days or tenant.retention.default_days)


def hold_ends_at(tenant: Tenant, held_since: datetime, event_expires_at: datetime) -> datetime:
    """Return when a held transfer stops waiting: as the tenant declares it now, and never after its event's life."""
    return min(held_since + timedelta(hours=tenant.hold_hours), event_expires_at)

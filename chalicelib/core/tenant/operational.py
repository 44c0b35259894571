"""The source of a tenant's operational events: events of the cell about destinations and its own work.

Every tenant has this source without declaring it: it follows from the tenant's record. It has no hook.
"""

from __future__ import annotations

from .. import times
from ..event.event import OPERATIONAL
from ..ids import derived
from ..law.bases import BasisDocuments
from .records import Source, Tenant

_OWN_CONTRACT = "sha256:00"
"""Stands for the hash of our contract with a tenant: no rule reads more of it than that there is one."""


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


def with_own_records(channel: str | None, tenant: Tenant, bases: BasisDocuments) -> BasisDocuments:
    """Add our contract with the tenant to the bases of an operational event, so that it can say that another record is missing.

    Such an event holds no personal datum. The contract is the ground and the instruction for informing the tenant.
    """
    if channel != OPERATIONAL:
        return bases
    since = times.text(tenant.created_at)[:10]
    own = {"law": None, "recipient": None, "valid_from": since, "valid_until": None, "evidence": _OWN_CONTRACT}
    return BasisDocuments(
        (*bases, *({"id": f"own_{kind}", "kind": kind, **own} for kind in ("contract", "instruction")))
    )

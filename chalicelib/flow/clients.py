"""The clients that a destination kind sends through: with the destination's memory, and paced by its vendor's limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.envelope import TenantKeys
from ..core.tenant.records import Destination
from ..destinations import of_kind
from ..destinations.base import SendingClients
from ..runtime import Runtime
from ..store.memory import DestinationMemory
from .pacing import WAIT_MAX_S, AccountLimit, AccountPace

INTEGRATIONS = "integrations"
"""The name of a tenant's memory that all its destinations share."""


def clients_of(
    runtime: Runtime,
    tenant: str,
    keys: TenantKeys,
    destination: Destination,
    limits: Sequence[AccountLimit],
    *,
    admitted: bool = False,
    within_s: float = WAIT_MAX_S,
) -> SendingClients:
    """Return the clients for one attempt.

    Args:
        limits: the destination's limits at its vendor.
        admitted: the attempt has taken the turns of its first call.
        within_s: how long the calls may wait for their turns.
    """
    clients = runtime.destination_clients
    if limits:
        clients = replace(clients, pace=AccountPace(runtime, tenant, limits, admitted=admitted, within_s=within_s))
    if not of_kind(destination.kind).CAPABILITIES.memory:
        return clients
    memory, integrations = (
        DestinationMemory(runtime.data.table, keys, tenant, of, runtime.now, runtime.random)
        for of in (destination.id, INTEGRATIONS)
    )
    return replace(clients, memory=memory, integrations=integrations)

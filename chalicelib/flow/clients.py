"""The clients that a destination kind sends through, with the destination's memory for kinds that ask for one."""

from __future__ import annotations

from dataclasses import replace

from ..core.envelope import TenantKeys
from ..core.tenant.records import Destination
from ..destinations import of_kind
from ..destinations.base import SendingClients
from ..runtime import Runtime
from ..store.memory import DestinationMemory


def clients_of(runtime: Runtime, tenant: str, keys: TenantKeys, destination: Destination) -> SendingClients:
    """Return the clients for one attempt; with the destination's memory where its kind uses one."""
    clients = runtime.destination_clients
    if not of_kind(destination.kind).CAPABILITIES.memory:
        return clients
    memory = DestinationMemory(runtime.data.table, keys, tenant, destination.id, runtime.now, runtime.random)
    return replace(clients, memory=memory)

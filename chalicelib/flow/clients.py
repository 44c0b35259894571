"""What a destination's kind sends through: the process's clients, and for kinds that ask for it the destination's memory."""

from __future__ import annotations

from dataclasses import replace

from ..core.sealing import TenantKeys
from ..core.tenant import Destination
from ..destinations import of_kind
from ..destinations.base import Clients
from ..shell import Shell
from ..store.memory import DestinationMemory


def clients_of(shell: Shell, tenant: str, keys: TenantKeys, destination: Destination) -> Clients:
    """Return the clients for one attempt; of a module that says ``MEMORY = True`` with what is remembered there."""
    clients = shell.destination_clients
    if not getattr(of_kind(destination.kind), "MEMORY", False):
        return clients
    memory = DestinationMemory(shell.data.table, keys, tenant, destination.id, shell.now, shell.random)
    return replace(clients, memory=memory)

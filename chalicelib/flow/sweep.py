"""Sweep: each hour, end what TTL alone may not.

What waits in lanes ends when its lane is looked at, which is at least once a day, so that no end depends on this job. A
closed tenant ends here: its master key and all it declared are deleted, which leaves every copy of its content, in
backups and queues too, unreadable.
"""

from __future__ import annotations

from ..core import audit, times
from ..observe import count, info
from ..shell import Shell
from .dirty import tell

UNTIL_S = 500


def handle(shell: Shell) -> int:
    """Erase closed tenants. Return how many."""
    started = shell.monotonic()
    erased = 0
    for tenant in list(shell.config.tenants()):
        if shell.monotonic() - started > UNTIL_S:
            break
        if shell.config.tenant(tenant).record.state == "closed":
            _erase(shell, tenant)
            erased += 1
    tell(shell)
    if erased:
        count("tenants_erased", erased)
    return erased


def _erase(shell: Shell, tenant: str) -> None:
    """1 the entry, 2 what the tenant declared and its key. A crash between them is completed by the next run."""
    now = shell.now()
    created_at = shell.config.tenant(tenant).record.created_at
    entry = audit.act(
        "erased",
        tenant=tenant,
        minute=times.minute(created_at),
        at=now,
        actor=("service", "sweep"),
        request=f"close:{tenant}",
        object=("tenant", tenant),
        reason="tenant_closed",
    )
    shell.audit.append(entry)
    shell.config.erase_tenant(tenant)
    info("tenant_erased", tenant=tenant)

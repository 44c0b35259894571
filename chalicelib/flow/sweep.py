"""Sweep: each hour, end what is over (``expiry``), and find what waits too long to be sealed.

What waits in lanes ends when its lane is looked at, which is at least once a day, so that no end depends on this job. A
closed tenant ends here: its master key and all it declared are deleted, which leaves every copy of its content, in
backups and queues too, unreadable. No tenant ends while a legal hold stands.
"""

from __future__ import annotations

import hashlib

from ..core import audit, times
from ..core.errors import AuditBroken, NotFound
from ..core.tenant import Tenant
from ..observe import count, error, info, warning
from ..shell import Shell
from . import expiry
from .dirty import tell
from .reconcile import due, reconcile, tell_all

UNTIL_S = 500
EXPIRY_UNTIL_S = 350
"""Of a run, so that time is left to reconcile."""


def handle(shell: Shell) -> int:
    """Erase closed tenants, end what is over, and reconcile the logs of those whose hour it is.

    Return how many tenants were erased.
    """
    started = shell.monotonic()
    erased, now = 0, shell.now()
    living: list[Tenant] = []
    failed: Exception | None = None
    for tenant in list(shell.config.tenants()):
        if shell.monotonic() - started > UNTIL_S:
            break
        try:
            erased += _looked_at(shell, tenant, living)
        except Exception as fault:  # noqa: BLE001  (one tenant's fault is not another's)
            error("tenant_not_looked_at", fault, tenant=tenant)
            failed = failed or fault
    # Each hour in another order: who has to wait when there is more than one run can do is not always the same.
    living.sort(key=lambda one: hashlib.sha256(f"{one.id}{now:%Y%m%d%H}".encode()).digest())
    expiry.handle(shell, living, lambda: EXPIRY_UNTIL_S - (shell.monotonic() - started))
    tell(shell)
    for record in (one for one in living if due(one.id, now)):
        if shell.monotonic() - started > UNTIL_S:
            count("reconciliations_late")
            break
        try:
            reconcile(shell, record)
        except Exception as fault:  # noqa: BLE001  (one log's fault is not another's)
            error("reconciliation_failed", fault, tenant=record.id)
            count("audit_broken" if isinstance(fault, AuditBroken) else "reconciliations_failed")
    if erased:
        count("tenants_erased", erased)
    if failed is not None:
        raise failed  # once the others have had their turn: this is to be seen
    return erased


def _looked_at(shell: Shell, tenant: str, living: list[Tenant]) -> bool:
    """Note a tenant that lives; erase one that is closed, unless it is held. Return whether it is gone with that."""
    try:
        record = shell.config.tenant(tenant).record
    except NotFound:
        # A process died when it had deleted the record, but not yet its place in the directory.
        shell.config.erase_tenant(tenant)
        return True
    if record.state != "closed":
        living.append(record)
    elif shell.legal_holds.standing(tenant):
        warning("tenant_held", tenant=tenant)
    elif shell.lifetimes.to_look_at(tenant)[1]:
        living.append(record)  # what a released hold has kept is in no table's own expiry: first that is ended
    else:
        _erase(shell, record)
        return True
    return False


def _erase(shell: Shell, record: Tenant) -> None:
    """1 the entry, 2 the sealer is told, 3 what the tenant declared and its key. A crash is completed by the next run."""
    tenant, now = record.id, shell.now()
    entry = audit.act(
        "erased",
        tenant=tenant,
        minute=times.minute(record.created_at),
        at=now,
        actor=("service", "sweep"),
        request=f"close:{tenant}",
        object=("tenant", tenant),
        reason="tenant_closed",
    )
    shell.audit.append(entry)
    tell(shell)
    tell_all(shell, tenant, now)
    for row in shell.config.list(tenant, "dst"):
        shell.health.let_go(tenant, row.record.id, now)
    shell.consents.erase(tenant)
    shell.lifetimes.erased(tenant)
    shell.intervals.erase(tenant)
    shell.config.erase_tenant(tenant)
    info("tenant_erased", tenant=tenant)

"""Sweep: each hour, end what is over (``expiry``), and find what waits too long to be sealed.

What waits in lanes ends when its lane is looked at, which is at least once a day, so that no end depends on this job. A
closed tenant ends here: its master key and all it declared are deleted, which leaves every copy of its content, in
backups and queues too, unreadable. No tenant ends while a legal hold stands.
"""

from __future__ import annotations

import hashlib

from ...core import times
from ...core.errors import AuditBroken, NotFound
from ...core.log import audit
from ...core.tenant.records import Tenant
from ...observe import count, error, info, warning
from ...runtime import Runtime
from ..seal_requests import notify_sealer
from ..sealing.reconcile import due, reconcile, tell_all
from . import expiry

UNTIL_S = 500
EXPIRY_UNTIL_S = 350
"""Of a run, so that time is left to reconcile."""


def handle(runtime: Runtime) -> int:
    """Erase closed tenants, end what is over, and reconcile the logs of those whose hour it is.

    Return how many tenants were erased.
    """
    started = runtime.monotonic()
    erased, now = 0, runtime.now()
    living: list[Tenant] = []
    failed: Exception | None = None
    for tenant in list(runtime.config.tenants()):
        if runtime.monotonic() - started > UNTIL_S:
            break
        try:
            erased += _looked_at(runtime, tenant, living)
        except Exception as fault:  # noqa: BLE001  (one tenant's fault is not another's)
            error("tenant_not_looked_at", fault, tenant=tenant)
            failed = failed or fault
    # Each hour in another order: who has to wait when there is more than one run can do is not always the same.
    living.sort(key=lambda one: hashlib.sha256(f"{one.id}{now:%Y%m%d%H}".encode()).digest())
    expiry.handle(runtime, living, lambda: EXPIRY_UNTIL_S - (runtime.monotonic() - started))
    notify_sealer(runtime)
    for record in (one for one in living if due(one.id, now)):
        if runtime.monotonic() - started > UNTIL_S:
            count("reconciliations_late")
            break
        try:
            reconcile(runtime, record)
        except Exception as fault:  # noqa: BLE001  (one log's fault is not another's)
            error("reconciliation_failed", fault, tenant=record.id)
            count("audit_broken" if isinstance(fault, AuditBroken) else "reconciliations_failed")
    if erased:
        count("tenants_erased", erased)
    if failed is not None:
        raise failed  # once the others have had their turn: this is to be seen
    return erased


def _looked_at(runtime: Runtime, tenant: str, living: list[Tenant]) -> bool:
    """Note a tenant that lives; erase one that is closed, unless it is held. Return whether it is gone with that."""
    try:
        record = runtime.config.tenant(tenant).record
    except NotFound:
        # A process died when it had deleted the record, but not yet its place in the directory.
        runtime.config.erase_tenant(tenant)
        return True
    if record.state != "closed":
        living.append(record)
    elif runtime.legal_holds.standing(tenant):
        warning("tenant_held", tenant=tenant)
    elif runtime.lifetimes.to_look_at(tenant)[1]:
        living.append(record)  # what a released hold has kept is in no table's own expiry: first that is ended
    else:
        _erase(runtime, record)
        return True
    return False


def _erase(runtime: Runtime, record: Tenant) -> None:
    """1 the entry, 2 the sealer is told, 3 what the tenant declared and its key. A crash is completed by the next run."""
    tenant, now = record.id, runtime.now()
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
    runtime.audit.append(entry)
    notify_sealer(runtime)
    tell_all(runtime, tenant, now)
    for row in runtime.config.list(tenant, "dst"):
        runtime.destination_state.let_go(tenant, row.record.id, now)
    runtime.consents.erase(tenant)
    runtime.lifetimes.erased(tenant)
    runtime.off_record_intervals.erase(tenant)
    runtime.config.erase_tenant(tenant)
    info("tenant_erased", tenant=tenant)

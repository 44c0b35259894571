"""Sweep: each hour, end records whose life is over (``expiry``), and find entries that wait too long for their seal.

People end every five minutes, as there may be millions an hour.

Waiting deliveries end when their lane is looked at, at least once a day, so that no end depends on this job. A closed
tenant ends here: its master key and all declarations are deleted, which leaves every copy of its content, in backups and
queues too, unreadable. No tenant ends while a legal hold stands.
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
from . import expiry, leftovers, people

UNTIL_S = 500
EXPIRY_UNTIL_S = 350
"""Of a run, so that time is left to reconcile."""
PEOPLE_UNTIL_S = 270
"""Of a run for people only: the next one begins five minutes after it."""


def handle(runtime: Runtime) -> int:
    """Erase closed tenants, end expired records, and reconcile the logs of those tenants whose hour it is.

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
    # Another order each hour: when there is more than one run can do, it is not always the same tenants that wait.
    living.sort(key=lambda one: hashlib.sha256(f"{one.id}{now:%Y%m%d%H}".encode()).digest())
    expiry.handle(runtime, living, lambda: EXPIRY_UNTIL_S - (runtime.monotonic() - started))
    from . import subscription_checks  # loads the platforms, as below

    subscription_checks.handle(runtime, living, lambda: EXPIRY_UNTIL_S - (runtime.monotonic() - started))
    if runtime.settings.contents_bucket:
        from . import objects

        objects.handle(runtime, lambda: EXPIRY_UNTIL_S - (runtime.monotonic() - started))
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
    leftovers.handle(runtime, lambda: UNTIL_S - (runtime.monotonic() - started))
    if erased:
        count("tenants_erased", erased)
    if failed is not None:
        raise failed  # raise once the other tenants have had their turn, so that the failure shows
    return erased


def handle_people(runtime: Runtime) -> None:
    """End people whose time has come."""
    started = runtime.monotonic()
    people.handle(runtime, lambda: PEOPLE_UNTIL_S - (runtime.monotonic() - started))
    notify_sealer(runtime)


def _looked_at(runtime: Runtime, tenant: str, living: list[Tenant]) -> bool:
    """Note a tenant that lives; erase one that is closed, unless it is held. Return whether it is gone with that."""
    try:
        record = runtime.config.tenant(tenant).record
    except NotFound:
        # A process died when it had deleted the record, but not yet its place in the directory.
        runtime.config.erase_tenant(tenant)
        return True
    people.take_over(runtime, tenant, runtime.now())
    if record.state != "closed":
        living.append(record)
    elif runtime.legal_holds.standing(tenant):
        warning("tenant_held", tenant=tenant)
    elif not runtime.hold_walks.of_tenant(tenant):  # content of a released legal hold gets its TTL back first
        _erase(runtime, record)
        return True
    return False


def _erase(runtime: Runtime, record: Tenant) -> None:
    """1 append the entry, 2 notify the sealer, 3 delete the tenant's declarations and key. The next run completes a crash."""
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
    for destination in runtime.config.ids(tenant, "dst"):
        runtime.destination_state.let_go(tenant, destination, now)
    runtime.consents.erase(tenant)
    runtime.lifetimes.erased(tenant)
    runtime.off_record_intervals.erase(tenant)
    from .. import subscriptions  # loaded where it is needed, as the checks are

    subscriptions.store_of(runtime).erase(tenant)
    runtime.config.erase_tenant(tenant)
    info("tenant_erased", tenant=tenant)

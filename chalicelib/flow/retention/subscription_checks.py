"""Check the subscriptions of sources once a day, and tell the tenant of one that is lost. Each hour's sweep calls this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ... import platforms
from ...channels import CHANNELS
from ...core.errors import DeliveryError
from ...core.tenant.records import Source, Tenant
from ...core.tenant.subscription import Subscription, answered, is_loss, unanswered
from ...observe import count, error
from ...platforms.base import CHECK_LIMITS
from ...runtime import Runtime
from .. import notices, subscriptions

UNTIL_S = 60
"""The latest time, in a run, at which a check may start. A platform that hangs takes 8 seconds; the next hour goes on."""
WORKERS = 16
"""Checks at once: nearly all of a check is waiting for the platform."""


@dataclass(frozen=True)
class _DueSubscription:
    tenant: str
    source: str
    known: Subscription


def handle(runtime: Runtime, tenants: Iterable[Tenant], left_s: Callable[[], float]) -> None:
    """Check the subscriptions that are due, the oldest first, while there is time."""
    began = runtime.monotonic()
    due = sorted(_due(runtime, tenants), key=lambda one: one.known.checked_at)

    def check(one: _DueSubscription) -> bool:
        if left_s() <= 0 or runtime.monotonic() - began > UNTIL_S:
            return False
        try:
            _check(runtime, one.tenant, one.source, one.known)
        except Exception as fault:  # noqa: BLE001  (one source's fault is not another's)
            error("subscription_not_checked", fault, tenant=one.tenant, source=one.source)
        return True

    if due and not all(list(runtime.threads.map(WORKERS, check, due))):
        count("subscription_checks_late")


def _due(runtime: Runtime, tenants: Iterable[Tenant]) -> Iterator[_DueSubscription]:
    store, now = subscriptions.store_of(runtime), runtime.now()
    for tenant in tenants:
        if tenant.state == "active":
            for source, known in store.of_tenant(tenant.id):
                if known.is_due(now):
                    yield _DueSubscription(tenant.id, source, known)


def _check(runtime: Runtime, tenant: str, source_id: str, known: Subscription) -> None:
    """Check one subscription: 1 ask the platform, 2 tell the tenant, 3 store. A crash in between tells once."""
    snapshot, store = runtime.config.snapshot(tenant), subscriptions.store_of(runtime)
    source: Source | None = snapshot.configuration.sources.get(source_id)
    if source is None or source.closed_at is not None:
        store.delete(tenant, source_id)  # it was subscribed while it was closed
        return
    kept = store.credentials(tenant, source_id, snapshot.keys)
    after = _asked(runtime, source, snapshot.secrets(source_id), kept, known)  # 1
    if is_loss(known, after):
        notices.unsubscribed(runtime, tenant, source_id, known, after)  # 2
        count("subscriptions_lost")
    store.checked(tenant, source_id, after)  # 3


def _asked(runtime: Runtime, source: Source, secrets: Any, kept: Any, known: Subscription) -> Subscription:
    platform = platforms.of_channel(source.channel) if source.channel in CHANNELS else None
    if platform is None or kept is None or not secrets:
        return unanswered(known, "credentials", runtime.now())
    try:
        credentials = platform.Credentials.model_validate(kept["credentials"])
        api = subscriptions.api_of(runtime, platform, kept["api_url"], limits=CHECK_LIMITS)
        found = platform.find(api, credentials, subscriptions.webhook_of(runtime, source, secrets))
    except DeliveryError as fault:
        return unanswered(known, fault.attempt_code, runtime.now())
    except ValueError:  # stored by another release, in another form
        return unanswered(known, "credentials", runtime.now())
    return answered(known, found, runtime.now())

"""What owners do with what has come: they have it erased and sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .owners import Owners, Tenant


def erase(owners: Owners, tenant: Tenant) -> bool:
    """Erase the content of some events."""
    listed = owners.ask(tenant.key, "GET", "/v1/events?limit=20")["data"]
    for event in owners.random.sample(listed, min(3, len(listed))):
        path = f"/v1/events/{event['id']}/content?ground=subject_request"
        owners.ask(tenant.key, "DELETE", path, may=(404, 410, 451))
        tenant.erased.setdefault(event["id"], owners.world.tick)
    return bool(listed)


def replay(owners: Owners, tenant: Tenant) -> bool:
    """Have some transfers sent again."""
    listed = owners.ask(tenant.key, "GET", "/v1/transfers?limit=30")["data"]
    ended = [t["id"] for t in listed if t["outcome"] in ("delivered", "rejected", "gave_up", "refused", "expired")]
    for transfer in owners.random.sample(ended, min(3, len(ended))):
        owners.ask(tenant.key, "POST", f"/v1/transfers/{transfer}/replay", {}, may=(404, 409, 410, 422, 451))
        tenant.replays += 1
    return bool(ended)


def replay_all(owners: Owners, tenant: Tenant) -> bool:
    """Have all that came to some outcome at a destination sent again, by a job; one of them runs at a time."""
    chosen = owners.some(tenant)
    if chosen is None:
        return False
    outcome = owners.random.choice(("gave_up", "rejected", "delivered", "any"))
    owners.ask(tenant.key, "POST", f"/v1/destinations/{chosen.id}/replay", {"outcome": outcome}, may=(404, 409))
    return True


CHANGES: Mapping[str, Callable[[Owners, Tenant], bool]] = {
    "content erased": erase,
    "transfers replayed": replay,
    "destination replayed": replay_all,
}
"""What may change, by what it is called."""

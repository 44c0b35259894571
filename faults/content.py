"""Owners' acts on stored content: erase it, hold it, send it again."""

from __future__ import annotations

from collections.abc import Mapping

from .owners import Change, Owners
from .tenants import Tenant


def erase(owners: Owners, tenant: Tenant) -> bool:
    """Erase the content of some events."""
    listed = owners.listed(tenant, "/v1/events?limit=20")
    for event in owners.random.sample(listed, min(3, len(listed))):
        path = f"/v1/events/{event['id']}/content?ground=subject_request"
        answer = owners.ask(tenant.key, "DELETE", path, may=(404, 409, 410, 451))
        if not tenant.held or (answer or {}).get("code") != "hold_active":
            tenant.erased.setdefault(event["id"], owners.world.tick)
    return bool(listed)


def replay(owners: Owners, tenant: Tenant) -> bool:
    """Replay some transfers."""
    listed = owners.listed(tenant, "/v1/transfers?limit=30")
    ended = [t["id"] for t in listed if t["outcome"] in ("delivered", "rejected", "gave_up", "refused", "expired")]
    for transfer in owners.random.sample(ended, min(3, len(ended))):
        owners.ask(tenant.key, "POST", f"/v1/transfers/{transfer}/replay", {}, may=(404, 409, 410, 422, 451))
        tenant.replays += 1
    return bool(ended)


def replay_all(owners: Owners, tenant: Tenant) -> bool:
    """Replay all transfers of a destination with one outcome, by a job; one such job runs at a time."""
    chosen = owners.some(tenant)
    if chosen is None:
        return False
    outcome = owners.random.choice(("gave_up", "rejected", "delivered", "any"))
    owners.ask(tenant.key, "POST", f"/v1/destinations/{chosen.id}/replay", {"outcome": outcome}, may=(404, 409))
    return True


def hold(owners: Owners, tenant: Tenant) -> bool:
    """Place a legal hold on a conversation, try to erase the held content, and release the hold or leave it."""
    listed = owners.listed(tenant, "/v1/events?limit=20")
    there = [event["id"] for event in listed if event["id"] not in tenant.erased]
    if not there:
        return False
    event = owners.random.choice(there)
    entries = owners.listed(tenant, f"/v1/audit/entries?event={event}&kind=decided")
    conversation = entries[0]["entry"]["receipt"]["conversation"] if entries else None
    if conversation is None or conversation in tenant.held:
        return False
    body = {"scope": "conversation", "value": conversation, "authority_ref": "regional court, file 7/26"}
    made = owners.ask(tenant.key, "POST", "/v1/legal-holds", body)["id"]
    tenant.held.add(conversation)
    answer = owners.ask(tenant.key, "DELETE", f"/v1/events/{event}/content?ground=withdrawal", may=(409,))
    if (answer or {}).get("code") != "hold_active":
        owners.surprised.append((event, "could be erased under a legal hold"))
    if owners.random.random() < 0.5:
        owners.wait(600)
        owners.ask(tenant.key, "POST", f"/v1/legal-holds/{made}/release", {})
        tenant.held.remove(conversation)
    return True


CHANGES: Mapping[str, Change] = {
    "content erased": erase,
    "content held": hold,
    "transfers replayed": replay,
    "destination replayed": replay_all,
}
"""The changes of content, by name."""

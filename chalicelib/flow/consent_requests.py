"""Ask a tenant for a person's consent where it would lift a hold: an operational event, once a day for each recipient.

``core.decide.consent_request`` asks the law, and only about held transfers. There is one request for a person, a recipient
and a UTC day: the event's id is derived from these. Two concurrent requests, or one repeated after a crash, are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import times
from ..core.decide.consent_request import by_recipient, wanted
from ..core.decide.retention import hold_ends_at
from ..core.tenant.consents import Consent, none_given
from ..core.tenant.operational import source_id
from ..runtime import Runtime
from ..store.snapshot import Snapshot
from .notify import notify
from .redecision import deciding, facts_now, grounds_now, route_of

TYPE = "consent.requested"


def request(
    runtime: Runtime,
    snapshot: Snapshot,
    document: Mapping[str, Any],
    entry: Mapping[str, Any],
    consents: tuple[Consent, ...],
) -> None:
    """Ask the tenant for the consent that would help the held transfers of a decision on; do nothing where none would.

    Nothing is sent where no route of the tenant takes it, for operational events, and for an event about several people, since
    no consent of one person counts for it. Repeating the call does no harm.

    Args:
        entry: the ``decided`` entry as it stands in the log.
        consents: the consents of the event's person.

    Raises:
        NotFound: the tenant is closed.
        Unavailable: it was not sent; repeating the call does no harm.
    """
    tenant, receipt = snapshot.configuration.tenant, entry["receipt"]
    held = [route for route in entry["routes"] if route["decision"] == "held"]
    if not held or receipt["source"] == source_id(tenant.id) or len(receipt["subjects"]) != 1:
        return
    at, (subject,) = times.parse(entry["at"]), receipt["subjects"]
    base = facts_now(runtime, snapshot, receipt["source"], receipt["received_at"], document, at, none_given)
    grounds, decide = grounds_now(snapshot, document, consents), deciding(runtime, tenant.id, base)
    found = by_recipient(
        wanted(snapshot.configuration, route_of(snapshot, route["route"], route["destination"]), base, decide, grounds)
        for route in held
        if route["route"] in snapshot.configuration.routes
    )
    until = times.text(hold_ends_at(tenant, at, times.parse(entry["expires_at"])))
    for one in found:
        once = f"{subject}\n{one.recipient}\n{entry['at'][:10]}"
        data = {"subject": subject, **one.document(), "held_until": until}
        notify(runtime, tenant.id, TYPE, data, once, subject, wanted=True)

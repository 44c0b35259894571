"""Pull: give the recipient of a link the event of its notice, once, if the law allows it now.

A route of mode ``restrict`` gives the event as the recipient may view it. Any other route gives the content that it would
have delivered if that were not larger than the receiver takes.

    1 the token → 2 the transfer and its event → 3 decide, as things are now → 4 ``viewed`` → 5 the content

Step 4 makes it once: the entry's id follows from the transfer, regardless of the attempt whose link was pulled. Of two
concurrent pulls one writes the entry first. A refusal at 3 uses nothing up. A crash between 4 and 5 does: the log then
says that the recipient may have looked, and a replay of the transfer makes a new link.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...core.decide.plan import RouteDecision, judge
from ...core.delivery import links
from ...core.delivery.links import Link, LinkPurpose
from ...core.errors import DeliveryError, Gone, LinkExpired, LinkUsed, NotFound, RefusedByLaw, TooMany
from ...core.log import audit
from ...core.log.entry_types import Act, Entry
from ...core.log.transfers import Transfer, of_entries
from ...core.pattern.redaction import redact
from ...core.tenant.records import Route
from ...runtime import Runtime
from ...store.snapshot import Snapshot
from .. import throttle
from ..redecision import consents_of, deciding, facts_now, grounds_now
from ..rendering import content_of

_REQUEST = "pull"
"""Takes the place of a request id in the act, as an act's key contains one: each transfer has one such act."""
_NOTHING = "there is no event at this address, or no longer"
_REPLAY = "; the tenant can replay the transfer, which sends a new link"


def content(runtime: Runtime, token: str) -> Any:
    """Return the content that a link leads to, after writing that its recipient looked at it.

    Raises:
        NotFound: it is no link of a tenant of this cell.
        LinkExpired: its time is over.
        LinkUsed: it, or another link of its transfer, has given its content.
        Gone: the content was erased or has expired, or its route or destination has changed since.
        RefusedByLaw: the recipient may not see it now.
        TooMany: the tenant's links are pulled too fast.
        AuditUnavailable: the entry of the look may not have been written.
    """
    link, use, snapshot = _genuine(runtime, token)  # 1
    if not throttle.admit(runtime, f"pull#{link.tenant}", runtime.settings.key_rate_per_s):
        raise TooMany("links are pulled too fast; slow down")
    now = runtime.now()
    if link.ends_at <= now:
        raise LinkExpired(f"the time of this link is over{_REPLAY}")
    entries = _entries(runtime, link, now)  # 2
    one = next((t for t in of_entries(entries, {}, now) if t.id == link.transfer), None)
    if one is None:
        raise Gone("the event of this link is gone")
    act = _act(link, one, now)
    if any(entry["id"] == act["id"] for entry in entries):
        raise LinkUsed(f"this link has given its content{_REPLAY}")
    route = _leads(snapshot, one, use)
    document = _document(runtime, snapshot, one, now)
    receipt = next(e["receipt"] for e in entries if e["id"] == one.decided)
    judgement = _judged(runtime, snapshot, route, document, receipt, now)  # 3
    if judgement.verdict in ("held", "refused"):
        text = "the law does not let this content be given to its recipient now; see rules and missing"
        raise RefusedByLaw(text, judgement.rules, judgement.missing)
    given = _given(snapshot, route, redact(document, judgement.redact, snapshot.keys.pseudonyms(act["actor"]["id"])))
    if not runtime.audit.append(act).new:  # 4
        raise LinkUsed(f"this link has given its content{_REPLAY}")
    return given  # 5


def _genuine(runtime: Runtime, token: str) -> tuple[Link, LinkPurpose, Snapshot]:
    """Return a link that the key of a tenant of this cell has made, and the tenant's configuration as it is now."""
    link = links.read(token)
    try:
        use = link.use(runtime.config.keys_of(link.tenant).links) if link is not None else None
        if link is not None and use is not None:
            return link, use, runtime.config.snapshot(link.tenant, fresh=False)
    except NotFound:  # no such tenant, or a closed one, in the words of every other token that leads nowhere
        raise NotFound(_NOTHING) from None
    raise NotFound(_NOTHING)


def _entries(runtime: Runtime, link: Link, now: datetime) -> list[Entry]:
    """Return the entries of the event that a link's transfer is about."""
    found = runtime.audit.of_transfer(link.tenant, link.transfer, now)
    decided = (e for e in found if e["kind"] == "decided" and any(r["transfer"] == link.transfer for r in e["routes"]))
    event = next((e["event"] for e in decided), None)
    return [e for e in found if e["event"] == event]


def _act(link: Link, one: Transfer, now: datetime) -> Act:
    """Make the entry of the one look that a transfer's links allow; its actor is the recipient."""
    if one.recipient is None:
        raise Gone("its recipient is not declared")
    return audit.act(
        "viewed",
        tenant=link.tenant,
        minute=audit.minute_of(one.decided),
        at=now,
        actor=("user", one.recipient),
        request=_REQUEST,
        event=one.event,
        object=("transfer", one.id),
    )


def _leads(snapshot: Snapshot, one: Transfer, use: LinkPurpose) -> Route:
    """Return the route of a transfer, leading where that was to go, to the recipient that got the link.

    The mode of the route still has the use of the link.

    Raises:
        Gone: the tenant has changed its mind since.
    """
    configuration = snapshot.configuration
    route, destination = configuration.routes.get(one.route), configuration.destinations.get(one.destination)
    same = route is not None and (route.mode == "restrict") == (use is LinkPurpose.RESTRICT)
    if route is None or not same or destination is None or destination.recipient != one.recipient:
        raise Gone("its route or destination was removed or changed since this link was sent")
    if not destination.enabled:
        raise Gone("its destination is disabled: its pull links give no event")
    return route.model_copy(update={"destination": one.destination})


def _document(runtime: Runtime, snapshot: Snapshot, one: Transfer, now: datetime) -> dict[str, Any]:
    tenant = snapshot.configuration.tenant.id
    row = runtime.data.event(tenant, one.event, now)
    if row is not None and row.owner is not None and row.sealed is not None:
        person = runtime.people.get_many([(row.owner, snapshot.keys)]).get(row.owner)
        if person is not None:
            return row.open(person.key, runtime.settings.region, runtime.contents.get)
    raise Gone("the content of this event is gone: its life is over, or it was erased")


def _judged(
    runtime: Runtime,
    snapshot: Snapshot,
    route: Route,
    document: Mapping[str, Any],
    receipt: Mapping[str, Any],
    now: datetime,
) -> RouteDecision:
    """Decide the look as things are now.

    A route of mode ``restrict`` is decided as a transfer of the whole event to the recipient, limited to the classes that
    it may have. Any other route is decided as its delivery was.
    """
    grounds = grounds_now(snapshot, document, consents_of(runtime, snapshot, document))
    base = facts_now(runtime, snapshot, receipt["source"], receipt["received_at"], document, now, grounds)
    decide = deciding(runtime, snapshot.configuration.tenant.id, base)
    if route.mode != "restrict":
        return judge(snapshot.configuration, route, decide(base), base, decide, grounds=grounds)
    whole = route.model_copy(update={"mode": "replicate"})
    return judge(
        snapshot.configuration,
        whole,
        decide(base),
        base,
        lambda facts: decide({**facts, "op": "view"}),
        grounds=grounds,
    )


def _given(snapshot: Snapshot, route: Route, document: Mapping[str, Any]) -> Any:
    """Return what the route sends of an event.

    Raises:
        Gone: the route's selection was changed, and makes nothing of the event.
    """
    kind = snapshot.configuration.destinations[route.destination].kind
    try:
        return content_of(kind, route.transform.select, document)
    except DeliveryError:
        raise Gone("the select of its route was changed since this link was sent, and fails on this event") from None

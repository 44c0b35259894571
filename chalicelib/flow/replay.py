"""Replay: send what was dead-lettered on its way again. A replay is an act, and a new decision.

An inbox letter goes back to the inbox; route decides its event again and names the act. An outbox letter's transfer has
ended, so that its event gets a new transfer along the same route, which the act and the new decision tie to the old one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from ..core import audit
from ..core.errors import Conflict, NotFound
from ..core.event import classes_of
from ..core.plan import Planned, recipient_of
from ..core.transfers import delivery_id, transfer_id
from ..shell import Shell
from ..store.data import EventKey
from ..store.items import Item
from ..store.queues import Outgoing, body
from .attempt import decided_anew, judge_again
from .messages import decision_of
from .state import Order


def letters(shell: Shell, tenant: str) -> Iterator[Item]:
    """Yield a tenant's parked dead letters, oldest name first: ``queue``, ``thing`` (an event or a transfer), ``parked_at``."""
    yield from shell.data.dead(tenant)


def redrive(shell: Shell, tenant: str, letter: Item, actor: tuple[str, str]) -> None:
    """Send one dead letter on its way again, then forget it. Running it twice sends it once.

    Raises:
        Conflict: what it is about is gone: expired, erased, or its route or destination removed.
    """
    order = json.loads(letter["message"])
    request = f"redrive:{letter['parked_at']}"
    if letter["queue"] == "inbox":
        _inbox(shell, order, letter, request, actor)
    else:
        _outbox(shell, order, request, actor)
    shell.data.remove_dead(tenant, letter["sk"])


def _act(
    shell: Shell, order: Order, minute: int, request: str, actor: tuple[str, str], thing: tuple[str, str] | None
) -> str:
    entry = audit.act(
        "replayed",
        tenant=order["tenant"],
        minute=minute,
        at=shell.now(),
        actor=actor,
        request=request,
        event=order["event"],
        object=thing,
        reason="dead_letter",
    )
    return str(shell.audit.append(entry).entry["id"])


def _inbox(shell: Shell, order: Order, letter: Item, request: str, actor: tuple[str, str]) -> None:
    by = _act(shell, order, int(letter["minute"]), request, actor, None)
    once = hashlib.sha256(f"redrive\n{by}".encode()).hexdigest()
    shell.inbox.send([Outgoing(body({**order, "replayed_by": by}), str(letter["group"]), once)])


def _outbox(shell: Shell, order: Order, request: str, actor: tuple[str, str]) -> None:
    now = shell.now()
    tenant = order["tenant"]
    snapshot = shell.config.snapshot(tenant)
    row = shell.data.events([EventKey(tenant, order["event"], order["conversation"])], now).get(order["event"])
    person = shell.people.get_many([(order["owner"], snapshot.keys)]).get(order["owner"])
    if row is None or row.sealed is None or person is None:
        raise Conflict("the event is gone: it has expired or was erased")
    configuration = snapshot.configuration
    if order["route"] not in configuration.routes or order["destination"] not in configuration.destinations:
        raise Conflict("the route or its destination was removed")
    old = shell.audit.get(tenant, order["decided"], order["log"])
    if old is None:
        raise NotFound("the decision of the delivery is not in the log")
    by = _act(shell, order, order["minute"], request, actor, ("transfer", order["transfer"]))
    classes = classes_of(row.open(person.key, shell.settings.region))
    judgement = judge_again(shell, snapshot, order, classes, now)
    recipient = recipient_of(configuration, configuration.destinations[order["destination"]])
    transfer = transfer_id(order["minute"], order["event"], f"{order['route']}\n{by}")
    planned = Planned(order["route"], transfer, delivery_id(transfer), order["destination"], recipient, judgement)
    stored = decided_anew(shell, order, old, planned, snapshot, now, cause="replayed", by=by)
    route = stored["routes"][0]
    if route["decision"] == "refused":
        return
    new = {
        **order,
        "transfer": transfer,
        "delivery": delivery_id(transfer),
        "decided": stored["id"],
        "log": stored["log"],
        **decision_of(route),
    }
    shell.outbox.send([Outgoing(body(new), order["lane"], new["delivery"])])

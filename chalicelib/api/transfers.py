"""``/v1/transfers``: which event went, or was to go, to which destination, with every attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import NotFound
from ..core.log.entry import DestinationId, EventId, Subject
from ..core.log.transfers import Outcome, Transfer
from ..flow.ask import accountability, read
from .endpoint import ApiCall, Resource, TimeQuery
from .filters import filtered, time_filter
from .problems import EndpointResponse

transfers = Resource("transfers", "Transfers")


class TransfersQuery(TimeQuery):
    """Filters of the list of transfers."""

    event: EventId | None = None
    destination: DestinationId | None = None
    outcome: Outcome | None = None
    subject: Subject | None = None


def with_rule_states(call: ApiCall, document: dict[str, Any]) -> dict[str, Any]:
    """Add to each rule of a transfer or a hold its confidence, and whether it is settled."""
    return {**document, "rules": call.runtime.law.marked(document["rules"])}


def transfers_shown(call: ApiCall) -> Callable[[Transfer], dict[str, Any]]:
    """Return a function that shows a transfer, with the acts that the law asks for beside it."""
    obligations = accountability.Obligations(call.request)

    def shown(transfer: Transfer) -> dict[str, Any]:
        return {**with_rule_states(call, transfer.model_dump()), "obligations": obligations.of(transfer)}

    return shown


@transfers.endpoint(
    "GET",
    "/v1/transfers",
    operation_id="list_transfers",
    scope="read",
    query=TransfersQuery,
    answer=Transfer,
    listed=True,
    raises=(NotFound,),
)
def index(call: ApiCall) -> EndpointResponse:
    """List transfers, newest event first.

    The transfers of one person are listed oldest first.
    """
    asked, wanted = call.query, time_filter(call)

    def keep(one: Transfer) -> bool:
        return bool(
            asked.destination in (None, one.destination)
            and asked.outcome in (None, one.outcome)
            and asked.event in (None, one.event)
        )

    if asked.subject is not None:
        steps = read.transfers_of_subject(call.request, asked.subject, wanted, call.position())
    elif asked.event is not None:
        steps = read.transfers_of_event(call.request, asked.event, call.position())
    else:
        steps = read.transfers(call.request, wanted, call.position())
    return call.listed(filtered(steps, keep, transfers_shown(call)))


@transfers.endpoint("GET", "/v1/transfers/{id}", operation_id="get_transfer", scope="read", answer=Transfer)
def show(call: ApiCall) -> EndpointResponse:
    """Get a transfer, its attempts, and the obligations that the law adds."""
    transfer = read.transfer(call.request, call.thing("trf"))
    return EndpointResponse(200, transfers_shown(call)(transfer))


RESOURCES = (transfers,)

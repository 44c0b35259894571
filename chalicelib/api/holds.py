"""``/v1/holds``: the transfers that wait for something that a rule asks for."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..core import times
from ..core.log.transfers import ShownRule, Transfer
from ..flow.ask import holds as holds_flow
from .endpoint import ApiCall, EmptySchema, Resource, Schema, TimeQuery
from .filters import filtered, time_filter
from .problems import EndpointResponse
from .transfers import transfers_shown, with_rule_states

holds = Resource("holds", "Holds")


class Hold(Schema):
    """A held transfer, the records that it waits for, and the time at which it stops waiting.

    ``transfer`` is null for a sealed event that no route takes.
    """

    id: str
    transfer: str | None
    event: str
    route: str | None
    destination: str | None
    rules: list[ShownRule]
    missing: list[str]
    held_since: str
    expires_at: str


@holds.endpoint("GET", "/v1/holds", operation_id="list_holds", scope="read", query=TimeQuery, answer=Hold, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the held transfers and sealed events, the longest held first."""
    wanted = time_filter(call)
    after = times.text(wanted.after or times.EARLIEST)
    before = times.text(wanted.before or times.LATEST)

    def keep(hold: dict[str, Any]) -> bool:
        return bool(after <= hold["held_since"] < before)

    return call.listed(filtered(holds_flow.holds(call.request, call.position()), keep, partial(with_rule_states, call)))


@holds.endpoint(
    "POST",
    "/v1/holds/{id}/decision",
    operation_id="decide_hold",
    scope="write",
    body=EmptySchema,
    answer=Transfer,
    status=201,
)
def decide(call: ApiCall) -> EndpointResponse:
    """Decide a held transfer again now.

    The answer is the transfer with its new decision.
    """
    return EndpointResponse(201, transfers_shown(call)(holds_flow.decide_hold(call.request, call.thing("hld"))))


RESOURCES = (holds,)

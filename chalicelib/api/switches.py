"""``/v1/switches``: what a tenant has stopped."""

from __future__ import annotations

from ..core.tenant.switches import Switch, SwitchSettings
from ..flow.declare import switches as switches_flow
from ..flow.pagination import ListItem
from .endpoint import ApiCall, ListQuery, Resource, shown, tagged
from .problems import EndpointResponse

switches = Resource("switches", "Switches")


@switches.endpoint(
    "POST",
    "/v1/switches",
    operation_id="create_switch",
    scope="write",
    body=SwitchSettings,
    answer=Switch,
    status=201,
    etag=True,
)
def throw(call: ApiCall) -> EndpointResponse:
    """Stop the flows of a channel, a country, a recipient or a destination.

    Matching transfers are refused before the law is asked.
    """
    row = switches_flow.throw(call.request, call.body)
    return tagged(row.version, shown(row.record), 201)


@switches.endpoint(
    "GET", "/v1/switches", operation_id="list_switches", scope="read", query=ListQuery, answer=Switch, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's switches, including those that have ended."""
    rows = call.runtime.config.list(call.request.tenant.id, "swi", call.position(), call.query.limit + 1)
    return call.listed(ListItem(r.record.id, shown(r.record)) for r in rows)


@switches.endpoint("GET", "/v1/switches/{id}", operation_id="get_switch", scope="read", answer=Switch, etag=True)
def show(call: ApiCall) -> EndpointResponse:
    """Get a switch."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("swi"))
    return tagged(row.version, shown(row.record))


@switches.endpoint("DELETE", "/v1/switches/{id}", operation_id="delete_switch", scope="write", status=204)
def release(call: ApiCall) -> EndpointResponse:
    """Delete a switch.

    Transfers that it refused stay refused. They can be replayed.
    """
    switches_flow.release(call.request, call.thing("swi"))
    return EndpointResponse(204)


RESOURCES = (switches,)

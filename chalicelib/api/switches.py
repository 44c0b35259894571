"""``/v1/switches``: what a tenant has stopped."""

from __future__ import annotations

from ..core.tenant.switches import Switch, SwitchSettings
from ..flow.declare import switches as switches_flow
from ..flow.pagination import ListItem
from .endpoint import ApiCall, ListQuery, Resource, shown, tagged
from .problems import EndpointResponse

switches = Resource("switches")


@switches.endpoint("POST", "/v1/switches", scope="write", body=SwitchSettings, answer=Switch, status=201)
def throw(call: ApiCall) -> EndpointResponse:
    """Stop a channel, a country, a recipient or a destination: what matches is refused, whatever the law says."""
    row = switches_flow.throw(call.request, call.body)
    return tagged(row.version, shown(row.record), 201)


@switches.endpoint("GET", "/v1/switches", scope="read", query=ListQuery, answer=Switch, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's switches, those that are over among them."""
    rows = call.runtime.config.list(call.request.tenant.id, "swi", call.position(), call.query.limit + 1)
    return call.listed(ListItem(r.record.id, shown(r.record)) for r in rows)


@switches.endpoint("GET", "/v1/switches/{id}", scope="read", answer=Switch)
def show(call: ApiCall) -> EndpointResponse:
    """Show a switch."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("swi"))
    return tagged(row.version, shown(row.record))


@switches.endpoint("DELETE", "/v1/switches/{id}", scope="write", status=204)
def release(call: ApiCall) -> EndpointResponse:
    """Take a switch away. What it has refused stays refused, and can be replayed."""
    switches_flow.release(call.request, call.thing("swi"))
    return EndpointResponse(204)


RESOURCES = (switches,)

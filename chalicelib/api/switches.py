"""``/v1/switches``: what a tenant has stopped."""

from __future__ import annotations

from .. import flow
from ..core.switches import Switch, SwitchSettings
from ..flow.lists import Found
from .endpoint import Call, ListQuery, Resource, shown, tagged
from .problems import Answer

switches = Resource("switches")


@switches.endpoint("POST", "/v1/switches", scope="write", body=SwitchSettings, answer=Switch, status=201)
def throw(call: Call) -> Answer:
    """Stop a channel, a country, a recipient or a destination: what matches is refused, whatever the law says."""
    row = flow.switches.throw(call.request, call.body)
    return tagged(row.version, shown(row.record), 201)


@switches.endpoint("GET", "/v1/switches", scope="read", query=ListQuery, answer=Switch, listed=True)
def index(call: Call) -> Answer:
    """List the tenant's switches, those that are over among them."""
    rows = call.shell.config.list(call.request.tenant.id, "swi", call.position(), call.query.limit + 1)
    return call.listed(Found(r.record.id, shown(r.record)) for r in rows)


@switches.endpoint("GET", "/v1/switches/{id}", scope="read", answer=Switch)
def show(call: Call) -> Answer:
    """Show a switch."""
    row = call.shell.config.get(call.request.tenant.id, call.thing("swi"))
    return tagged(row.version, shown(row.record))


@switches.endpoint("DELETE", "/v1/switches/{id}", scope="write", status=204)
def release(call: Call) -> Answer:
    """Take a switch away. What it has refused stays refused, and can be replayed."""
    flow.switches.release(call.request, call.thing("swi"))
    return Answer(204)


RESOURCES = (switches,)

"""``/v1/recipients``, ``/v1/bases`` and ``/v1/routes``: who gets what, on what ground, by which rule."""

from __future__ import annotations

from pydantic import BaseModel

from ..core.tenant.records import Basis, BasisSettings, Recipient, RecipientSettings, Route, RouteSettings
from ..flow.declare import configure
from ..flow.pagination import Listed
from ..store.config import RecordRow
from .bodies import merge
from .endpoint import ApiCall, Empty, ListQuery, Resource, checked_value, shown, tagged
from .problems import EndpointResponse

recipients = Resource("recipients")
bases = Resource("bases")
routes = Resource("routes")


def _index(call: ApiCall, kind: str) -> EndpointResponse:
    rows = call.runtime.config.list(call.request.tenant.id, kind, call.position(), call.query.limit + 1)
    return call.listed(Listed(r.record.id, shown(r.record)) for r in rows)


def _show(call: ApiCall, kind: str) -> EndpointResponse:
    row = call.runtime.config.get(call.request.tenant.id, call.thing(kind))
    return _shown(row)


def _shown(row: RecordRow, status: int = 200) -> EndpointResponse:
    record: BaseModel = row.record
    return tagged(row.version, shown(record), status)


@recipients.endpoint("POST", "/v1/recipients", scope="write", body=RecipientSettings, answer=Recipient, status=201)
def create_recipient(call: ApiCall) -> EndpointResponse:
    """Declare a recipient: the legal person behind destinations."""
    return _shown(configure.create_recipient(call.request, call.body), 201)


@recipients.endpoint("GET", "/v1/recipients", scope="read", query=ListQuery, answer=Recipient, listed=True)
def index_recipients(call: ApiCall) -> EndpointResponse:
    """List the tenant's recipients."""
    return _index(call, "rcp")


@recipients.endpoint("GET", "/v1/recipients/{id}", scope="read", answer=Recipient)
def show_recipient(call: ApiCall) -> EndpointResponse:
    """Show a recipient as last declared."""
    return _show(call, "rcp")


@recipients.endpoint("PUT", "/v1/recipients/{id}", scope="write", body=RecipientSettings, answer=Recipient)
def replace_recipient(call: ApiCall) -> EndpointResponse:
    """Declare a new version of a recipient; earlier ones are kept."""
    return _shown(configure.replace_recipient(call.request, call.thing("rcp"), call.body, call.expected))


@bases.endpoint("POST", "/v1/bases", scope="write", body=BasisSettings, answer=Basis, status=201)
def create_basis(call: ApiCall) -> EndpointResponse:
    """Declare evidence for a ground that transfers stand on."""
    return _shown(configure.create_basis(call.request, call.body), 201)


@bases.endpoint("GET", "/v1/bases", scope="read", query=ListQuery, answer=Basis, listed=True)
def index_bases(call: ApiCall) -> EndpointResponse:
    """List the tenant's bases."""
    return _index(call, "bas")


@bases.endpoint("GET", "/v1/bases/{id}", scope="read", answer=Basis)
def show_basis(call: ApiCall) -> EndpointResponse:
    """Show a basis."""
    return _show(call, "bas")


@bases.endpoint("POST", "/v1/bases/{id}/withdrawal", scope="write", body=Empty, answer=Basis, status=201)
def withdraw_basis(call: ApiCall) -> EndpointResponse:
    """Withdraw a basis: deliveries that rest on it stop at their next decision."""
    return _shown(configure.withdraw_basis(call.request, call.thing("bas")), 201)


@routes.endpoint("POST", "/v1/routes", scope="write", body=RouteSettings, answer=Route, status=201)
def create_route(call: ApiCall) -> EndpointResponse:
    """Declare a route: what matches its pattern goes to its destination."""
    return _shown(configure.create_route(call.request, call.body), 201)


@routes.endpoint("GET", "/v1/routes", scope="read", query=ListQuery, answer=Route, listed=True)
def index_routes(call: ApiCall) -> EndpointResponse:
    """List the tenant's routes."""
    return _index(call, "rte")


@routes.endpoint("GET", "/v1/routes/{id}", scope="read", answer=Route)
def show_route(call: ApiCall) -> EndpointResponse:
    """Show a route."""
    return _show(call, "rte")


@routes.endpoint("PUT", "/v1/routes/{id}", scope="write", body=RouteSettings, answer=Route)
def replace_route(call: ApiCall) -> EndpointResponse:
    """Replace a route."""
    return _shown(configure.change_route(call.request, call.thing("rte"), call.body, call.expected))


@routes.endpoint("PATCH", "/v1/routes/{id}", scope="write", body=RouteSettings, merges=True, answer=Route)
def change_route(call: ApiCall) -> EndpointResponse:
    """Change a route."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("rte"))
    document = merge(configure.settings_of(row.record, RouteSettings), call.body)
    settings = checked_value(RouteSettings, document)
    return _shown(configure.change_route(call.request, row.record.id, settings, call.expected))


@routes.endpoint("DELETE", "/v1/routes/{id}", scope="write", status=204)
def delete_route(call: ApiCall) -> EndpointResponse:
    """Delete a route."""
    configure.delete_route(call.request, call.thing("rte"))
    return EndpointResponse(204)


RESOURCES = (recipients, bases, routes)

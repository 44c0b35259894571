"""``/v1/bases``: the evidence for the grounds that transfers rest on."""

from __future__ import annotations

from pydantic import Field

from ..core.tenant.records import Basis, BasisSettings
from ..flow.declare import bases as bases_flow
from .declared import ShownUnreadableRecord, list_records, record_response, show_record
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource
from .problems import EndpointResponse

bases = Resource("bases")


class ShownBasis(Basis):
    """A basis, and why it counts as absent, if it does."""

    unreadable: list[ShownUnreadableRecord] = Field(default_factory=list)


@bases.endpoint("POST", "/v1/bases", scope="write", body=BasisSettings, answer=Basis, status=201)
def create(call: ApiCall) -> EndpointResponse:
    """Declare evidence for a ground that transfers stand on."""
    return record_response(bases_flow.create_basis(call.request, call.body), 201)


@bases.endpoint("GET", "/v1/bases", scope="read", query=ListQuery, answer=Basis, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's bases."""
    return list_records(call, "bas")


@bases.endpoint("GET", "/v1/bases/{id}", scope="read", answer=ShownBasis)
def show(call: ApiCall) -> EndpointResponse:
    """Show a basis."""
    return show_record(call, "bas")


@bases.endpoint("POST", "/v1/bases/{id}/withdrawal", scope="write", body=EmptySchema, answer=Basis, status=201)
def withdraw(call: ApiCall) -> EndpointResponse:
    """Withdraw a basis: deliveries that rest on it stop at their next decision."""
    return record_response(bases_flow.withdraw_basis(call.request, call.thing("bas")), 201)


RESOURCES = (bases,)

"""``/v1/bases``: the evidence for the grounds that transfers rest on."""

from __future__ import annotations

from pydantic import Field

from ..core.tenant.records import Basis, BasisSettings
from ..flow.declare import bases as bases_flow
from .declared import ShownUnreadableRecord, list_records, record_response, show_record
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource
from .problems import EndpointResponse

bases = Resource("bases", "Bases")


class ShownBasis(Basis):
    """A basis, and the reasons why it counts as absent, if there are any."""

    unreadable: list[ShownUnreadableRecord] = Field(default_factory=list)


@bases.endpoint(
    "POST",
    "/v1/bases",
    operation_id="create_basis",
    scope="write",
    body=BasisSettings,
    answer=Basis,
    status=201,
    etag=True,
)
def create(call: ApiCall) -> EndpointResponse:
    """Declare evidence for the legal ground of transfers."""
    return record_response(bases_flow.create_basis(call.request, call.body), 201)


@bases.endpoint("GET", "/v1/bases", operation_id="list_bases", scope="read", query=ListQuery, answer=Basis, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's bases."""
    return list_records(call, "bas")


@bases.endpoint("GET", "/v1/bases/{id}", operation_id="get_basis", scope="read", answer=ShownBasis, etag=True)
def show(call: ApiCall) -> EndpointResponse:
    """Get a basis."""
    return show_record(call, "bas")


@bases.endpoint(
    "POST",
    "/v1/bases/{id}/withdrawal",
    operation_id="withdraw_basis",
    scope="write",
    body=EmptySchema,
    answer=Basis,
    status=201,
    etag=True,
)
def withdraw(call: ApiCall) -> EndpointResponse:
    """Withdraw a basis.

    Deliveries that rest on it stop at their next decision.
    """
    return record_response(bases_flow.withdraw_basis(call.request, call.thing("bas")), 201)


RESOURCES = (bases,)

"""``/v1/legal-holds``: what may be neither erased nor let expire."""

from __future__ import annotations

from typing import Any

from ..core.tenant.legal_holds import LegalHold, LegalHoldSettings, ShownLegalHold
from ..flow.pagination import ListItem
from ..flow.retention import legal_holds as legal_holds_flow
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource
from .problems import EndpointResponse

legal_holds = Resource("legal_holds")


def _shown(hold: LegalHold) -> dict[str, Any]:
    return hold.model_dump(mode="json", exclude={"person"})


@legal_holds.endpoint(
    "POST", "/v1/legal-holds", scope="admin", body=LegalHoldSettings, answer=ShownLegalHold, status=201
)
def place(call: ApiCall) -> EndpointResponse:
    """Keep a conversation, a person's events or a period from being erased and from expiring."""
    return EndpointResponse(201, _shown(legal_holds_flow.place(call.request, call.body)))


@legal_holds.endpoint("GET", "/v1/legal-holds", scope="admin", query=ListQuery, answer=ShownLegalHold, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's legal holds, released ones among them."""
    holds = call.runtime.legal_holds.list(call.request.tenant.id, call.position(), call.query.limit + 1)
    return call.listed(ListItem(hold.id, _shown(hold)) for hold in holds)


@legal_holds.endpoint("GET", "/v1/legal-holds/{id}", scope="admin", answer=ShownLegalHold)
def show(call: ApiCall) -> EndpointResponse:
    """Show a legal hold."""
    return EndpointResponse(200, _shown(call.runtime.legal_holds.get(call.request.tenant.id, call.thing("hld"))))


@legal_holds.endpoint(
    "POST", "/v1/legal-holds/{id}/release", scope="admin", body=EmptySchema, answer=ShownLegalHold, status=201
)
def release(call: ApiCall) -> EndpointResponse:
    """Release a legal hold: what it has kept beyond its life is deleted within the hour."""
    return EndpointResponse(201, _shown(legal_holds_flow.release(call.request, call.thing("hld"))))


RESOURCES = (legal_holds,)

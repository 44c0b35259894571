"""``/v1/legal-holds``: what may be neither erased nor let expire."""

from __future__ import annotations

from typing import Any

from ..core.errors import NotFound
from ..core.tenant.legal_holds import LegalHold, LegalHoldSettings, ShownLegalHold
from ..flow.pagination import ListItem
from ..flow.retention import legal_holds as legal_holds_flow
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource
from .problems import EndpointResponse

legal_holds = Resource("legal_holds", "Legal holds")


def _shown(hold: LegalHold) -> dict[str, Any]:
    return hold.model_dump(mode="json", exclude={"person"})


@legal_holds.endpoint(
    "POST",
    "/v1/legal-holds",
    operation_id="create_legal_hold",
    scope="admin",
    body=LegalHoldSettings,
    answer=ShownLegalHold,
    status=201,
    raises=(NotFound,),
)
def place(call: ApiCall) -> EndpointResponse:
    """Place a legal hold on a conversation, a person or a period.

    Content under a hold is neither erased nor expired.
    """
    return EndpointResponse(201, _shown(legal_holds_flow.place(call.request, call.body)))


@legal_holds.endpoint(
    "GET",
    "/v1/legal-holds",
    operation_id="list_legal_holds",
    scope="admin",
    query=ListQuery,
    answer=ShownLegalHold,
    listed=True,
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's legal holds, including released ones."""
    holds = call.runtime.legal_holds.list(call.request.tenant.id, call.position(), call.query.limit + 1)
    return call.listed(ListItem(hold.id, _shown(hold)) for hold in holds)


@legal_holds.endpoint(
    "GET", "/v1/legal-holds/{id}", operation_id="get_legal_hold", scope="admin", answer=ShownLegalHold
)
def show(call: ApiCall) -> EndpointResponse:
    """Get a legal hold."""
    return EndpointResponse(200, _shown(call.runtime.legal_holds.get(call.request.tenant.id, call.thing("hld"))))


@legal_holds.endpoint(
    "POST",
    "/v1/legal-holds/{id}/release",
    operation_id="release_legal_hold",
    scope="admin",
    body=EmptySchema,
    answer=ShownLegalHold,
    status=201,
)
def release(call: ApiCall) -> EndpointResponse:
    """Release a legal hold.

    Content that only this hold kept is deleted within the hour.
    """
    return EndpointResponse(201, _shown(legal_holds_flow.release(call.request, call.thing("hld"))))


RESOURCES = (legal_holds,)

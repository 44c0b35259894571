"""``/v1/routes``: which events go to which destination, for what purpose and in which mode; and previews of a draft."""

from __future__ import annotations

from typing import Any, Literal

from ..core.errors import Conflict, Invalid, InvalidPattern, InvalidTransform, NotFound, RefusedByLaw
from ..core.event.event import Event, from_document
from ..core.log.entry import EventId
from ..core.log.transfers import ShownRule
from ..core.tenant.records import Record, Route, RouteSettings
from ..core.validation import of_validation
from ..flow.ask import decisions as decisions_flow
from ..flow.ask import read
from ..flow.declare import changes
from ..flow.declare import routes as routes_flow
from .bodies import checked_value, merge
from .declared import list_records, record_response, show_record
from .endpoint import ApiCall, ListQuery, Resource
from .problems import EndpointResponse

routes = Resource("routes", "Routes")
previews = Resource("previews", "Routes")


class PreviewRequest(Record):
    """An event, or the id of a stored event, and a draft route."""

    event: dict[str, Any] | None = None
    event_id: EventId | None = None
    route: RouteSettings


class RenderFault(Record):
    """The reason why an allowed event has no body: the code of the attempt, and a detail."""

    code: str
    detail: str


class Preview(Record):
    """The match, the decision, and the body that would leave. The body is null if nothing would leave."""

    matched: bool
    explanation: list[dict[str, Any]]
    decision: Literal["allowed", "redacted", "held", "refused"]
    rules: list[ShownRule]
    missing: list[str]
    body: Any
    fault: RenderFault | None


@routes.endpoint(
    "POST",
    "/v1/routes",
    operation_id="create_route",
    raises=(InvalidPattern, InvalidTransform),
    scope="write",
    body=RouteSettings,
    answer=Route,
    status=201,
    etag=True,
)
def create(call: ApiCall) -> EndpointResponse:
    """Create a route.

    Events that match its pattern go to its destination.
    """
    return record_response(routes_flow.create_route(call.request, call.body), 201)


@routes.endpoint(
    "GET", "/v1/routes", operation_id="list_routes", scope="read", query=ListQuery, answer=Route, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's routes."""
    return list_records(call, "rte")


@routes.endpoint("GET", "/v1/routes/{id}", operation_id="get_route", scope="read", answer=Route, etag=True)
def show(call: ApiCall) -> EndpointResponse:
    """Get a route."""
    return show_record(call, "rte")


@routes.endpoint(
    "PUT",
    "/v1/routes/{id}",
    operation_id="replace_route",
    raises=(Conflict, InvalidPattern, InvalidTransform),
    scope="write",
    body=RouteSettings,
    answer=Route,
    etag=True,
    matches=True,
)
def replace(call: ApiCall) -> EndpointResponse:
    """Replace a route."""
    return record_response(routes_flow.change_route(call.request, call.thing("rte"), call.body, call.expected))


@routes.endpoint(
    "PATCH",
    "/v1/routes/{id}",
    operation_id="update_route",
    raises=(Conflict, InvalidPattern, InvalidTransform),
    scope="write",
    body=RouteSettings,
    merges=True,
    answer=Route,
    etag=True,
    matches=True,
)
def change(call: ApiCall) -> EndpointResponse:
    """Change a route."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("rte"))
    document = merge(changes.settings_of(row.record, RouteSettings), call.body)
    settings = checked_value(RouteSettings, document)
    return record_response(routes_flow.change_route(call.request, row.record.id, settings, call.expected))


@routes.endpoint("DELETE", "/v1/routes/{id}", operation_id="delete_route", scope="write", status=204)
def delete(call: ApiCall) -> EndpointResponse:
    """Delete a route."""
    routes_flow.delete_route(call.request, call.thing("rte"))
    return EndpointResponse(204)


def _one_of(text: str) -> Invalid:
    return Invalid(text, [{"loc": "body", "code": "one_of", "msg": text}])


@previews.endpoint(
    "POST",
    "/v1/routes/preview",
    operation_id="preview_route",
    scope="read",
    body=PreviewRequest,
    answer=Preview,
    raises=(InvalidPattern, InvalidTransform, NotFound, RefusedByLaw),
)
def preview(call: ApiCall) -> EndpointResponse:
    """Preview a draft route for one event.

    The answer explains the match and the decision, and shows the body that would leave. Nothing is sent.
    """
    draft: PreviewRequest = call.body
    if (draft.event is None) == (draft.event_id is None):
        raise _one_of("give either event or event_id")
    if draft.event_id is not None:
        document = read.content(call.request, draft.event_id)
    else:
        try:
            event: Event = from_document(draft.event or {})
        except ValueError as fault:
            raise of_validation(fault, "body.event") from None
        document = event.document()
        changes.must_exist(call.request, document["source"], "src", "body.event.source")
    routes_flow.check_route(call.request, draft.route)
    return EndpointResponse(200, decisions_flow.preview(call.request, document, draft.route))


RESOURCES = (routes, previews)

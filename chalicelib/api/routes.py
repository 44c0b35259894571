"""``/v1/routes``: which events go to which destination, for what purpose and in which mode; and previews of a draft."""

from __future__ import annotations

from typing import Any, Literal

from ..core.errors import Invalid
from ..core.event.event import Event, from_document
from ..core.log.entry import EventId
from ..core.log.transfers import ShownRule
from ..core.tenant.records import Record, Route, RouteSettings
from ..core.validation import of_validation
from ..flow.ask import decisions as decisions_flow
from ..flow.ask import read
from ..flow.declare import changes
from ..flow.declare import routes as routes_flow
from .bodies import merge
from .declared import list_records, record_response, show_record
from .endpoint import ApiCall, ListQuery, Resource, checked_value
from .problems import EndpointResponse

routes = Resource("routes")
previews = Resource("previews")


class PreviewRequest(Record):
    """An event, or the id of a stored one, and a route that need not be declared."""

    event: dict[str, Any] | None = None
    event_id: EventId | None = None
    route: RouteSettings


class RenderFault(Record):
    """Why nothing would leave although it may: the attempt's code, and what it is about this event."""

    code: str
    detail: str


class Preview(Record):
    """Whether the route matches and why, what is decided, and the body that would leave (null: nothing)."""

    matched: bool
    explanation: list[dict[str, Any]]
    decision: Literal["allowed", "redacted", "held", "refused"]
    rules: list[ShownRule]
    missing: list[str]
    body: Any
    fault: RenderFault | None


@routes.endpoint("POST", "/v1/routes", scope="write", body=RouteSettings, answer=Route, status=201)
def create(call: ApiCall) -> EndpointResponse:
    """Declare a route: what matches its pattern goes to its destination."""
    return record_response(routes_flow.create_route(call.request, call.body), 201)


@routes.endpoint("GET", "/v1/routes", scope="read", query=ListQuery, answer=Route, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's routes."""
    return list_records(call, "rte")


@routes.endpoint("GET", "/v1/routes/{id}", scope="read", answer=Route)
def show(call: ApiCall) -> EndpointResponse:
    """Show a route."""
    return show_record(call, "rte")


@routes.endpoint("PUT", "/v1/routes/{id}", scope="write", body=RouteSettings, answer=Route)
def replace(call: ApiCall) -> EndpointResponse:
    """Replace a route."""
    return record_response(routes_flow.change_route(call.request, call.thing("rte"), call.body, call.expected))


@routes.endpoint("PATCH", "/v1/routes/{id}", scope="write", body=RouteSettings, merges=True, answer=Route)
def change(call: ApiCall) -> EndpointResponse:
    """Change a route."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("rte"))
    document = merge(changes.settings_of(row.record, RouteSettings), call.body)
    settings = checked_value(RouteSettings, document)
    return record_response(routes_flow.change_route(call.request, row.record.id, settings, call.expected))


@routes.endpoint("DELETE", "/v1/routes/{id}", scope="write", status=204)
def delete(call: ApiCall) -> EndpointResponse:
    """Delete a route."""
    routes_flow.delete_route(call.request, call.thing("rte"))
    return EndpointResponse(204)


def _one_of(text: str) -> Invalid:
    return Invalid(text, [{"loc": "body", "code": "one_of", "msg": text}])


@previews.endpoint("POST", "/v1/routes/preview", scope="read", body=PreviewRequest, answer=Preview)
def preview(call: ApiCall) -> EndpointResponse:
    """Say whether a draft route matches an event and why, what is decided, and what would leave."""
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

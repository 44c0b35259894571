"""The tenant API: a blueprint a resource, and one way in for every door.

API Gateway answers by itself what it has no method for. So every path gets every method, those that do not exist with
405, and what is on no path is caught by ``/{proxy+}``: the same code answers behind API Gateway and in the local cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from chalice import Blueprint, Chalice, Response
from chalice.app import Request

from ..core.errors import NotFound
from . import (
    accountability,
    audit_entries,
    audit_evidence,
    audit_logs,
    bases,
    consents,
    conversations,
    decisions,
    destinations,
    events,
    health,
    holds,
    jobs,
    keys,
    legal_holds,
    meta,
    preflight,
    profiles,
    pulls,
    recipients,
    redrives,
    replays,
    routes,
    sources,
    switches,
    tenants,
    thresholds,
    traces,
    transfers,
)
from .endpoint import ANY_TYPE, Endpoint, Resource
from .problems import WrongMethod, of_fault, of_status
from .responses import respond

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CATCH_ALL = "/{proxy+}"

RESOURCES: tuple[Resource, ...] = (
    *tenants.RESOURCES,
    *keys.RESOURCES,
    *sources.RESOURCES,
    *destinations.RESOURCES,
    *health.RESOURCES,
    *decisions.RESOURCES,
    *preflight.RESOURCES,
    *profiles.RESOURCES,
    *recipients.RESOURCES,
    *bases.RESOURCES,
    *routes.RESOURCES,
    *consents.RESOURCES,
    *conversations.RESOURCES,
    *switches.RESOURCES,
    *thresholds.RESOURCES,
    *legal_holds.RESOURCES,
    *events.RESOURCES,
    *transfers.RESOURCES,
    *traces.RESOURCES,
    *holds.RESOURCES,
    *audit_entries.RESOURCES,
    *pulls.RESOURCES,
    *audit_evidence.RESOURCES,
    *audit_logs.RESOURCES,
    *accountability.RESOURCES,
    *jobs.RESOURCES,
    *replays.RESOURCES,
    *redrives.RESOURCES,
    *meta.RESOURCES,
)
ENDPOINTS: tuple[Endpoint, ...] = tuple(e for r in RESOURCES for e in r.endpoints)
_allowed: dict[str, list[str]] = defaultdict(list)
for _endpoint in ENDPOINTS:
    _allowed[_endpoint.path].append(_endpoint.method)
ALLOWED: Mapping[str, tuple[str, ...]] = {path: tuple(sorted(methods)) for path, methods in _allowed.items()}
"""The methods of each path, sorted."""


def register(app: Chalice) -> None:
    """Add the API to the app: every endpoint, 405 for other methods of their paths, 404 for every other path."""
    meta.describe(ENDPOINTS)
    app.api.binary_types = []  # ``BinaryResponse`` encodes what is binary
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint)
    others = Blueprint("chalicelib.api")
    for number, (path, methods) in enumerate(ALLOWED.items()):
        wrong = [m for m in METHODS if m not in methods]
        others.route(path, methods=wrong, name=f"wrong_method_{number}", content_types=[*ANY_TYPE])(
            _wrong_method(methods)
        )
    for name, path in (("nothing", CATCH_ALL), ("root", "/")):
        others.route(path, methods=list(METHODS), name=name, content_types=[*ANY_TYPE])(_nothing)
    app.register_blueprint(others)
    app.register_middleware(_translated, "http")


def _wrong_method(methods: tuple[str, ...]) -> Callable[..., Response]:
    def view(**_: str) -> Response:
        return respond(of_fault(WrongMethod(", ".join(methods))))

    return view


def _nothing(**_: str) -> Response:
    return respond(of_fault(NotFound("there is nothing at this path; see /docs")))


def _translated(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Put into our form what Chalice refuses by itself, such as another content type."""
    response = get_response(request)
    ours = "cache-control" in {name.lower() for name in response.headers}
    return response if ours else respond(of_status(response.status_code))

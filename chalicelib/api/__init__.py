"""The tenant API: a blueprint a resource, and one way in for every door.

API Gateway answers by itself what it has no method for. So every path gets every method, those that do not exist with
405, and what is on no path is caught by ``/{proxy+}``: the same code answers behind API Gateway and in the local cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from chalice import Blueprint, Chalice, Response
from chalice.app import Request

from ..core.errors import NotFound
from . import asking, connections, meta, reading, rules, tenants
from .endpoint import Endpoint, Resource, respond
from .problems import WrongMethod, of_fault, of_status

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CATCH_ALL = "/{proxy+}"

RESOURCES: tuple[Resource, ...] = (
    *tenants.RESOURCES,
    *connections.RESOURCES,
    *asking.RESOURCES,
    *rules.RESOURCES,
    *reading.RESOURCES,
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
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint)
    others = Blueprint("chalicelib.api")
    for number, (path, methods) in enumerate(ALLOWED.items()):
        wrong = [m for m in METHODS if m not in methods]
        others.route(path, methods=wrong, name=f"wrong_method_{number}")(_wrong_method(methods))
    for name, path in (("nothing", CATCH_ALL), ("root", "/")):
        others.route(path, methods=list(METHODS), name=name)(_nothing)
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


def match(path: str) -> tuple[str, dict[str, str]]:
    """Return the path pattern that API Gateway would choose for a path, and its parameters, decoded."""
    steps = path.split("/")
    if len(steps) > 2 and steps[-1] == "":
        steps = steps[:-1]
    best: tuple[str, dict[str, str]] | None = None
    for pattern in ALLOWED:
        wanted = pattern.split("/")
        if len(wanted) != len(steps):
            continue
        found = {w[1:-1]: unquote(s) for w, s in zip(wanted, steps, strict=True) if w.startswith("{") and s}
        if all(s == w or w[1:-1] in found for w, s in zip(wanted, steps, strict=True)) and (
            best is None or len(found) < len(best[1])
        ):
            best = pattern, found
    if best is not None:
        return best
    return ("/", {}) if path in ("", "/") else (CATCH_ALL, {"proxy": unquote(path[1:])})


def rest_event(
    method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str], body_base64: str | None
) -> dict[str, Any]:
    """Make the event that API Gateway (REST, Lambda proxy) sends for a request.

    Args:
        path: as on the wire, without the query.
        query: decoded.
        body_base64: the exact bytes.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html (read
    2026-11-22).
    """
    pattern, params = match(path)
    return {
        "resource": pattern,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": dict(query) or None,
        "pathParameters": params or None,
        "stageVariables": None,
        "requestContext": {"resourcePath": pattern, "httpMethod": method, "path": path, "identity": {}},
        "body": body_base64,
        "isBase64Encoded": body_base64 is not None,
    }

"""API Gateway's part, for the local cell and tests: which path answers, and the event that the lambda gets.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html (read 2026-11-22).
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from chalice import Chalice

from ..core.errors import NotFound, TooLarge
from . import ALLOWED, CATCH_ALL, METHODS
from .problems import WrongMethod, of_fault
from .responses import respond

PAYLOAD_BYTES_MAX = 10 * 1024 * 1024
"""What API Gateway takes; a larger body never reaches the lambda."""


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
        fits = all(s == w or w[1:-1] in found for w, s in zip(wanted, steps, strict=True))
        if fits and (best is None or len(found) < len(best[1])):
            best = pattern, found
    if best is not None:
        return best
    return ("/", {}) if path in ("", "/") else (CATCH_ALL, {"proxy": unquote(path[1:])})


def event(method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """Make the event of a request, as a REST API with the binary type ``*/*`` sends it.

    Args:
        path: as on the wire; ``query``: likewise.
    """
    pattern, params = match(path)
    every: dict[str, list[str]] = {}
    for name, value in headers:
        every.setdefault(name, []).append(value)
    values = parse_qs(query, keep_blank_values=True)
    return {
        "resource": pattern,
        "path": path,
        "httpMethod": method,
        "headers": {name: found[-1] for name, found in every.items()},
        "multiValueHeaders": every,
        "queryStringParameters": {name: found[-1] for name, found in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": params or None,
        "stageVariables": None,
        "requestContext": {"resourcePath": pattern, "httpMethod": method, "path": path, "identity": {}},
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def handle(
    app: Chalice, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> Mapping[str, Any]:
    """Answer a request as API Gateway and the lambda together would, in the lambda's form. As thread-safe as ``app`` is.

    Args:
        body: None where it was too large to be read.
    """
    if body is None or len(body) > PAYLOAD_BYTES_MAX:
        return dict(respond(of_fault(TooLarge("the body is over 1 MiB"))).to_dict())
    if method not in METHODS:
        allowed = ALLOWED.get(match(path)[0])
        fault = WrongMethod(", ".join(allowed)) if allowed else NotFound("there is nothing at this path; see /docs")
        return dict(respond(of_fault(fault)).to_dict())
    answer = dict(app(event(method, path, query, headers, body), None))
    if not any(name.lower() == "content-type" for name in answer["headers"]):
        answer["headers"] = {**answer["headers"], "Content-Type": "application/json"}
    return answer


class ThreadedApp(Chalice):  # type: ignore[misc,unused-ignore]
    """The app where threads share it: Chalice keeps the current request on the app, and here each thread has its own."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._here = threading.local()
        super().__init__(*arguments, **named)

    @property
    def current_request(self) -> Any:
        """The request that this thread answers."""
        return getattr(self._here, "request", None)

    @current_request.setter
    def current_request(self, request: Any) -> None:
        self._here.request = request

    @property
    def lambda_context(self) -> Any:
        """What Lambda would tell of this call."""
        return getattr(self._here, "context", None)

    @lambda_context.setter
    def lambda_context(self, context: Any) -> None:
        self._here.context = context

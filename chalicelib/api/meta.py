"""``/healthz``, ``/openapi.json`` and ``/docs``: what the API says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape
from typing import Any

from ..core.errors import OurError, PlatformUnavailable, RefusedByLaw, RequestError, WaybillError
from .docs_page import PAGE
from .endpoint import ApiCall, Endpoint, Resource
from .openapi import document
from .problems import EndpointResponse

meta = Resource("meta", "This API")
_TABLE: list[Endpoint] = []


def describe(endpoints: Iterable[Endpoint]) -> None:
    """Say which endpoints ``/openapi.json`` tells of."""
    _TABLE[:] = endpoints
    _document.cache_clear()


@cache
def _document() -> dict[str, Any]:
    return document(_TABLE)


@meta.endpoint("GET", "/healthz", operation_id="get_health", scope=None, answer=dict[str, str])
def health(call: ApiCall) -> EndpointResponse:
    """Report that the cell answers, and where it is."""
    settings = call.runtime.settings
    return EndpointResponse(
        200, {"status": "ok", "cell": settings.cell, "region": settings.region, "country": settings.country}
    )


@meta.endpoint("GET", "/openapi.json", operation_id="get_openapi", scope=None, answer=dict[str, Any])
def openapi(call: ApiCall) -> EndpointResponse:
    """Get the OpenAPI description of this API."""
    return EndpointResponse(200, _document())


@meta.endpoint("GET", "/docs", operation_id="get_docs", scope=None, answer=str, media="text/html")
def docs(call: ApiCall) -> EndpointResponse:
    """Show the description of this API as a page."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'",
    }
    return EndpointResponse(200, PAGE, headers)


@meta.endpoint("GET", "/docs/errors", operation_id="get_error_codes", scope=None, answer=str, media="text/html")
def errors(call: ApiCall) -> EndpointResponse:
    """List the error codes and their meanings as a page."""
    rows = "".join(
        f'<dt id="{code}"><code>{code}</code> ({status})</dt><dd>{escape(text)}</dd>'
        for code, (status, text) in sorted(codes().items())
    )
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors</title><h1>Errors</h1><dl>{rows}</dl></html>'
    return EndpointResponse(
        200, page, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"}
    )


def codes() -> dict[str, tuple[int, str]]:
    """Return every error code with its status and meaning, from the error tree itself."""
    # Classes outside ``core.errors`` are part of the tree only once their modules are loaded.
    from ..core.law import loader  # noqa: F401
    from ..core.tenant import legal_holds  # noqa: F401
    from ..destinations import address  # noqa: F401
    from ..flow.jobs import replay  # noqa: F401
    from . import bodies  # noqa: F401

    found: dict[str, tuple[int, str]] = {}
    waiting: list[type[WaybillError]] = [RequestError, RefusedByLaw, PlatformUnavailable, OurError]
    while waiting:
        kind = waiting.pop()
        meaning = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "")
        found.setdefault(kind.code, (kind.status, meaning))
        waiting += kind.__subclasses__()
    return found


RESOURCES = (meta,)

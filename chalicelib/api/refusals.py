"""The statuses that an endpoint can answer beside its own, as data: from the error tree, for ``/openapi.json``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSealed,
    OurError,
    PreconditionFailed,
    TooLarge,
    TooMany,
    Unauthorised,
    Unavailable,
    UnsupportedType,
    WaybillError,
    phrase,
)
from .bodies import NotJson
from .endpoint import WITH_BODY, Endpoint
from .problems import MEDIA_TYPE, StillRunning

RETRIED = (TooMany, NotSealed, StillRunning, Unavailable)
"""Faults whose answer says in ``Retry-After`` when to try again."""
PROBLEM: Mapping[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def faults_of(endpoint: Endpoint) -> Iterator[type[WaybillError]]:
    """Yield the faults that an endpoint can answer with: those that its fields imply, and those of its handler."""
    yield from (Invalid, TooLarge, OurError, Unavailable, *endpoint.raises)
    if endpoint.scope is not None:
        yield from (Unauthorised, TooMany)
    if endpoint.scope not in (None, "operator", "any"):
        yield Forbidden
    if "{" in endpoint.path:
        yield NotFound
    if endpoint.method in WITH_BODY:
        yield UnsupportedType
    if endpoint.body is not None and not endpoint.lines:
        yield NotJson
    if endpoint.scope is not None and (endpoint.method == "POST" or endpoint.key_of is not None):
        yield from (Conflict, StillRunning)
    if endpoint.matches:
        yield PreconditionFailed


def codes_of(endpoint: Endpoint) -> dict[int, list[str]]:
    """Return the codes of an endpoint's refusals by their status. Faults of ours have more codes than these."""
    found: dict[int, set[str]] = {}
    for fault in faults_of(endpoint):
        found.setdefault(fault.status, set()).add(fault.code)
    return {status: sorted(codes) for status, codes in sorted(found.items())}


def responses_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return the OpenAPI responses of an endpoint's refusals."""
    retried = {kind.code for kind in RETRIED}
    found: dict[str, Any] = {}
    for status, codes in codes_of(endpoint).items():
        headers: dict[str, Any] = {}
        if retried & set(codes):
            headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
        if status == Unauthorised.status:
            headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
        said = ", ".join(f"`{code}`" for code in codes) if status < OurError.status else "the fault is not the caller's"
        text = f"{phrase(status)}: {said}"
        found[str(status)] = {"description": text, "content": PROBLEM, **({"headers": headers} if headers else {})}
    return found

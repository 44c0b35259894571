"""Translate faults into ``application/problem+json``, once, at the edge. Source: RFC 9457 (read 2026-11-22)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core import errors, times
from ..core.errors import WaybillError, problem

MEDIA_TYPE = "application/problem+json"
Mark = Callable[[Iterable[Mapping[str, str]]], Sequence[Mapping[str, Any]]]


class WrongMethod(errors.RequestError):
    """The path exists, the method does not."""

    code = "wrong_method"
    status = 405

    def __init__(self, allow: str) -> None:
        super().__init__(f"use one of: {allow}")
        self.allow = allow


class StillRunning(errors.Conflict):
    """A request with the same idempotency key has not been answered yet."""

    code = "still_running"


@dataclass(frozen=True)
class EndpointResponse:
    """What a request is answered with: JSON values, or text as it is."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _said(rules: Sequence[Mapping[str, Any]]) -> str:
    """Name rules in words, each with its article."""
    return "; ".join(f"{rule.get('title', rule['id'])} ({rule['ref']})" for rule in rules)


def of_fault(fault: WaybillError, mark: Mark = list) -> EndpointResponse:
    """Translate a fault of ours or of the caller.

    Args:
        mark: says of the rules by which the law refused how they stand.
    """
    more: dict[str, Any] = {}
    headers = {"Content-Type": MEDIA_TYPE}
    detail = fault.detail
    if isinstance(fault, errors.OurError) and not isinstance(fault, errors.Unavailable):
        detail = "the fault is ours and is logged; changing the request does not help"
    if isinstance(fault, errors.Invalid):
        more["errors"] = fault.errors
    if isinstance(fault, errors.RefusedByLaw):
        rules = mark(fault.rules)
        more.update(rules=rules, missing=fault.missing)
        detail = f"{detail}: {_said(rules)}{f'. {fault.remedy}' if fault.remedy else ''}"
        if fault.until is not None:
            more["until"] = times.text(fault.until)
    if isinstance(fault, errors.TooMany):
        headers["Retry-After"] = str(fault.retry_after_s)
    if isinstance(fault, errors.NotSealed):
        headers["Retry-After"] = str(fault.retry_after_s)
    if isinstance(fault, errors.Unavailable | StillRunning):
        headers["Retry-After"] = "1"
    if isinstance(fault, errors.Unauthorised):
        headers["WWW-Authenticate"] = 'Bearer realm="waybill"'
    if isinstance(fault, WrongMethod):
        headers["Allow"] = fault.allow
    status = fault.status
    return EndpointResponse(status, problem(status, fault.code, detail, **more), headers)


OTHER = {400: "bad_request", 404: "not_found", 405: "wrong_method", 413: "too_large", 415: "unsupported_type"}
"""Codes of what is refused before a handler is asked."""


def of_status(status: int) -> EndpointResponse:
    """Put what the framework refused into our form, without its words."""
    code = OTHER.get(status, "internal")
    status = status if code != "internal" else 500
    text = {
        "unsupported_type": "send application/json",
        "internal": "the fault is ours and is logged; changing the request does not help",
    }.get(code, "the request cannot be answered as it is")
    return EndpointResponse(status, problem(status, code, text), {"Content-Type": MEDIA_TYPE})

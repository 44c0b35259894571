"""The error tree. Raise where the fault is known, translate once at the edge.

    WaybillError
    ├── RequestError              the caller is at fault (4xx)
    │   ├── NotGenuine            a webhook did not prove its origin (401, or 403 where the platform asks for it)
    │   ├── MalformedPayload      a genuine webhook is not what the platform sends (400)
    │   ├── NotFound              unknown, or another tenant's: nobody can tell which (404)
    │   ├── Invalid               a value is not acceptable; ``errors`` names the places (422)
    │   │   ├── InvalidPattern    an event pattern breaks a rule; ``path`` and ``reason``
    │   │   ├── InvalidTransform  ``select`` is no expression; ``position`` and ``reason``
    │   │   └── PlatformRefused   a platform's API refuses the webhook or the credentials
    │   ├── Conflict              the state forbids it (409), a precondition failed (412)
    │   ├── Gone                  it was there and is no more (410)
    │   │   ├── LinkExpired       a pull link after its time
    │   │   └── LinkUsed          a pull link that has given its content
    │   ├── TooLarge              (413)
    │   ├── Unauthorised          no or unknown key (401)
    │   ├── Forbidden             the key lacks a scope (403)
    │   └── TooMany               rate limit (429)
    ├── RefusedByLaw              a decision says no (451); ``rules`` and ``missing``
    │   └── OffRecordForbidden    the law wants a conversation on the record (403)
    ├── PlatformUnavailable       a platform's API does not answer as documented (502)
    ├── DeliveryError             a destination did not take a delivery; ``retryable`` decides what follows
    └── OurError                  we are at fault (5xx)
        ├── Misconfigured         never retried: needs a person
        │   └── NoCredentials     a call to AWS cannot be signed: retried, as an outage
        ├── Unavailable           a dependency did not answer: retried
        ├── AuditConflict         another entry stands where this one belongs
        └── AuditBroken           stored evidence does not verify

No error text holds a payload, a name, a phone number, a platform id or a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

PROBLEM_PAGE = "/docs/errors"
"""Where the cell shows what each code means."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    422: "Unprocessable Content",
}
"""As RFC 9110 has them; Python 3.11 still has the names of the RFC before.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-15.5 (read 2026-11-22).
"""


class WaybillError(Exception):
    """A fault with a stable code, an HTTP status and a verdict on retrying.

    ``detail`` is shown to callers: it names the remedy and never holds personal data or secrets.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: bool = False

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class RequestError(WaybillError):
    """The caller is at fault."""

    code = "bad_request"
    status = 400


class NotGenuine(RequestError):
    """A webhook did not prove its origin."""

    code = "not_genuine"
    status = 401

    def __init__(self, detail: str = "", *, forbidden: bool = False) -> None:
        super().__init__(detail)
        self.reply_status = 403 if forbidden else 401


class MalformedPayload(RequestError):
    """A genuine or unsigned webhook is not what its platform sends."""

    code = "malformed_payload"
    status = 400


class NotFound(RequestError):
    """The thing does not exist, or belongs to another tenant."""

    code = "not_found"
    status = 404


class Invalid(RequestError):
    """A value is not acceptable. ``errors`` holds ``{"loc", "code", "msg"}`` for each place."""

    code = "invalid"
    status = 422

    def __init__(self, detail: str = "", errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class InvalidPattern(Invalid):
    """An event pattern breaks a rule of the language at a JSON path."""

    code = "invalid_pattern"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}", [{"loc": path, "code": "invalid_pattern", "msg": reason}])
        self.path = path
        self.reason = reason


class InvalidTransform(Invalid):
    """What a route selects is not an expression that can be evaluated; ``position`` counts its characters from 0."""

    code = "invalid_transform"

    def __init__(self, position: int, reason: str) -> None:
        text = f"at character {position}: {reason}"
        super().__init__(text, [{"loc": "body.transform.select", "code": self.code, "msg": text}])
        self.position = position
        self.reason = reason


class PlatformRefused(Invalid):
    """A platform's API refuses the webhook, or the credentials that were given for it."""

    code = "platform_refused"


class Conflict(RequestError):
    """The present state forbids the request."""

    code = "conflict"
    status = 409


class NotSealed(Conflict):
    """An entry is not in its log yet: it is sealed within minutes."""

    code = "not_sealed"
    retry_after_s = 60


class SubscribedElsewhere(Conflict):
    """The platform sends its webhooks to another address, and has only one."""

    code = "subscribed_elsewhere"


class PreconditionFailed(Conflict):
    """The resource has changed since the caller read it."""

    code = "precondition_failed"
    status = 412


class Gone(RequestError):
    """The content of a pull link is gone."""

    code = "gone"
    status = 410


class LinkExpired(Gone):
    """The time of a pull link is over."""

    code = "link_expired"


class LinkUsed(Gone):
    """A pull link has given its content, which it does once."""

    code = "link_used"


class TooLarge(RequestError):
    """The body is larger than this door takes."""

    code = "too_large"
    status = 413


class UnsupportedType(RequestError):
    """The content type is not one this door takes."""

    code = "unsupported_type"
    status = 415


class Unauthorised(RequestError):
    """No key, or an unknown one."""

    code = "unauthorised"
    status = 401


class Forbidden(RequestError):
    """The key lacks a scope."""

    code = "forbidden"
    status = 403


class TooMany(RequestError):
    """The caller is over a limit."""

    code = "too_many_requests"
    status = 429
    retryable = True

    def __init__(self, detail: str = "", *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RefusedByLaw(WaybillError):
    """A decision says no. ``rules`` are ``{"id", "ref", "verdict"}``, ``missing`` what would change it.

    ``until`` is when it is over by itself, where that is known; ``remedy`` is a sentence on what to do instead.
    """

    code = "refused_by_law"
    status = 451

    def __init__(
        self,
        detail: str,
        rules: Sequence[Mapping[str, Any]],
        missing: Sequence[str],
        until: datetime | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.remedy = remedy
        self.rules = list(rules)
        self.missing = list(missing)
        self.until = until


class OffRecordForbidden(RefusedByLaw):
    """The law wants a conversation on the record."""

    code = "otr_forbidden"
    status = 403


class DeliveryError(WaybillError):
    """A destination did not take a delivery.

    Args:
        attempt_code: from the closed list of ``core.delivery.retry.CODES``, never the destination's own text.
        retryable: whether the same delivery may succeed later.
        retry_after_s: what the destination asked for, in seconds.
        gone: the destination says it will never take anything again (410).
        sent: whether the request may have reached the destination.
    """

    code = "delivery_failed"
    status = 502

    def __init__(
        self,
        attempt_code: str,
        *,
        retryable: bool,
        retry_after_s: float | None = None,
        gone: bool = False,
        sent: bool = True,
        response: bytes | None = None,
    ) -> None:
        super().__init__(attempt_code)
        self.attempt_code = attempt_code
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.gone = gone
        self.sent = sent
        self.response = response


class PlatformUnavailable(WaybillError):
    """A platform's API did not answer, or not as it is documented; the same request may succeed later."""

    code = "platform_unavailable"
    status = 502
    retryable = True


class OurError(WaybillError):
    """We are at fault."""

    code = "internal"
    status = 500


class Misconfigured(OurError):
    """The deployment or a stored record cannot be used; a person must look."""

    code = "misconfigured"


class NoCredentials(Misconfigured):
    """The environment has no AWS credentials: no call can be signed until it has."""

    retryable = True


class WrongRegion(Misconfigured):
    """A client or an item of another region than the home region was asked for."""

    code = "wrong_region"


class Unavailable(OurError):
    """A dependency did not answer; the same request may succeed later."""

    code = "unavailable"
    status = 503
    retryable = True


class AuditUnavailable(Unavailable):
    """The audit table did not take an entry; the message goes back to its queue."""

    code = "audit_unavailable"


class AuditConflict(OurError):
    """Another entry stands where this one belongs. Nothing may be sent."""

    code = "audit_conflict"


class AuditBroken(OurError):
    """Stored evidence does not verify."""

    code = "audit_broken"


def is_outage(fault: BaseException) -> bool:
    """Say whether a fault is an outage of our own services: it says nothing about the work that it stopped."""
    return isinstance(fault, OurError) and fault.retryable


def phrase(status: int) -> str:
    """Return the name of an HTTP status."""
    return _PHRASES.get(status, "Error")


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """Return an RFC 9457 problem document. ``detail`` names the remedy and holds no payload or secret.

    Source: https://www.rfc-editor.org/rfc/rfc9457 (read 2026-11-22).
    """
    return {
        "type": f"{PROBLEM_PAGE}#{code}",
        "title": phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }

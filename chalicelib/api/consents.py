"""``/v1/consents``: what people have agreed to, and taken back."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import RootModel

from ..core.errors import Invalid
from ..core.tenant.consent_lines import LINES_MAX, ImportResult, RefusedLine, WithdrawalLine
from ..core.tenant.consents import Consent, ConsentSettings, Ref, WithdrawalSettings
from ..flow.declare import consent_import
from ..flow.declare import consents as consents_flow
from ..flow.pagination import ListItem
from . import bodies
from .bodies import checked
from .endpoint import ApiCall, ListQuery, Resource, shown
from .problems import EndpointResponse

consents = Resource("consents", "Consents")


class ConsentsQuery(ListQuery):
    """Filters of the list of consents."""

    subject: Ref | None = None


@consents.endpoint(
    "POST",
    "/v1/consents",
    operation_id="create_consent",
    scope="write",
    body=ConsentSettings,
    answer=Consent,
    status=201,
)
def give(call: ApiCall) -> EndpointResponse:
    """Declare that a person has consented.

    Transfers that are held for this person are decided again.
    """
    return EndpointResponse(201, shown(consents_flow.give(call.request, call.body)))


class ImportLine(RootModel[ConsentSettings | WithdrawalLine]):
    """A line of an import: a consent as ``POST /v1/consents`` takes it, or a withdrawal."""


def _line(raw: bytes) -> ConsentSettings | WithdrawalLine:
    document = bodies.parse(raw)
    line: ConsentSettings | WithdrawalLine = checked(
        WithdrawalLine if "withdraws" in document else ConsentSettings, raw
    )
    return line


@consents.endpoint(
    "POST",
    "/v1/consents/import",
    operation_id="import_consents",
    scope="write",
    body=ImportLine,
    lines=True,
    answer=ImportResult,
)
def take(call: ApiCall) -> EndpointResponse:
    """Import consents and withdrawals, one JSON object a line.

    Each line is taken once, however often it is sent. A refused line does not stop the others.
    """
    told = [(number, raw) for number, raw in enumerate(call.body.split(b"\n"), 1) if raw.strip()]
    if len(told) > LINES_MAX:
        text = f"give at most {LINES_MAX} lines in one request"
        raise Invalid(text, [{"loc": "body", "code": "too_many_lines", "msg": text}])
    good, refused = [], []
    for number, raw in told:
        try:
            good.append((number, _line(raw)))
        except Invalid as fault:
            refused.append(consent_import.refused_line(number, fault))
        except bodies.NotJson as fault:
            refused.append(RefusedLine(line=number, code=fault.code, loc="line"))
    done = consent_import.take(call.request, good)
    refused = sorted((*refused, *done.refused), key=lambda one: one.line)
    return EndpointResponse(200, shown(done.model_copy(update={"refused": refused})))


@consents.endpoint(
    "GET", "/v1/consents", operation_id="list_consents", scope="read", query=ConsentsQuery, answer=Consent, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List consents, of all people or of one person."""
    request, after = call.request, call.position()

    def found() -> Iterator[Consent]:
        if call.query.subject is None:
            yield from call.runtime.consents.list(request.tenant.id, after, call.query.limit + 1)
            return
        person = call.runtime.people.of_ref(request.tenant.id, call.query.subject)
        mine = call.runtime.consents.of_person(person) if person is not None else ()
        yield from (one for one in mine if one.id > after)

    return call.listed(ListItem(one.id, shown(one)) for one in found())


@consents.endpoint("GET", "/v1/consents/{id}", operation_id="get_consent", scope="read", answer=Consent)
def show(call: ApiCall) -> EndpointResponse:
    """Get a consent and its withdrawal."""
    return EndpointResponse(200, shown(call.runtime.consents.get(call.request.tenant.id, call.thing("cns"))))


@consents.endpoint(
    "POST",
    "/v1/consents/{id}/withdrawal",
    operation_id="withdraw_consent",
    scope="write",
    body=WithdrawalSettings,
    answer=Consent,
    status=201,
)
def withdraw(call: ApiCall) -> EndpointResponse:
    """Declare that a person has withdrawn a consent.

    Deliveries that rest on it stop at their next attempt.
    """
    return EndpointResponse(201, shown(consents_flow.withdraw(call.request, call.thing("cns"), call.body)))


RESOURCES = (consents,)

"""``/v1/consents``: what people have agreed to, and taken back."""

from __future__ import annotations

from collections.abc import Iterator

from .. import flow
from ..core.consents import Consent, ConsentSettings, Ref, WithdrawalSettings
from ..flow.lists import Found
from .endpoint import Call, ListQuery, Resource, shown
from .problems import Answer

consents = Resource("consents")


class ConsentsQuery(ListQuery):
    """Filters of the list of consents."""

    subject: Ref | None = None


@consents.endpoint("POST", "/v1/consents", scope="write", body=ConsentSettings, answer=Consent, status=201)
def give(call: Call) -> Answer:
    """Declare that a person has consented: what is held for that person is decided again."""
    return Answer(201, shown(flow.consents.give(call.request, call.body)))


@consents.endpoint("GET", "/v1/consents", scope="read", query=ConsentsQuery, answer=Consent, listed=True)
def index(call: Call) -> Answer:
    """List the consents of the tenant's people, or of one of them."""
    request, after = call.request, call.position()

    def found() -> Iterator[Consent]:
        if call.query.subject is None:
            yield from call.shell.consents.list(request.tenant.id, after, call.query.limit + 1)
            return
        person = call.shell.people.of_ref(request.tenant.id, call.query.subject)
        mine = call.shell.consents.of_person(person) if person is not None else ()
        yield from (one for one in mine if one.id > after)

    return call.listed(Found(one.id, shown(one)) for one in found())


@consents.endpoint("GET", "/v1/consents/{id}", scope="read", answer=Consent)
def show(call: Call) -> Answer:
    """Show a consent, and its withdrawal."""
    return Answer(200, shown(call.shell.consents.get(call.request.tenant.id, call.thing("cns"))))


@consents.endpoint(
    "POST", "/v1/consents/{id}/withdrawal", scope="write", body=WithdrawalSettings, answer=Consent, status=201
)
def withdraw(call: Call) -> Answer:
    """Declare that a person has withdrawn a consent: deliveries that rest on it stop at their next attempt."""
    return Answer(201, shown(flow.consents.withdraw(call.request, call.thing("cns"), call.body)))


RESOURCES = (consents,)

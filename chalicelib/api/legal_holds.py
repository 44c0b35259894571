"""``/v1/legal-holds``: what may be neither erased nor let expire."""

from __future__ import annotations

from typing import Any

from .. import flow
from ..core.legal_holds import LegalHold, LegalHoldSettings, ShownLegalHold
from ..flow.lists import Found
from .endpoint import Call, Empty, ListQuery, Resource
from .problems import Answer

legal_holds = Resource("legal_holds")


def _shown(hold: LegalHold) -> dict[str, Any]:
    return hold.model_dump(mode="json", exclude={"person"})


@legal_holds.endpoint(
    "POST", "/v1/legal-holds", scope="admin", body=LegalHoldSettings, answer=ShownLegalHold, status=201
)
def place(call: Call) -> Answer:
    """Keep a conversation, a person's events or a period from being erased and from expiring."""
    return Answer(201, _shown(flow.legal_holds.place(call.request, call.body)))


@legal_holds.endpoint("GET", "/v1/legal-holds", scope="admin", query=ListQuery, answer=ShownLegalHold, listed=True)
def index(call: Call) -> Answer:
    """List the tenant's legal holds, released ones among them."""
    holds = call.shell.legal_holds.list(call.request.tenant.id, call.position(), call.query.limit + 1)
    return call.listed(Found(hold.id, _shown(hold)) for hold in holds)


@legal_holds.endpoint("GET", "/v1/legal-holds/{id}", scope="admin", answer=ShownLegalHold)
def show(call: Call) -> Answer:
    """Show a legal hold."""
    return Answer(200, _shown(call.shell.legal_holds.get(call.request.tenant.id, call.thing("hld"))))


@legal_holds.endpoint(
    "POST", "/v1/legal-holds/{id}/release", scope="admin", body=Empty, answer=ShownLegalHold, status=201
)
def release(call: Call) -> Answer:
    """Release a legal hold: what it has kept beyond its life is deleted within the hour."""
    return Answer(201, _shown(flow.legal_holds.release(call.request, call.thing("hld"))))


RESOURCES = (legal_holds,)

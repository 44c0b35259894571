"""``/v1/recipients``: the legal persons behind destinations."""

from __future__ import annotations

from pydantic import Field

from ..core.tenant.records import Recipient, RecipientSettings
from ..flow.declare import recipients as recipients_flow
from .declared import ShownUnreadableRecord, list_records, record_response, show_record
from .endpoint import ApiCall, ListQuery, Resource
from .problems import EndpointResponse

recipients = Resource("recipients", "Recipients")


class ShownRecipient(Recipient):
    """A recipient, and the reasons why its contract counts as absent, if there are any."""

    unreadable: list[ShownUnreadableRecord] = Field(default_factory=list)


@recipients.endpoint(
    "POST",
    "/v1/recipients",
    operation_id="create_recipient",
    scope="write",
    body=RecipientSettings,
    answer=Recipient,
    status=201,
    etag=True,
)
def create(call: ApiCall) -> EndpointResponse:
    """Declare a recipient: the legal person behind destinations."""
    return record_response(recipients_flow.create_recipient(call.request, call.body), 201)


@recipients.endpoint(
    "GET",
    "/v1/recipients",
    operation_id="list_recipients",
    scope="read",
    query=ListQuery,
    answer=Recipient,
    listed=True,
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's recipients."""
    return list_records(call, "rcp")


@recipients.endpoint(
    "GET", "/v1/recipients/{id}", operation_id="get_recipient", scope="read", answer=ShownRecipient, etag=True
)
def show(call: ApiCall) -> EndpointResponse:
    """Get the newest version of a recipient."""
    return show_record(call, "rcp")


@recipients.endpoint(
    "PUT",
    "/v1/recipients/{id}",
    operation_id="replace_recipient",
    scope="write",
    body=RecipientSettings,
    answer=Recipient,
    etag=True,
    matches=True,
)
def replace(call: ApiCall) -> EndpointResponse:
    """Declare a new version of a recipient.

    Earlier versions are kept.
    """
    return record_response(recipients_flow.replace_recipient(call.request, call.thing("rcp"), call.body, call.expected))


RESOURCES = (recipients,)

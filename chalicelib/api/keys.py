"""``/v1/keys``: the tenant's API keys."""

from __future__ import annotations

from ..core.event.event import Time
from ..core.tenant.records import KeySettings
from ..flow.declare import keys as keys_flow
from .declared import list_records, show_record
from .endpoint import ApiCall, ListQuery, Resource, shown, tagged
from .problems import EndpointResponse

keys = Resource("keys")


class ShownKey(KeySettings):
    """A key."""

    id: str
    created_at: Time


class NewKey(ShownKey):
    """A key with its secret, which is shown once."""

    secret: str


@keys.endpoint("POST", "/v1/keys", scope="admin", body=KeySettings, answer=NewKey, status=201)
def create(call: ApiCall) -> EndpointResponse:
    """Make an API key; its secret is shown once."""
    key, secret = keys_flow.create_key(call.request, call.body)
    return tagged(1, {**shown(key), "secret": secret}, 201)


@keys.endpoint("GET", "/v1/keys", scope="admin", query=ListQuery, answer=ShownKey, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's keys."""
    return list_records(call, "key")


@keys.endpoint("GET", "/v1/keys/{id}", scope="admin", answer=ShownKey)
def show(call: ApiCall) -> EndpointResponse:
    """Show a key."""
    return show_record(call, "key")


@keys.endpoint("DELETE", "/v1/keys/{id}", scope="admin", status=204)
def delete(call: ApiCall) -> EndpointResponse:
    """Delete a key: it opens nothing from the next request on."""
    keys_flow.delete_key(call.request, call.thing("key"))
    return EndpointResponse(204)


RESOURCES = (keys,)

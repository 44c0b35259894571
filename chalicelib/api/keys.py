"""``/v1/keys``: the tenant's API keys."""

from __future__ import annotations

from ..core.errors import Conflict
from ..core.event.event import Time
from ..core.tenant.records import KeySettings
from ..flow.declare import keys as keys_flow
from .declared import list_records, show_record
from .endpoint import ApiCall, ListQuery, Resource, shown, tagged
from .problems import EndpointResponse

keys = Resource("keys", "API keys")


class ShownKey(KeySettings):
    """An API key."""

    id: str
    created_at: Time


class NewKey(ShownKey):
    """An API key with its secret, which is shown once."""

    secret: str


@keys.endpoint(
    "POST", "/v1/keys", operation_id="create_key", scope="admin", body=KeySettings, answer=NewKey, status=201, etag=True
)
def create(call: ApiCall) -> EndpointResponse:
    """Create an API key.

    The secret is shown only in this answer.
    """
    key, secret = keys_flow.create_key(call.request, call.body)
    return tagged(1, {**shown(key), "secret": secret}, 201)


@keys.endpoint(
    "GET", "/v1/keys", operation_id="list_keys", scope="admin", query=ListQuery, answer=ShownKey, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's API keys."""
    return list_records(call, "key")


@keys.endpoint("GET", "/v1/keys/{id}", operation_id="get_key", scope="admin", answer=ShownKey, etag=True)
def show(call: ApiCall) -> EndpointResponse:
    """Get an API key, without its secret."""
    return show_record(call, "key")


@keys.endpoint("DELETE", "/v1/keys/{id}", operation_id="delete_key", scope="admin", status=204, raises=(Conflict,))
def delete(call: ApiCall) -> EndpointResponse:
    """Delete an API key.

    It stops working with the next request. The last key with the scope ``admin`` cannot be deleted.
    """
    keys_flow.delete_key(call.request, call.thing("key"))
    return EndpointResponse(204)


RESOURCES = (keys,)

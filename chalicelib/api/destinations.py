"""``/v1/destinations``: where events are delivered, with the configuration and secrets of each kind."""

from __future__ import annotations

from typing import Any, Literal

from ..core.errors import Conflict
from ..core.event.event import Time
from ..core.tenant.records import Destination, DestinationSettings
from ..destinations import of_kind
from ..destinations.address import ForbiddenAddress
from ..flow.declare import changes, connect, destination_test, signing_secrets
from .bodies import check_names, checked_value, merge
from .declared import list_records, record_response
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource, Schema
from .problems import EndpointResponse

destinations = Resource("destinations", "Destinations")


class NewDestination(DestinationSettings):
    """A destination and the configuration of its kind."""

    config: dict[str, Any]


class ShownDestination(Destination):
    """A destination. Its configuration is never shown, because it can contain secrets."""


class VerifiableDestination(Destination):
    """A destination and the public keys of its signatures, the current one first."""

    public_keys: list[str]


class SignedDestination(VerifiableDestination):
    """A destination and its signing secret, which is shown only after creation and rotation.

    The secret is null if no delivery is signed with it: another kind than ``http``, or signatures ``v1a`` only.
    """

    signing_secret: str | None


class TestResult(Schema):
    """The result of sending an example event. ``response`` is the beginning of the destination's answer."""

    outcome: Literal["delivered", "failed", "rejected"]
    code: str
    status: int | None
    took_ms: int
    response: str
    detail: str | None
    at: Time


@destinations.endpoint(
    "POST",
    "/v1/destinations",
    operation_id="create_destination",
    raises=(ForbiddenAddress,),
    scope="write",
    body=NewDestination,
    answer=SignedDestination,
    status=201,
    etag=True,
)
def create(call: ApiCall) -> EndpointResponse:
    """Create a destination.

    The signing secret is shown only in this answer and after a rotation.
    """
    settings = DestinationSettings(**{n: v for n, v in dict(call.body).items() if n != "config"})
    row, secrets = connect.create_destination(call.request, settings, call.body.config)
    return record_response(row, 201, **secrets)


@destinations.endpoint(
    "GET",
    "/v1/destinations",
    operation_id="list_destinations",
    scope="read",
    query=ListQuery,
    answer=ShownDestination,
    listed=True,
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's destinations."""
    return list_records(call, "dst")


@destinations.endpoint(
    "GET",
    "/v1/destinations/{id}",
    operation_id="get_destination",
    scope="read",
    answer=VerifiableDestination,
    etag=True,
)
def show(call: ApiCall) -> EndpointResponse:
    """Get a destination and the public keys that its deliveries are signed with."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("dst"))
    sealed = connect.config_of(call.request, row)
    return record_response(row, public_keys=signing_secrets.public_keys(row.record.kind, sealed, call.runtime.now()))


@destinations.endpoint(
    "PATCH",
    "/v1/destinations/{id}",
    operation_id="update_destination",
    raises=(ForbiddenAddress,),
    scope="write",
    body=NewDestination,
    merges=True,
    answer=ShownDestination,
    etag=True,
    matches=True,
)
def change(call: ApiCall) -> EndpointResponse:
    """Change a destination.

    A change of the address needs the secrets of the configuration again.
    """
    row = call.runtime.config.get(call.request.tenant.id, call.thing("dst"))
    patch = dict(call.body)
    config = given = patch.pop("config", None)
    if config is not None:
        check_names(of_kind(row.record.kind).Config, config, "body.config")
    settings = checked_value(DestinationSettings, merge(changes.settings_of(row.record, DestinationSettings), patch))
    if "config" in call.body:  # null is no configuration, and is told so
        config = merge(connect.config_of(call.request, row)["config"], config) or {}
    row = connect.change_destination(call.request, row.record.id, settings, config, call.expected, given or {})
    return record_response(row)


@destinations.endpoint(
    "DELETE", "/v1/destinations/{id}", operation_id="delete_destination", scope="write", status=204, raises=(Conflict,)
)
def delete(call: ApiCall) -> EndpointResponse:
    """Delete a destination.

    A destination that a route uses cannot be deleted.
    """
    connect.delete_destination(call.request, call.thing("dst"))
    return EndpointResponse(204)


@destinations.endpoint(
    "POST",
    "/v1/destinations/{id}/secret/rotate",
    operation_id="rotate_destination_secret",
    scope="write",
    body=EmptySchema,
    answer=SignedDestination,
    etag=True,
    matches=True,
)
def rotate(call: ApiCall) -> EndpointResponse:
    """Replace the signing secrets of a destination.

    Deliveries are signed with both the new and the previous secrets for 24 hours.
    """
    row, secrets = connect.rotate_destination(call.request, call.thing("dst"), call.expected)
    return record_response(row, **secrets)


@destinations.endpoint(
    "POST",
    "/v1/destinations/{id}/test",
    operation_id="test_destination",
    scope="write",
    body=EmptySchema,
    answer=TestResult,
)
def test(call: ApiCall) -> EndpointResponse:
    """Send an example event to a destination and report the result.

    This works for disabled destinations too. It creates no transfer.
    """
    return EndpointResponse(200, destination_test.attempt(call.request, call.thing("dst")))


@destinations.endpoint(
    "POST",
    "/v1/destinations/{id}/enable",
    operation_id="enable_destination",
    scope="write",
    body=EmptySchema,
    answer=ShownDestination,
    etag=True,
    matches=True,
)
def enable(call: ApiCall) -> EndpointResponse:
    """Enable a destination.

    Deliveries that waited for it are sent first.
    """
    return record_response(connect.enable_destination(call.request, call.thing("dst"), True, call.expected))


@destinations.endpoint(
    "POST",
    "/v1/destinations/{id}/disable",
    operation_id="disable_destination",
    scope="write",
    body=EmptySchema,
    answer=ShownDestination,
    etag=True,
    matches=True,
)
def disable(call: ApiCall) -> EndpointResponse:
    """Disable a destination.

    Its events wait until the destination is enabled or they expire.
    """
    return record_response(connect.enable_destination(call.request, call.thing("dst"), False, call.expected))


RESOURCES = (destinations,)

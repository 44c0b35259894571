"""``/v1/destinations``: where events are delivered, with the configuration and secrets of each kind."""

from __future__ import annotations

from typing import Any, Literal

from ..core.event.event import Time
from ..core.tenant.records import Destination, DestinationSettings
from ..flow.declare import changes, connect, destination_test, signing_secrets
from .bodies import merge
from .declared import list_records, record_response
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource, Schema, checked_value
from .problems import EndpointResponse

destinations = Resource("destinations")


class NewDestination(DestinationSettings):
    """A destination and the configuration of its kind, as ``docs/destinations`` has it."""

    config: dict[str, Any]


class ShownDestination(Destination):
    """A destination; its configuration, which may hold secrets, is never shown."""


class VerifiableDestination(Destination):
    """A destination and the public keys that a delivery may be signed with now, the current one first."""

    public_keys: list[str]


class SignedDestination(VerifiableDestination):
    """The same and the signing secret, which is shown only at its making and rotation.

    Null where nothing is signed with one: another kind than ``http``, or one that wants ``v1a`` only.
    """

    signing_secret: str | None


class TestResult(Schema):
    """What came of sending an example. ``response`` is the beginning of what the destination answered."""

    outcome: Literal["delivered", "failed", "rejected"]
    code: str
    status: int | None
    took_ms: int
    response: str
    detail: str | None
    at: Time


@destinations.endpoint(
    "POST", "/v1/destinations", scope="write", body=NewDestination, answer=SignedDestination, status=201
)
def create(call: ApiCall) -> EndpointResponse:
    """Make a destination; its signing secret is shown only here and on rotation."""
    settings = DestinationSettings(**{n: v for n, v in dict(call.body).items() if n != "config"})
    row, secrets = connect.create_destination(call.request, settings, call.body.config)
    return record_response(row, 201, **secrets)


@destinations.endpoint("GET", "/v1/destinations", scope="read", query=ListQuery, answer=ShownDestination, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's destinations."""
    return list_records(call, "dst")


@destinations.endpoint("GET", "/v1/destinations/{id}", scope="read", answer=VerifiableDestination)
def show(call: ApiCall) -> EndpointResponse:
    """Show a destination and the public keys that it is sent with."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("dst"))
    sealed = connect.config_of(call.request, row)
    return record_response(row, public_keys=signing_secrets.public_keys(row.record.kind, sealed, call.runtime.now()))


@destinations.endpoint(
    "PATCH", "/v1/destinations/{id}", scope="write", body=NewDestination, merges=True, answer=ShownDestination
)
def change(call: ApiCall) -> EndpointResponse:
    """Change a destination."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("dst"))
    patch = dict(call.body)
    config = given = patch.pop("config", None)
    settings = checked_value(DestinationSettings, merge(changes.settings_of(row.record, DestinationSettings), patch))
    if "config" in call.body:  # null is no configuration, and is told so
        config = merge(connect.config_of(call.request, row)["config"], config) or {}
    row = connect.change_destination(call.request, row.record.id, settings, config, call.expected, given or {})
    return record_response(row)


@destinations.endpoint("DELETE", "/v1/destinations/{id}", scope="write", status=204)
def delete(call: ApiCall) -> EndpointResponse:
    """Delete a destination that no route leads to."""
    connect.delete_destination(call.request, call.thing("dst"))
    return EndpointResponse(204)


@destinations.endpoint(
    "POST", "/v1/destinations/{id}/secret/rotate", scope="write", body=EmptySchema, answer=SignedDestination
)
def rotate(call: ApiCall) -> EndpointResponse:
    """Give a destination new signing secrets; deliveries are signed with those before too, for 24 hours."""
    row, secrets = connect.rotate_destination(call.request, call.thing("dst"), call.expected)
    return record_response(row, **secrets)


@destinations.endpoint("POST", "/v1/destinations/{id}/test", scope="write", body=EmptySchema, answer=TestResult)
def test(call: ApiCall) -> EndpointResponse:
    """Send an example to a destination, enabled or not, and say what came of it. It is no transfer."""
    return EndpointResponse(200, destination_test.attempt(call.request, call.thing("dst")))


@destinations.endpoint("POST", "/v1/destinations/{id}/enable", scope="write", body=EmptySchema, answer=ShownDestination)
def enable(call: ApiCall) -> EndpointResponse:
    """Enable a destination. Its waiting deliveries go first."""
    return record_response(connect.enable_destination(call.request, call.thing("dst"), True, call.expected))


@destinations.endpoint(
    "POST", "/v1/destinations/{id}/disable", scope="write", body=EmptySchema, answer=ShownDestination
)
def disable(call: ApiCall) -> EndpointResponse:
    """Have events wait for a destination until they expire or it is enabled."""
    return record_response(connect.enable_destination(call.request, call.thing("dst"), False, call.expected))


RESOURCES = (destinations,)

"""``/v1/sources`` and ``/v1/destinations``: what is outside, with its secrets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..core.event.event import OPERATIONAL, Time
from ..core.tenant.records import Destination, DestinationSettings, Record, Source, SourceSettings
from ..flow.declare import configure, connect, destination_test, signing_secrets
from ..flow.pagination import Listed
from ..store.config import RecordRow
from .bodies import merge
from .endpoint import ApiCall, Empty, ListQuery, Resource, Schema, checked_value, shown, tagged
from .problems import EndpointResponse

sources = Resource("sources")
destinations = Resource("destinations")


class NewSource(SourceSettings):
    """A source and the channel's own secret fields, as ``docs/channels`` has them."""

    secret: dict[str, Any]


class SourceSecret(Record):
    """A new secret of a source."""

    secret: dict[str, Any]


class ShownSource(Source):
    """A source, where the platform posts to (null: nobody posts to the cell's own), and what its events will wait for."""

    url: str | None
    missing: list[str] = Field(default_factory=list)


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


class Tried(Schema):
    """What came of sending an example. ``response`` is the beginning of what the destination answered."""

    outcome: Literal["delivered", "failed", "rejected"]
    code: str
    status: int | None
    took_ms: int
    response: str
    detail: str | None
    at: Time


def _source(call: ApiCall, source: Source, token: str | None = None, **more: Any) -> dict[str, Any]:
    # A token in the address is a secret: it is in the answer that makes it, and in no other.
    if source.channel == OPERATIONAL:
        return {**shown(source), "url": None, **more}
    url = f"{call.runtime.settings.hooks_url}/hooks/{source.id}"
    return {**shown(source), "url": url if token is None else f"{url}?token={token}", **more}


@sources.endpoint("POST", "/v1/sources", scope="write", body=NewSource, answer=ShownSource, status=201)
def create(call: ApiCall) -> EndpointResponse:
    """Connect an account on a channel; a token in its address is shown only here and on rotation."""
    settings = SourceSettings(**{n: v for n, v in dict(call.body).items() if n != "secret"})
    row, missing, token = connect.create_source(call.request, settings, call.body.secret)
    return tagged(row.version, _source(call, row.record, token, missing=missing), 201)


@sources.endpoint("GET", "/v1/sources", scope="read", query=ListQuery, answer=ShownSource, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's sources."""
    rows = connect.sources(call.request, call.position(), call.query.limit + 1)
    return call.listed(
        Listed(r.record.id, _source(call, r.record) if r.record.closed_at is None else None) for r in rows
    )


@sources.endpoint("GET", "/v1/sources/{id}", scope="read", answer=ShownSource)
def show(call: ApiCall) -> EndpointResponse:
    """Show a source and what its events wait for."""
    row = connect.open_source(call.request, call.thing("src"))
    return tagged(row.version, _source(call, row.record, missing=connect.judge_source(call.request, row.record)))


@sources.endpoint("PATCH", "/v1/sources/{id}", scope="write", body=SourceSettings, merges=True, answer=ShownSource)
def change(call: ApiCall) -> EndpointResponse:
    """Change what is declared of a source."""
    row = connect.open_source(call.request, call.thing("src"))
    document = merge(configure.settings_of(row.record, SourceSettings), call.body)
    settings = checked_value(SourceSettings, document)
    row, missing = connect.change_source(call.request, row.record.id, settings, call.expected)
    return tagged(row.version, _source(call, row.record, missing=missing))


@sources.endpoint("DELETE", "/v1/sources/{id}", scope="write", status=204)
def close(call: ApiCall) -> EndpointResponse:
    """Close a source: its URL answers 404."""
    connect.close_source(call.request, call.thing("src"), call.expected)
    return EndpointResponse(204)


@sources.endpoint("POST", "/v1/sources/{id}/secret", scope="write", body=SourceSecret, answer=ShownSource)
def rotate(call: ApiCall) -> EndpointResponse:
    """Give a source a new secret; the one before counts for 24 hours more."""
    row, token = connect.rotate_source(call.request, call.thing("src"), call.body.secret, call.expected)
    return tagged(row.version, _source(call, row.record, token))


def _shown(row: RecordRow, **more: Any) -> EndpointResponse:
    return tagged(row.version, shown(row.record, **more), 200)


@destinations.endpoint(
    "POST", "/v1/destinations", scope="write", body=NewDestination, answer=SignedDestination, status=201
)
def create_destination(call: ApiCall) -> EndpointResponse:
    """Make a destination; its signing secret is shown only here and on rotation."""
    settings = DestinationSettings(**{n: v for n, v in dict(call.body).items() if n != "config"})
    row, secrets = connect.create_destination(call.request, settings, call.body.config)
    return tagged(row.version, shown(row.record, **secrets), 201)


@destinations.endpoint("GET", "/v1/destinations", scope="read", query=ListQuery, answer=ShownDestination, listed=True)
def index_destinations(call: ApiCall) -> EndpointResponse:
    """List the tenant's destinations."""
    rows = call.runtime.config.list(call.request.tenant.id, "dst", call.position(), call.query.limit + 1)
    return call.listed(Listed(r.record.id, shown(r.record)) for r in rows)


@destinations.endpoint("GET", "/v1/destinations/{id}", scope="read", answer=VerifiableDestination)
def show_destination(call: ApiCall) -> EndpointResponse:
    """Show a destination and the public keys that it is sent with."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("dst"))
    sealed = connect.config_of(call.request, row)
    return _shown(row, public_keys=signing_secrets.public_keys(row.record.kind, sealed, call.runtime.now()))


@destinations.endpoint(
    "PATCH", "/v1/destinations/{id}", scope="write", body=NewDestination, merges=True, answer=ShownDestination
)
def change_destination(call: ApiCall) -> EndpointResponse:
    """Change a destination."""
    row = call.runtime.config.get(call.request.tenant.id, call.thing("dst"))
    patch = dict(call.body)
    config = patch.pop("config", None)
    settings = checked_value(DestinationSettings, merge(configure.settings_of(row.record, DestinationSettings), patch))
    if "config" in call.body:  # null is no configuration, and is told so
        config = merge(connect.config_of(call.request, row)["config"], config) or {}
    row = connect.change_destination(call.request, row.record.id, settings, config, call.expected)
    return _shown(row)


@destinations.endpoint("DELETE", "/v1/destinations/{id}", scope="write", status=204)
def delete_destination(call: ApiCall) -> EndpointResponse:
    """Delete a destination that no route leads to."""
    connect.delete_destination(call.request, call.thing("dst"))
    return EndpointResponse(204)


@destinations.endpoint(
    "POST", "/v1/destinations/{id}/secret/rotate", scope="write", body=Empty, answer=SignedDestination
)
def rotate_destination(call: ApiCall) -> EndpointResponse:
    """Give a destination new signing secrets; deliveries are signed with those before too, for 24 hours."""
    row, secrets = connect.rotate_destination(call.request, call.thing("dst"), call.expected)
    return _shown(row, **secrets)


@destinations.endpoint("POST", "/v1/destinations/{id}/test", scope="write", body=Empty, answer=Tried)
def try_destination(call: ApiCall) -> EndpointResponse:
    """Send an example to a destination, enabled or not, and say what came of it. It is no transfer."""
    return EndpointResponse(200, destination_test.attempt(call.request, call.thing("dst")))


@destinations.endpoint("POST", "/v1/destinations/{id}/enable", scope="write", body=Empty, answer=ShownDestination)
def enable_destination(call: ApiCall) -> EndpointResponse:
    """Let events go to a destination; what waits for it goes first."""
    return _shown(connect.enable_destination(call.request, call.thing("dst"), True, call.expected))


@destinations.endpoint("POST", "/v1/destinations/{id}/disable", scope="write", body=Empty, answer=ShownDestination)
def disable_destination(call: ApiCall) -> EndpointResponse:
    """Have events wait for a destination until they expire or it is enabled."""
    return _shown(connect.enable_destination(call.request, call.thing("dst"), False, call.expected))


RESOURCES = (sources, destinations)

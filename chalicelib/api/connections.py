"""``/v1/sources`` and ``/v1/destinations``: what is outside, with its secrets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .. import flow
from ..core.event import OPERATIONAL, Time
from ..core.tenant import Destination, DestinationSettings, Record, Source, SourceSettings
from ..flow.lists import Found
from ..store.config import Row
from .bodies import merge
from .endpoint import Call, Empty, Form, ListQuery, Resource, checked_value, shown, tagged
from .problems import Answer

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


class Tried(Form):
    """What came of sending an example. ``response`` is the beginning of what the destination answered."""

    outcome: Literal["delivered", "failed", "rejected"]
    code: str
    status: int | None
    took_ms: int
    response: str
    detail: str | None
    at: Time


def _source(call: Call, source: Source, token: str | None = None, **more: Any) -> dict[str, Any]:
    # A token in the address is a secret: it is in the answer that makes it, and in no other.
    if source.channel == OPERATIONAL:
        return {**shown(source), "url": None, **more}
    url = f"{call.shell.settings.hooks_url}/hooks/{source.id}"
    return {**shown(source), "url": url if token is None else f"{url}?token={token}", **more}


@sources.endpoint("POST", "/v1/sources", scope="write", body=NewSource, answer=ShownSource, status=201)
def create(call: Call) -> Answer:
    """Connect an account on a channel; a token in its address is shown only here and on rotation."""
    settings = SourceSettings(**{n: v for n, v in dict(call.body).items() if n != "secret"})
    row, missing, token = flow.connect.create_source(call.request, settings, call.body.secret)
    return tagged(row.version, _source(call, row.record, token, missing=missing), 201)


@sources.endpoint("GET", "/v1/sources", scope="read", query=ListQuery, answer=ShownSource, listed=True)
def index(call: Call) -> Answer:
    """List the tenant's sources."""
    rows = flow.connect.sources(call.request, call.position(), call.query.limit + 1)
    return call.listed(
        Found(r.record.id, _source(call, r.record) if r.record.closed_at is None else None) for r in rows
    )


@sources.endpoint("GET", "/v1/sources/{id}", scope="read", answer=ShownSource)
def show(call: Call) -> Answer:
    """Show a source and what its events wait for."""
    row = flow.connect.open_source(call.request, call.thing("src"))
    return tagged(row.version, _source(call, row.record, missing=flow.connect.judge_source(call.request, row.record)))


@sources.endpoint("PATCH", "/v1/sources/{id}", scope="write", body=SourceSettings, merges=True, answer=ShownSource)
def change(call: Call) -> Answer:
    """Change what is declared of a source."""
    row = flow.connect.open_source(call.request, call.thing("src"))
    document = merge(flow.configure.settings_of(row.record, SourceSettings), call.body)
    settings = checked_value(SourceSettings, document)
    row, missing = flow.connect.change_source(call.request, row.record.id, settings, call.expected)
    return tagged(row.version, _source(call, row.record, missing=missing))


@sources.endpoint("DELETE", "/v1/sources/{id}", scope="write", status=204)
def close(call: Call) -> Answer:
    """Close a source: its URL answers 404."""
    flow.connect.close_source(call.request, call.thing("src"), call.expected)
    return Answer(204)


@sources.endpoint("POST", "/v1/sources/{id}/secret", scope="write", body=SourceSecret, answer=ShownSource)
def rotate(call: Call) -> Answer:
    """Give a source a new secret; the one before counts for 24 hours more."""
    row, token = flow.connect.rotate_source(call.request, call.thing("src"), call.body.secret, call.expected)
    return tagged(row.version, _source(call, row.record, token))


def _shown(row: Row, **more: Any) -> Answer:
    return tagged(row.version, shown(row.record, **more), 200)


@destinations.endpoint(
    "POST", "/v1/destinations", scope="write", body=NewDestination, answer=SignedDestination, status=201
)
def create_destination(call: Call) -> Answer:
    """Make a destination; its signing secret is shown only here and on rotation."""
    settings = DestinationSettings(**{n: v for n, v in dict(call.body).items() if n != "config"})
    row, secrets = flow.connect.create_destination(call.request, settings, call.body.config)
    return tagged(row.version, shown(row.record, **secrets), 201)


@destinations.endpoint("GET", "/v1/destinations", scope="read", query=ListQuery, answer=ShownDestination, listed=True)
def index_destinations(call: Call) -> Answer:
    """List the tenant's destinations."""
    rows = call.shell.config.list(call.request.tenant.id, "dst", call.position(), call.query.limit + 1)
    return call.listed(Found(r.record.id, shown(r.record)) for r in rows)


@destinations.endpoint("GET", "/v1/destinations/{id}", scope="read", answer=VerifiableDestination)
def show_destination(call: Call) -> Answer:
    """Show a destination and the public keys that it is sent with."""
    row = call.shell.config.get(call.request.tenant.id, call.thing("dst"))
    sealed = flow.connect.config_of(call.request, row)
    return _shown(row, public_keys=flow.terms.public_keys(row.record.kind, sealed, call.shell.now()))


@destinations.endpoint(
    "PATCH", "/v1/destinations/{id}", scope="write", body=NewDestination, merges=True, answer=ShownDestination
)
def change_destination(call: Call) -> Answer:
    """Change a destination."""
    row = call.shell.config.get(call.request.tenant.id, call.thing("dst"))
    patch = dict(call.body)
    config = patch.pop("config", None)
    settings = checked_value(
        DestinationSettings, merge(flow.configure.settings_of(row.record, DestinationSettings), patch)
    )
    if "config" in call.body:  # null is no configuration, and is told so
        config = merge(flow.connect.config_of(call.request, row)["config"], config) or {}
    row = flow.connect.change_destination(call.request, row.record.id, settings, config, call.expected)
    return _shown(row)


@destinations.endpoint("DELETE", "/v1/destinations/{id}", scope="write", status=204)
def delete_destination(call: Call) -> Answer:
    """Delete a destination that no route leads to."""
    flow.connect.delete_destination(call.request, call.thing("dst"))
    return Answer(204)


@destinations.endpoint(
    "POST", "/v1/destinations/{id}/secret/rotate", scope="write", body=Empty, answer=SignedDestination
)
def rotate_destination(call: Call) -> Answer:
    """Give a destination new signing secrets; deliveries are signed with those before too, for 24 hours."""
    row, secrets = flow.connect.rotate_destination(call.request, call.thing("dst"), call.expected)
    return _shown(row, **secrets)


@destinations.endpoint("POST", "/v1/destinations/{id}/test", scope="write", body=Empty, answer=Tried)
def try_destination(call: Call) -> Answer:
    """Send an example to a destination, enabled or not, and say what came of it. It is no transfer."""
    return Answer(200, flow.trial.attempt(call.request, call.thing("dst")))


@destinations.endpoint("POST", "/v1/destinations/{id}/enable", scope="write", body=Empty, answer=ShownDestination)
def enable_destination(call: Call) -> Answer:
    """Let events go to a destination; what waits for it goes first."""
    return _shown(flow.connect.enable_destination(call.request, call.thing("dst"), True, call.expected))


@destinations.endpoint("POST", "/v1/destinations/{id}/disable", scope="write", body=Empty, answer=ShownDestination)
def disable_destination(call: Call) -> Answer:
    """Have events wait for a destination until they expire or it is enabled."""
    return _shown(flow.connect.enable_destination(call.request, call.thing("dst"), False, call.expected))


RESOURCES = (sources, destinations)

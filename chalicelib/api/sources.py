"""``/v1/sources``: accounts on channels, with the secrets that their webhooks are verified with."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..core.event.event import OPERATIONAL
from ..core.log.transfers import ShownObligation
from ..core.tenant.records import Record, Source, SourceSettings
from ..flow.declare import changes, connect
from ..flow.declare.source_law import judge_source
from ..flow.pagination import ListItem
from .bodies import merge
from .endpoint import ApiCall, ListQuery, Resource, checked_value, shown, tagged
from .problems import EndpointResponse

sources = Resource("sources")


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
    obligations: list[ShownObligation] = Field(default_factory=list)


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
    row, readiness, token = connect.create_source(call.request, settings, call.body.secret)
    return tagged(row.version, _source(call, row.record, token, **vars(readiness)), 201)


@sources.endpoint("GET", "/v1/sources", scope="read", query=ListQuery, answer=ShownSource, listed=True)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's sources."""
    rows = connect.sources(call.request, call.position(), call.query.limit + 1)
    return call.listed(
        ListItem(r.record.id, _source(call, r.record) if r.record.closed_at is None else None) for r in rows
    )


@sources.endpoint("GET", "/v1/sources/{id}", scope="read", answer=ShownSource)
def show(call: ApiCall) -> EndpointResponse:
    """Show a source and what its events wait for."""
    row = connect.open_source(call.request, call.thing("src"))
    return tagged(row.version, _source(call, row.record, **vars(judge_source(call.request, row.record))))


@sources.endpoint("PATCH", "/v1/sources/{id}", scope="write", body=SourceSettings, merges=True, answer=ShownSource)
def change(call: ApiCall) -> EndpointResponse:
    """Change what is declared of a source."""
    row = connect.open_source(call.request, call.thing("src"))
    document = merge(changes.settings_of(row.record, SourceSettings), call.body)
    settings = checked_value(SourceSettings, document)
    row, readiness = connect.change_source(call.request, row.record.id, settings, call.expected)
    return tagged(row.version, _source(call, row.record, **vars(readiness)))


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


RESOURCES = (sources,)

"""``/v1/sources``: accounts on channels, with the secrets that their webhooks are verified with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..channels import capabilities_of
from ..core import times
from ..core.errors import Conflict, PlatformRefused, PlatformUnavailable, RefusedByLaw, SubscribedElsewhere
from ..core.event.event import OPERATIONAL, Time
from ..core.log.transfers import ShownObligation
from ..core.tenant.dates import Day
from ..core.tenant.records import Record, Source, SourceSettings
from ..core.tenant.subscription import Subscription, SubscriptionState
from ..flow import source_counts, source_ends, subscriptions
from ..flow.declare import changes, connect, source_law
from ..flow.declare import subscribe as use_case
from ..flow.pagination import ListItem
from .bodies import checked_value, merge
from .endpoint import ApiCall, ListQuery, Resource, shown, tagged
from .problems import EndpointResponse

sources = Resource("sources", "Sources")


class NewSource(SourceSettings):
    """A source and the secret of its channel."""

    secret: dict[str, Any]


class SourceSecret(Record):
    """The new secret of a source, in the form of its channel."""

    secret: dict[str, Any]


class SourceActivity(Record):
    """Accepted events, webhooks by their verdict, and events that no route takes."""

    accepted: int
    ignored: int
    handshake: int
    rejected: int
    malformed: int
    unrouted: int


class ShownSubscription(Record):
    """Whether the platform sends its webhooks to this source, as of its last answer."""

    state: SubscriptionState
    checked_at: Time
    error: str | None
    kept: bool


class ShownSource(Source):
    """A source, its webhook address, and the facts that its events wait for. The cell's own source has no address."""

    url: str | None
    missing: list[str] = Field(default_factory=list)
    obligations: list[ShownObligation] = Field(default_factory=list)
    last_received_at: Time | None = None
    last_24_hours: SourceActivity | None = None
    usual_silence_h: int | None = None
    silent: bool = False
    unsubscribes_after_h: int | None = None
    expires: Day | None = None
    subscription: ShownSubscription | None = None


def _activity(call: ApiCall, source: Source) -> dict[str, Any]:
    tenant = call.request.tenant.id
    found = source_counts.read(call.runtime, tenant, source.id)
    ends = source_ends.expires(call.runtime.config.snapshot(tenant), source)
    return {
        "last_received_at": times.text(found.last_received_at) if found.last_received_at is not None else None,
        "last_24_hours": dict(found.counts),
        "usual_silence_h": found.usual_silence_h,
        "silent": found.silent,
        "unsubscribes_after_h": capabilities_of(source.channel).unsubscribes_after_h,
        "expires": ends.isoformat() if ends is not None else None,
        "subscription": _subscription(subscriptions.shown(call.runtime, tenant, source.id)),
    }


def _subscription(found: Subscription | None) -> dict[str, Any] | None:
    return None if found is None else {**vars(found), "checked_at": times.text(found.checked_at)}


def _source(call: ApiCall, source: Source, token: str | None = None, **more: Any) -> dict[str, Any]:
    # A token in the address is a secret: it is in the answer that makes it, and in no other.
    if source.channel == OPERATIONAL:
        return {**shown(source), "url": None, **more}
    more = {**_activity(call, source), **more}
    url = f"{call.runtime.settings.hooks_url}/hooks/{source.id}"
    return {**shown(source), "url": url if token is None else f"{url}?token={token}", **more}


@sources.endpoint(
    "POST",
    "/v1/sources",
    operation_id="create_source",
    scope="write",
    body=NewSource,
    answer=ShownSource,
    status=201,
    etag=True,
    raises=(RefusedByLaw,),
)
def create(call: ApiCall) -> EndpointResponse:
    """Connect an account on a channel.

    ``url`` is the webhook address to give to the platform. If it contains a token, it is shown only in this answer
    and after a rotation.
    """
    given = call.body.model_fields_set - {"secret"}
    settings = SourceSettings(**{name: getattr(call.body, name) for name in given})
    row, readiness, token = connect.create_source(call.request, settings, call.body.secret)
    return tagged(row.version, _source(call, row.record, token, **vars(readiness)), 201)


@sources.endpoint(
    "GET", "/v1/sources", operation_id="list_sources", scope="read", query=ListQuery, answer=ShownSource, listed=True
)
def index(call: ApiCall) -> EndpointResponse:
    """List the tenant's sources."""
    rows = connect.sources(call.request, call.position(), call.query.limit + 1)
    return call.listed(
        ListItem(r.record.id, _source(call, r.record) if r.record.closed_at is None else None) for r in rows
    )


@sources.endpoint(
    "GET",
    "/v1/sources/{id}",
    operation_id="get_source",
    scope="read",
    answer=ShownSource,
    etag=True,
    raises=(RefusedByLaw,),
)
def show(call: ApiCall) -> EndpointResponse:
    """Get a source and the facts that its events wait for."""
    row = connect.open_source(call.request, call.thing("src"))
    return tagged(row.version, _source(call, row.record, **vars(source_law.judge_source(call.request, row.record))))


@sources.endpoint(
    "PATCH",
    "/v1/sources/{id}",
    operation_id="update_source",
    scope="write",
    body=SourceSettings,
    merges=True,
    answer=ShownSource,
    etag=True,
    matches=True,
    raises=(Conflict, RefusedByLaw),
)
def change(call: ApiCall) -> EndpointResponse:
    """Change the settings of a source.

    The channel of a source cannot be changed.
    """
    row = connect.open_source(call.request, call.thing("src"))
    document = merge(changes.settings_of(row.record, SourceSettings), call.body)
    settings = checked_value(SourceSettings, document)
    row, readiness = connect.change_source(call.request, row.record.id, settings, call.expected)
    return tagged(row.version, _source(call, row.record, **vars(readiness)))


@sources.endpoint(
    "DELETE",
    "/v1/sources/{id}",
    operation_id="close_source",
    scope="write",
    status=204,
    matches=True,
    raises=(Conflict,),
)
def close(call: ApiCall) -> EndpointResponse:
    """Close a source.

    Its webhook address answers 404 from then on.
    """
    connect.close_source(call.request, call.thing("src"), call.expected)
    return EndpointResponse(204)


@sources.endpoint(
    "POST",
    "/v1/sources/{id}/secret",
    operation_id="rotate_source_secret",
    scope="write",
    body=SourceSecret,
    answer=ShownSource,
    etag=True,
    matches=True,
)
def rotate(call: ApiCall) -> EndpointResponse:
    """Replace the secret of a source.

    The previous secret is accepted for 24 more hours.
    """
    row, token = connect.rotate_source(call.request, call.thing("src"), call.body.secret, call.expected)
    return tagged(row.version, _source(call, row.record, token))


class SourceCredentials(Record):
    """The credentials of the platform's own API, and what to do with them.

    ``keep`` stores them, sealed, so that the subscription is checked every day. ``replace`` takes it from another address.
    """

    credentials: dict[str, Any] = Field(default_factory=dict)
    keep: bool = False
    replace: bool = False
    api_url: str | None = Field(default=None, min_length=1, max_length=2048)


@sources.endpoint(
    "POST",
    "/v1/sources/{id}/subscribe",
    operation_id="subscribe_source",
    scope="write",
    body=SourceCredentials,
    answer=ShownSubscription,
    raises=(Conflict, SubscribedElsewhere, PlatformRefused, PlatformUnavailable),
)
def subscribe(call: ApiCall) -> EndpointResponse:
    """Set the webhook at the platform, through the platform's own API, and read it back.

    Channels whose platform has no such API answer 409. Repeating the call changes nothing.
    """
    body = call.body
    made = use_case.subscribe(
        call.request,
        call.thing("src"),
        body.credentials,
        keep=body.keep,
        replace=body.replace,
        api_url=body.api_url,
    )
    return EndpointResponse(200, _subscription(made))


class ShownRejection(Record):
    """Webhooks of one minute that became no event, with one verdict and reason. No value of a request is kept."""

    minute: Time
    verdict: Literal["rejected", "malformed", "refused", "throttled", "ignored"]
    code: str
    detail: str
    count: int
    last_at: Time
    headers: list[str]


@sources.endpoint(
    "GET",
    "/v1/sources/{id}/rejections",
    operation_id="list_rejections",
    scope="read",
    query=ListQuery,
    answer=ShownRejection,
    listed=True,
)
def rejections(call: ApiCall) -> EndpointResponse:
    """List the webhooks of the last day that became no event, the newest minute first.

    The counts are close, not exact.
    """
    row = connect.open_source(call.request, call.thing("src"))
    found = call.runtime.rejection_store.newest(call.request.tenant.id, row.record.id, call.at, call.position())
    return call.listed(
        ListItem(
            one.place,
            {
                "minute": one.minute,
                "verdict": one.verdict,
                "code": one.code,
                "detail": one.detail,
                "count": one.number,
                "last_at": times.text(one.last_at),
                "headers": list(one.headers),
            },
        )
        for one in found
    )


RESOURCES = (sources,)

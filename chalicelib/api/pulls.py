"""``/pull/{token}``: where recipients of routes that restrict, or of large events, fetch an event. The token is all the right that is asked for."""

from __future__ import annotations

from ..core.errors import Gone, LinkExpired, LinkUsed, RefusedByLaw, TooMany
from ..core.event.event import Event
from ..flow.delivery import pull as pull_flow
from .endpoint import ApiCall, Resource
from .problems import EndpointResponse

pulls = Resource("pulls", "Pull links")


@pulls.endpoint(
    "GET",
    "/pull/{token}",
    operation_id="pull_event",
    scope=None,
    answer=Event,
    raises=(Gone, LinkExpired, LinkUsed, RefusedByLaw, TooMany),
)
def pull(call: ApiCall) -> EndpointResponse:
    """Fetch the event of a pull link, once.

    The link of a large event gives the result of the route's ``select``, where there is one. The token is the only credential. The law is asked again at this moment.
    """
    return EndpointResponse(200, pull_flow.content(call.runtime, call.params["token"]))


RESOURCES = (pulls,)

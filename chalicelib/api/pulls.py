"""``/pull/{token}``: where recipients of routes that restrict fetch an event. The token is all the right that is asked for."""

from __future__ import annotations

from ..core.event.event import Event
from ..flow.delivery import pull as pull_flow
from .endpoint import ApiCall, Resource
from .problems import EndpointResponse

pulls = Resource("pulls")


@pulls.endpoint("GET", "/pull/{token}", scope=None, answer=Event)
def pull(call: ApiCall) -> EndpointResponse:
    """Give the event that a link leads to, once, where the law lets its recipient see it now."""
    return EndpointResponse(200, pull_flow.content(call.runtime, call.params["token"]))


RESOURCES = (pulls,)

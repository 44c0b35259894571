"""``/pull/{token}``: where recipients of routes that restrict fetch an event. The token is all the right that is asked for."""

from __future__ import annotations

from .. import flow
from ..core.event import Event
from .endpoint import Call, Resource
from .problems import Answer

pulls = Resource("pulls")


@pulls.endpoint("GET", "/pull/{token}", scope=None, answer=Event)
def pull(call: Call) -> Answer:
    """Give the event that a link leads to, once, where the law lets its recipient see it now."""
    return Answer(200, flow.pull.content(call.shell, call.params["token"]))


RESOURCES = (pulls,)

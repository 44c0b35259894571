"""Replays: ``/v1/transfers/{id}/replay`` and ``/v1/destinations/{id}/replay``."""

from __future__ import annotations

from typing import Literal

from ..core.errors import Conflict
from ..core.log.transfers import Transfer
from ..core.tenant.dates import Instant
from ..flow.jobs import replay
from .endpoint import ApiCall, EmptySchema, Resource
from .jobs import ShownJob, shown
from .problems import EndpointResponse
from .transfers import transfers_shown

replays = Resource("replays", "Replays")


class ReplayRange(EmptySchema):
    """The transfers to replay, of events received from ``after`` (inclusive) to ``before`` (exclusive)."""

    after: Instant | None = None
    before: Instant | None = None
    outcome: Literal["rejected", "gave_up", "refused", "expired", "delivered", "any"]


@replays.endpoint(
    "POST",
    "/v1/transfers/{id}/replay",
    operation_id="replay_transfer",
    scope="write",
    body=EmptySchema,
    answer=Transfer,
    status=201,
    raises=(Conflict,),
)
def again(call: ApiCall) -> EndpointResponse:
    """Replay a transfer that has ended.

    This makes a new decision and a new transfer that names the old one.
    """
    request = call.request
    one = replay.again(call.runtime, request.tenant.id, call.thing("trf"), request.actor, call.at, "controller_request")
    return EndpointResponse(201, transfers_shown(call)(one))


@replays.endpoint(
    "POST",
    "/v1/destinations/{id}/replay",
    operation_id="replay_destination",
    scope="write",
    body=ReplayRange,
    answer=ShownJob,
    status=202,
)
def many(call: ApiCall) -> EndpointResponse:
    """Replay the transfers of a destination that ended with one outcome.

    The answer is a job.
    """
    asked: ReplayRange = call.body
    job = replay.begin(call.request, call.thing("dst"), asked.after, asked.before, asked.outcome)
    return EndpointResponse(202, shown(call, job))


RESOURCES = (replays,)

"""``/v1/thresholds``: how many people a tenant has data of, against the numbers that laws turn on."""

from __future__ import annotations

from typing import Literal

from ..core.tenant.records import Record
from ..flow import volumes
from ..flow.pagination import ListItem
from .endpoint import ApiCall, ListQuery, Resource
from .problems import EndpointResponse

thresholds = Resource("thresholds", "Thresholds")


class ShownThreshold(Record):
    """A legal threshold: a number of people, its consequence, and the tenant's count."""

    id: str
    law: str
    counter: str
    year: int
    number: int
    count: int
    percent: int
    near: bool
    reached: bool
    follows: str
    ref: str
    source: str
    checked_on: str
    confidence: Literal["verified", "memory", "unsure"]
    settled: bool


@thresholds.endpoint(
    "GET",
    "/v1/thresholds",
    operation_id="list_thresholds",
    scope="read",
    query=ListQuery,
    answer=ShownThreshold,
    listed=True,
)
def index(call: ApiCall) -> EndpointResponse:
    """List the legal thresholds with the tenant's count of people."""
    found = sorted(volumes.thresholds(call.runtime, call.request.tenant.id), key=lambda row: str(row["id"]))
    after = call.position()
    return call.listed(ListItem(row["id"], row) for row in found if row["id"] > after)


RESOURCES = (thresholds,)

"""How long transfers wait, as the tenant declares it over the API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.core import times
from tests.support.api_cell import US_RECIPIENT, Api


def test_a_hold_is_shown_to_end_as_it_is_declared_when_it_is_looked_at(tenant: Api) -> None:
    tenant.connect(US_RECIPIENT)
    tenant.hook()
    tenant.deliver()
    assert tenant.get("/v1/tenant").json["hold_hours"] == 72

    for hours in (24, 72):
        assert tenant.call("PATCH", "/v1/tenant", {"hold_hours": hours}).status == 200
        (hold,) = tenant.get("/v1/holds").json["data"]
        waits = times.parse(hold["expires_at"]) - times.parse(hold["held_since"])
        assert waits == timedelta(hours=hours)


def test_what_is_held_is_looked_at_when_the_time_is_changed(tenant: Api) -> None:
    tenant.connect(US_RECIPIENT)
    tenant.hook()
    tenant.deliver()
    ((lane, _),) = tenant.runtime.data.held(tenant.made["tenant"])
    assert lane not in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]

    tenant.call("PATCH", "/v1/tenant", {"hold_hours": 1})

    assert lane in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]


@pytest.mark.parametrize("hours", [0, 73, "24", 1.5])
def test_refused_when_the_time_is_longer_than_the_laws_or_none(tenant: Api, hours: object) -> None:
    answer = tenant.call("PATCH", "/v1/tenant", {"hold_hours": hours})

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, "body.hold_hours")
    assert answer.json["title"] == "Unprocessable Content"
    assert tenant.get("/v1/tenant").json["hold_hours"] == 72


def test_it_is_said_that_there_is_no_such_hold_when_one_is_asked_for_that_never_was(tenant: Api) -> None:
    answer = tenant.post(f"/v1/holds/hld_{'0' * 26}/decision")

    assert (answer.status, answer.json["detail"]) == (404, "no such hold; GET /v1/holds lists the held transfers")

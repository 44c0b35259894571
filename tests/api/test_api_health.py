"""How a destination does, as the API shows it."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.core.delivery import breaker
from chalicelib.core.delivery.breaker import AttemptResult, BreakerState
from chalicelib.store.data import lane_of, list_of
from tests.support.api_cell import Api

CLOSED = {
    "state": "closed",
    "disabled_because": None,
    "consecutive_failures": 0,
    "failing_since": None,
    "opened_at": None,
    "next_probe_at": None,
    "not_before": None,
    "waiting": {"lanes": 0, "more": False},
    "refusals": {"in_a_row": 0, "refused": 0, "delivered": 0, "code": None, "transfer": None, "last_at": None},
}


def failing(api: Api, destination: str) -> str:
    """Make ten attempts fail, and two lanes wait. Return the tenant."""
    own = str(api.get("/v1/tenant").json["id"])
    now, health = api.clock.at, api.runtime.destination_state

    def step(state: BreakerState) -> BreakerState:
        for number in range(10):
            state = breaker.after(state, AttemptResult.FAILED, f"lane {number}", now)
        return state

    health.change(own, destination, health.get(own, destination), now, step)
    for conversation in ("cnv_1", "cnv_2"):
        lane = lane_of(own, destination, conversation)
        api.runtime.data.make_head(lane, now + timedelta(hours=6), list_of(own, destination))
    return own


def test_closed_when_nothing_is_wrong(tenant: Api) -> None:
    destination = tenant.connect()["destination"]

    assert tenant.get(f"/v1/destinations/{destination}/health").json == CLOSED


def test_open_then_half_open_then_disabled_when_a_destination_fails(tenant: Api) -> None:
    destination = tenant.connect()["destination"]
    own, path = failing(tenant, destination), f"/v1/destinations/{destination}/health"

    shown = tenant.get(path).json
    assert (shown["state"], shown["consecutive_failures"]) == ("open", 10)
    assert shown["waiting"] == {"lanes": 2, "more": False}
    assert shown["next_probe_at"] > shown["opened_at"] == shown["failing_since"]

    now, health = tenant.clock.at, tenant.runtime.destination_state
    health.change(own, destination, health.get(own, destination), now, lambda state: breaker.leased(state, now))
    assert tenant.get(path).json["state"] == "half_open"

    tenant.post(f"/v1/destinations/{destination}/disable")
    shown = tenant.get(path).json
    assert (shown["state"], shown["next_probe_at"]) == ("disabled", None)


def test_refusals_are_counted_when_a_destination_refuses_and_takes_events(tenant: Api) -> None:
    destination = tenant.connect()["destination"]
    own = str(tenant.get("/v1/tenant").json["id"])
    now, health = tenant.clock.at, tenant.runtime.destination_state

    def step(state: BreakerState) -> BreakerState:
        for number, code in enumerate(("http_422", "http_204", "http_400", "http_401")):
            state = breaker.counted(state, code, f"trf_{number}", now)
        return state

    health.change(own, destination, health.get(own, destination), now, step)

    shown = tenant.get(f"/v1/destinations/{destination}/health").json
    assert (shown["state"], shown["consecutive_failures"]) == ("closed", 0)
    assert {**shown["refusals"], "last_at": None} == {
        "in_a_row": 2, "refused": 3, "delivered": 1, "code": "http_401", "transfer": "trf_3", "last_at": None,
    }  # fmt: skip
    tenant.clock.at += timedelta(minutes=11)
    assert tenant.get(f"/v1/destinations/{destination}/health").json["refusals"]["refused"] == 0


def test_what_waits_is_woken_when_a_destination_is_changed_so_that_it_works(tenant: Api) -> None:
    destination = tenant.connect()["destination"]
    own = failing(tenant, destination)

    changed = tenant.call("PATCH", f"/v1/destinations/{destination}", {"config": {"url": "https://crm.example/new"}})

    assert changed.status == 200, changed.text
    state = tenant.runtime.destination_state.get(own, destination).state
    assert breaker.wakes(state, tenant.clock.at) == (breaker.WAKES_PER_S, True)


def test_what_waits_is_woken_when_a_destination_is_enabled(tenant: Api) -> None:
    destination = tenant.connect()["destination"]
    own = failing(tenant, destination)
    for _ in range(2):
        assert tenant.post(f"/v1/destinations/{destination}/enable").status == 200

        state = tenant.runtime.destination_state.get(own, destination).state
        assert breaker.wakes(state, tenant.clock.at) == (breaker.WAKES_PER_S, True)
        assert tenant.get(f"/v1/destinations/{destination}/health").json["state"] == "closed"


def test_not_found_when_a_destination_is_unknown(tenant: Api) -> None:
    assert tenant.get("/v1/destinations/dst_" + "0" * 26 + "/health").status == 404

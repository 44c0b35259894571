"""Destinations that act under a role of the tenant's, at the API's door: made disabled, enabled once the role is proved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.destinations.aws_client import RoleClients
from chalicelib.destinations.base import SendingClients
from tests.support.api_cell import RECIPIENT, Answer, Api
from tests.support.tenant_aws import CELL_ACCOUNT, SAID, TAKEN, Maker, Service, Sts, refusal

ROLE = "arn:aws:iam::999988887777:role/waybill-events"
OTHER_ROLE = "arn:aws:iam::999988887777:role/waybill-other"
QUEUE = "arn:aws:sqs:eu-central-1:999988887777:events"


@dataclass
class Door:
    """The API as a tenant sees it, and the STS that knows its roles."""

    api: Api
    sts: Sts
    recipient: str

    def make(self, **changes: Any) -> Answer:
        config = {"role_arn": ROLE, "arn": QUEUE} | changes.pop("config", {})
        destination = {"name": "queue", "kind": "sqs", "config": config, "recipient": self.recipient, **changes}
        return self.api.post("/v1/destinations", destination)

    def made(self, **changes: Any) -> dict[str, Any]:
        answer = self.make(**changes)
        assert answer.status == 201, answer.text
        shown: dict[str, Any] = answer.json
        return shown

    def enabled(self) -> dict[str, Any]:
        """A destination whose role demands its external id."""
        made = self.made()
        self.sts.trusts = {ROLE: made["external_id"]}
        answer = self.api.post(f"/v1/destinations/{made['id']}/enable", {})
        assert answer.status == 200, answer.text
        shown: dict[str, Any] = answer.json
        return shown

    def enable(self, destination: dict[str, Any]) -> Answer:
        return self.api.post(f"/v1/destinations/{destination['id']}/enable", {})

    def change(self, destination: dict[str, Any], **patch: Any) -> Answer:
        path = f"/v1/destinations/{destination['id']}"
        return self.api.call("PATCH", path, patch, If_Match=self.api.get(path).headers["ETag"])

    def shown(self, destination: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = self.api.get(f"/v1/destinations/{destination['id']}").json
        return shown


@pytest.fixture
def door(tenant: Api) -> Iterator[Door]:
    runtime = tenant.runtime
    sts = Sts(runtime.now)
    before = runtime.settings, runtime.destination_clients
    runtime.settings = replace(runtime.settings, account=CELL_ACCOUNT)
    aws = RoleClients(runtime.settings.region, CELL_ACCOUNT, runtime.now, Maker(sts, Service([TAKEN])))
    runtime.destination_clients = SendingClients(policy=runtime.policy, aws=aws)
    yield Door(tenant, sts, tenant.made_by("/v1/recipients", RECIPIENT)["id"])
    runtime.settings, runtime.destination_clients = before


def test_destination_waits_for_its_role_when_it_is_made(door: Door) -> None:
    made = door.made()

    assert (made["enabled"], made["disabled_because"], made["place"]) == (False, "role", ["DE"])
    assert made["external_id"].startswith("wbx_")
    assert len(made["external_id"]) == 56
    assert door.shown(made)["external_id"] == made["external_id"]
    assert "role_arn" not in door.shown(made)


def test_destination_is_enabled_when_its_role_demands_the_id(door: Door) -> None:
    made = door.made()
    door.sts.trusts = {ROLE: made["external_id"]}

    answer = door.enable(made)

    assert answer.status == 200, answer.text
    assert (answer.json["enabled"], answer.json["disabled_because"]) == (True, None)
    assert answer.json["external_id"] == made["external_id"]


def test_refused_with_what_to_do_when_the_role_does_not_let_us(door: Door) -> None:
    made = door.made()
    door.sts.trusts = {ROLE: "another"}

    answer = door.enable(made)

    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "role_refused"
    assert answer.json["errors"][0]["loc"] == "body.config.role_arn"
    assert made["external_id"] in answer.json["detail"]
    assert CELL_ACCOUNT in answer.json["detail"]
    assert SAID not in answer.text
    assert door.shown(made)["enabled"] is False


def test_refused_with_the_id_when_anybody_may_assume_the_role(door: Door) -> None:
    made = door.made()
    door.sts.trusts = {ROLE: None}

    answer = door.enable(made)

    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "role_open"
    assert made["external_id"] in answer.json["detail"]
    assert door.shown(made)["enabled"] is False


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_stored_when_a_new_destinations_role_is_anybodys(door: Door, enabled: bool) -> None:
    door.sts.trusts = {ROLE: None}

    answer = door.make(enabled=enabled)

    stored = door.api.get("/v1/destinations").json["data"]
    if enabled:
        assert (answer.status, answer.json["errors"][0]["code"]) == (422, "role_open")
        assert stored == []
    else:  # the role is not checked before the destination is to be enabled
        assert (answer.status, answer.json["disabled_because"]) == (201, None)
        assert door.enable(answer.json).status == 422


def test_told_to_try_again_when_sts_does_not_answer(door: Door) -> None:
    door.sts.fault = refusal("InternalFailure", 500)
    made = door.made()

    answer = door.enable(made)

    assert made["disabled_because"] == "role"
    assert answer.status == 503
    assert door.shown(made)["enabled"] is False


def test_another_destination_cannot_use_a_role_that_is_not_its_own(door: Door) -> None:
    door.enabled()

    other = door.made(name="other")

    assert other["external_id"] != door.shown(other)["id"]
    assert door.enable(other).json["errors"][0]["code"] == "role_refused"


def test_another_tenant_cannot_use_a_role_that_is_not_its_own(door: Door) -> None:
    first = door.enabled()
    stranger = door.api.new_tenant()
    theirs = Door(stranger, door.sts, stranger.made_by("/v1/recipients", RECIPIENT)["id"])

    made = theirs.made()

    assert made["external_id"] != first["external_id"]
    assert (made["enabled"], theirs.enable(made).status) == (False, 422)


def test_role_is_proved_again_when_it_is_changed(door: Door) -> None:
    shown = door.enabled()

    refused = door.change(shown, config={"role_arn": OTHER_ROLE})
    door.sts.trusts = {OTHER_ROLE: shown["external_id"]}
    taken = door.change(shown, config={"role_arn": OTHER_ROLE})

    assert refused.status == 422
    assert taken.status == 200, taken.text
    assert taken.json["external_id"] == shown["external_id"]


def test_destination_is_not_enabled_by_a_change_when_its_role_is_not_proved(door: Door) -> None:
    made = door.made()

    answer = door.change(made, enabled=True)

    assert answer.status == 422
    assert door.shown(made)["enabled"] is False


def test_name_is_changed_without_asking_when_the_destination_is_proved(door: Door) -> None:
    shown = door.enabled()
    asked = len(door.sts.asked)

    answer = door.change(shown, name="events")

    assert answer.status == 200, answer.text
    assert (answer.json["place"], answer.json["external_id"]) == (["DE"], shown["external_id"])
    assert len(door.sts.asked) == asked


def test_place_follows_when_the_queue_is_another(door: Door) -> None:
    made = door.made()

    answer = door.change(made, config={"arn": QUEUE.replace("eu-central-1", "us-east-1")})

    assert answer.status == 200, answer.text
    assert answer.json["place"] == ["US"]


@pytest.mark.parametrize("field", ["place", "external_id"])
def test_refused_when_a_tenant_says_what_the_cell_works_out(door: Door, field: str) -> None:
    assert door.make(**{field: ["DE"] if field == "place" else "wbx_mine"}).status == 422


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"role_arn": f"arn:aws:iam::{CELL_ACCOUNT}:role/waybill-events"}, "own_account"),
        ({"arn": f"arn:aws:sqs:eu-central-1:{CELL_ACCOUNT}:waybill-eu1-outbox.fifo"}, "own_account"),
        (
            {
                "role_arn": ROLE.replace("arn:aws:", "arn:aws-cn:"),
                "arn": "arn:aws-cn:sqs:cn-north-1:999988887777:events",
            },
            "partition",
        ),
    ],
)
def test_refused_when_nothing_is_ever_sent_there(door: Door, config: dict[str, str], code: str) -> None:
    answer = door.make(config=config)

    assert (answer.status, answer.json["errors"][0]["code"]) == (422, code)
    assert door.sts.asked == []


# Where it is decides


def flow_to(door: Door, region: str) -> tuple[str, str]:
    """A flow whose recipient is in Germany; the route and the source."""
    door.api.connect()
    destination = door.made(config={"arn": QUEUE.replace("eu-central-1", region)})
    route = {
        "name": "queue",
        "pattern": {"kind": ["message"]},
        "destination": destination["id"],
        "purpose": "customer_support",
        "mode": "replicate",
    }
    return door.api.made_by("/v1/routes", route)["id"], door.api.made["source"]


@pytest.mark.parametrize(("region", "ready"), [("eu-central-1", True), ("us-east-1", False)])
def test_preflight_and_preview_agree_that_the_place_decides(door: Door, region: str, ready: bool) -> None:
    route, source = flow_to(door, region)
    door.api.hook()
    event = door.api.get("/v1/events").json["data"][0]["id"]
    draft = door.api.get(f"/v1/routes/{route}").json

    preflight = door.api.get("/v1/preflight", route=route).json["data"]
    drafted = {name: draft[name] for name in ("name", "pattern", "destination", "purpose", "mode")}
    preview = door.api.post("/v1/routes/preview", {"event_id": event, "route": drafted})

    (found,) = [item for item in preflight if item["source"] == source]
    assert found["ready"] is ready
    assert preview.json["decision"] == found["decision"] == ("allowed" if ready else "held")

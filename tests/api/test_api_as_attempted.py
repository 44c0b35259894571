"""Decisions and previews over the API use the person's consents and the tenant's switches, as attempts do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_cell import DIGEST, Api
from tests.support.consents import consent, person


@pytest.fixture
def held(tenant: Api) -> dict[str, str]:
    """An event that only its person's consent would allow."""
    subject = person(tenant)
    tenant.post(f"/v1/bases/{tenant.made['contract']}/withdrawal")
    (event,) = tenant.get("/v1/events").json["data"]
    return {"subject": subject, "event": event["id"]}


def decided(tenant: Api, event: str) -> dict[str, Any]:
    answer = tenant.post("/v1/decisions", {"event": event, "route": tenant.made["route"]})
    assert answer.status == 200, answer.text
    result: dict[str, Any] = answer.json
    return result


def previewed(tenant: Api, **event: Any) -> dict[str, Any]:
    route = {
        "name": "draft", "pattern": {"kind": ["message"]}, "destination": tenant.made["destination"],
        "purpose": "customer_support",
    }  # fmt: skip
    answer = tenant.post("/v1/routes/preview", {**event, "route": route})
    assert answer.status == 200, answer.text
    result: dict[str, Any] = answer.json
    return result


def test_a_consent_is_seen_as_long_as_it_stands(tenant: Api, held: dict[str, str]) -> None:
    (event,) = tenant.get("/v1/events").json["data"]
    assert (decided(tenant, held["event"])["decision"], previewed(tenant, event_id=held["event"])["decision"]) == (
        "hold",
        "held",
    )

    given = tenant.made_by("/v1/consents", consent(tenant, held["subject"]))
    with_consent = decided(tenant, held["event"])
    assert (with_consent["decision"], given["id"] in with_consent["bases"]) == ("allow", True)
    assert previewed(tenant, event_id=held["event"])["decision"] == "allowed"
    assert previewed(tenant, event=event)["decision"] == "allowed"

    tenant.post(f"/v1/consents/{given['id']}/withdrawal", {"method": "message"})
    assert decided(tenant, held["event"])["decision"] == "hold"
    assert previewed(tenant, event=event)["decision"] == "held"


def test_anothers_consent_is_not_seen(tenant: Api, held: dict[str, str]) -> None:
    tenant.made_by("/v1/consents", consent(tenant, held["subject"]))

    # The other person's message is stored on a ground that ends: without one it would be sealed, and shown to no one.
    contract = {"kind": "contract", "valid_from": "2026-01-01", "evidence": DIGEST}
    ground = tenant.made_by("/v1/bases", contract)["id"]
    tenant.hook(number=2, chat=78)
    tenant.post(f"/v1/bases/{ground}/withdrawal")

    newest = tenant.get("/v1/events").json["data"][0]
    assert decided(tenant, newest["id"])["decision"] == "hold"
    assert previewed(tenant, event=newest)["decision"] == "held"


def test_a_switch_refuses_and_what_the_law_says_is_told_beside_it(tenant: Api, held: dict[str, str]) -> None:
    missing = decided(tenant, held["event"])["missing"]
    settings = {"scope": "recipient", "value": tenant.made["recipient"], "reason": "under review"}
    switch = tenant.made_by("/v1/switches", settings)

    found = decided(tenant, held["event"])

    assert (found["decision"], found["deciding"], found["switch"]) == ("deny", ["TENANT.switch"], switch["id"])
    assert found["why"][0] == {
        "rule": "TENANT.switch", "ref": "tenant's own switch", "effect": "deny", "hop": None, "because": [],
        "fix": f"remove the switch {switch['id']}", "title": "The tenant's own switch stops it",
    }  # fmt: skip
    assert found["missing"] == missing != []
    assert "under review" not in str(found)
    assert [r["id"] for r in previewed(tenant, event_id=held["event"])["rules"]] == ["TENANT.switch"]

    tenant.call("DELETE", f"/v1/switches/{switch['id']}")
    assert "switch" not in decided(tenant, held["event"])

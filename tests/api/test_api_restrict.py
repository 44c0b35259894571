"""Mode restrict at the API: refusals, answers, and the questions to the law."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.destinations import KINDS
from chalicelib.flow.rendering import selects
from tests.support.api_cell import RECIPIENT, US_RECIPIENT, Api
from tests.support.destination_kinds import fixture


def route(api: Api, **changes: Any) -> dict[str, Any]:
    destination = {"destination": api.made["destination"]}
    return {
        "name": "r",
        "pattern": {"kind": ["message"]},
        "purpose": "support",
        "mode": "restrict",
        **destination,
        **changes,
    }


def restrict(api: Api) -> str:
    """Make the first flow's route restrict; return its path."""
    path = f"/v1/routes/{api.made['route']}"
    changed = api.call("PATCH", path, {"mode": "restrict"})
    assert changed.status == 200, changed.text
    return path


@pytest.mark.parametrize("hours", [None, 1, 24, 72])
def test_a_route_restricts_for_its_hours(tenant: Api, hours: int | None) -> None:
    tenant.connect()

    made = tenant.made_by("/v1/routes", route(tenant, pull_hours=hours))

    assert (made["mode"], made["pull_hours"]) == ("restrict", hours)
    assert tenant.get(f"/v1/routes/{made['id']}").json == made


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pull_hours": 0}, "greater than or equal to 1"),
        ({"pull_hours": 73}, "less than or equal to 72"),
        ({"pull_hours": "24"}, "valid integer"),
        ({"mode": "replicate", "pull_hours": 24}, 'pull_hours needs mode "restrict"'),
        ({"mode": "redact", "pull_hours": 24}, 'pull_hours needs mode "restrict"'),
        ({"transform": {"redact": [{"class": "name", "action": "drop"}]}}, "sends nothing of the event"),
        ({"transform": {"select": "message"}}, "sends nothing of the event"),
    ],
)
def test_a_route_is_refused_when_it_could_not_restrict_so(tenant: Api, change: dict[str, Any], told: str) -> None:
    tenant.connect()

    answer = tenant.post("/v1/routes", route(tenant, **change))

    assert answer.status == 422
    assert told in answer.json["errors"][0]["msg"]


WRITING = sorted(kind for kind in KINDS if not selects(kind))


@pytest.mark.parametrize("kind", WRITING)
def test_a_route_to_a_kind_with_a_form_of_its_own_cannot_restrict(tenant: Api, kind: str) -> None:
    tenant.connect()
    restrict(tenant)
    other = {"name": "o", "kind": kind, "config": fixture(kind)["config"], "recipient": tenant.made["recipient"]}
    destination = tenant.made_by("/v1/destinations", {**other, "enabled": False})["id"]
    of_its_own = tenant.made_by("/v1/routes", route(tenant, mode="replicate", destination=destination))["id"]

    answers = [
        tenant.post("/v1/routes", route(tenant, destination=destination)),
        tenant.call("PUT", f"/v1/routes/{tenant.made['route']}", route(tenant, destination=destination)),
        tenant.call("PATCH", f"/v1/routes/{tenant.made['route']}", {"destination": destination}),
        tenant.call("PATCH", f"/v1/routes/{of_its_own}", {"mode": "restrict"}),
        tenant.post("/v1/routes/preview", {"event": {}, "route": route(tenant, destination=destination)}),
    ]

    assert {a.status for a in answers} == {422}
    assert {(a.json["errors"][0]["loc"], a.json["errors"][0]["code"]) for a in answers[:4]} == {
        ("body.mode", "own_form")
    }
    assert kind in answers[0].json["detail"]


def test_a_route_comes_and_goes_between_modes(tenant: Api) -> None:
    tenant.connect()
    path = restrict(tenant)

    longer = tenant.call("PATCH", path, {"pull_hours": 48})
    stuck = tenant.call("PATCH", path, {"mode": "replicate"})
    back = tenant.call("PATCH", path, {"mode": "replicate", "pull_hours": None})

    assert longer.json["pull_hours"] == 48
    assert stuck.status == 422
    assert (back.json["mode"], back.json["pull_hours"]) == ("replicate", None)


def test_the_configuration_is_another_only_where_a_route_restricts(tenant: Api) -> None:
    tenant.connect()
    before = tenant.runtime.config.snapshot(tenant.made["tenant"]).configuration.document

    restrict(tenant)

    after = tenant.runtime.config.snapshot(tenant.made["tenant"]).configuration.document
    assert "pull_hours" not in str(before) + str(after)
    assert [r["mode"] for r in after["routes"]] == ["restrict"]
    assert {**after, "routes": before["routes"]} == before


def test_a_preview_shows_the_notice_and_makes_no_link(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("canary text")
    event = tenant.get("/v1/events").json["data"][0]["id"]

    shown = tenant.post("/v1/routes/preview", {"event_id": event, "route": route(tenant)}).json

    assert (shown["matched"], shown["decision"], shown["fault"]) == (True, "redacted", None)
    assert shown["body"]["data"] == {"id": event, "kind": "message", "pull_url": "…/pull/…"}
    assert "ANY.restrict" in {r["id"] for r in shown["rules"]}
    assert "canary" not in str(shown["body"])


def test_the_law_is_asked_about_nothing_personal_when_a_route_restricts(tenant: Api) -> None:
    tenant.connect(recipient=US_RECIPIENT)
    tenant.hook()
    event = tenant.get("/v1/events").json["data"][0]["id"]
    asked = {"event": event, "route": tenant.made["route"]}

    whole = tenant.post("/v1/decisions", asked).json
    restrict(tenant)
    restricted = tenant.post("/v1/decisions", asked).json

    assert (whole["decision"], restricted["decision"]) == ("hold", "redact")
    assert {r["class"] for r in restricted["redact"]} >= {"identifier", "name", "content"}
    assert {r["rule"] for r in restricted["redact"]} == {"ANY.restrict"}


def test_preflight_knows_what_a_route_that_restricts_lacks(tenant: Api) -> None:
    tenant.connect(recipient=US_RECIPIENT)

    (before,) = tenant.get("/v1/preflight").json["data"]
    planned = {"source": tenant.made["source"], "recipient": tenant.made["recipient"], "purpose": "support"}
    restricted = tenant.post("/v1/preflight", {**planned, "mode": "restrict"}).json
    restrict(tenant)
    (after,) = tenant.get("/v1/preflight").json["data"]

    assert (before["decision"], before["ready"]) == ("held", False)
    assert "pull" not in before
    for shown in (restricted, after):
        assert (shown["decision"], shown["ready"], shown["missing"]) == ("redacted", True, [])
        lacking = {gap["path"].rpartition(":")[0] for gap in shown["pull"]["missing"]}
        assert (shown["pull"]["decision"], shown["pull"]["ready"]) == ("held", False)
        assert lacking == {"basis:EU.44", "basis:EU.transfer-impact-assessment"}
        assert shown["pull"]["missing"] == before["missing"]


@pytest.mark.parametrize("mode", ["replicate", "restrict"])
def test_a_planned_flow_is_refused_when_its_redactions_need_another_mode(tenant: Api, mode: str) -> None:
    tenant.connect()
    planned = {"source": tenant.made["source"], "recipient": RECIPIENT, "purpose": "support", "mode": mode}

    answer = tenant.post("/v1/preflight", {**planned, "redact": [{"class": "name", "action": "drop"}]})

    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["loc"].startswith("body")


def test_no_route_restricts_when_nobody_knows_where_its_links_would_lead(tenant: Api, monkeypatch: Any) -> None:
    tenant.connect()
    settings = tenant.runtime.settings
    monkeypatch.setattr(tenant.runtime, "settings", type(settings)(**{**vars(settings), "hooks_url": ""}))

    answer = tenant.post("/v1/routes", route(tenant))

    assert (answer.status, answer.json["code"]) == (500, "misconfigured")

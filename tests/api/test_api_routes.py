"""Declaring routes, changing them, and the bounds on their number and size."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.flow.declare import routes
from tests.support.api_cell import Api


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"pattern": {}}, "invalid_pattern"),
        ({"pattern": {"kind": []}}, "invalid_pattern"),
        ({"pattern": {"kind": [{"prefx": "canary"}]}}, "invalid_pattern"),
        ({"destination": "dst_" + "0" * 26}, "unknown_id"),
        ({"destination": "canary"}, "unknown_id"),
        ({"bases": ["bas_" + "0" * 26]}, "unknown_id"),
        ({"purpose": "Not A Purpose"}, "string_pattern_mismatch"),
        ({"mode": "copy"}, "literal_error"),
        ({"transform": {"redact": [{"class": "name", "action": "mask"}]}}, "value_error"),
        (
            {"mode": "redact", "transform": {"redact": [{"class": "name", "path": "$.x", "action": "mask"}]}},
            "value_error",
        ),
        (
            {"mode": "redact", "transform": {"redact": [{"path": "message.text", "action": "drop"}]}},
            "invalid_redaction",
        ),
        ({"mode": "redact", "transform": {"redact": [{"class": "technical", "action": "drop"}]}}, "invalid_redaction"),
    ],
)
def test_route_is_refused_when_it_could_never_act(tenant: Api, change: dict[str, Any], code: str) -> None:
    tenant.connect()
    route = {
        "name": "r",
        "pattern": {"kind": ["message"]},
        "destination": tenant.made["destination"],
        "purpose": "support",
    }

    answer = tenant.post("/v1/routes", {**route, **change})

    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["code"] == code
    assert "canary" not in answer.text


@pytest.mark.parametrize(("bound", "most"), [("ROUTES_MAX", 2), ("PATTERNS_BYTES_MAX", 60)])
def test_route_is_refused_when_there_is_no_room_for_it(
    tenant: Api, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    tenant.connect()
    route = {"name": "r", "pattern": {"kind": ["message"]}, "destination": tenant.made["destination"], "purpose": "x"}
    monkeypatch.setattr(routes, bound, most)  # the tenant has one route of 21 bytes

    second = tenant.post("/v1/routes", route, Idempotency_Key="a-route")
    third = tenant.post("/v1/routes", route)

    assert (second.status, third.status, third.json["code"]) == (201, 409, "conflict")
    path = f"/v1/routes/{second.json['id']}"
    assert tenant.call("PATCH", path, {"pattern": {"kind": ["status"]}}).status == 200
    assert tenant.call("DELETE", path).status == 204
    assert tenant.post("/v1/routes", route).status == 201


def test_route_is_refused_when_a_longer_pattern_finds_no_room(tenant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.connect()
    monkeypatch.setattr(routes, "PATTERNS_BYTES_MAX", 60)

    answer = tenant.call("PATCH", f"/v1/routes/{tenant.made['route']}", {"pattern": {"native_kind": ["x" * 60]}})

    assert (answer.status, answer.json["code"]) == (409, "conflict")


def test_route_that_is_over_a_bound_can_be_disabled_and_made_shorter(
    tenant: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.connect()
    monkeypatch.setattr(routes, "PATTERNS_BYTES_MAX", 1)
    monkeypatch.setattr(routes, "ROUTES_MAX", 0)
    path = f"/v1/routes/{tenant.made['route']}"

    assert tenant.call("PATCH", path, {"enabled": False}).status == 200
    assert tenant.call("PATCH", path, {"pattern": {"kind": ["status"]}}).status == 200


def test_route_is_replaced_and_patched(tenant: Api) -> None:
    tenant.connect()
    path = f"/v1/routes/{tenant.made['route']}"
    redact = {"redact": [{"class": "name", "action": "mask"}]}

    patched = tenant.call("PATCH", path, {"mode": "redact", "transform": redact})
    replaced = tenant.call(
        "PUT",
        path,
        {"name": "r", "pattern": {"kind": ["status"]}, "destination": tenant.made["destination"], "purpose": "x"},
    )

    assert patched.json["transform"]["redact"][0]["class"] == "name"
    assert (replaced.json["mode"], replaced.json["transform"]["redact"]) == ("replicate", [])
    assert replaced.json["created_at"] == patched.json["created_at"]


def test_a_patch_keeps_the_fields_of_a_pattern_that_it_does_not_name_as_described(tenant: Api) -> None:
    tenant.connect()
    path = f"/v1/routes/{tenant.made['route']}"
    narrow = {"kind": ["message"], "source": [tenant.made["source"]]}
    assert tenant.call("PATCH", path, {"pattern": narrow}).json["pattern"] == narrow

    narrower = tenant.call("PATCH", path, {"pattern": {"channel": ["telegram"]}}).json["pattern"]
    wider = tenant.call("PATCH", path, {"pattern": {"source": None}}).json["pattern"]

    assert narrower == {**narrow, "channel": ["telegram"]}
    assert wider == {"kind": ["message"], "channel": ["telegram"]}
    schemas = tenant.get("/openapi.json").json["components"]["schemas"]
    described = schemas["RoutePatch"]["properties"]["pattern"]["description"]
    assert "PATCH keeps a field of it that is not named, null removes it" in described.replace("`", "")


def test_a_pattern_that_never_matches_is_refused_everywhere_and_its_stored_route_can_be_disabled(tenant: Api) -> None:
    tenant.connect()
    route = tenant.get(f"/v1/routes/{tenant.made['route']}").json
    settings = {name: route[name] for name in ("name", "destination", "purpose", "mode")}
    wrong = {**settings, "pattern": {"chanel": ["telegram"], "kind": ["mesage"]}}
    path = f"/v1/routes/{route['id']}"

    answers = [
        tenant.post("/v1/routes", wrong),
        tenant.call("PUT", path, wrong),
        tenant.call("PATCH", path, {"pattern": wrong["pattern"]}),
    ]

    for answer in answers:
        assert (answer.status, answer.json["code"]) == (422, "invalid_pattern")
        assert {fault["loc"] for fault in answer.json["errors"]} == {"$.chanel", "$.kind[0]"}
        assert "did you mean channel?" in answer.text
    config, tenant_id = tenant.runtime.config, tenant.made["tenant"]
    row = config.get(tenant_id, route["id"])
    config.replace(tenant_id, row.record.model_copy(update={"pattern": wrong["pattern"]}), row.version)
    assert tenant.call("PATCH", path, {"enabled": False}).status == 200

"""Refusals name the fault and the remedy, and answers are readable where people read them."""

from __future__ import annotations

from chalicelib import api
from chalicelib.api.responses import _json
from tests.support.api_cell import RECIPIENT, Api


def test_refusal_names_the_number_of_wrong_values_and_the_first(tenant: Api) -> None:
    two = tenant.post("/v1/recipients", {**RECIPIENT, "entity_country": "GERMANY", "legal_name": ""}).json
    one = tenant.post("/v1/recipients", {**RECIPIENT, "entity_country": "GERMANY"}).json

    assert one["detail"] == "1 value is wrong, body.entity_country: not an ISO 3166-1 alpha-2 country code, such as DE"
    assert two["detail"].startswith("2 values are wrong, first body.")
    assert len(two["errors"]) == 2


def test_unknown_query_parameter_names_the_known_ones(tenant: Api) -> None:
    listed = tenant.get("/v1/events", colour="red").json
    single = tenant.get("/v1/tenant", colour="red").json

    text = "no such parameter; use one of: limit, cursor, after, before, source, conversation, kind"
    assert listed["errors"] == [{"loc": "query.colour", "code": "extra_forbidden", "msg": text}]
    assert text in listed["detail"]
    assert "takes no parameters" in single["detail"]
    assert "from" in tenant.get("/v1/audit/consistency", colour="red").text


def test_the_operators_key_is_told_apart_from_a_tenants(tenant: Api) -> None:
    for endpoint in api.ENDPOINTS:
        if endpoint.scope is None:
            continue
        path = endpoint.path.replace("{id}", "x").replace("{name}", "x")
        if endpoint.scope == "operator":
            answer = tenant.call(endpoint.method, path)
            assert (answer.status, answer.json["detail"]) == (401, "this needs the operator's key"), path
        else:
            answer = tenant.as_operator(endpoint.method, path)
            assert answer.status == 401, path
            assert "operator's key" in answer.json["detail"], path


def test_letters_of_every_script_are_readable_in_an_answer(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("Где моя посылка?")

    assert "Где моя посылка?" in tenant.get("/v1/events").text


def test_half_of_a_surrogate_pair_is_escaped_in_an_answer() -> None:
    assert _json({"a": "Ж\ud83d"}) == '{"a":"Ж\\ud83d"}'


def test_a_method_that_the_gateway_does_not_know_is_refused_as_json(cell: Api) -> None:
    for method in ("TRACE", "QUERY", "PROPFIND"):
        answer = cell.call(method, "/v1/routes")

        assert (answer.status, answer.json["code"], answer.headers["Allow"]) == (405, "wrong_method", "GET, POST")

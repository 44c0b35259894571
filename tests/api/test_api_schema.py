"""What ``/openapi.json`` says that the API takes is what it takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chalicelib import api
from chalicelib.api.endpoint import EmptySchema, Endpoint
from chalicelib.api.examples import EXAMPLES
from chalicelib.api.openapi import TAGS
from chalicelib.channels import CHANNELS
from chalicelib.core.countries import COUNTRIES
from chalicelib.destinations import KINDS
from tests.fixtures.destinations.vendor import running
from tests.fixtures.platforms.telegram import TelegramHooks
from tests.support.api_cell import RECIPIENT, SOURCE, Answer, Api
from tests.support.described import described

FIXTURE = Path(__file__).parents[1] / "fixtures" / "api" / "operations.txt"
ENDPOINTS = {e.operation_id: e for e in api.ENDPOINTS}
WITH_EXAMPLES = [
    e.operation_id for e in api.ENDPOINTS if e.body is not None and e.body is not EmptySchema and not e.lines
]
PATCHES = [e.operation_id for e in api.ENDPOINTS if e.merges]


def operation(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = described()["paths"][endpoint.path][endpoint.method.lower()]
    return found


def named(ref: str) -> dict[str, Any]:
    found: dict[str, Any] = described()["components"]["schemas"][ref.rsplit("/", 1)[-1]]
    return found


def body_schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(ENDPOINTS[name])["requestBody"]["content"]["application/json"]["schema"]
    return found


def valid(schema: dict[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator({**schema, "components": described()["components"]})
    return [error.message for error in validator.iter_errors(value)]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_operations_keep_their_names() -> None:
    assert FIXTURE.read_text("utf-8").splitlines() == sorted(
        f"{e.operation_id} {e.method} {e.path}" for e in api.ENDPOINTS
    )
    assert [name for name in ENDPOINTS if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []
    assert len(ENDPOINTS) == len(api.ENDPOINTS)


@pytest.mark.parametrize("endpoint", api.ENDPOINTS, ids=lambda e: e.operation_id)
def test_operation_is_described_in_plain_sentences(endpoint: Endpoint) -> None:
    found = operation(endpoint)

    assert re.fullmatch(r"[A-Z][^.`]*\.", found["summary"]), found["summary"]
    assert "``" not in found.get("description", "")
    assert found["tags"] == [endpoint.tag]
    for parameter in found["parameters"]:
        assert "$ref" in parameter or parameter["description"], parameter


def test_every_group_of_operations_is_described_and_used() -> None:
    assert {e.tag for e in api.ENDPOINTS} == set(TAGS)
    assert [tag["name"] for tag in described()["tags"]] == list(TAGS)
    assert described()["servers"]


def test_schemas_have_no_titles_and_no_markup_of_docstrings() -> None:
    for name, schema in described()["components"]["schemas"].items():
        for node in nodes(schema):
            assert not isinstance(node.get("title"), str), name
            assert "``" not in str(node.get("description", "")), name


@pytest.mark.parametrize("endpoint", api.ENDPOINTS, ids=lambda e: e.operation_id)
def test_precondition_is_described_where_the_handler_reads_it(endpoint: Endpoint) -> None:
    said = {"$ref": "#/components/parameters/If-Match"} in operation(endpoint)["parameters"]

    assert said == ("call.expected" in inspect.getsource(endpoint.run))
    assert said == ("412" in operation(endpoint)["responses"])


def test_words_are_those_that_the_cell_takes() -> None:
    schemas = described()["components"]["schemas"]

    assert set(schemas["CountryCode"]["enum"]) == COUNTRIES
    assert set(schemas["ChannelKind"]["enum"]) == {*CHANNELS, "waybill"}
    assert set(schemas["NewSource"]["discriminator"]["mapping"]) == set(CHANNELS)
    assert set(schemas["NewDestination"]["discriminator"]["mapping"]) == set(KINDS)


def refs(ids: dict[str, str], value: Any) -> Any:
    """Put the cell's ids in the places of an example's."""
    if isinstance(value, dict):
        return {name: refs(ids, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [refs(ids, inner) for inner in value]
    prefix = value[:3] if isinstance(value, str) and re.fullmatch(r"[a-z]{3}_[0-9a-z]{26}", value) else ""
    return ids[prefix] if prefix else value


@pytest.fixture(scope="module")
def at_hand(cell: Api) -> tuple[Api, dict[str, str]]:
    """A tenant with one of each thing, and their ids by prefix."""
    tenant = cell.new_tenant()
    made = tenant.connect(RECIPIENT, SOURCE)
    tenant.hook()
    event = tenant.get("/v1/events").json["data"][0]["id"]
    entry = tenant.get("/v1/audit/entries", event=event).json["data"][0]["entry"]
    ids = {"src": "source", "bas": "instruction", "rcp": "recipient", "dst": "destination", "rte": "route"}
    found = {prefix: made[name] for prefix, name in ids.items()}
    found |= {"tnt": tenant.made["tenant"], "key": tenant.made["key"], "evt": event}
    found |= {"sub": entry["receipt"]["subjects"][0], "cnv": entry["receipt"]["conversation"]}
    return tenant, found


def send(tenant: Api, ids: dict[str, str], endpoint: Endpoint, body: Any) -> Answer:
    words = {"conversations": "cnv", "tenants": "tnt", "profiles": "eu-own-crm"}
    step = endpoint.path.split("/")[2]
    value = ids.get(words.get(step, step[:3])) or words.get(step) or ""
    value = {"destinations": ids["dst"], "routes": ids["rte"], "recipients": ids["rcp"], "sources": ids["src"]}.get(
        step, value
    )
    path = re.sub(r"\{\w+\}", value, endpoint.path)
    if endpoint.scope == "operator":
        return tenant.as_operator(endpoint.method, path, refs(ids, body))
    return tenant.call(endpoint.method, path, refs(ids, body))


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_fit_their_schema_and_are_accepted(at_hand: tuple[Api, dict[str, str]], name: str) -> None:
    tenant, ids = at_hand
    endpoint = ENDPOINTS[name]
    if name == "withdraw_consent":
        consent = send(tenant, ids, ENDPOINTS["create_consent"], EXAMPLES["create_consent"]["web form"])
        endpoint = Endpoint(**{**vars(endpoint), "path": f"/v1/consents/{consent.json['id']}/withdrawal"})

    assert EXAMPLES[name]
    for example in EXAMPLES[name].values():
        assert valid(body_schema(name), example) == []
        with running(TelegramHooks()) as vendor:
            vendor.token = EXAMPLES["subscribe_source"]["telegram"]["credentials"]["bot_token"]
            stand_in = {"api_url": vendor.url} if name == "subscribe_source" else {}
            answer = send(tenant, ids, endpoint, {**example, **stand_in})
        nothing_sealed = name == "create_bundle" and answer.json.get("code") == "not_sealed"
        assert answer.status in (endpoint.status, *endpoint.also) or nothing_sealed, answer.text


@pytest.mark.parametrize("name", PATCHES)
def test_null_clears_exactly_the_fields_that_the_patch_says(at_hand: tuple[Api, dict[str, str]], name: str) -> None:
    tenant, ids = at_hand
    schema = body_schema(name)

    for field in named(schema["$ref"])["properties"]:
        clears = valid(schema, {field: None}) == []
        answer = send(tenant, ids, ENDPOINTS[name], {field: None})
        assert (answer.status == 200) == clears, (field, answer.text)


def test_patches_take_a_part_of_a_nested_record(at_hand: tuple[Api, dict[str, str]]) -> None:
    tenant, ids = at_hand
    part = {"controller": {"contact": "privacy2@nord.example"}}

    assert valid(body_schema("update_own_tenant"), part) == []
    assert send(tenant, ids, ENDPOINTS["update_own_tenant"], part).status == 200


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_secret_of_a_channel_has_its_own_form(channel: str) -> None:
    form = named(named("NewSource")["discriminator"]["mapping"][channel])
    secret = {**form["properties"]["secret"]}
    fields = set(CHANNELS[channel].Secret.model_fields) - {"url_token"}

    assert form["properties"]["channel"]["const"] == channel
    assert set(named(secret["$ref"])["properties"]) == fields
    assert valid(body_schema("create_source"), {"channel": channel, "name": "x", "secret": {"nothing": 1}}) != []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_configuration_of_a_destination_has_its_own_form(kind: str) -> None:
    form = named(named("NewDestination")["discriminator"]["mapping"][kind])

    assert form["properties"]["kind"]["const"] == kind
    assert named(form["properties"]["config"]["$ref"])["additionalProperties"] is False


@pytest.mark.parametrize("parameter", ["Idempotency-Key", "If-Match"])
def test_empty_header_is_refused_as_its_schema_says(at_hand: tuple[Api, dict[str, str]], parameter: str) -> None:
    tenant, ids = at_hand
    schema = described()["components"]["parameters"][parameter]["schema"]

    assert valid(schema, "") != []
    if parameter == "If-Match":
        assert tenant.call("PATCH", f"/v1/routes/{ids['rte']}", {}, If_Match="").status == 412
    else:
        assert tenant.call("POST", "/v1/preflight", {}, Idempotency_Key="").status == 422


def test_empty_cursor_is_refused_as_its_schema_says(at_hand: tuple[Api, dict[str, str]]) -> None:
    tenant, _ = at_hand

    for endpoint in api.ENDPOINTS:
        for parameter in operation(endpoint)["parameters"]:
            if parameter.get("name") == "cursor":
                assert valid(parameter["schema"], "") != []
    assert tenant.get("/v1/routes", cursor="").status == 422


@pytest.mark.parametrize(
    ("name", "model"), [("create_switch", "SwitchSettings"), ("create_legal_hold", "LegalHoldSettings")]
)
def test_value_of_a_scope_has_its_own_form(name: str, model: str) -> None:
    for scope, ref in named(model)["discriminator"]["mapping"].items():
        assert named(ref)["properties"]["scope"]["const"] == scope
        text = {"scope": scope, "value": "no such thing", "reason": "x", "authority_ref": "x"}
        fits = {field: text[field] for field in text if field in named(ref)["properties"]}
        assert valid(body_schema(name), fits) != [], scope

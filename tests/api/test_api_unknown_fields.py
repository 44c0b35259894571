"""No name of a body goes unnoticed, also not one that a null would clear. Unknown words are refused with the nearest right one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import api, destinations
from chalicelib.api.endpoint import WITH_BODY, Endpoint
from chalicelib.api.examples import EXAMPLES
from tests.support.api_cell import RECIPIENT, SOURCE, Api

FREE = {"pattern", "facts", "event", "legal_status"}
"""Objects whose names are no fields of ours: an event's pattern, facts, which the law judges, and maps."""
WITH_BODIES = [e for e in api.ENDPOINTS if e.method in WITH_BODY and e.body is not None and not e.lines]


def _objects(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of a body that has fields of ours, with its place."""
    if isinstance(value, dict):
        yield place, value
        for name, inner in value.items():
            if name not in FREE:
                yield from _objects(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _objects(inner, f"{place}.{number}")


def _sent(tenant: Api, endpoint: Endpoint, body: Any) -> Any:
    """Send a body with the ids that the cell has given in the place of those of the examples."""
    made = {"src": "source", "rcp": "recipient", "dst": "destination", "rte": "route", "tnt": "tenant", "key": "key"}
    text = json.dumps(body)
    path = endpoint.path.replace("{name}", "eu-own-crm")
    thing = path.split("/")[2].removesuffix("s")
    path = path.replace("{id}", tenant.made.get(thing, "x"))
    for prefix, name in made.items():
        text = text.replace(f"{prefix}_06h2pv1xsjrh80kt9t2mh4nbv5", tenant.made.get(name, ""))
    key = tenant.operator_key if endpoint.scope == "operator" else "own"
    return tenant.call(endpoint.method, path, json.loads(text), key=key)


@pytest.fixture
def connected(tenant: Api) -> Api:
    tenant.connect()
    return tenant


@pytest.mark.parametrize("endpoint", WITH_BODIES, ids=lambda e: e.operation_id)
def test_refused_when_a_body_names_an_unknown_field_even_to_clear_it(connected: Api, endpoint: Endpoint) -> None:
    bodies = [*EXAMPLES.get(endpoint.operation_id, {"empty": {}}).values()]
    if endpoint.merges:  # a patch may hold any part of a whole body
        whole = {"tenants": "create_tenant", "tenant": "create_tenant"}
        name = endpoint.path.split("/")[2]
        bodies += EXAMPLES[whole.get(name, f"create_{name.removesuffix('s')}")].values()
    for body in bodies:
        if "secret" in body and endpoint.merges:
            body = {n: v for n, v in body.items() if n != "secret"}
        for place, _ in _objects(body, "body"):
            changed = copy.deepcopy(body)
            dict(_objects(changed, "body"))[place]["colour"] = None

            answer = _sent(connected, endpoint, changed)

            assert answer.status == 422, (place, answer.text)
            assert any(e["loc"].endswith(".colour") for e in answer.json["errors"]), (place, answer.text)


def test_refused_when_a_patch_clears_an_unknown_field_among_right_ones(connected: Api) -> None:
    path = f"/v1/sources/{connected.made['source']}"
    before = connected.get(path).json

    answer = connected.call("PATCH", path, {"name": "other", "subject_countries": None})

    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "extra_forbidden")
    assert connected.get(path).json["name"] == before["name"]
    assert connected.call("PATCH", path, {"name": "other", "subject_country": None}).status == 200


@pytest.mark.parametrize(
    ("path", "body", "place", "right"),
    [
        ("/v1/preflight", {"source": {"channel": "whatsap", "name": "x"}, "recipient": RECIPIENT, "purpose": "marketing"},
         "body.source.channel", "whatsapp"),
        ("/v1/sources", {**SOURCE, "channel": "telegramm"}, "body.channel", "telegram"),
        ("/v1/switches", {"scope": "channel", "value": "emial", "reason": "x"}, "body.value", "email"),
        ("/v1/destinations", {"name": "x", "kind": "htpp", "recipient": "rcp_", "config": {}}, "body.kind", "http"),
    ],
)  # fmt: skip
def test_refused_with_the_nearest_right_word_when_a_word_is_unknown(
    connected: Api, path: str, body: dict[str, Any], place: str, right: str
) -> None:
    answer = connected.post(path, body)

    assert answer.status == 422, answer.text
    (fault,) = answer.json["errors"]
    assert fault["loc"] == place
    assert fault["msg"].endswith(f"; did you mean {right}?")


@pytest.mark.parametrize("kind", destinations.KINDS)
def test_unknown_names_are_refused_by_the_configuration_of_every_kind(kind: str) -> None:
    assert destinations.of_kind(kind).Config.model_config["extra"] == "forbid"

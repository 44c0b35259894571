"""Authentication, the required form of a request, and the errors for anything else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import api
from chalicelib.api.endpoint import WITH_BODY
from chalicelib.core import times
from chalicelib.core.delivery.rate_limit import TokenBucket
from tests.support.api_cell import RECIPIENT, Api

UNKNOWN = "0" * 26


def is_problem(answer: Any, status: int, code: str) -> bool:
    body = answer.json
    return bool(
        answer.status == status
        and answer.headers["Content-Type"] == "application/problem+json"
        and body["code"] == code
        and body["status"] == status
        and body["type"].endswith(f"#{code}")
    )


@pytest.mark.parametrize("key", [None, "wb_unknown", "", "wb_" + "é", "x" * 300])
def test_request_is_refused_when_key_is_missing_or_unknown(tenant: Api, key: str | None) -> None:
    answer = tenant.call("GET", "/v1/tenant", key=key)

    assert is_problem(answer, 401, "unauthorised")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_operator_and_tenant_keys_open_only_their_own_doors(tenant: Api) -> None:
    assert is_problem(tenant.as_operator("GET", "/v1/sources"), 401, "unauthorised")
    assert is_problem(tenant.get("/v1/tenants"), 401, "unauthorised")
    assert tenant.as_operator("GET", "/v1/tenants").status == 200


@pytest.mark.parametrize(
    ("scope", "opens", "shut"),
    [
        ("read", "/v1/sources", "/v1/audit/entries"),
        ("audit", "/v1/audit/entries", "/v1/sources"),
        ("write", "/v1/sources", "/v1/keys"),
        ("write", "/v1/sources", "/v1/audit/entries"),
    ],
)
def test_scope_decides_what_a_key_opens(tenant: Api, scope: str, opens: str, shut: str) -> None:
    other = tenant.with_key(scopes=[scope])

    assert other.get(opens).status == 200
    assert is_problem(other.get(shut), 403, "forbidden")


def test_reading_key_changes_nothing_when_it_writes(tenant: Api) -> None:
    reader = tenant.with_key(scopes=["read"])

    answer = reader.post("/v1/recipients", RECIPIENT)

    assert is_problem(answer, 403, "forbidden")
    assert tenant.get("/v1/recipients").json["data"] == []


def test_key_opens_nothing_when_it_has_expired(tenant: Api) -> None:
    expires_at = times.text(tenant.clock.at + timedelta(hours=1))
    short = tenant.with_key(scopes=["read"], expires_at=expires_at)
    assert short.get("/v1/tenant").status == 200

    tenant.clock.at += timedelta(hours=1)
    answer = short.get("/v1/tenant")

    assert is_problem(answer, 401, "unauthorised")


def test_key_opens_nothing_when_it_was_deleted(tenant: Api) -> None:
    other = tenant.with_key(scopes=["admin"])

    assert tenant.call("DELETE", f"/v1/keys/{other.made['key']}").status == 204

    assert is_problem(other.get("/v1/tenant"), 401, "unauthorised")
    assert is_problem(tenant.get(f"/v1/keys/{other.made['key']}"), 404, "not_found")


def test_last_admin_key_stays_when_it_is_deleted(tenant: Api) -> None:
    answer = tenant.call("DELETE", f"/v1/keys/{tenant.made['key']}")

    assert is_problem(answer, 409, "conflict")
    assert tenant.get("/v1/tenant").status == 200


def test_tenant_is_gone_for_its_keys_and_sources_when_it_is_closed(tenant: Api) -> None:
    import app
    from infra.cell import local_server

    tenant.connect()

    assert tenant.as_operator("DELETE", f"/v1/tenants/{tenant.made['tenant']}").status == 204

    tenant.runtime.__dict__.pop("doors", None)  # another process, which has kept nothing
    event = local_server.http_api_event("POST", f"/hooks/{tenant.made['source']}", "", [], b"{}")
    assert app.hooks(event, None)["statusCode"] == 404
    assert is_problem(tenant.get("/v1/tenant"), 401, "unauthorised")
    assert tenant.as_operator("GET", f"/v1/tenants/{tenant.made['tenant']}").json["state"] == "closed"


def test_key_is_slowed_down_when_it_is_over_its_rate(tenant: Api) -> None:
    tenant.runtime.token_buckets[tenant.made["key"]] = TokenBucket(0.0, tenant.clock.monotonic())

    answer = tenant.get("/v1/tenant")

    assert is_problem(answer, 429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) >= 1


def test_unknown_paths_and_methods_are_problems_of_ours(tenant: Api) -> None:
    for path in ("/", "/v1", "/v1/nothing", "/v1/sources/a/b/c", "/v2/sources", "/v1/teams", "/hooks/x"):
        assert is_problem(tenant.get(path), 404, "not_found"), path

    answer = tenant.call("PUT", "/v1/sources", {})

    assert is_problem(answer, 405, "wrong_method")
    assert answer.headers["Allow"] == "GET, POST"


def test_every_path_answers_every_method() -> None:
    import app

    for path, methods in api.ALLOWED.items():
        assert set(app.app.routes[path]) == set(api.METHODS), path
        assert methods


def test_type_of_the_body_refuses_only_requests_that_take_one(tenant: Api) -> None:
    for path, methods in api.ALLOWED.items():
        for method in api.METHODS:
            answer = tenant.call(method, path.replace("{", "").replace("}", ""), raw=b"x", Content_Type="text/plain")

            if method not in methods:
                assert is_problem(answer, 405, "wrong_method"), (method, path)
            else:
                assert (answer.status == 415) <= (method in WITH_BODY), (method, path)
    assert is_problem(tenant.call("POST", "/v1/nothing", raw=b"x", Content_Type="text/plain"), 404, "not_found")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "*"])
def test_body_is_refused_when_it_is_not_declared_as_json(tenant: Api, content_type: str) -> None:
    answer = tenant.call("POST", "/v1/recipients", RECIPIENT, Content_Type=content_type)

    assert is_problem(answer, 415, "unsupported_type")


def test_body_is_refused_when_it_is_too_large(tenant: Api) -> None:
    raw = json.dumps({**RECIPIENT, "legal_name": "n" * 1024 * 1024}).encode()

    assert is_problem(tenant.call("POST", "/v1/recipients", raw=raw), 413, "too_large")
    assert is_problem(tenant.call("POST", "/v1/recipients", raw=b"x" * (11 * 1024 * 1024)), 413, "too_large")


HOSTILE = {
    "not json": b"{",
    "empty": b"",
    "a list": b"[]",
    "a text": b'"canary"',
    "not UTF-8": b'{"legal_name": "\xff\xfe"}',
    "half a surrogate pair": b'{"legal_name": "\\ud800"}',
    "half a pair as a name": b'{"\\udfff": 1}',
    "a field twice": b'{"legal_name": "a", "legal_name": "b"}',
    "NaN": b'{"legal_name": NaN}',
    "Infinity": b'{"legal_name": -Infinity}',
    "too deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "deep lists": b'{"a":' + b"[" * 60 + b"]" * 60 + b"}",
    "a number without end": b'{"legal_name": ' + b"9" * 5000 + b"}",
    "byte order mark": b'\xef\xbb\xbf{"legal_name": "a"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_body_is_refused_when_it_is_no_json_object(tenant: Api, name: str) -> None:
    answer = tenant.call("POST", "/v1/recipients", raw=HOSTILE[name])

    assert is_problem(answer, 400, "not_json")
    assert "canary" not in answer.text
    assert tenant.get("/v1/recipients").json["data"] == []


@pytest.mark.parametrize(
    ("field", "value", "loc"),
    [
        ("legal_name", 5, "body.legal_name"),
        ("legal_name", None, "body.legal_name"),
        ("legal_name", "", "body.legal_name"),
        ("legal_name", "can\x00ary", "body.legal_name"),
        ("legal_name", "can\nary", "body.legal_name"),
        ("legal_name", "canary" * 100, "body.legal_name"),
        ("entity_country", "canary", "body.entity_country"),
        ("entity_country", "XX", "body.entity_country"),
        ("processing_countries", "DE", "body.processing_countries"),
        ("processing_countries", ["DE", 10**400], "body.processing_countries.1"),
        ("role", "canary", "body.role"),
        ("granted", "true", "body.granted"),
        ("granted", 1, "body.granted"),
        ("classes", ["canary"], "body.classes.0"),
        ("contract", {"id": "a", "sha256": "canary", "valid_from": "2026-01-01"}, "body.contract.sha256"),
        ("contract", {"id": "a", "sha256": "ab" * 32, "valid_from": "canary"}, "body.contract.valid_from"),
        (
            "contract",
            {"id": "a", "sha256": "ab" * 32, "valid_from": "2026-02-01", "valid_until": "2026-01-01"},
            "body.contract",
        ),
        ("canary", 1, "body.canary"),
        ("<canary>", 1, "body.?"),
        ("onward", [{"id": "x", "canary": "y"}], "body.onward.0.canary"),
    ],
)
def test_value_is_refused_at_its_place_and_never_shown(tenant: Api, field: str, value: object, loc: str) -> None:
    answer = tenant.post("/v1/recipients", {**RECIPIENT, field: value})

    assert is_problem(answer, 422, "invalid")
    assert loc in [e["loc"] for e in answer.json["errors"]]
    assert "canary" not in answer.text.replace(loc, "")
    assert tenant.get("/v1/recipients").json["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=251",
        "limit=x",
        "limit=1&limit=2",
        "unknown=1",
        "cursor=",
        "cursor=AAAA",
        "cursor=%00",
        "limit=1e2",
        "cursor=" + "A" * 2000,
        "cursor=é",
    ],
)
def test_query_is_refused_when_it_is_not_a_lists(tenant: Api, query: str) -> None:
    assert is_problem(tenant.call("GET", f"/v1/sources?{query}"), 422, "invalid")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sources/{}",
        "/v1/recipients/{}",
        "/v1/destinations/{}",
        "/v1/routes/{}",
        "/v1/bases/{}",
        "/v1/keys/{}",
        "/v1/events/{}",
        "/v1/transfers/{}",
        "/v1/audit/entries/{}",
    ],
)
def test_id_answers_404_when_it_is_unknown_or_no_id(tenant: Api, path: str) -> None:
    prefix = {
        "sources": "src",
        "recipients": "rcp",
        "destinations": "dst",
        "routes": "rte",
        "bases": "bas",
        "keys": "key",
        "events": "evt",
        "transfers": "trf",
        "entries": "ent",
    }
    known = prefix[path.split("/")[-2]]
    for thing in (
        f"{known}_{UNKNOWN}",
        "x",
        f"{known}_",
        "%00",
        "..",
        f"{known}_{UNKNOWN}%23v1",
        "é",
        f"tnt_{UNKNOWN}",
    ):
        assert is_problem(tenant.get(path.format(thing)), 404, "not_found"), thing


def test_another_tenants_things_answer_as_if_they_were_not_there(cell: Api, tenant: Api) -> None:
    ids = tenant.connect()
    tenant.hook()
    (event,) = tenant.get("/v1/events").json["data"]
    (transfer,) = tenant.get("/v1/transfers").json["data"]
    entry = tenant.get("/v1/audit/entries", event=event["id"]).json["data"][0]["entry"]
    stranger = cell.new_tenant()

    things = [
        f"/v1/sources/{ids['source']}",
        f"/v1/recipients/{ids['recipient']}",
        f"/v1/destinations/{ids['destination']}",
        f"/v1/routes/{ids['route']}",
        f"/v1/bases/{ids['contract']}",
        f"/v1/keys/{tenant.made['key']}",
        f"/v1/events/{event['id']}",
        f"/v1/transfers/{transfer['id']}",
        f"/v1/audit/entries/{entry['id']}",
    ]

    for path in things:
        assert tenant.get(path).status == 200, path
        assert is_problem(stranger.get(path), 404, "not_found"), path
    assert is_problem(stranger.call("DELETE", f"/v1/routes/{ids['route']}"), 404, "not_found")
    assert is_problem(stranger.post(f"/v1/destinations/{ids['destination']}/secret/rotate"), 404, "not_found")
    assert is_problem(stranger.call("DELETE", f"/v1/events/{event['id']}/content?ground=unlawful"), 404, "not_found")
    route = {"name": "r", "pattern": {"kind": ["message"]}, "destination": ids["destination"], "purpose": "support"}
    assert stranger.post("/v1/routes", route).json["errors"][0]["code"] == "unknown_id"
    for path in ("/v1/events", "/v1/transfers", "/v1/holds", "/v1/routes"):
        assert stranger.get(path).json == {"data": [], "next": None}
    assert [s["channel"] for s in stranger.get("/v1/sources").json["data"]] == [
        "waybill"
    ]  # the one that every tenant has
    own = [e["entry"]["tenant"] for e in stranger.get("/v1/audit/entries").json["data"]]
    assert set(own) == {stranger.made["tenant"]}


def test_answers_are_never_kept_by_caches(tenant: Api) -> None:
    assert tenant.get("/v1/tenant").headers["Cache-Control"] == "no-store"

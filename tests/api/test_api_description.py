"""The API's own description, and the documentation of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib import api
from chalicelib.api import gateway, meta
from tests.support.api_cell import RECIPIENT, Api

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_openapi_is_valid_and_tells_of_every_endpoint(cell: Api) -> None:
    answer = cell.call("GET", "/openapi.json", key=None)

    document = answer.json
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    told = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    assert told == {(e.method, e.path) for e in api.ENDPOINTS}
    ids = [op["operationId"] for methods in document["paths"].values() for op in methods.values()]
    assert len(ids) == len(set(ids))
    assert "secret_sha256" not in answer.text


def test_answers_fit_the_schemas_that_describe_them(tenant: Api) -> None:
    from jsonschema import Draft202012Validator

    tenant.connect()
    tenant.hook()
    document = tenant.get("/openapi.json").json
    paths = [
        p for p, methods in document["paths"].items() if "get" in methods and "{" not in p and p.startswith("/v1/")
    ]

    event = tenant.get("/v1/transfers").json["data"][0]["event"]
    queries = {
        "/v1/answer": {"after": "2026-01-01T00:00:00Z", "before": "2090-01-01T00:00:00Z"},
        "/v1/trace": {"event": event},
    }

    for path in paths:
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        if "application/json" not in content:
            continue  # texts in the forms of others
        answer = tenant.as_operator("GET", path) if path == "/v1/tenants" else tenant.get(path, **queries.get(path, {}))
        schema = content["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        assert [e.message for e in validator.iter_errors(answer.json)] == [], path


def test_a_body_is_required_where_the_description_says_so(cell: Api, tenant: Api) -> None:
    paths = cell.get("/openapi.json").json["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue
            ask = tenant.as_operator if path.startswith(("/v1/tenants", "/v1/redrives")) else tenant.call
            key: dict[str, Any] = {"Idempotency_Key": "once"} if method == "post" else {}

            answer = ask(method.upper(), path.replace("{", "").replace("}", ""), None, **key)

            refused = (answer.status, answer.json["code"] if answer.status == 400 else "") == (400, "not_json")
            assert refused == operation["requestBody"]["required"], (method, path, answer.status)


def test_docs_need_nothing_from_elsewhere(cell: Api) -> None:
    for path in ("/docs", "/docs/errors"):
        answer = cell.call("GET", path, key=None)

        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"(src|href)=|https?://|@import|url\(", answer.text)


def test_health_says_where_the_cell_is(cell: Api) -> None:
    answer = cell.call("GET", "/healthz", key=None)

    assert answer.json == {"status": "ok", "cell": "local", "region": "eu-central-1", "country": "DE"}


@pytest.mark.parametrize("path", sorted(api.ALLOWED))
def test_every_path_is_documented(path: str) -> None:
    text = (DOCS / "api.md").read_text()

    assert re.search(re.escape(path) + r"(?![/\w{])", text), path


def test_every_error_code_is_documented_with_its_status() -> None:
    text = (DOCS / "errors.md").read_text()
    told = {m[1]: int(m[2]) for m in re.finditer(r"^### (\w+)\n(\d{3})", text, re.MULTILINE)}

    assert told == {code: status for code, (status, _) in meta.codes().items()}


def test_every_error_code_is_listed_by_a_process_that_has_answered_nothing_else() -> None:
    code = "from chalicelib.api import meta; print(*sorted(meta.codes()))"
    fresh = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert fresh.stdout.split() == sorted(meta.codes())


def test_documentation_shows_no_path_that_is_not_there() -> None:
    text = (DOCS / "api.md").read_text()

    shown = {p.rstrip(".") for p in re.findall(r"(?:GET|POST|PUT|PATCH|DELETE) (/[\w/{}.-]*)", text)}

    assert shown - set(api.ALLOWED) - {"/v1/sources/"} == set()


def test_paths_are_matched_as_api_gateway_does() -> None:
    assert gateway.match("/v1/routes/preview") == ("/v1/routes/preview", {})
    assert gateway.match("/v1/routes/rte_1") == ("/v1/routes/{id}", {"id": "rte_1"})
    assert gateway.match("/v1/routes/") == ("/v1/routes", {})
    assert gateway.match("/v1/routes//") == (api.CATCH_ALL, {"proxy": "v1/routes//"})
    assert gateway.match("/") == ("/", {})
    assert gateway.match("/v1/routes/%2e%2e") == ("/v1/routes/{id}", {"id": ".."})


def test_no_answer_shows_a_stored_hash_or_secret(tenant: Api) -> None:
    tenant.connect(RECIPIENT)
    texts = [tenant.get(p).text for p in ("/v1/keys", "/v1/sources", "/v1/destinations", "/v1/tenant")]

    for text in texts:
        assert not re.search(r"secret_sha256|wb_|whsec_|s3cret", text)

"""Records that a decision cannot read: refused at the door, absent where they are stored, and never the end of a tenant."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.tenant.dates import STORED
from chalicelib.core.tenant.records import Basis, Recipient
from chalicelib.flow.declare import bases, recipients
from tests.support.api_cell import DIGEST, RECIPIENT, US_RECIPIENT, Api

BAD = "9999-12-31"
CONTRACT: dict[str, Any] = {"id": "dpa-7", "sha256": "ab" * 32, "valid_from": "2026-01-01"}
BASIS: dict[str, Any] = {"kind": "contract", "valid_from": "2026-01-01", "evidence": DIGEST}


def _plant(tenant: Api, **changes: Any) -> str:
    """Store a basis as a release without bounds took it; return its id."""
    at = times.text(tenant.clock())
    document = {**BASIS, "id": f"bas_{'0' * 25}1", "created_at": at, **changes}
    basis = Basis.model_validate_json(json.dumps(document), context=STORED)
    assert tenant.runtime.config.insert(tenant.made["tenant"], basis)
    return basis.id


def _transfer(tenant: Api, number: int = 1) -> dict[str, Any]:
    tenant.hook(number=number)
    return dict(tenant.get("/v1/transfers").json["data"][0])


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/v1/bases", {**BASIS, "valid_until": BAD}, "body.valid_until"),
        ("/v1/bases", {**BASIS, "filed_on": "1899-12-31"}, "body.filed_on"),
        (
            "/v1/recipients",
            {**RECIPIENT, "contract": {**CONTRACT, "valid_until": BAD}},
            "body.contract.valid_until",
        ),
    ],
)
def test_refused_with_the_field_and_the_remedy_when_a_date_is_beyond_what_decisions_read(
    tenant: Api, path: str, body: dict[str, Any], place: str
) -> None:
    answer = tenant.post(path, body)

    assert answer.status == 422
    (fault,) = answer.json["errors"]
    assert fault["loc"] == place
    assert fault["msg"].startswith("must be a date between 1900 and 2200; leave it out")
    assert BAD not in answer.text


def test_messages_pass_and_all_is_named_when_a_stored_basis_cannot_be_read(tenant: Api) -> None:
    tenant.connect()
    planted = _plant(tenant, valid_until=BAD)

    assert _transfer(tenant)["decision"] == "allowed"

    shown = tenant.get(f"/v1/bases/{planted}")
    assert (shown.status, shown.json["valid_until"]) == (200, BAD)
    (named,) = shown.json["unreadable"]
    assert (named["record"], named["field"]) == (planted, "valid_until")
    assert "between 1900 and 2200" in named["supply"]
    assert planted in [b["id"] for b in tenant.get("/v1/bases").json["data"]]
    flow = next(f for f in tenant.get("/v1/preflight").json["data"] if f["source"] == tenant.made["source"])
    assert (flow["ready"], flow["unreadable"]) == (True, [named])
    event = tenant.get("/v1/events").json["data"][0]["id"]
    assert tenant.call("DELETE", f"/v1/events/{event}/content?ground=subject_request").status == 204
    assert tenant.post(f"/v1/bases/{planted}/withdrawal", {}).status == 201


def test_a_hold_names_the_record_when_the_only_ground_cannot_be_read(tenant: Api) -> None:
    tenant.connect()
    tenant.post(f"/v1/bases/{tenant.made['contract']}/withdrawal", {})
    planted = _plant(tenant, valid_from="1850-01-01")

    one = _transfer(tenant)

    assert one["decision"] == "held"
    assert f"bases.{planted}.valid_from" in one["missing"]
    tenant.made_by("/v1/bases", BASIS)
    assert _transfer(tenant, 2)["decision"] == "allowed"


def test_a_new_version_cures_a_recipient_when_its_stored_contract_cannot_be_read(tenant: Api) -> None:
    tenant.connect()
    recipient = tenant.made["recipient"]
    document = tenant.get(f"/v1/recipients/{recipient}").json
    document.pop("unreadable")
    document["contract"]["valid_until"] = BAD
    record = Recipient.model_validate_json(json.dumps(document), context=STORED)
    tenant.runtime.config.replace(tenant.made["tenant"], record, 1)

    one = _transfer(tenant)

    assert one["decision"] == "held"
    path = f"bases.{recipient}.contract.valid_until"
    assert path in one["missing"]
    (named,) = tenant.get(f"/v1/recipients/{recipient}").json["unreadable"]
    assert named["supply"].startswith(f"PUT /v1/recipients/{recipient} ")
    assert tenant.call("PUT", f"/v1/recipients/{recipient}", RECIPIENT).status == 200
    assert tenant.get(f"/v1/recipients/{recipient}").json["unreadable"] == []
    assert _transfer(tenant, 2)["decision"] == "allowed"


def test_refused_until_one_is_withdrawn_when_a_tenant_has_all_the_bases_it_may_have(
    tenant: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "BASES_MAX", 2)
    first = tenant.made_by("/v1/bases", BASIS)["id"]
    tenant.made_by("/v1/bases", BASIS)

    refused = tenant.post("/v1/bases", BASIS)

    assert (refused.status, refused.json["code"]) == (409, "conflict")
    assert "POST /v1/bases/{id}/withdrawal" in refused.json["detail"]
    tenant.post(f"/v1/bases/{first}/withdrawal", {})
    assert tenant.post("/v1/bases", BASIS).status == 201


def test_refused_when_a_tenant_has_all_the_recipients_it_may_have(tenant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipients, "RECIPIENTS_MAX", 1)
    one = tenant.made_by("/v1/recipients", RECIPIENT)["id"]

    assert tenant.post("/v1/recipients", RECIPIENT).status == 409
    assert tenant.call("PUT", f"/v1/recipients/{one}", US_RECIPIENT).status == 200


DATES = ("0001-01-01", "1899-12-31", "1900-01-01", "2026-01-01", "2026-11-20", "2200-12-31", BAD, None, "2026-02-30")
KINDS = ("contract", "instruction", "consent", "crypto-certificate", "notification-filed", "processing-notice")
TEXTS = (None, "", "x" * 64, "x" * 65, "EU", "ANY", "\0", "store")


def _call(random: Random) -> tuple[str, str, dict[str, Any]]:
    """Draw a call that declares; it may be accepted or refused."""
    many = random.choice([0, 1, 70, 1001])
    dates = {name: random.choice(DATES) for name in ("valid_from", "valid_until", "filed_on", "given_on")}
    contract = {**CONTRACT, **{name: dates[name] for name in ("valid_from", "valid_until")}}
    basis = {"kind": random.choice(KINDS), "evidence": random.choice([DIGEST, None]), **dates}
    recipient = "/v1/recipients/{recipient}"
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/bases", basis),
        ("POST", "/v1/bases", {**basis, random.choice(["law", "recipient", "scheme"]): random.choice(TEXTS)}),
        ("PUT", recipient, {**RECIPIENT, "contract": contract}),
        ("PUT", recipient, {**RECIPIENT, "classes": ["content"] * many}),
        ("PATCH", "/v1/tenant", {"requires": ["crypto-certificate"] * many}),
        ("PATCH", "/v1/sources/{source}", {"special": ["health"] * many}),
        ("POST", "/v1/bases/{instruction}/withdrawal", {}),
    ]
    return random.choice(calls)


CURE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PATCH", "/v1/tenant", {"requires": None}),
    ("PATCH", "/v1/sources/{source}", {"special": []}),
    ("PUT", "/v1/recipients/{recipient}", RECIPIENT),
    ("POST", "/v1/bases", BASIS),
    ("POST", "/v1/bases", {**BASIS, "kind": "instruction"}),
)


@pytest.mark.parametrize("seed", range(3))
def test_the_api_lifts_every_refusal_when_it_took_the_calls_that_led_there(tenant: Api, seed: int) -> None:
    made, random = tenant.connect(), Random(seed)

    for _ in range(10):
        method, path, body = _call(random)
        answer = tenant.call(method, path.format(**made), body)
        assert answer.status in (200, 201, 409, 422, 451), answer.text
        if answer.status == 201 and path == "/v1/bases":
            assert tenant.get(f"/v1/bases/{answer.json['id']}").json["unreadable"] == []
    flow = _flow(tenant)
    # No record that the door takes is one that decisions cannot read.
    assert (flow["unreadable"], [r["id"] for r in flow["rules"] if r["id"] == "ANY.facts"]) == ([], [])
    assert "ANY.facts" not in [r["id"] for r in flow["refused"]]
    for method, path, body in CURE:
        assert tenant.call(method, path.format(**made), body).status in (200, 201)
    cured = _flow(tenant)
    assert (cured["decision"], cured["ready"]) == ("allowed", True), cured


def _flow(tenant: Api) -> dict[str, Any]:
    found = tenant.get("/v1/preflight").json["data"]
    return next(dict(one) for one in found if one["source"] == tenant.made["source"])

"""Consents over the API: given, shown, listed, withdrawn."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_cell import Api, acts
from tests.support.consents import consent, person


def test_consent_is_shown_and_listed_until_and_after_it_is_withdrawn(tenant: Api) -> None:
    subject = person(tenant)
    made = tenant.made_by("/v1/consents", consent(tenant, subject))
    path = f"/v1/consents/{made['id']}"
    assert tenant.get(path).json == made
    assert made["withdrawal"] is None

    first = tenant.post(f"{path}/withdrawal", {"method": "message"})
    second = tenant.post(f"{path}/withdrawal", {"method": "oral"})

    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json == tenant.get(path).json
    assert (first.json["withdrawal"]["withdraws"], first.json["withdrawal"]["method"]) == (made["id"], "message")
    assert tenant.get("/v1/consents").json["data"] == [first.json]
    assert tenant.get("/v1/consents", subject=subject).json["data"] == [first.json]
    assert tenant.get("/v1/consents", subject="sub_" + "0" * 26).json["data"] == []
    given, withdrawn = [a for a in acts(tenant) if a["object"]["kind"] == "consent"]
    assert (given["reason"], withdrawn["reason"]) == ("created", "withdrawal")
    assert given["subject"] == withdrawn["subject"] == subject


def test_pages_hold_each_consent_once_when_some_are_withdrawn(tenant: Api) -> None:
    subject = person(tenant)
    made = [tenant.made_by("/v1/consents", consent(tenant, subject))["id"] for _ in range(5)]
    for id in made[1:4]:
        assert tenant.post(f"/v1/consents/{id}/withdrawal", {"method": "app"}).status == 201

    for more in ({}, {"subject": subject}):
        found, page = [], tenant.get("/v1/consents", limit=2, **more).json
        found += page["data"]
        while page["next"]:
            page = tenant.get("/v1/consents", limit=2, cursor=page["next"], **more).json
            found += page["data"]
        assert [one["id"] for one in found] == made
        assert [one["withdrawal"] is not None for one in found] == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"subject": "sub_" + "0" * 26}, "body.subject"),
        ({"subject": "77"}, "body.subject"),
        ({"recipient": "rcp_" + "0" * 26}, "body.recipient"),
        ({"purposes": []}, "body.purposes"),
        ({"classes": ["everything"]}, "body.classes.0"),
        ({"countries": []}, "body.countries"),
        ({"given_at": "2099-01-01T00:00:00Z"}, "body.given_at"),
        ({"expires_at": "2000-01-01T00:00:00Z"}, "body"),
        ({"method": "carrier pigeon"}, "body.method"),
        ({"law": ["XX"]}, "body.law.0"),
        ({"notice_sha256": "cd"}, "body.notice_sha256"),
    ],
)
def test_consent_is_refused_when_it_says_nothing_that_holds(tenant: Api, change: dict[str, Any], loc: str) -> None:
    answer = tenant.post("/v1/consents", consent(tenant, person(tenant), **change))

    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["loc"] == loc
    assert tenant.get("/v1/consents").json["data"] == []


def test_anothers_consent_and_person_are_not_there(cell: Api, tenant: Api) -> None:
    subject = person(tenant)
    made = tenant.made_by("/v1/consents", consent(tenant, subject))
    other = cell.new_tenant()
    other.connect()

    assert other.get(f"/v1/consents/{made['id']}").status == 404
    assert other.post(f"/v1/consents/{made['id']}/withdrawal", {"method": "app"}).status == 404
    assert other.post("/v1/consents", consent(other, subject)).json["errors"][0]["loc"] == "body.subject"
    assert other.get("/v1/consents", subject=subject).json["data"] == []


def test_same_consent_is_made_once_when_its_request_is_sent_again(tenant: Api) -> None:
    body = consent(tenant, person(tenant))

    answers = [tenant.post("/v1/consents", body, Idempotency_Key="c1") for _ in range(2)]

    assert [a.status for a in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    assert len(tenant.get("/v1/consents").json["data"]) == 1

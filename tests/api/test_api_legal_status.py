"""What a recipient's declared status does: refuse, oblige, and say where people turn to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_cell import RECIPIENT, Api


def status(country: str, standing: str) -> dict[str, Any]:
    return {country: {"status": standing, "ref": "Act art. 1", "date": "2026-01-01"}}


@pytest.mark.parametrize(
    ("country", "standing", "decision"),
    [
        ("DE", "prohibited", "refused"),
        ("DE", "restricted", "allowed"),
        ("DE", "allowed", "allowed"),
        ("RU", "prohibited", "allowed"),
    ],
)
def test_transfer_follows_the_status_of_its_recipient(tenant: Api, country: str, standing: str, decision: str) -> None:
    tenant.connect({**RECIPIENT, "legal_status": status(country, standing)})

    tenant.hook()

    transfers = tenant.get("/v1/transfers").json["data"]
    assert [t["decision"] for t in transfers] == [decision]
    if decision == "refused":
        assert [rule["id"] for rule in transfers[0]["rules"]] == ["ANY.legal-status"]


def test_answer_says_where_requests_go(tenant: Api) -> None:
    tenant.connect({**RECIPIENT, "dsr_endpoint": "https://crm.example/privacy"})
    tenant.hook()
    event = tenant.get("/v1/events").json["data"][0]["id"]

    lines = tenant.get("/v1/answer", event=event).json["data"][0]["lines"]

    transfer = next(line for line in lines if line["line"] == "transfer")
    assert transfer["recipient"]["dsr_endpoint"] == "https://crm.example/privacy"

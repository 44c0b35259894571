"""Records and messages of the next release, after a rollback: they count, are changed, and keep what only that release knows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.store.items import read
from tests.support.api_cell import RECIPIENT, Api
from tests.support.consents import consent, person

LATER = {"of_later": {"a": [1]}}
CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "tenant": ("/v1/tenant", {"strict_plus7": True}),
    "source": ("/v1/sources/{}", {"name": "new name"}),
    "destination": ("/v1/destinations/{}", {"name": "new name"}),
    "route": ("/v1/routes/{}", {"name": "new name"}),
}


def _document(tenant: Api, sk: str) -> dict[str, Any]:
    item = tenant.runtime.config._table.get({"pk": tenant.made["tenant"], "sk": sk})
    assert item is not None
    found: dict[str, Any] = json.loads(item["doc"])
    return found


def _add_later(tenant: Api, sk: str) -> None:
    document = json.dumps({**_document(tenant, sk), **LATER})
    tenant.runtime.config._table.update({"pk": tenant.made["tenant"], "sk": sk}, "SET doc = :d", {":d": document})
    tenant.runtime.config.count_again(tenant.made["tenant"])


@pytest.fixture
def connected(tenant: Api) -> Api:
    tenant.connect()
    return tenant


def _row(tenant: Api, kind: str) -> str:
    return "tenant" if kind == "tenant" else f"{tenant.made[kind][:3]}#{tenant.made[kind]}"


def test_a_cell_works_on_when_every_record_has_fields_of_the_next_release(connected: Api) -> None:
    table = connected.runtime.config._table
    for row in list(table.query("pk = :p", {":p": connected.made["tenant"]})):
        if "doc" in row:
            _add_later(connected, row["sk"])

    connected.hook()

    (transfer,) = connected.get("/v1/transfers").json["data"]
    assert transfer["decision"] == "allowed"
    assert "of_later" not in connected.get("/v1/tenant").text + connected.get("/v1/routes").text


@pytest.mark.parametrize("kind", CHANGED)
def test_a_changed_record_keeps_the_fields_of_the_next_release(connected: Api, kind: str) -> None:
    path, change = CHANGED[kind]
    _add_later(connected, _row(connected, kind))

    answer = connected.call("PATCH", path.format(connected.made.get(kind, "")), change)

    assert answer.status == 200, answer.text
    assert _document(connected, _row(connected, kind)) | change | LATER == _document(connected, _row(connected, kind))


def test_a_replaced_recipient_and_its_kept_version_keep_the_fields_of_the_next_release(connected: Api) -> None:
    row = _row(connected, "recipient")
    _add_later(connected, row)

    answer = connected.call(
        "PUT", f"/v1/recipients/{connected.made['recipient']}", {**RECIPIENT, "legal_name": "New GmbH"}
    )

    assert answer.status == 200, answer.text
    assert _document(connected, row).items() >= LATER.items()
    assert _document(connected, f"{row}#v1").items() >= LATER.items()


def _ids(row: Any) -> set[str]:
    return {one["id"] for one in json.loads(row["doc"])}


def test_a_persons_consents_keep_the_fields_of_the_next_release(connected: Api) -> None:
    subject = person(connected)
    table = connected.runtime.consents.table
    ids = {connected.made_by("/v1/consents", consent(connected, subject))["id"]}
    rows = table.client.scan(TableName=table.name)["Items"]
    (row,) = [r for r in (read(i, table.region) for i in rows) if r["sk"] == "consents" and ids & _ids(r)]
    text = json.dumps([{**one, **LATER} for one in json.loads(row["doc"])])
    table.update({"pk": row["pk"], "sk": "consents"}, "SET doc = :d", {":d": text})

    connected.made_by("/v1/consents", consent(connected, subject, purposes=["customer_support"]))

    item = table.get({"pk": row["pk"], "sk": "consents"})
    assert item is not None
    assert ["of_later" in one for one in json.loads(item["doc"])] == [True, False]

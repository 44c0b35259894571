"""Declaring tenants, keys, sources, recipients, destinations and bases, and changing them; lists from page to page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.core.tenant import rotation
from chalicelib.core.tenant.records import Recipient
from chalicelib.store import records
from tests.support.api_cell import DIGEST, RECIPIENT, SOURCE, TENANT, Api, acts


def declared_sources(api: Api) -> list[dict[str, Any]]:
    """The sources that a tenant has connected, without the cell's own."""
    return [s for s in api.get("/v1/sources").json["data"] if s["channel"] != "waybill"]


def test_change_is_written_with_both_hashes_when_a_record_is_made(tenant: Api) -> None:
    made = tenant.made_by("/v1/recipients", RECIPIENT)

    act = acts(tenant)[-1]

    assert act["object"] == {"kind": "recipient", "id": made["id"]}
    assert act["actor"] == {"kind": "key", "id": tenant.made["key"]}
    assert (act["reason"], act["event"]) == ("created", None)
    assert act["before"] != act["after"]
    assert str(RECIPIENT["contact"]) not in json.dumps(act)


def test_lost_update_is_refused_when_if_match_is_old(tenant: Api) -> None:
    made = tenant.post("/v1/recipients", RECIPIENT)
    path = f"/v1/recipients/{made.json['id']}"
    tag = tenant.get(path).headers["ETag"]
    assert made.headers["ETag"] == tag

    first = tenant.call("PUT", path, {**RECIPIENT, "legal_name": "First"}, If_Match=tag)
    second = tenant.call("PUT", path, {**RECIPIENT, "legal_name": "Second"}, If_Match=tag)

    assert first.status == 200 and first.headers["ETag"] != tag
    assert (second.status, second.json["code"]) == (412, "precondition_failed")
    assert tenant.get(path).json["legal_name"] == "First"


@pytest.mark.parametrize("tag", ["W/nonsense", "²", '"²"', "٣", "-1", "1.0", "", "1" * 10, "1" * 5000])
def test_change_is_refused_when_if_match_holds_no_etag_of_ours(tenant: Api, tag: str) -> None:
    made = tenant.made_by("/v1/recipients", RECIPIENT)

    refused = tenant.call("PUT", f"/v1/recipients/{made['id']}", RECIPIENT, If_Match=tag)

    assert (refused.status, refused.json["code"]) == (412, "precondition_failed")


def test_older_versions_of_a_recipient_are_kept_when_it_is_replaced(tenant: Api) -> None:
    made = tenant.made_by("/v1/recipients", {**RECIPIENT, "granted": False})
    path = f"/v1/recipients/{made['id']}"

    replaced = tenant.call("PUT", path, RECIPIENT).json

    assert (made["version"], replaced["version"]) == (1, 2)
    assert made["granted_at"] is None
    assert replaced["granted_by"] == tenant.made["key"]
    table = tenant.runtime.config._table
    kept = table.get({"pk": tenant.made["tenant"], "sk": f"rcp#{made['id']}#v1"})
    assert kept is not None and records.parse(Recipient, kept["doc"]).granted is False
    assert [r["version"] for r in tenant.get("/v1/recipients").json["data"]] == [2]


def test_tenant_changes_by_merge_patch(tenant: Api) -> None:
    changed = tenant.call("PATCH", "/v1/tenant", {"retention": {"default_days": 7}, "zone": None})

    assert changed.status == 200
    assert changed.json["retention"] == {"default_days": 7}
    assert changed.json["controller"] == TENANT["controller"]
    assert tenant.call("PATCH", "/v1/tenant", {"edition": "teams"}).status == 422
    assert tenant.call("PATCH", "/v1/tenant", {"name": None}).json["errors"][0]["loc"] == "body.name"
    assert tenant.call("PATCH", "/v1/tenant", {"state": "closed"}).status == 422
    path = f"/v1/tenants/{tenant.made['tenant']}"
    assert tenant.as_operator("PATCH", path, {"edition": "teams"}).json["edition"] == "teams"


def test_source_is_shown_without_its_secret(tenant: Api) -> None:
    made = tenant.post("/v1/sources", SOURCE)

    assert made.status == 201
    assert made.json["url"] == f"https://hooks.example/hooks/{made.json['id']}"
    assert "s3cret" not in made.text
    assert "s3cret" not in tenant.get(f"/v1/sources/{made.json['id']}").text + tenant.get("/v1/sources").text


def test_source_says_what_its_events_will_wait_for_when_records_are_missing(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", {n: v for n, v in SOURCE.items() if n not in ("subject_country", "special")})

    assert {"basis:ANY.instruction", "basis:ANY.processing-ground", "subject.country", "data.special"} <= set(
        made["missing"]
    )

    tenant.connect()
    assert tenant.get(f"/v1/sources/{tenant.made['source']}").json["missing"] == []


def test_source_is_not_made_when_the_law_forbids_to_store_what_it_sends(cell: Api) -> None:
    russian = cell.new_tenant(controller={"legal_name": "Sever OOO", "country": "RU", "contact": "dpo@sever.example"})

    answer = russian.post("/v1/sources", {**SOURCE, "subject_country": "RU"})

    assert (answer.status, answer.json["code"]) == (451, "refused_by_law")
    assert any(rule["id"].startswith("RU.") and "152-FZ" in rule["ref"] for rule in answer.json["rules"])
    assert "Data of Russian citizens are first recorded in Russia (152-FZ art. 18(5)" in answer.json["detail"]
    assert "this cell is in DE; start one in RU: `waybill local --country RU`" in answer.json["detail"]
    assert all(rule["settled"] is True and rule["confidence"] == "verified" for rule in answer.json["rules"])
    assert declared_sources(russian) == []


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"channel": "pigeon"}, "body.channel"),
        ({"secret": {}}, "body.secret.secret_token"),
        ({"secret": {"secret_token": "x", "more": "y"}}, "body.secret.more"),
        ({"secret": "x"}, "body.secret"),
        ({"subject_country": "ZZ"}, "body.subject_country"),
        ({"special": ["none"]}, "body.special.0"),
        ({"retention_days": 0}, "body.retention_days"),
    ],
)
def test_source_is_refused_when_a_declaration_is_wrong(tenant: Api, change: dict[str, Any], loc: str) -> None:
    answer = tenant.post("/v1/sources", {**SOURCE, **change})

    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["loc"] == loc
    assert declared_sources(tenant) == []


def test_source_keeps_its_channel_and_is_gone_when_it_is_deleted(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", SOURCE)
    path = f"/v1/sources/{made['id']}"

    assert tenant.call("PATCH", path, {"channel": "slack"}).status == 422
    assert tenant.call("PATCH", path, {"name": "renamed"}).json["name"] == "renamed"
    assert tenant.call("DELETE", path).status == 204

    assert tenant.get(path).status == 404
    assert declared_sources(tenant) == []
    assert tenant.runtime.config.lookup(made["id"]) is None


def test_old_secret_of_a_source_counts_for_a_day_when_it_is_rotated(tenant: Api) -> None:
    made = tenant.made_by("/v1/sources", SOURCE)

    answer = tenant.post(f"/v1/sources/{made['id']}/secret", {"secret": {"secret_token": "n3w"}})

    assert answer.status == 200 and "n3w" not in answer.text
    row = tenant.runtime.config.get(tenant.made["tenant"], made["id"])
    kept = tenant.runtime.config.secrets(tenant.made["tenant"], made["id"], row.sealed)
    now = tenant.clock.at
    assert rotation.live(kept, now) == [{"secret_token": "n3w"}, {"secret_token": "s3cret"}]
    assert rotation.live(kept, now + rotation.GRACE * 1.01) == [{"secret_token": "n3w"}]
    assert row.sealed and b"n3w" not in row.sealed and b"s3cret" not in row.sealed


def test_signing_secret_is_shown_only_when_it_is_made(tenant: Api) -> None:
    tenant.connect()
    path = f"/v1/destinations/{tenant.made['destination']}"
    assert "whsec_" not in tenant.get(path).text and "127.0.0.1" not in tenant.get(path).text

    rotated = tenant.post(f"{path}/secret/rotate")

    assert rotated.status == 200
    assert rotated.json["signing_secret"].startswith("whsec_")
    assert "signing_secret" not in tenant.get(path).json
    row = tenant.runtime.config.get(tenant.made["tenant"], tenant.made["destination"])
    kept = tenant.runtime.config.secrets(tenant.made["tenant"], row.record.id, row.sealed)["signing"]
    assert len(rotation.live(kept, tenant.clock.at)) == 2
    assert kept[0]["secret"] == rotated.json["signing_secret"]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:9000/in", 201),
        ("http://localhost:9000/in", 422),
        ("https://10.0.0.1/in", 422),
        ("https://169.254.169.254/latest", 422),
        ("ftp://crm.example/in", 422),
        ("https://user:canary@203.0.114.1/in", 422),
        ("", 422),
    ],
)
def test_destination_is_refused_when_nothing_may_be_sent_there(tenant: Api, url: str, status: int) -> None:
    recipient = tenant.made_by("/v1/recipients", RECIPIENT)["id"]

    answer = tenant.post(
        "/v1/destinations", {"name": "d", "kind": "http", "config": {"url": url}, "recipient": recipient}
    )

    assert answer.status == status, answer.text
    assert "canary" not in answer.text and "169.254" not in answer.text


@pytest.mark.parametrize("gap", ["entity_country", "processing_countries", "role", "contract"])
def test_destination_is_not_activated_when_its_recipient_is_not_described(tenant: Api, gap: str) -> None:
    lacking = {n: v for n, v in RECIPIENT.items() if n != gap}
    recipient = tenant.made_by("/v1/recipients", lacking)["id"]
    body = {"name": "d", "kind": "http", "config": {"url": "http://127.0.0.1:9000/in"}, "recipient": recipient}

    refused = tenant.post("/v1/destinations", body)
    off = tenant.made_by("/v1/destinations", {**body, "enabled": False})
    enabled = tenant.post(f"/v1/destinations/{off['id']}/enable")

    for answer in (refused, enabled):
        assert answer.status == 422
        assert answer.json["errors"] == [
            {"loc": f"recipient.{gap}", "code": "missing", "msg": f"supply {gap} with PUT /v1/recipients/{recipient}"}
        ]
    tenant.call("PUT", f"/v1/recipients/{recipient}", RECIPIENT)
    assert tenant.post(f"/v1/destinations/{off['id']}/enable").json["enabled"] is True
    assert tenant.post(f"/v1/destinations/{off['id']}/disable").json["enabled"] is False


def test_destination_changes_and_goes_only_when_no_route_leads_to_it(tenant: Api) -> None:
    tenant.connect()
    path = f"/v1/destinations/{tenant.made['destination']}"

    changed = tenant.call("PATCH", path, {"name": "crm 2", "config": {"headers": {"x-team": "canary"}}, "retry": None})

    assert changed.status == 200, changed.text
    assert (changed.json["name"], changed.json["retry"]) == ("crm 2", None)
    assert "canary" not in changed.text
    row = tenant.runtime.config.get(tenant.made["tenant"], tenant.made["destination"])
    sealed = tenant.runtime.config.secrets(tenant.made["tenant"], row.record.id, row.sealed)
    assert sealed["config"] == {"url": "http://127.0.0.1:9000/in", "headers": {"x-team": "canary"}}
    assert len(sealed["signing"]) == 1
    assert tenant.call("PATCH", path, {"config": {"url": "https://10.1.1.1/"}}).status == 422
    assert tenant.call("PATCH", path, {"config": None}).json["errors"][0]["loc"] == "body.config.url"
    assert tenant.call("DELETE", path).json["code"] == "conflict"
    assert tenant.call("DELETE", f"/v1/routes/{tenant.made['route']}").status == 204
    assert tenant.call("DELETE", path).status == 204
    assert tenant.get(path).status == 404


def test_basis_stays_withdrawn_when_it_is_withdrawn_twice(tenant: Api) -> None:
    ids = tenant.connect()

    first = tenant.post(f"/v1/bases/{ids['contract']}/withdrawal")
    second = tenant.post(f"/v1/bases/{ids['contract']}/withdrawal")

    assert (first.status, second.status) == (201, 201)
    assert first.json["withdrawn_at"] == second.json["withdrawn_at"] is not None
    shown = {b["id"]: b["withdrawn_at"] for b in tenant.get("/v1/bases").json["data"]}
    assert shown == {ids["contract"]: first.json["withdrawn_at"], ids["instruction"]: None}
    configuration = tenant.runtime.config.snapshot(tenant.made["tenant"]).configuration
    assert configuration.bases[ids["contract"]].withdrawn_at is not None
    assert acts(tenant)[-1]["reason"] == "withdrawal"


def test_basis_is_refused_when_its_recipient_is_unknown(tenant: Api) -> None:
    basis = {"kind": "scc", "law": "EU", "recipient": "rcp_" + "0" * 26, "evidence": DIGEST, "valid_from": "2026-01-01"}

    assert tenant.post("/v1/bases", basis).json["errors"][0]["loc"] == "body.recipient"
    assert tenant.post("/v1/bases", {"kind": "canary"}).status == 422


def test_lists_go_on_from_page_to_page_when_followed(tenant: Api) -> None:
    made = [tenant.made_by("/v1/recipients", {**RECIPIENT, "legal_name": f"R{n}"})["id"] for n in range(5)]

    seen, query = [], {"limit": 2}
    while True:
        page = tenant.get("/v1/recipients", **query).json
        seen += [r["id"] for r in page["data"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert seen == made


def test_cursor_is_refused_when_it_is_another_lists_or_tenants_or_altered(cell: Api, tenant: Api) -> None:
    for n in range(2):
        tenant.made_by("/v1/recipients", {**RECIPIENT, "legal_name": f"R{n}"})
    cursor = tenant.get("/v1/recipients", limit=1).json["next"]
    stranger = cell.new_tenant()

    flipped = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]

    assert tenant.get("/v1/recipients", limit=1, cursor=cursor).status == 200
    assert tenant.get("/v1/recipients", limit=1, cursor=flipped).status == 422
    assert tenant.get("/v1/bases", limit=1, cursor=cursor).status == 422
    assert stranger.get("/v1/recipients", limit=1, cursor=cursor).status == 422
    assert tenant.get("/v1/transfers", cursor=cursor).status == 422


def test_operator_lists_tenants_from_page_to_page(cell: Api) -> None:
    made = {cell.new_tenant().made["tenant"] for _ in range(3)}

    seen, path = [], "/v1/tenants?limit=2"
    while path:
        page = cell.as_operator("GET", path).json
        seen += [t["id"] for t in page["data"]]
        path = f"/v1/tenants?limit=2&cursor={page['next']}" if page["next"] else ""

    assert made <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("kind", ["scc", "notification-filed", "adequacy-scheme"])
def test_basis_is_refused_when_it_would_count_under_no_law(tenant: Api, kind: str) -> None:
    basis = {"kind": kind, "evidence": DIGEST, "valid_from": "2026-01-01"}

    refused = tenant.post("/v1/bases", basis)

    assert (refused.status, refused.json["errors"][0]["loc"]) == (422, "body.law")
    assert "use one of" in refused.json["detail"] and "EU" in refused.json["detail"]
    assert tenant.get("/v1/bases").json["data"] == []
    assert tenant.post("/v1/bases", {**basis, "law": "EU"}).status == 201


def test_basis_is_refused_when_its_law_has_no_file_and_may_be_bound_to_the_store(tenant: Api) -> None:
    evidence = {"valid_from": "2026-01-01", "valid_until": None, "evidence": "sha256:" + "0a" * 32}

    refused = tenant.post("/v1/bases", {"kind": "scc", "law": "EU.44", **evidence})
    made = tenant.post("/v1/bases", {"kind": "notification-filed", "law": "RU", "recipient": "store", **evidence})

    assert refused.status == 422
    assert refused.json["errors"][0]["loc"] == "body.law"
    assert made.status == 201


def test_the_cells_own_source_is_shown_and_stays_as_it_is_when_a_tenant_would_change_it(tenant: Api) -> None:
    made = [tenant.made_by("/v1/sources", SOURCE)["id"] for _ in range(3)]

    listed, query = [], "limit=1"
    while query:
        page = tenant.get(f"/v1/sources?{query}").json
        listed += page["data"]
        query = f"limit=1&cursor={page['next']}" if page["next"] else ""

    (own,) = [s for s in listed if s["channel"] == "waybill"]
    assert [s["id"] for s in listed] == sorted([*made, own["id"]])
    assert (own["subject_country"], own["special"], own["url"]) == ("DE", [], None)
    path = f"/v1/sources/{own['id']}"
    assert tenant.get(path).json["missing"] == []  # it has no data of people, and informs under our contract
    assert tenant.get(f"/v1/sources/{made[0]}").json["missing"] != []
    for answer in (
        tenant.call("PATCH", path, {"name": "mine"}),
        tenant.call("DELETE", path),
        tenant.post(f"{path}/secret", {"secret": {"secret_token": "mine"}}),
    ):
        assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert tenant.get(path).json["name"] == "Waybill"


def test_no_source_is_made_when_its_channel_is_the_cells_own(tenant: Api) -> None:
    answer = tenant.post("/v1/sources", {**SOURCE, "channel": "waybill"})

    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "unknown_channel")

"""Legal holds over the API: the content that they protect from erasure, and their entries in the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from tests.support.api_cell import Api

REF = "court of the test, file 7/26"


def event_of(tenant: Api) -> dict[str, Any]:
    (event,) = tenant.get("/v1/events").json["data"]
    return event  # type: ignore[no-any-return]


def receipt_of(tenant: Api) -> dict[str, Any]:
    entries = tenant.get("/v1/audit/entries", kind="decided").json["data"]
    return entries[0]["entry"]["receipt"]  # type: ignore[no-any-return]


def value_of(tenant: Api, scope: str) -> Any:
    receipt, at = receipt_of(tenant), tenant.clock.at
    period = {"after": times.text(at - timedelta(hours=1)), "before": times.text(at + timedelta(hours=1))}
    return {"conversation": receipt["conversation"], "subject": receipt["subjects"][0], "period": period}[scope]


def hold(tenant: Api, scope: str, value: Any = None, **changes: Any) -> dict[str, Any]:
    value = value_of(tenant, scope) if value is None else value
    return {"scope": scope, "value": value, "authority_ref": REF, **changes}


@pytest.mark.parametrize("scope", ["conversation", "subject", "period"])
def test_content_is_not_erased_while_a_hold_is_on_it(tenant: Api, scope: str) -> None:
    tenant.connect()
    tenant.hook("held")
    event = event_of(tenant)["id"]
    path = f"/v1/events/{event}/content?ground=subject_request"
    placed = tenant.made_by("/v1/legal-holds", hold(tenant, scope))

    refused = tenant.call("DELETE", path)
    released = tenant.post(f"/v1/legal-holds/{placed['id']}/release")
    erased = tenant.call("DELETE", path)

    assert (refused.status, refused.json["code"]) == (409, "hold_active")
    assert placed["id"] in refused.json["detail"]
    assert REF not in refused.text
    assert released.json == tenant.get(f"/v1/legal-holds/{placed['id']}").json
    assert released.json["released_by"] == tenant.made["key"]
    assert erased.status == 204


@pytest.mark.parametrize("scope", ["conversation", "subject", "period"])
def test_content_is_erased_when_the_hold_is_on_something_else(tenant: Api, scope: str) -> None:
    tenant.connect()
    tenant.hook("held", number=1, chat=1)
    value = value_of(tenant, scope)
    if scope == "period":
        value = {"after": value["after"], "before": times.text(tenant.clock.at)}
    tenant.made_by("/v1/legal-holds", hold(tenant, scope, value))
    tenant.clock.at += timedelta(minutes=1)
    tenant.hook("free", number=2, chat=2)

    newest, oldest = tenant.get("/v1/events").json["data"]
    answers = [tenant.call("DELETE", f"/v1/events/{e['id']}/content?ground=unlawful") for e in (newest, oldest)]

    assert [a.status for a in answers] == [204, 409]


def test_placing_and_releasing_are_entries_without_the_authoritys_reference(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    placed = [tenant.made_by("/v1/legal-holds", hold(tenant, scope)) for scope in ("subject", "period")]
    for one in placed:
        tenant.post(f"/v1/legal-holds/{one['id']}/release")
        tenant.post(f"/v1/legal-holds/{one['id']}/release")

    told = [
        shown["entry"]
        for kind in ("held", "released")
        for shown in tenant.get("/v1/audit/entries", kind=kind).json["data"]
    ]

    assert sorted((a["kind"], a["object"]["id"]) for a in told) == sorted(
        (kind, one["id"]) for kind in ("held", "released") for one in placed
    )
    assert {a["subject"] for a in told} == {placed[0]["value"], None}
    assert {tuple((a["range"] or {}).values())[:2] for a in told} == {(), tuple(placed[1]["value"].values())}
    assert REF not in str(told)


def test_releasing_writes_the_entry_that_a_process_which_died_placing_left_out(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    body = hold(tenant, "conversation")
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(tenant.runtime.audit, "append", _dies)
        tenant.post("/v1/legal-holds", body)
    (placed,) = tenant.get("/v1/legal-holds").json["data"]

    tenant.post(f"/v1/legal-holds/{placed['id']}/release")

    for kind, at in (("held", "placed_at"), ("released", "released_at")):
        (entry,) = [shown["entry"] for shown in tenant.get("/v1/audit/entries", kind=kind).json["data"]]
        assert entry["at"] == tenant.get(f"/v1/legal-holds/{placed['id']}").json[at]


def _dies(entry: Any) -> Any:
    raise KeyboardInterrupt


def test_the_list_shows_every_hold_page_by_page(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    placed = []
    for number in range(3):
        tenant.clock.at += timedelta(seconds=1)
        placed.append(tenant.made_by("/v1/legal-holds", hold(tenant, "period", authority_ref=f"file {number}")))
    released = tenant.post(f"/v1/legal-holds/{placed[1]['id']}/release").json

    first = tenant.get("/v1/legal-holds", limit=2).json
    second = tenant.get("/v1/legal-holds", limit=2, cursor=first["next"]).json

    assert [*first["data"], *second["data"]] == [placed[0], released, placed[2]]
    assert second["next"] is None


def test_a_second_try_of_a_request_places_one_hold(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    body = hold(tenant, "conversation")

    answers = [tenant.post("/v1/legal-holds", body, Idempotency_Key="one") for _ in range(2)]

    assert answers[0].json == answers[1].json
    assert len(tenant.get("/v1/legal-holds").json["data"]) == 1


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"authority_ref": None}, "body.authority_ref"),
        ({"authority_ref": ""}, "body.authority_ref"),
        ({"scope": "tenant"}, "body.scope"),
        ({"value": "cnv_1"}, "body.value"),
        ({"scope": "subject"}, "body.value"),
        ({"scope": "period"}, "body.value"),
        ({"scope": "period", "value": 17}, "body.value.ref"),
        ({"scope": "period", "value": {"after": "today", "before": "2026-01-01T00:00:00Z"}}, "body.value.period.after"),
        ({"scope": "period", "value": {"after": "2026-01-02T00:00:00Z", "before": "2026-01-01T00:00:00Z"}}, "body.value"),
    ],
)  # fmt: skip
def test_a_hold_is_refused_when_it_could_keep_nothing(tenant: Api, change: dict[str, Any], loc: str) -> None:
    answer = tenant.post("/v1/legal-holds", {**hold(tenant, "conversation", "cnv_" + "0" * 26), **change})

    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["loc"] == loc
    assert tenant.get("/v1/legal-holds").json["data"] == []


@pytest.mark.parametrize(("scope", "prefix"), [("conversation", "cnv"), ("subject", "sub")])
def test_a_hold_is_not_placed_when_its_content_never_was(tenant: Api, scope: str, prefix: str) -> None:
    tenant.connect()
    tenant.hook("held")
    known = value_of(tenant, scope)
    other = tenant.new_tenant()

    for door, value in ((tenant, f"{prefix}_{'0' * 26}"), (other, known)):
        answer = door.post("/v1/legal-holds", {"scope": scope, "value": value, "authority_ref": REF})
        assert (answer.status, answer.json["code"]) == (404, "not_found")
        assert value not in answer.text
        assert door.get("/v1/legal-holds").json["data"] == []


def test_only_an_admin_places_holds(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    body = hold(tenant, "conversation")

    assert tenant.with_key(scopes=["write", "audit"]).post("/v1/legal-holds", body).status == 403


def test_another_tenants_hold_is_not_there(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    placed = tenant.made_by("/v1/legal-holds", hold(tenant, "conversation"))
    other = tenant.new_tenant()

    assert other.get(f"/v1/legal-holds/{placed['id']}").status == 404
    assert other.post(f"/v1/legal-holds/{placed['id']}/release").status == 404
    assert tenant.get(f"/v1/legal-holds/{placed['id']}").json["released_at"] is None


def test_a_tenant_is_not_closed_while_a_hold_stands(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("held")
    placed = tenant.made_by("/v1/legal-holds", hold(tenant, "period"))
    path = f"/v1/tenants/{tenant.made['tenant']}"

    refused = tenant.as_operator("DELETE", path)
    tenant.post(f"/v1/legal-holds/{placed['id']}/release")

    assert (refused.status, refused.json["code"]) == (409, "hold_active")
    assert tenant.as_operator("DELETE", path).status == 204


def test_the_end_of_an_events_life_is_shown_with_it(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("seen")
    listed = event_of(tenant)

    shown = tenant.get(f"/v1/events/{listed['id']}").json

    assert times.parse(shown.pop("expires_at")) == times.parse(shown["received_at"]) + timedelta(days=30)
    assert shown == listed

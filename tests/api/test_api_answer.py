"""Answers over the API: holders, recipients, accountable parties by name, and the proof of each line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.explain.accountability import LIMITS
from chalicelib.core.log import merkle, note, proofs
from tests.support.answering import played, receiver, route, sealed
from tests.support.api_cell import RECIPIENT, TENANT, US_RECIPIENT, Api

TODAY = f"{datetime.now(UTC):%Y-%m-%d}T00:00:00Z"
TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}T23:00:00Z"
EVER = {"after": "2020-01-01T00:00:00Z", "before": "2090-01-01T00:00:00Z"}


@pytest.fixture
def story(tenant: Api) -> Iterator[tuple[Api, dict[str, Any]]]:
    with receiver() as url:
        yield tenant, played(tenant, url)


def pages(api: Api, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found or found[-1]["next"]:
        more = {"cursor": found[-1]["next"]} if found else {}
        answer = api.get("/v1/answer", **query, **more)
        assert answer.status == 200, answer.text
        found.append(answer.json)
    return found


def events(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for page in found for one in page["data"] if one["event"] is not None]


def lines(one: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [line for line in one["lines"] if line["line"] == kind]


def by_route(one: dict[str, Any], made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    names = {made[name]["route"]: name for name in ("taken", "failing", "held", "refused")}
    return {names[line["route"]]: line for line in lines(one, "transfer")}


def test_an_event_is_answered_for_when_it_is_asked_about(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story

    (page,) = pages(api, event=made["events"][0])

    (one,) = page["data"]
    (held,) = lines(one, "held")
    assert held["store"] == {"region": "eu-central-1", "country": "DE"}
    assert (held["kept"], held["until_because"], held["from"] < held["until"]) == (True, "expiry", True)
    assert {b["kind"] for b in held["bases"]} == {"instruction", "contract"}
    told = by_route(one, made)
    assert {name: line["outcome"] for name, line in told.items()} == {
        "taken": "delivered",
        "failing": "gave_up",
        "held": "held",
        "refused": "refused",
    }
    assert told["taken"]["recipient"]["legal_name"] == "Nord CRM GmbH"
    assert told["taken"]["recipient"]["contract"]["id"] == "dpa-7"
    assert told["taken"]["classes_left"] == held["classes"]
    assert told["taken"]["basis"]["id"] == made["contract"]
    assert told["taken"]["from"] is not None
    assert told["held"]["classes_left"] == [] and told["held"]["from"] is None
    assert [r["ref"] for r in told["held"]["rules"]] == ["GDPR art. 44"]
    assert told["held"]["missing"] == [f"basis:EU.44:{made['held']['recipient']}"]
    assert page["laws"] == ["EU"]


def test_somebody_is_accountable_by_name_for_every_line(story: tuple[Api, dict[str, Any]]) -> None:
    api, _ = story

    found = pages(api, **EVER)

    every = [line for page in found for one in page["data"] for line in one["lines"]]
    assert {line["line"] for line in every} == {"held", "transfer", "act"}
    for line in every:
        assert line["accountable"]["legal_name"] and line["accountable"]["contact"]
        assert line["proofs"]
    assert {line["accountable"]["legal_name"] for line in every} == {"Nord GmbH", "Local Cell Operator (fictitious)"}


def test_the_router_is_a_processor_only_while_it_is_instructed(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story

    (page,) = pages(api, event=made["events"][0])

    told = by_route(page["data"][0], made)
    assert told["taken"]["role"]["role"] == told["taken"]["role"]["decided_as"] == "processor"
    assert (told["refused"]["role"]["role"], told["refused"]["role"]["decided_as"]) == ("controller", "processor")
    rows = page["responsibility"][told["taken"]["responsibility"]]
    accountable = {row["op"]: row["accountable"]["kind"] for row in rows}
    assert accountable["deliver"] == accountable["lawful_ground"] == "tenant"
    assert accountable["security"] == accountable["breach_notice"] == "operator"
    assert [p["legal_name"] for row in rows if row["op"] == "damages" for p in row["jointly"]] == [
        "Local Cell Operator (fictitious)",
        "Nord CRM GmbH",
    ]


def test_what_was_erased_is_told_with_its_ground(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story

    (page,) = pages(api, event=made["events"][1])

    (one,) = page["data"]
    (held,) = lines(one, "held")
    assert (held["until_because"], held["over"]) == ("erased", True)
    assert [p["kind"] for p in held["proofs"]] == ["decided", "erased"]
    (act,) = (line for line in lines(one, "act") if line["act"] == "erased")
    assert (act["reason"], act["actor"]["kind"]) == ("subject_request", "key")
    assert by_route(one, made)["held"]["outcome"] == "erased"


def test_a_person_is_told_of_what_that_person_sent_and_of_nothing_else(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story
    first = pages(api, event=made["events"][0])[0]["data"][0]

    found = pages(api, subject=first["subjects"][0])

    assert [one["event"] for one in events(found)] == made["events"][:1]
    assert "first_person" in found[0]["limits"]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_period_tells_everything_once_when_it_is_read_by_pages(story: tuple[Api, dict[str, Any]], limit: int) -> None:
    api, made = story
    sealed(api)

    found = pages(api, **EVER, limit=limit)

    told = [p["entry"] for page in found for one in page["data"] for line in one["lines"] for p in line["proofs"]]
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while cursor is not None:
        answer = api.get("/v1/audit/entries", limit=250, **cursor).json
        listed += [one["entry"]["id"] for one in answer["data"]]
        cursor = {"cursor": answer["next"]} if answer["next"] else None  # type: ignore[assignment]
    assert set(told) == set(listed)
    assert sorted(one["event"] for one in events(found)) == sorted(made["events"])
    assert all(len(page["data"]) <= limit for page in found)


def test_nothing_is_told_of_another_time(story: tuple[Api, dict[str, Any]]) -> None:
    api, _ = story

    found = pages(api, after="2020-01-01T00:00:00Z", before="2020-02-01T00:00:00Z")

    assert [page["data"] for page in found] == [[]]


def test_every_line_is_proved_by_the_key_alone_when_it_is_sealed(story: tuple[Api, dict[str, Any]]) -> None:
    api, _ = story
    sealed(api)
    key = note.parse_vkey(api.get("/v1/audit/keys").json["data"][0]["vkey"])

    told = [p for page in pages(api, **EVER) for one in page["data"] for line in one["lines"] for p in line["proofs"]]

    assert told
    for one in {p["entry"]: p for p in told}.values():
        proof = proofs.parse_inclusion(api.get(one["proof"]).text.encode())
        assert proof.checkpoint.check([key]) == {key}
        signed = note.parse_checkpoint(proof.checkpoint.text)
        hashed = bytes.fromhex(one["leaf_hash"])
        merkle.verify_inclusion(one["index"], signed.size, hashed, proof.hashes, signed.root)


def test_it_is_said_when_a_line_is_not_sealed_yet(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story

    (before,) = pages(api, event=made["events"][0])
    sealed(api)
    (after,) = pages(api, event=made["events"][0])

    states = [{p["state"] for line in page["data"][0]["lines"] for p in line["proofs"]} for page in (before, after)]
    assert states == [{"not sealed yet"}, {"sealed"}]
    assert "not_sealed" in before["limits"] and "not_sealed" not in after["limits"]


def test_a_recipient_is_named_as_it_was_when_the_decision_was_made(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story
    body = {**RECIPIENT, "legal_name": "Nord CRM after the merger GmbH"}
    assert api.call("PUT", f"/v1/recipients/{made['taken']['recipient']}", body).status == 200

    (page,) = pages(api, event=made["events"][0])

    recipient = by_route(page["data"][0], made)["taken"]["recipient"]
    assert (recipient["legal_name"], recipient["version"], recipient["record"]) == ("Nord CRM GmbH", 1, "as_decided")


def test_a_withdrawn_ground_is_shown_as_it_stood_when_the_decision_was_made(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story
    assert api.post(f"/v1/bases/{made['contract']}/withdrawal").status == 201

    (page,) = pages(api, event=made["events"][0])

    told = by_route(page["data"][0], made)["taken"]
    assert (told["decision"], told["basis"]["withdrawn_at"]) == ("allowed", None)


def test_it_is_said_when_a_record_is_gone(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story
    recipient = made["taken"]["recipient"]
    api.runtime.config.delete(api.made["tenant"], recipient)

    (page,) = pages(api, event=made["events"][0])

    told = by_route(page["data"][0], made)["taken"]["recipient"]
    assert (told["id"], told["legal_name"], told["record"]) == (recipient, None, "gone")
    assert told["country"] == "DE"
    assert "record_gone" in page["limits"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({}, "after"),
        ({"after": EVER["after"]}, "after"),
        ({"subject": "sub_" + "0" * 26, "event": "evt_" + "0" * 26}, "event"),
        ({"subject": "sub_" + "0" * 26, **EVER}, "subject"),
        ({"after": EVER["before"], "before": EVER["after"]}, "before"),
        ({"subject": "Ada"}, "subject"),
        ({**EVER, "limit": 101}, "limit"),
    ],
)
def test_refused_when_the_question_is_not_one(tenant: Api, query: dict[str, Any], place: str) -> None:
    answer = tenant.get("/v1/answer", **query)

    assert (answer.status, [e["loc"] for e in answer.json["errors"]]) == (422, [f"query.{place}"])


def test_another_tenants_people_and_events_are_as_if_they_were_not_there(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story
    subject = pages(api, event=made["events"][0])[0]["data"][0]["subjects"][0]
    other = api.new_tenant()

    strange, theirs = other.get("/v1/answer", subject=subject), other.get("/v1/answer", event=made["events"][0])

    assert (strange.status, strange.json["data"]) == (200, [])
    assert theirs.text == other.get("/v1/answer", event="evt_" + "0" * 26).text
    assert theirs.status == 422


def test_refused_when_the_key_may_not_audit(tenant: Api) -> None:
    reader = tenant.with_key(scopes=["read"])

    assert reader.get("/v1/answer", **EVER).status == 403


@pytest.mark.parametrize("named", [{"operator_name": ""}, {"operator_contact": ""}])
def test_nothing_is_answered_when_nobody_answers_for_the_cell(tenant: Api, named: dict[str, str]) -> None:
    tenant.runtime.settings, whole = replace(tenant.runtime.settings, **named), tenant.runtime.settings  # type: ignore[arg-type]

    answer = tenant.get("/v1/answer", **EVER)
    tenant.runtime.settings = whole

    assert (answer.status, answer.json["code"]) == (500, "misconfigured")


@pytest.mark.parametrize("blank", ["", "   ", "\u00a0", "\u200b\u2060", "\u202e"])
@pytest.mark.parametrize("field", ["legal_name", "contact"])
def test_a_blank_name_is_refused_where_somebody_has_to_answer(tenant: Api, field: str, blank: str) -> None:
    body = {**TENANT, "controller": {**TENANT["controller"], field: blank}}  # type: ignore[dict-item]
    made = tenant.as_operator("POST", "/v1/tenants", body)
    changed = tenant.call("PATCH", "/v1/tenant", {"controller": {field: blank}})
    recipient = tenant.post("/v1/recipients", {**US_RECIPIENT, field: blank})

    assert [made.status, changed.status, recipient.status] == [422, 422, 422]
    assert [e["loc"] for e in made.json["errors"]] == [f"body.controller.{field}"]
    assert [e["loc"] for e in recipient.json["errors"]] == [f"body.{field}"]


def test_an_old_event_is_found_when_its_time_is_given(story: tuple[Api, dict[str, Any]]) -> None:
    api, made = story
    rows = api.runtime.data
    missing = rows.event
    rows.event = lambda *_: None  # type: ignore[method-assign]

    asked = api.get("/v1/answer", event=made["events"][0])
    found = pages(api, event=made["events"][0], after=TODAY, before=TOMORROW)
    rows.event = missing  # type: ignore[method-assign]

    assert asked.status == 422
    assert [one["event"] for one in events(found)] == made["events"][:1]


def test_every_limit_of_an_answer_has_its_line_in_the_documentation() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "answer.md").read_text("utf-8")

    assert [code for code in LIMITS if f"| `{code}` |" not in text] == []


def test_a_route_is_named_in_the_answer_when_it_is_deleted_later(tenant: Api) -> None:
    with receiver() as url:
        made = played(tenant, url)
    assert tenant.call("DELETE", f"/v1/routes/{made['taken']['route']}").status == 204
    route(tenant, "another", RECIPIENT, "http://127.0.0.1:9/in")

    (page,) = pages(tenant, event=made["events"][0])

    assert by_route(page["data"][0], made)["taken"]["purpose"] == "customer_support"

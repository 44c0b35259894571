"""``/v1/profiles``: nothing is made that was not shown in full, and then all of it or nothing that acts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import Misconfigured
from chalicelib.core.explain.profile import load
from chalicelib.law import profiles
from tests.support.api_cell import ALL_CLASSES, DIGEST, SOURCE, Api

HEX = "ab" * 32
ANSWERS = {
    "instruction_from": "2026-01-01",
    "instruction_sha256": HEX,
    "ground": "contract",
    "ground_from": "2026-01-01",
    "ground_sha256": HEX,
    "purpose": "customer_support",
    "recipient_legal_name": "Nord CRM GmbH",
    "recipient_contact": "dpo@crm.example",
    "recipient_country": "DE",
    "recipient_processing_countries": ["DE"],
    "recipient_onward": [],
    "recipient_classes": ALL_CLASSES,
    "contract_id": "dpa-7",
    "contract_sha256": HEX,
    "contract_from": "2026-01-01",
    "granted": True,
    "url": "http://127.0.0.1:9000/in",
}
PATH = "/v1/profiles/eu-own-crm"


def answers(api: Api, **changes: Any) -> Any:
    source = api.made.get("source") or api.made_by("/v1/sources", SOURCE)["id"]
    api.made["source"] = source
    return {**ANSWERS, "source": source, **changes}


def records(api: Api) -> Any:
    return {
        kind: api.get(f"/v1/{kind}").json["data"] for kind in ("recipients", "destinations", "bases", "routes")
    }  # fmt: skip


def changes_of(api: Api) -> Any:
    entries = api.get("/v1/audit/entries", kind="config_changed").json["data"]
    return [e["entry"] for e in entries if e["entry"]["reason"] == "profile"]


def test_profiles_are_listed_with_their_questions_and_articles(tenant: Any) -> None:
    listed = tenant.get("/v1/profiles").json

    assert [p["name"] for p in listed["data"]] == ["eu-own-crm", "ru-in-country"]
    assert listed["next"] is None
    for profile in listed["data"]:
        assert all(q["asks"] and q["because"] for q in profile["questions"])
        assert {"source", "ground", "granted", "recipient_country"} <= {q["name"] for q in profile["questions"]}
    assert tenant.get("/v1/profiles", limit=1).json["next"]


def test_everything_is_shown_and_nothing_stored_when_answers_are_given(tenant: Any) -> None:
    before = records(tenant)

    shown = tenant.post(PATH, {"answers": answers(tenant)})

    assert shown.status == 200
    body = shown.json
    assert [w["call"] for w in body["would_create"]] == [
        "POST /v1/recipients", "POST /v1/destinations", "POST /v1/bases", "POST /v1/bases", "POST /v1/routes",
    ]  # fmt: skip
    assert all(w["you_declare"] and w["because"] and "{" not in w["you_declare"] for w in body["would_create"])
    assert (body["decision"]["decision"], body["missing"]) == ("allow", [])
    assert body["digest"].startswith("sha256:")
    assert records(tenant) == before
    assert tenant.post(PATH, {"answers": answers(tenant)}).json["digest"] == body["digest"]


def test_questions_come_back_when_they_have_no_answer(tenant: Any) -> None:
    given = answers(tenant)
    for name in ("granted", "ground", "recipient_country"):
        del given[name]

    shown = tenant.post(PATH, {"answers": given})
    refused = tenant.post(PATH, {"answers": given, "accept": DIGEST})

    assert shown.status == 200
    assert [q["name"] for q in shown.json["missing"]] == ["ground", "recipient_country", "granted"]
    assert (shown.json["would_create"], shown.json["digest"]) == ([], None)
    assert refused.status == 422
    assert [e["loc"] for e in refused.json["errors"]] == [
        "body.answers.ground", "body.answers.recipient_country", "body.answers.granted",
    ]  # fmt: skip


def test_accepted_answers_make_ordinary_records_that_say_where_they_come_from(tenant: Any) -> None:
    given = answers(tenant)
    digest = tenant.post(PATH, {"answers": given}).json["digest"]

    made = tenant.post(PATH, {"answers": given, "accept": digest})

    assert made.status == 201
    created = made.json["created"]
    assert [c["id"][:4] for c in created] == ["rcp_", "dst_", "bas_", "bas_", "rte_"]
    assert [c["profile"]["declaration"] for c in created] == [
        "recipient",
        "destination",
        "instruction",
        "ground",
        "route",
    ]
    assert {(c["profile"]["name"], c["profile"]["digest"]) for c in created} == {("eu-own-crm", digest)}
    assert created[1]["signing_secret"].startswith("whsec_")
    assert (created[1]["recipient"], created[4]["destination"]) == (created[0]["id"], created[1]["id"])
    stored = records(tenant)
    assert sorted(r["id"] for kind in stored.values() for r in kind) == sorted(c["id"] for c in created)
    (entry,) = changes_of(tenant)
    assert entry["actor"] == {"kind": "key", "id": tenant.made["key"]}
    assert entry["before"] != entry["after"]
    assert tenant.call("POST", f"/v1/bases/{created[2]['id']}/withdrawal", {}).status == 201
    assert tenant.call("DELETE", f"/v1/routes/{created[4]['id']}").status == 204


def test_messages_go_out_on_a_profile_alone_when_it_is_accepted(tenant: Any) -> None:
    given = answers(tenant)
    digest = tenant.post(PATH, {"answers": given}).json["digest"]
    tenant.post(PATH, {"answers": given, "accept": digest})

    tenant.hook()

    (transfer,) = tenant.get("/v1/transfers").json["data"]
    assert transfer["decision"] == "allowed"


@pytest.mark.parametrize(
    "change", [{"recipient_country": "FR"}, {"granted": False}, {"url": "http://127.0.0.1:9000/other"}]
)
def test_nothing_is_made_when_the_digest_is_not_that_of_these_answers(tenant: Any, change: Any) -> None:
    digest = tenant.post(PATH, {"answers": answers(tenant)}).json["digest"]

    refused = tenant.post(PATH, {"answers": answers(tenant, **change), "accept": digest})

    assert (refused.status, refused.json["code"]) == (409, "conflict")
    assert all(not kind for kind in records(tenant).values())
    assert changes_of(tenant) == []


def test_digest_changes_when_what_is_decided_changes(tenant: Any) -> None:
    given = answers(tenant)
    digest = tenant.post(PATH, {"answers": given}).json["digest"]

    tenant.call("PATCH", f"/v1/sources/{given['source']}", {"subject_country": "JP"})

    shown = tenant.post(PATH, {"answers": given}).json
    assert (shown["decision"]["decision"], shown["digest"] == digest) == ("hold", False)
    assert tenant.post(PATH, {"answers": given, "accept": digest}).status == 409


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"recipient_country": "XX"}, "body.answers.recipient_country"),
        ({"granted": "yes"}, "body.answers.granted"),
        ({"ground": "because"}, "body.answers.ground"),
        ({"recipient_classes": []}, "body.answers.recipient_classes"),
        ({"source": "src_" + "0" * 26}, "body.answers.source"),
        ({"url": "ftp://crm.example"}, "body.answers.url"),
        ({"nobody_asked": 1}, "body.answers.nobody_asked"),
        ({"Canary Person": 1}, "body.answers.?"),
    ],
)
def test_answer_is_refused_in_its_place_when_it_cannot_be_taken(tenant: Any, change: Any, loc: Any) -> None:
    refused = tenant.post(PATH, {"answers": answers(tenant, **change)})

    assert refused.status == 422
    assert loc in [e["loc"] for e in refused.json["errors"]]
    assert "Canary" not in refused.text


def test_profile_is_not_found_when_there_is_none(tenant: Any) -> None:
    assert tenant.post("/v1/profiles/eu-other", {"answers": {}}).status == 404
    assert tenant.post(PATH, {"answers": {}, "accept": "yes"}).status == 422


def test_reader_cannot_use_a_profile(tenant: Any) -> None:
    assert tenant.with_key(scopes=["read"]).post(PATH, {"answers": {}}).status == 403


# A process that dies half-way


class Gone(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("dies_at", range(6))
def test_second_try_completes_when_the_first_died_half_way(
    tenant: Any, dies_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = answers(tenant)
    digest = tenant.post(PATH, {"answers": given}).json["digest"]
    config, left = tenant.runtime.config, [dies_at]
    insert, put = config.insert, tenant.runtime.evidence.put

    def dying(*arguments: Any) -> Any:
        if left[0] == 0:
            raise Gone
        left[0] -= 1
        return insert(*arguments)

    def dying_put(*arguments: Any) -> Any:
        if left[0] == 0:
            raise Gone
        return put(*arguments)

    monkeypatch.setattr(config, "insert", dying)
    monkeypatch.setattr(tenant.runtime.evidence, "put", dying_put)
    with pytest.raises(Gone):
        tenant.post(PATH, {"answers": given, "accept": digest})
    monkeypatch.undo()
    half = records(tenant)
    assert bool(half["routes"]) is (dies_at == 5)  # nothing acts before everything else is there
    tenant.clock.at += timedelta(minutes=5)  # the first try's claim has lapsed

    made = tenant.post(PATH, {"answers": given, "accept": digest})

    assert made.status == 201, made.text
    stored = sorted(r["id"] for kind in records(tenant).values() for r in kind)
    assert stored == sorted(c["id"] for c in made.json["created"])
    assert {r["id"] for kind in half.values() for r in kind} <= set(stored)
    assert len(changes_of(tenant)) == 1


def test_answer_is_the_same_and_nothing_made_twice_when_it_is_accepted_twice(tenant: Any) -> None:
    given = answers(tenant)
    digest = tenant.post(PATH, {"answers": given}).json["digest"]

    first = tenant.post(PATH, {"answers": given, "accept": digest})
    second = tenant.post(PATH, {"answers": given, "accept": digest})
    tenant.clock.at += timedelta(days=2)
    later = tenant.post(PATH, {"answers": given, "accept": digest})

    assert (second.status, second.json) == (201, first.json)
    assert [c["id"] for c in later.json["created"]] == [c["id"] for c in first.json["created"]]
    assert sum(map(len, records(tenant).values())) == 5


# Never weaker than records typed by hand


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"recipient_country": "US", "recipient_processing_countries": ["US"]},
        {"granted": False},
        {"ground": "consent", "ground_from": "2030-01-01"},
        {"recipient_classes": ["identifier"]},
        {"contract_from": "2030-01-01"},
        {"recipient_onward": [{"id": "sub", "entity_country": "US", "processing_countries": ["US"], "role": "sub_processor", "granted": True}]},
    ],
)  # fmt: skip
def test_records_decide_as_those_typed_by_hand_do_when_a_profile_makes_them(
    cell: Any, tenant: Any, change: Any
) -> None:
    by_profile, by_hand = tenant, cell.new_tenant()
    given = answers(by_profile, **change)
    shown = by_profile.post(PATH, {"answers": given}).json
    by_profile.post(PATH, {"answers": given, "accept": shown["digest"]})
    ids = {"source": by_hand.made_by("/v1/sources", SOURCE)["id"]}
    for each in shown["would_create"]:
        text = json.dumps(each["body"]).replace(given["source"], ids["source"])
        for name, made in ids.items():
            text = text.replace(f'"@{name}"', f'"{made}"')
        ids[each["name"]] = by_hand.made_by(each["call"].removeprefix("POST "), json.loads(text))["id"]
    by_hand.made["source"] = ids["source"]

    def seen(api: Any) -> Any:
        api.hook()
        (transfer,) = api.get("/v1/transfers").json["data"]
        (ready,) = api.get("/v1/preflight").json["data"]
        gaps = sorted(g["path"].rpartition(":rcp_")[0] or g["path"] for g in ready["missing"])
        return transfer["decision"], transfer["rules"], transfer["classes_out"], ready["decision"], ready["rules"], gaps

    first = seen(by_profile)
    assert first == seen(by_hand)
    stricter = {"allow": "allowed", "redact": "redacted", "hold": "held", "deny": "refused"}[
        shown["decision"]["decision"]
    ]
    assert first[3] == stricter


# The files


def test_no_profile_answers_for_anybody_when_it_is_read() -> None:
    """Countries, contracts, grounds, grants, data classes and dates are asked for, never written down."""
    for profile in profiles().values():
        for declaration in profile.declare:
            for name, value in declaration.body.items():
                if name in (
                    "entity_country",
                    "processing_countries",
                    "granted",
                    "classes",
                    "onward",
                    "valid_from",
                    "evidence",
                ):
                    assert "{" in str(value), (profile.name, name)
            if declaration.call == "POST /v1/recipients":
                assert all("{" in str(value) for value in declaration.body["contract"].values())
            assert declaration.body.get("kind", "http") in ("http", "instruction", "consent", "{ground}")


SMALL = """
name = "small"
title = "t"

[[question]]
name = "source"
asks = "a"
type = "source"
because = "b"

[[declare]]
name = "route"
call = "POST /v1/routes"
you_declare = "y"
because = "b"

[declare.body]
name = "{source}"
"""


@pytest.mark.parametrize(
    "change",
    [
        ('"{source}"', '"{other}"'),
        ('"{source}"', '"@other"'),
        ('you_declare = "y"', 'you_declare = "{other}"'),
        ("POST /v1/routes", "POST /v1/bases"),
        ('name = "source"', 'name = "sources"'),
        ('type = "source"', 'type = "colour"'),
        ("[[question]]", "[[question"),
    ],
)
def test_profile_is_refused_when_its_file_is_wrong(change: Any) -> None:
    assert load(SMALL).name == "small"

    with pytest.raises(Misconfigured):
        load(SMALL.replace(*change))


def test_class_of_the_tenant_is_refused_when_another_is_declared(tenant: Any) -> None:
    path = "/v1/profiles/ru-in-country"
    asked = next(p for p in tenant.get("/v1/profiles").json["data"] if p["name"] == "ru-in-country")["questions"]
    (question,) = [q for q in asked if q["type"] == "tenant_class"]
    assert len(question["choices"]) == len(question["titles"]) == len(question["titles_ru"])

    refused = tenant.post(path, {"answers": {"tenant_class": "bank"}})

    assert refused.status == 422
    (fault,) = refused.json["errors"]
    assert (fault["loc"], fault["code"]) == ("body.answers.tenant_class", "declared_otherwise")
    assert 'PATCH /v1/tenant {"tenant_class": "bank"}' in fault["msg"]
    assert tenant.call("PATCH", "/v1/tenant", {"tenant_class": "bank"}).status == 200
    assert tenant.post(path, {"answers": {"tenant_class": "bank"}}).status == 200
    assert tenant.post(path, {"answers": {"tenant_class": "sdf"}}).json["errors"][0]["code"] == "choice"

"""Consents from a file: each line on its own, each once, even when repeated."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from chalicelib.core.errors import AuditUnavailable
from chalicelib.core.tenant.consent_lines import LINES_MAX
from tests.support.api_cell import US_RECIPIENT, Answer, Api, acts
from tests.support.consents import consent, person

NDJSON = "application/x-ndjson"


def send(tenant: Api, *lines: Any, **headers: str) -> Answer:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return tenant.call(
        "POST", "/v1/consents/import", raw="\n".join(texts).encode(), **{"Content_Type": NDJSON, **headers}
    )


def listed(tenant: Api) -> list[dict[str, Any]]:
    return list(tenant.get("/v1/consents", limit=250).json["data"])


def noted(tenant: Api) -> Counter[tuple[str, str]]:
    return Counter((a["object"]["id"], a["reason"]) for a in acts(tenant) if a["object"]["kind"] == "consent")


def test_each_line_is_taken_once_when_the_file_comes_again(tenant: Api) -> None:
    subject = person(tenant)
    one, two = consent(tenant, subject), consent(tenant, subject, notice_sha256="ef" * 32)
    turned = dict(reversed({**one, "purposes": one["purposes"][::-1], "classes": one["classes"][::-1]}.items()))

    first = send(tenant, one, "", two, "  ", one)
    second = send(tenant, two, turned)

    assert (first.status, first.json) == (200, {"taken": 2, "already": 1, "refused": []})
    assert second.json == {"taken": 0, "already": 2, "refused": []}
    assert {(c["notice_sha256"], c["subject"]) for c in listed(tenant)} == {("cd" * 32, subject), ("ef" * 32, subject)}
    assert noted(tenant) == {(c["id"], "created"): 1 for c in listed(tenant)}
    assert all(a["subject"] == subject for a in acts(tenant) if a["object"]["kind"] == "consent")


def test_bad_lines_are_named_and_the_others_are_taken(tenant: Api) -> None:
    subject = person(tenant)
    good = consent(tenant, subject)

    answer = send(
        tenant,
        "{not json",
        {**good, "subject": "sub_" + "0" * 26},
        good,
        {**good, "purposes": []},
        {**good, "recipient": "rcp_" + "0" * 26},
        "",
        {**good, "canary": "canary"},
        {**good, "law": ["XX"]},
        {**good, "given_at": "2099-01-01T00:00:00Z"},
        {"withdraws": "cns_" + "0" * 26, "method": "app"},
        {"withdraws": "canary", "method": "app"},
        '{"a": 1, "a": 2}',
        "[1]",
    )

    assert answer.status == 200
    assert (answer.json["taken"], answer.json["already"]) == (1, 0)
    assert [(r["line"], r["code"], r["loc"]) for r in answer.json["refused"]] == [
        (1, "not_json", "line"),
        (2, "unknown_id", "line.subject"),
        (4, "too_short", "line.purposes"),
        (5, "unknown_id", "line.recipient"),
        (7, "extra_forbidden", "line.canary"),
        (8, "unknown_law", "line.law.0"),
        (9, "in_the_future", "line.given_at"),
        (10, "unknown_id", "line.withdraws"),
        (11, "unknown_id", "line.withdraws"),
        (12, "not_json", "line"),
        (13, "not_json", "line"),
    ]
    assert len(listed(tenant)) == 1


def test_a_consent_counts_as_if_it_had_been_given_alone(tenant: Api) -> None:
    subject = person(tenant)
    tenant.post(f"/v1/bases/{tenant.made['contract']}/withdrawal")
    (event,) = tenant.get("/v1/events").json["data"]
    asked = {"event": event["id"], "route": tenant.made["route"]}
    assert tenant.post("/v1/decisions", asked).json["decision"] == "hold"

    line = consent(tenant, subject)
    send(tenant, line)
    assert tenant.post("/v1/decisions", asked).json["decision"] == "allow"

    (given,) = listed(tenant)
    end = {"withdraws": given["id"], "method": "message"}
    answers = [send(tenant, end).json for _ in range(2)]
    again = send(tenant, line).json

    assert tenant.post("/v1/decisions", asked).json["decision"] == "hold"
    assert [(a["taken"], a["already"]) for a in (*answers, again)] == [(1, 0), (0, 1), (0, 1)]
    assert noted(tenant) == {(given["id"], "created"): 1, (given["id"], "withdrawal"): 1}


def test_a_withdrawal_counts_once_when_its_line_stands_twice_in_one_file(tenant: Api) -> None:
    send(tenant, consent(tenant, person(tenant)))
    (given,) = listed(tenant)

    ends = [{"withdraws": given["id"], "method": method} for method in ("app", "app", "oral")]
    answer = send(tenant, *ends)

    assert answer.json == {"taken": 1, "already": 2, "refused": []}
    assert noted(tenant) == {(given["id"], "created"): 1, (given["id"], "withdrawal"): 1}


def test_a_consent_of_before_all_time_is_refused_and_its_persons_events_go_on(tenant: Api) -> None:
    line = consent(tenant, person(tenant), given_at="0001-01-01T00:00:00Z")

    alone, imported = tenant.post("/v1/consents", line), send(tenant, line)
    tenant.hook("again", number=2)

    assert (alone.status, imported.json["refused"]) == (
        422,
        [{"line": 1, "code": "value_error", "loc": "line.given_at"}],
    )
    assert [t["decision"] for t in tenant.get("/v1/transfers").json["data"]] == ["allowed", "allowed"]


def test_what_is_held_is_woken_once_for_all(tenant: Api) -> None:
    tenant.connect(US_RECIPIENT)
    tenant.hook()
    tenant.deliver()
    subject = acts_subject(tenant)
    ((lane, _),) = tenant.runtime.data.held(tenant.made["tenant"])
    assert lane not in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]

    send(tenant, *(consent(tenant, subject, countries=["US"], notice_sha256=f"{n:064x}") for n in range(3)))

    assert lane in [x for x, _ in tenant.runtime.data.due_lanes(tenant.clock.at, 100)]


def acts_subject(tenant: Api) -> str:
    (found,) = tenant.get("/v1/audit/entries", kind="decided").json["data"][-1]["entry"]["receipt"]["subjects"]
    return str(found)


def test_a_second_try_completes_what_the_first_left_when_the_log_was_away(
    tenant: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = person(tenant)
    line = consent(tenant, subject)
    away = [AuditUnavailable("the log is away")]
    with monkeypatch.context() as patched:
        patched.setattr(tenant.runtime.audit, "append_many", lambda entries: away * len(entries))
        assert send(tenant, line).status == 503
    assert tenant.get("/v1/consents", subject=subject).json["data"] == []  # it does not count without its entry

    answer = send(tenant, line)

    assert answer.json == {"taken": 0, "already": 1, "refused": []}
    assert len(tenant.get("/v1/consents", subject=subject).json["data"]) == 1
    assert list(noted(tenant).values()) == [1]


def test_refused_when_a_person_has_as_many_as_there_may_be(tenant: Api) -> None:
    subject = person(tenant)
    lines = [consent(tenant, subject, notice_sha256=f"{n:064x}") for n in range(102)]

    answer = send(tenant, *lines)

    assert (answer.json["taken"], len(listed(tenant))) == (100, 100)
    assert answer.json["refused"] == [{"line": n, "code": "too_many", "loc": "line.subject"} for n in (101, 102)]


def test_refused_when_there_are_more_lines_than_one_request_takes(tenant: Api) -> None:
    answer = send(tenant, *["{}"] * (LINES_MAX + 1))

    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "too_many_lines")


@pytest.mark.parametrize(("type", "status"), [("application/json", 200), ("application/jsonl", 200), ("text/csv", 415)])
def test_a_body_of_lines_says_what_it_is(tenant: Api, type: str, status: int) -> None:
    assert send(tenant, "", Content_Type=type).status == status


def test_a_key_that_only_reads_takes_nothing_and_another_tenants_people_are_nobody(cell: Api, tenant: Api) -> None:
    line = consent(tenant, person(tenant))
    other = cell.new_tenant()
    other.connect()

    reader = tenant.with_key(scopes=["read"])
    assert send(reader, line).status == 403
    there = send(other, {**line, "recipient": other.made["recipient"]})

    assert there.json["refused"] == [{"line": 1, "code": "unknown_id", "loc": "line.subject"}]
    assert listed(tenant) == []

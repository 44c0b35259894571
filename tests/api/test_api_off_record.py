"""Having conversations off the record over the API."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from tests.support.api_cell import Api, acts

NOBODY = "cnv_" + "0" * 26
CANARIES = ("secret-text", "Ada", '"78"')


def heard(api: Api, number: int = 1, chat: int = 77) -> str:
    """The path of a conversation that has said hello."""
    api.hook("hello", number=number, chat=chat)
    return f"/v1/conversations/{newest(api)['receipt']['conversation']}/off-the-record"


def newest(api: Api) -> dict[str, Any]:
    found = [e["entry"] for e in api.get("/v1/audit/entries").json["data"] if e["entry"]["kind"] == "decided"]
    return max(found, key=lambda e: str(e["at"]))


def changes(api: Api) -> list[dict[str, Any]]:
    return [a for a in acts(api) if (a["object"] or {}).get("kind") == "conversation"]


def test_counts_ten_seconds_after_it_was_asked_for(tenant: Api) -> None:
    tenant.connect()
    path = heard(tenant)
    before = tenant.get(path).json

    put = tenant.call("PUT", path, {"otr": True})

    assert (before["otr"], before["since"], before["intervals"]) == (False, None, [])
    assert put.status == 200
    assert (put.json["otr"], put.json["now"]) == (True, False)
    assert timedelta(seconds=9) < times.parse(put.json["since"]) - tenant.clock.at <= timedelta(seconds=10)
    tenant.clock.at += timedelta(seconds=10)
    assert tenant.get(path).json == {**put.json, "now": True}


def test_one_entry_for_each_change_however_often_it_is_asked_for(tenant: Api) -> None:
    tenant.connect()
    path = heard(tenant)
    assert tenant.call("PUT", path, {"otr": False}).json["intervals"] == []

    answers = [tenant.call("PUT", path, {"otr": otr}).json for otr in (True, True, False, False, True)]

    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert [len(a["intervals"]) for a in answers] == [1, 1, 1, 1, 2]
    assert answers[4]["intervals"][0] == answers[3]["intervals"][0]
    told = [(a["reason"], a["range"]["after"], a["range"]["before"]) for a in changes(tenant)]
    first, second = answers[4]["intervals"]
    assert told == [
        ("enabled", first["since"], None),
        ("disabled", first["since"], first["until"]),
        ("enabled", second["since"], None),
    ]


@pytest.mark.parametrize(("otr", "reasons"), [(True, ["enabled"]), (False, ["enabled", "disabled"])])
def test_the_next_request_writes_the_entry_that_a_crash_left_out(tenant: Api, otr: bool, reasons: list[str]) -> None:
    tenant.connect()
    path = heard(tenant)
    append, tenant.runtime.audit.append = tenant.runtime.audit.append, _dies  # type: ignore[method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            tenant.call("PUT", path, {"otr": True})
    finally:
        tenant.runtime.audit.append = append  # type: ignore[method-assign]
    assert changes(tenant) == []

    tenant.call("PUT", path, {"otr": otr})

    assert [a["reason"] for a in sorted(changes(tenant), key=lambda a: str(a["at"]))] == reasons


def _dies(entry: Any) -> Any:
    raise KeyboardInterrupt


def test_not_found_when_it_is_unknown_or_another_tenants_or_the_cells_own(tenant: Api, cell: Api) -> None:
    tenant.connect()
    theirs = cell.new_tenant()
    theirs.connect()
    path = heard(theirs)

    for one in (path, f"/v1/conversations/{NOBODY}/off-the-record", "/v1/conversations/77/off-the-record"):
        assert tenant.get(one).status == 404
        assert tenant.call("PUT", one, {"otr": True}).status == 404
    assert theirs.get(path).json["intervals"] == []


@pytest.mark.parametrize("body", [{}, {"otr": "yes"}, {"otr": 1}, {"otr": None}, {"otr": True, "until": "now"}])
def test_invalid_when_it_is_not_said_plainly(tenant: Api, body: dict[str, Any]) -> None:
    assert tenant.call("PUT", f"/v1/conversations/{NOBODY}/off-the-record", body).status == 422


def test_not_allowed_with_a_key_that_only_reads(tenant: Api) -> None:
    tenant.connect()
    path = heard(tenant)
    reader = tenant.with_key(scopes=["read"])

    assert reader.get(path).status == 200
    assert reader.call("PUT", path, {"otr": True}).status == 403


ORI = {"tenant_class": "ori", "controller": {"country": "RU"}}


def test_forbidden_with_the_article_where_the_law_wants_it_on_the_record(tenant: Api) -> None:
    tenant.connect()
    path = heard(tenant)
    assert tenant.call("PATCH", "/v1/tenant", ORI).status == 200

    answer = tenant.call("PUT", path, {"otr": True})

    assert (answer.status, answer.json["code"]) == (403, "otr_forbidden")
    assert [(r["id"], r["ref"]) for r in answer.json["rules"]] == [("RU.ORI.otr", "149-FZ art. 10.1(3)")]
    assert "149-FZ art. 10.1(3)" in answer.json["detail"]
    assert tenant.get(path).json["intervals"] == []
    assert changes(tenant) == []


def test_on_the_record_from_the_next_event_on_when_the_law_comes_to_want_it(tenant: Api) -> None:
    tenant.connect()
    path = heard(tenant)
    assert tenant.call("PUT", path, {"otr": True}).status == 200
    tenant.clock.at += timedelta(seconds=11)
    tenant.hook("one", number=2)
    assert newest(tenant)["facts"]["otr"] is True
    assert tenant.call("PATCH", "/v1/tenant", ORI).status == 200

    tenant.hook("two", number=3)

    assert "otr" not in newest(tenant)["facts"]
    assert tenant.call("PUT", path, {"otr": False}).status == 200


def test_no_answer_holds_what_was_said_when_all_that_can_be_read_is_read(tenant: Api) -> None:
    tenant.connect()
    path = heard(tenant, chat=78)
    tenant.call("PUT", path, {"otr": True})
    tenant.clock.at += timedelta(seconds=11)
    tenant.hook("secret-text", number=2, chat=78)
    entry = newest(tenant)
    transfer = entry["routes"][0]["transfer"]
    when = {"after": times.text(tenant.clock.at - timedelta(hours=1)), "before": times.text(tenant.clock.at)}

    told = [
        tenant.get(f"/v1/transfers/{transfer}"),
        tenant.get("/v1/answer", event=entry["event"], **when),
        tenant.get("/v1/answer", subject=entry["receipt"]["subjects"][0]),
        tenant.get("/v1/audit/entries"),
        tenant.get("/v1/holds"),
        tenant.get("/v1/transfers"),
        tenant.get(f"/v1/events/{entry['event']}"),
        tenant.post(f"/v1/transfers/{transfer}/replay"),
    ]

    assert [a.status for a in told] == [200, 200, 200, 200, 200, 200, 404, 409]
    assert [word for a in told for word in CANARIES if word in a.text] == []
    events = tenant.get("/v1/events").json["data"]
    assert [e["message"]["text"] for e in events] == ["hello"]
    answered = next(e for e in told[1].json["data"] if e["event"] == entry["event"])
    held, sent = answered["lines"]
    assert (held["line"], held["kept"], held["until_because"]) == ("held", False, "off_record")
    assert (sent["line"], sent["outcome"], sent["recipient"]["legal_name"]) == ("transfer", "gave_up", "Nord CRM GmbH")


def test_nothing_of_it_is_loaded_where_no_conversation_was_off_the_record() -> None:
    code = "import json, sys\nfrom chalicelib.flow.hooks import http_event, receive\nprint(json.dumps(sorted(sys.modules)))"
    others = {
        f"chalicelib.{name}"
        for name in (
            "flow.hooks.off_record",
            "flow.routing.route",
            "flow.delivery.attempt",
            "core.decide.plan",
            "core.law.residency",
            "core.tenant.intervals",
            "store.off_record_intervals",
        )
    }

    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    mine = {name for name in loaded if name.startswith("chalicelib")}
    assert "chalicelib.flow.hooks.receive" in mine
    assert all(importlib.util.find_spec(name) for name in others)  # a module that has moved would not be noticed
    assert mine.isdisjoint(others)

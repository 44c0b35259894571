"""Mode restrict over the whole cell: a notice is delivered, and its recipient pulls the event once, if the law allows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest

from chalicelib.core.errors import WaybillError
from chalicelib.flow import throttle
from chalicelib.flow.delivery import pull as pulls
from chalicelib.flow.jobs import replay
from chalicelib.runtime import install
from infra.cell import engines
from tests.support.counted import Crash
from tests.support.logs import assert_whole, let_seal
from tests.support.pulls import RESTRICTED, TEXT, US, link, pull, told, views
from tests.support.replays import begin, finish
from tests.support.roles import Watched, refused
from tests.support.switches import decided_again
from tests.support.world import World, world


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made
    install(None)


def test_a_notice_leaves_and_the_event_is_pulled_once(cell: World) -> None:
    url = told(cell)

    (path, headers, body, _) = cell.receiver.requests[0]
    event = cell.of_kind("decided")[0]["event"]
    assert body["data"] == {"id": event, "kind": "message", "pull_url": url}
    assert set(body) == {"type", "timestamp", "data"}
    sent = json.dumps([path, headers, body])
    assert "Canary" not in sent and TEXT not in sent
    first, second = pull(cell, url), pull(cell, url)

    assert (first.status, first.headers["Cache-Control"]) == (200, "no-store")
    assert (first.json["id"], first.json["message"]["text"]) == (event, TEXT)
    assert first.json["sender"]["name"] == "Canary Person"
    assert (second.status, second.json["code"]) == (410, "link_used")
    (decided,), (attempted,) = cell.of_kind("decided"), cell.of_kind("attempted")
    (transfer,) = decided["routes"]
    assert (transfer["decision"], transfer["classes_out"]) == ("redacted", ["technical"])
    assert [r["id"] for r in transfer["rules"] if r["verdict"] == "redacted"] == ["ANY.restrict"]
    assert attempted["classes"] == ["technical"]
    (view,) = views(cell)
    assert view["actor"] == {"kind": "user", "id": cell.recipient}
    assert (view["event"], view["object"]) == (event, {"kind": "transfer", "id": transfer["transfer"]})
    assert decided_again(cell, decided) == ["redacted"]


def test_the_log_of_it_verifies_whole(cell: World) -> None:
    cell.connect(route=RESTRICTED)
    for number in range(1, 4):
        cell.post(number)
    cell.settle()
    pull(cell, link(cell))
    cell.change(cell.recipient, **US)
    cell.post(4)
    cell.settle()
    assert pull(cell, link(cell)).status == 451

    let_seal(cell)

    entries = assert_whole(cell)
    assert [e["kind"] for e in entries].count("viewed") == 1


def test_another_method_is_refused_and_uses_nothing_up(cell: World) -> None:
    url = told(cell)

    answers = [pull(cell, url, method) for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")]

    assert {a.status for a in answers} == {405}
    assert {a.headers["Allow"] for a in answers} == {"GET"}
    assert pull(cell, url).status == 200


def test_one_gets_it_when_two_pull_at_once(cell: World) -> None:
    url = told(cell)
    token = url.rpartition("/")[2]
    outcomes: list[str] = []

    def run() -> None:
        try:
            outcomes.append(pulls.content(cell.runtime, token)["message"]["text"])
        except WaybillError as fault:
            outcomes.append(fault.code)

    threads = [Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == sorted([TEXT, *["link_used"] * 7])
    assert len(views(cell)) == 1


def test_links_of_one_delivery_share_their_use_when_it_was_tried_twice(cell: World) -> None:
    cell.connect(route=RESTRICTED)
    cell.receiver.answer = lambda _: (503, {})
    cell.post(1)
    cell.settle()
    first = link(cell)
    cell.clock += timedelta(minutes=2)
    cell.receiver.answer = lambda _: (204, {})
    cell.run(timedelta(minutes=10))
    second = link(cell)

    assert first != second
    assert pull(cell, first).status == 200
    assert pull(cell, second).json["code"] == "link_used"


def test_a_replay_makes_a_new_link_when_the_first_was_used(cell: World) -> None:
    url = told(cell)
    assert pull(cell, url).status == 200
    transfer = cell.of_kind("decided")[0]["routes"][0]["transfer"]

    again = replay.again(
        cell.runtime, cell.tenant, transfer, ("key", "key_" + "0" * 26), cell.clock, "controller_request"
    )
    cell.settle()

    assert again.classes_out == ["technical"]
    assert link(cell) != url
    assert pull(cell, link(cell)).json["message"]["text"] == TEXT
    assert len(views(cell)) == 2


def test_each_transfer_of_a_job_gets_a_link_of_its_own(cell: World) -> None:
    cell.connect(route=RESTRICTED)
    for number in (1, 2, 3):
        cell.post(number)
    cell.settle()
    first = [str(body["data"]["pull_url"]) for _, _, body, _ in cell.receiver.requests]
    assert pull(cell, first[0]).status == 200
    cell.clock += timedelta(minutes=1)

    job = finish(cell, begin(cell, "delivered"))

    assert (job.state, job.summary["replayed"]) == ("done", 3)
    again = [str(body["data"]["pull_url"]) for _, _, body, _ in cell.receiver.requests[3:]]
    assert {pull(cell, url).json["message"]["text"] for url in again} == {"m1", "m2", "m3"}
    assert [pull(cell, url).status for url in first] == [410, 200, 200]


def test_the_content_of_classes_that_its_recipient_may_not_have_is_not_pulled(cell: World) -> None:
    url = told(cell, recipient={"classes": ("content", "technical")})

    answer = pull(cell, url)

    assert (answer.status, answer.json["message"]["text"]) == (200, TEXT)
    assert (answer.json["sender"]["name"], answer.json["sender"]["id"]) == (None, None)
    assert "Canary" not in answer.text


def test_nothing_is_given_when_the_log_cannot_be_written(cell: World) -> None:
    url = told(cell)
    cell.failing = lambda name: OSError("canary") if name == "before PutItem" else None

    answer = pull(cell, url)
    cell.failing = lambda name: None

    assert answer.status in (500, 503)
    assert TEXT not in answer.text and "canary" not in answer.text
    assert views(cell) == []
    assert pull(cell, url).status == 200


def test_a_pull_is_decided_as_a_look_at_the_whole_event(cell: World) -> None:
    url = told(cell, recipient=US)
    decider = cell.runtime.decider
    asked: list[dict[str, Any]] = []

    class Noting:
        def decide(self, facts: dict[str, Any]) -> Any:
            asked.append(facts)
            return decider.decide(facts)

    cell.runtime.decider = Noting()  # type: ignore[assignment]
    pull(cell, url)

    (look,) = [facts for facts in asked if facts["op"] == "view"]
    assert {facts["op"] for facts in asked} == {"store", "view"}
    assert {"content", "identifier", "name", "technical"} <= set(look["data"]["classes"])
    assert (look["recipient"]["id"], look["purpose"]) == (cell.recipient, "customer_support")
    assert look["route"] == {"mode": "replicate", "redactions": []}


def test_a_link_is_used_up_once_when_the_years_log_closes_between_two_pulls() -> None:
    with world(clock=datetime(2027, 1, 7, 23, 30, tzinfo=UTC)) as cell:
        cell.connect(route=RESTRICTED)
        for number in (1, 2):
            cell.post(number, at=datetime(2026, 12, 31, 23, 0, tzinfo=UTC))
        cell.settle()
        before, after = (str(body["data"]["pull_url"]) for _, _, body, _ in cell.receiver.requests)

        assert pull(cell, before).status == 200
        cell.clock += timedelta(hours=1)
        assert pull(cell, after).status == 200

        assert [pull(cell, url).json["code"] for url in (before, after)] == ["link_used", "link_used"]
        assert {(e["kind"], e["log"]) for e in cell.entries() if e["kind"] in ("decided", "viewed")} == {
            ("decided", "2026"),
            ("viewed", "2026"),
            ("viewed", "2027"),
        }
    install(None)


def test_too_many_pulls_are_slowed_down_and_use_nothing_up(cell: World) -> None:
    url = told(cell)
    cell.runtime.token_buckets.clear()
    for _ in range(2 * cell.runtime.settings.key_rate_per_s):
        assert throttle.admit(cell.runtime, f"pull#{cell.tenant}", cell.runtime.settings.key_rate_per_s)

    slowed = pull(cell, url)
    cell.clock += timedelta(seconds=1)

    assert (slowed.status, slowed.headers["Retry-After"]) == (429, "1")
    assert pull(cell, url).status == 200


def test_nobody_is_given_it_twice_when_the_process_dies_at_any_effect_of_a_pull(cell: World) -> None:
    cell.connect(route=RESTRICTED)
    outcomes: list[tuple[int, int]] = []
    for effect in range(1, 20):
        cell.post(effect)
        cell.settle()
        url = link(cell)
        cell.crash_at = len(cell.effects) + effect
        try:
            first = pull(cell, url).status
        except Crash:
            first = 0
            cell.restart()
        died = cell.crash_at is None
        cell.crash_at = None
        outcomes.append((first, pull(cell, url).status))
        if not died:
            break

    let_seal(cell)

    assert outcomes[-1] == (200, 410)  # nothing was left to die at
    assert {(0, 200), (0, 410)} == set(outcomes[:-1])
    assert [e["kind"] for e in assert_whole(cell)].count("viewed") == len(outcomes)


def test_every_call_of_a_pull_is_allowed_by_the_apis_role() -> None:
    with engines.moto() as engine:
        cell = Watched()
        cell.start(engine)
        try:
            url = told(cell)
            cell.runtime.consents.expect(cell.tenant)
            cell.restart()
            cell.calls.clear()

            cell.acting("api", lambda: pull(cell, url))

            assert len(views(cell)) == 1
            assert {action for _, action, _, _ in cell.calls} >= {
                "dynamodb:PartiQLInsert",
                "kms:Decrypt",
                "dynamodb:Query",
            }
            assert refused(cell) == []
        finally:
            cell.close()
            install(None)


def test_an_order_of_a_kind_with_its_own_form_is_not_sent_when_its_route_restricts_by_now(cell: World) -> None:
    config = {"url": "https://hooks.slack.com/services/T000/B000/XXXX"}  # a webhook's form; nothing is sent there
    cell.connect(destination={"kind": "slack"}, config=config)
    cell.change(cell.route, mode="restrict")

    cell.post(1)
    cell.settle()

    (attempt,) = cell.of_kind("attempted")
    assert (attempt["outcome"], attempt["code"], attempt["classes"]) == ("rejected", "render", [])


def test_nothing_is_sent_when_the_cell_does_not_know_its_address(cell: World) -> None:
    cell.runtime.settings = type(cell.runtime.settings)(**{**vars(cell.runtime.settings), "hooks_url": ""})
    cell.connect(route=RESTRICTED)

    cell.post(1)
    cell.settle()

    assert cell.receiver.requests == []
    assert cell.of_kind("attempted")[0]["code"] == "render"

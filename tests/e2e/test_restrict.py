"""Mode restrict over the whole cell: a notice is delivered, and its recipient pulls the event once, if the law allows it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.errors import WaybillError
from chalicelib.core.tenant.consents import ConsentSettings, WithdrawalSettings
from chalicelib.core.tenant.records import Basis
from chalicelib.flow.declare import consents
from chalicelib.flow.delivery import pull as pulls
from chalicelib.flow.jobs import replay
from chalicelib.flow.retention import sweep
from chalicelib.runtime import install
from chalicelib.store.restriction import Restriction
from infra.cell import engines
from tests.support.counted import Crash
from tests.support.given_consents import NOTICE, request
from tests.support.logs import assert_whole, let_seal
from tests.support.replays import begin, finish
from tests.support.roles import Watched, refused
from tests.support.switches import decided_again, throw
from tests.support.world import CLASSES, World, world

TEXT = "canary text"
RESTRICTED = {"mode": "restrict"}
US = {"entity_country": "US", "processing_countries": ("US",)}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made
    install(None)


def told(cell: World, number: int = 1, **changes: Any) -> str:
    """Connect a ``restrict`` route, make a person write, and return the link that its recipient got."""
    cell.connect(**{"route": RESTRICTED, **changes})
    cell.post(number, text=TEXT)
    cell.settle()
    return link(cell)


def link(cell: World) -> str:
    """The link of the notice that came last."""
    return str(cell.receiver.requests[-1][2]["data"]["pull_url"])


def pull(cell: World, url: str, method: str = "GET") -> Answer:
    os.environ.setdefault("WAYBILL_CELL", "local")
    import app
    from chalicelib.api import gateway

    install(cell.runtime)
    base, path, token = url.partition("/pull/")
    assert base == "https://cell.example"
    answer = gateway.handle(app.app, method, path + token, "", [], b"")
    return Answer(answer["statusCode"], dict(answer["headers"]), answer["body"])


def views(cell: World) -> list[dict[str, Any]]:
    return cell.of_kind("viewed")


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


def test_a_link_is_refused_by_law_and_good_again_when_the_basis_is_there(cell: World) -> None:
    url = told(cell, recipient=US)

    refused = pull(cell, url)
    for kind in ("scc", "transfer-impact-assessment"):
        basis = Basis(
            id=ids.derived("bas", kind), kind=kind, law="EU" if kind == "scc" else None, recipient=cell.recipient,
            valid_from="2026-01-01", evidence="sha256:" + "00" * 32, signed_on="2026-01-01", unmodified=True,
            created_at=cell.clock,
        )  # fmt: skip
        cell.runtime.config.insert(cell.tenant, basis)
    allowed = pull(cell, url)

    assert (refused.status, refused.json["code"]) == (451, "refused_by_law")
    assert [r["id"] for r in refused.json["rules"]] == ["EU.44"]
    assert refused.json["missing"] == [f"basis:EU.44:{cell.recipient}"]
    assert TEXT not in refused.text
    assert allowed.status == 200, allowed.text
    assert len(views(cell)) == 1


def test_a_link_is_refused_when_a_switch_is_thrown_and_good_again_without_it(cell: World) -> None:
    url = told(cell)
    switch = throw(cell, "recipient", cell.recipient)

    refused = pull(cell, url)
    cell.runtime.config.delete(cell.tenant, switch.id)

    assert (refused.status, [r["id"] for r in refused.json["rules"]]) == (451, ["TENANT.switch"])
    assert "canary reason" not in refused.text
    assert pull(cell, url).status == 200


def test_a_link_is_refused_when_the_consent_that_it_rests_on_is_withdrawn(cell: World) -> None:
    cell.connect(route=RESTRICTED)
    for row in list(cell.runtime.config.list(cell.tenant, "bas")):
        if row.record.kind == "contract":
            cell.runtime.config.delete(cell.tenant, row.record.id)
    cell.post(1)
    cell.settle()
    settings = ConsentSettings.model_validate(
        {
            "subject": cell.of_kind("decided")[0]["receipt"]["subjects"][0], "recipient": cell.recipient,
            "purposes": ("message_routing", "customer_support"), "classes": CLASSES, "countries": ("DE",),
            "given_at": cell.clock - timedelta(days=1), "method": "web_form", "notice_sha256": NOTICE,
            "separate_document": True,
        }
    )  # fmt: skip
    given = consents.give(request(cell), settings)
    cell.run(timedelta(minutes=3))
    url = link(cell)
    withdrawn = consents.withdraw(request(cell), given.id, WithdrawalSettings(method="message"))
    cell.clock += timedelta(minutes=1)

    refused = pull(cell, url)
    consents.give(request(cell), settings)

    assert withdrawn.withdrawal is not None
    assert (refused.status, refused.json["missing"]) == (451, ["basis:ANY.processing-ground"])
    assert pull(cell, url).status == 200


def test_a_link_is_over_when_its_hours_are(cell: World) -> None:
    url = told(cell, route={**RESTRICTED, "pull_hours": 2})

    cell.clock += timedelta(minutes=119)
    in_time = told_again(cell)
    cell.clock += timedelta(minutes=1)

    over = pull(cell, url)
    assert (over.status, over.json["code"]) == (410, "link_expired")
    assert pull(cell, in_time).status == 200


def told_again(cell: World) -> str:
    cell.post(2)
    cell.settle()
    return link(cell)


def _erased(cell: World) -> None:
    row = cell.runtime.data.event(cell.tenant, cell.of_kind("decided")[0]["event"], cell.clock)
    assert row is not None
    cell.runtime.data.erase_content(row.key)


def _sealed(cell: World) -> None:
    row = cell.runtime.data.event(cell.tenant, cell.of_kind("decided")[0]["event"], cell.clock)
    assert row is not None
    rule = {"id": "IN.8.logs", "verdict": "refused", "ref": "DPDP Rules r. 6"}
    assert cell.runtime.lifetimes.restrict(
        row, Restriction(cell.clock + timedelta(days=365), "subject_request", (rule,))
    )


def _expired(cell: World) -> None:
    cell.clock += timedelta(days=1)


def _without_route(cell: World) -> None:
    cell.runtime.config.delete(cell.tenant, cell.route)


def _replicating(cell: World) -> None:
    cell.change(cell.route, mode="replicate", pull_hours=None)


def _of_another_recipient(cell: World) -> None:
    cell.change(cell.destination, recipient=ids.derived("rcp", "another"))


def _disabled(cell: World) -> None:
    cell.change(cell.destination, enabled=False)


@pytest.mark.parametrize(
    "end", [_erased, _sealed, _expired, _without_route, _replicating, _of_another_recipient, _disabled]
)
def test_a_link_leads_nowhere_when_what_it_led_to_is_gone(cell: World, end: Any) -> None:
    url = told(cell, days=1, route={**RESTRICTED, "pull_hours": 72})

    end(cell)

    gone = pull(cell, url)
    assert (gone.status, gone.json["code"]) == (410, "gone")
    assert views(cell) == []


def test_a_link_is_as_good_as_before_when_its_destination_is_enabled_again(cell: World) -> None:
    url = told(cell)
    _disabled(cell)
    while_disabled = pull(cell, url)
    cell.change(cell.destination, enabled=True)

    assert (while_disabled.status, pull(cell, url).status) == (410, 200)


def test_nobody_learns_whose_a_link_was_when_it_is_forged_another_tenants_or_a_closed_ones(cell: World) -> None:
    url = told(cell)
    first, row = cell.tenant, cell.runtime.config.tenant(cell.tenant)
    base, _, token = url.partition("/pull/")
    cell.connect(route=RESTRICTED)
    another = cell.tenant.removeprefix("tnt_") + token[26:]
    unknown = "0" * 26 + token[26:]
    swapped = token[:26] + "z" * 26 + token[52:]
    altered = token[:-1] + ("1" if token[-1] == "0" else "0")

    answers = [pull(cell, f"{base}/pull/{text}") for text in (another, unknown, swapped, altered, "x", "%00")]
    closed = row.record.model_copy(update={"state": "closed"})
    cell.runtime.config.replace_tenant(closed, row.version)
    answers.append(pull(cell, url))
    sweep.handle(cell.runtime)
    cell.runtime.config._snapshots.clear()
    answers.append(pull(cell, url))

    assert {(a.status, a.text) for a in answers} == {(404, answers[0].text)}
    assert first not in answers[0].text


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
        assert cell.runtime.admit(f"pull#{cell.tenant}", cell.runtime.settings.key_rate_per_s)

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
    config = {"url": "https://hooks.slack.com/services/T000/B000/XXXX"}
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

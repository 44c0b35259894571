"""Events that are larger than their receiver takes: a link leaves in their place, and gives the same content once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.flow.retention import erase
from chalicelib.runtime import install
from tests.e2e.test_aws_flow import connect as connect_queue
from tests.support.large import PADDING, document, event_id, post_large
from tests.support.logs import assert_whole, let_seal
from tests.support.pulls import US, link, pull, views
from tests.support.retained import asked
from tests.support.world import World, world

TAKES = 10_000
"""How many bytes of JSON the receivers take."""


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made
    install(None)


def small(body: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """Answer as a receiver that takes small requests only."""
    return (413 if len(json.dumps(body)) > TAKES else 204), {}


TEXT = "y" * 250_000


def sent(w: World, text: str = "Canary", **changes: Any) -> dict[str, Any]:
    """Connect a receiver of small requests, post a large event, and return the last body's data."""
    w.connect(source={"keep_raw": True}, **changes)
    w.receiver.answer = small
    post_large(w, text=text)
    w.run(timedelta(minutes=1))
    return dict(w.receiver.requests[-1][2]["data"])


def test_link_leaves_in_place_of_an_event_that_the_receiver_refuses_for_its_size(cell: World) -> None:
    notice = sent(cell)

    assert [status for _, _, _, status in cell.receiver.requests] == [413, 204]
    assert notice.keys() == {"id", "kind", "pull_url", "size_bytes"}
    assert (notice["id"], notice["kind"]) == (event_id(cell), "message")
    assert notice["size_bytes"] > len(PADDING)
    (attempt,) = cell.of_kind("attempted")
    assert (attempt["outcome"], attempt["code"]) == ("delivered", "http_204")
    assert set(attempt["classes"]) > {"technical"}  # the refused request had the content
    assert attempt["size_bytes"] < TAKES


def test_link_gives_the_whole_event_once_and_the_log_has_the_view(cell: World) -> None:
    url = sent(cell)["pull_url"]

    first, second = pull(cell, url), pull(cell, url)

    assert (first.status, second.status) == (200, 410)
    assert first.json == document(cell)
    assert first.json["raw"]["padding"] == PADDING
    (view,) = views(cell)
    assert (view["actor"], view["event"]) == ({"kind": "user", "id": cell.recipient}, event_id(cell))
    let_seal(cell)
    assert [e["kind"] for e in assert_whole(cell)].count("viewed") == 1


def test_link_gives_no_more_than_the_route_sends(cell: World) -> None:
    redact = [{"class": "name", "action": "drop"}]
    transform = {"redact": redact, "select": "{name: sender.name, id: sender.id, text: message.text}"}

    url = sent(cell, TEXT, route={"mode": "redact", "transform": transform})["pull_url"]

    given = pull(cell, url).json
    assert (given["name"], given["id"], given["text"]) == (None, "100", TEXT)


def test_queue_gets_a_link_and_nothing_of_an_event_over_its_limit(cell: World) -> None:
    owner, queue = connect_queue(cell, "eu-central-1")
    cell.change(cell.source, keep_raw=True)
    post_large(cell, text="y" * 500_000, padding="x" * 500_000)
    cell.run(timedelta(minutes=1))

    (message,) = owner.receive_message(QueueUrl=queue)["Messages"]
    notice = json.loads(message["Body"])
    assert notice.keys() == {"id", "kind", "pull_url", "size_bytes"}
    (attempt,) = cell.of_kind("attempted")
    assert (attempt["outcome"], attempt["code"], attempt["classes"]) == ("delivered", "accepted", ["technical"])
    assert pull(cell, notice["pull_url"]).json["message"]["text"] == "y" * 500_000
    let_seal(cell)
    assert_whole(cell)


def test_receiver_that_says_what_it_takes_is_never_sent_more(cell: World) -> None:
    sent(cell, config={"url": cell.receiver.url, "max_body_bytes": TAKES})

    assert [status for _, _, _, status in cell.receiver.requests] == [204]
    (attempt,) = cell.of_kind("attempted")
    assert attempt["classes"] == ["technical"]


@pytest.mark.parametrize(("left", "status"), [(timedelta(minutes=10), 200), (timedelta(minutes=-10), 410)])
def test_link_lives_as_long_as_its_event(cell: World, left: timedelta, status: int) -> None:
    url = sent(cell, days=2)["pull_url"]
    (decided,) = cell.of_kind("decided")

    cell.clock = times.parse(decided["expires_at"]) - left

    assert pull(cell, url).status == status


def test_link_is_decided_again_when_it_is_pulled(cell: World) -> None:
    url = sent(cell)["pull_url"]
    cell.change(cell.recipient, **US)

    refused = pull(cell, url)
    assert (refused.status, views(cell)) == (451, [])

    cell.change(cell.recipient, entity_country="DE", processing_countries=("DE",))
    assert pull(cell, url).status == 200


def test_link_is_gone_when_its_event_is_erased_or_its_route_restricts(cell: World) -> None:
    url = sent(cell)["pull_url"]
    cell.change(cell.route, mode="restrict")
    restricted = pull(cell, url).status
    cell.change(cell.route, mode="replicate")
    erase.erase(asked(cell), event_id(cell), "subject_request")

    assert (restricted, pull(cell, url).status) == (410, 410)


def test_link_of_a_route_that_restricts_gives_nothing_when_the_route_replicates(cell: World) -> None:
    cell.connect(route={"mode": "restrict"})
    cell.post(1)
    cell.settle()
    url = link(cell)
    cell.change(cell.route, mode="replicate")

    assert pull(cell, url).status == 410


def test_event_is_rejected_when_its_link_is_refused_too(cell: World) -> None:
    cell.connect()
    cell.receiver.answer = lambda _: (413, {})
    cell.post(1)
    cell.run(timedelta(minutes=1))

    assert len(cell.receiver.requests) == 2
    (attempt,) = cell.of_kind("attempted")
    assert (attempt["outcome"], attempt["code"]) == ("rejected", "http_413")


def test_event_is_rejected_when_the_cell_has_no_public_address(cell: World) -> None:
    cell.runtime.settings = replace(cell.runtime.settings, api_url="", hooks_url="")
    cell.connect()
    cell.receiver.answer = lambda _: (413, {})
    cell.post(1)
    cell.run(timedelta(minutes=1))

    assert [e["code"] for e in cell.of_kind("attempted")] == ["http_413"]
    assert len(cell.receiver.requests) == 1


def test_another_attempt_follows_when_the_link_does_not_arrive(cell: World) -> None:
    answers = iter([413, 503, 413, 204])
    cell.connect()
    cell.receiver.answer = lambda _: (next(answers), {})
    cell.post(1)
    cell.run(timedelta(hours=1))

    assert sorted((e["attempt"], e["outcome"], e["code"]) for e in cell.of_kind("attempted")) == [
        (1, "failed", "http_503"),
        (2, "delivered", "http_204"),
    ]
    first, second = (body["data"]["pull_url"] for _, _, body, status in cell.receiver.requests if status != 413)
    assert first == second

"""Large events: nothing that was accepted is delivered without its content, and nothing of it outlives its event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import Misconfigured, Unavailable
from chalicelib.flow import dead
from chalicelib.flow.ask import read
from chalicelib.flow.hooks import packing
from chalicelib.flow.hooks.packing import RAW_DROPPED
from chalicelib.flow.jobs import replay
from chalicelib.flow.retention import erase, legal_holds
from chalicelib.flow.routing import route
from tests.support.large import PADDING, document, event_id, objects, post_large, stored_event
from tests.support.retained import DAY, asked, held, swept
from tests.support.world import START, World, world


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        made.connect(days=2, source={"keep_raw": True})
        yield made


def one_delivered(w: World) -> dict[str, Any]:
    ((_, _, body, _),) = w.receiver.requests
    data: dict[str, Any] = body["data"]
    return data


def test_whole_event_is_delivered_when_its_raw_is_large(cell: World) -> None:
    assert post_large(cell).status == 200
    cell.run(timedelta(minutes=1))

    delivered = one_delivered(cell)
    assert delivered["raw"]["padding"] == PADDING
    assert (
        delivered
        == document(cell)
        == {k: v for k, v in read.shown(asked(cell), event_id(cell)).items() if k != "expires_at"}
    )
    (entry,) = cell.of_kind("decided")
    assert entry["receipt"]["size_bytes"] == len(route.canonical(delivered))


def test_whole_event_is_delivered_when_its_text_is_large(cell: World) -> None:
    text = "Canary " * 40_000

    assert post_large(cell, text=text, padding="").status == 200
    cell.run(timedelta(minutes=1))

    assert one_delivered(cell)["message"]["text"] == text


def test_pattern_sees_the_whole_event(cell: World) -> None:
    cell.change(cell.route, pattern={"raw": {"padding": [{"prefix": "xxx"}]}})

    post_large(cell)
    cell.run(timedelta(minutes=1))

    assert one_delivered(cell)["raw"]["padding"] == PADDING


def test_list_shows_a_large_event_shortened(cell: World) -> None:
    post_large(cell, text="y" * 5_000)
    cell.run(timedelta(minutes=1))

    row = cell.runtime.data.event(cell.tenant, event_id(cell), cell.clock)
    assert row is not None
    (shown,) = read.opened(asked(cell), {"e": row}, whole=False).values()

    assert shown["raw"] == RAW_DROPPED
    assert shown["message"]["text"] == "y" * 2_000 + " […]"


def test_content_is_in_one_object_that_only_its_row_opens(cell: World) -> None:
    post_large(cell)
    ((arrived, sealed),) = objects(cell).items()
    cell.run(timedelta(minutes=1))

    ((name, stored),) = objects(cell).items()
    assert (arrived[:3], name[:3]) == ("in/", "ev/")
    assert stored == sealed and b"Canary" not in stored and PADDING[:9].encode() not in stored
    assert not {"Canary", "100"} & set(name.replace("-", "/").split("/"))


def large(w: World) -> None:
    """Post a large event, and run the cell."""
    w.connect(source={"keep_raw": True})
    post_large(w, padding="x" * 900)
    w.run(timedelta(hours=1))


def test_whole_event_is_delivered_and_one_object_left_when_a_process_dies_at_the_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "EVENT_LIMIT_BYTES", 1_200)
    with world(doubles=True) as w:
        large(w)
        crashes = [n for n, effect in enumerate(w.effects, 1) if effect.endswith("Object") or "outbox" in effect]
        assert {w.effects[n - 1].split()[-1] for n in crashes} >= {"PutObject", "CopyObject", "DeleteObject"}

    for number in crashes:
        with world(doubles=True, crash_at=number) as w:
            large(w)
            sent = {json.dumps(body, sort_keys=True) for _, _, body, _ in w.receiver.requests}
            kept = [name for name in objects(w) if name.startswith("ev/")]

            assert w.crashes == 1
            assert len(sent) == 1 and one_document(sent)["raw"]["padding"] == "x" * 900
            assert kept == [stored_event(w)["object"]["S"]]


def one_document(sent: set[str]) -> dict[str, Any]:
    (body,) = sent
    data: dict[str, Any] = json.loads(body)["data"]
    return data


def test_content_is_gone_when_it_is_erased(cell: World) -> None:
    post_large(cell)
    cell.run(timedelta(minutes=1))

    erase.erase(asked(cell), event_id(cell), "subject_request")
    erase.erase(asked(cell), event_id(cell), "subject_request")

    assert objects(cell) == {}
    assert not {"body", "object_key", "owner"} & set(stored_event(cell))


def test_object_is_deleted_by_a_repeated_erasure_when_the_bucket_did_not_answer(cell: World) -> None:
    post_large(cell)
    cell.run(timedelta(minutes=1))
    cell.outage = lambda service: Unavailable("no answer") if service == "s3" else None
    with pytest.raises(Unavailable):
        erase.erase(asked(cell), event_id(cell), "subject_request")
    cell.outage = lambda service: None

    erase.erase(asked(cell), event_id(cell), "subject_request")

    assert objects(cell) == {}


def test_object_opens_no_more_when_the_release_before_erases_its_row(cell: World) -> None:
    post_large(cell)
    cell.run(timedelta(minutes=1))
    row = cell.runtime.data.event(cell.tenant, event_id(cell), cell.clock)
    assert row is not None and row.owner is not None
    person = cell.runtime.people.get_many([(row.owner, cell.runtime.config.keys_of(cell.tenant))])[row.owner]

    cell.runtime.data.table.update(row.key.key, "REMOVE body, #o", {}, names={"#o": "owner"})  # as that release does

    assert cell.runtime.data.event(cell.tenant, event_id(cell), cell.clock) == replace(row, sealed=None, owner=None)
    with pytest.raises(Misconfigured):
        replace(row, sealed=None).open(person.key, cell.runtime.settings.region, cell.runtime.contents.get)


def test_erased_content_stays_gone_when_its_webhook_comes_again(cell: World) -> None:
    post_large(cell)
    cell.run(timedelta(minutes=1))
    erase.erase(asked(cell), event_id(cell), "subject_request")

    cell.clock += timedelta(minutes=10)
    post_large(cell)
    cell.run(timedelta(minutes=1))

    assert objects(cell) == {}
    assert len(cell.receiver.requests) == 1


def test_object_ends_with_its_event(cell: World) -> None:
    post_large(cell)
    cell.run(timedelta(minutes=1))
    swept(cell, START + 2 * DAY)
    living = list(objects(cell))

    swept(cell, START + 5 * DAY)

    assert [name[:3] for name in living] == ["ev/"]
    assert objects(cell) == {}


def test_object_is_kept_while_a_hold_is_on_its_event(cell: World) -> None:
    post_large(cell)
    cell.run(timedelta(minutes=1))
    held(cell, "conversation")
    swept(cell, START + 20 * DAY)
    kept = document(cell)

    (hold,) = cell.runtime.legal_holds.standing(cell.tenant)
    legal_holds.release(asked(cell, 5), hold.id)
    swept(cell, START + 22 * DAY)

    assert kept["raw"]["padding"] == PADDING
    assert objects(cell) == {}


def test_object_of_a_webhook_that_was_never_sent_on_is_deleted(cell: World) -> None:
    cell.failing = lambda name: Unavailable("no answer") if name == "inbox.send" else None
    assert post_large(cell).status == 503

    swept(cell, START + 18 * DAY)
    before = list(objects(cell))
    swept(cell, START + 21 * DAY)

    assert [name[:3] for name in before] == ["in/"]
    assert objects(cell) == {}


def test_webhook_is_refused_when_the_cell_has_no_bucket_for_it(cell: World) -> None:
    cell.runtime.settings = replace(cell.runtime.settings, contents_bucket="")

    refused = post_large(cell)

    assert (refused.status, json.loads(refused.body)["code"]) == (413, "too_large")
    assert cell.inbox.sent == 0


def test_webhook_is_posted_again_when_the_bucket_does_not_answer(cell: World) -> None:
    cell.outage = lambda service: Unavailable("no answer") if service == "s3" else None

    assert post_large(cell).status == 503
    assert cell.inbox.sent == 0


def test_events_come_whole_and_in_order_when_the_bucket_does_not_answer_for_a_while(cell: World) -> None:
    post_large(cell, 1)
    cell.post(2)
    cell.outage = lambda service: Unavailable("no answer") if service == "s3" else None
    cell.run(timedelta(minutes=5))
    cell.outage = lambda service: None
    cell.run(timedelta(hours=1))

    assert cell.receiver.texts() == ["Canary", "m2"]
    assert cell.receiver.requests[0][2]["data"]["raw"]["padding"] == PADDING


def test_dead_letter_is_sent_again_whole_for_as_long_as_it_is_kept() -> None:
    with world() as w:
        w.connect(days=60, source={"keep_raw": True})
        post_large(w)
        (message,) = w.inbox.receive()
        dead.end_event(w.runtime, json.loads(message.body), message.group)
        w.inbox.fifo.delete(message.handle, w.now_s)
        swept(w, START + 50 * DAY)

        (letter,) = replay.letters(w.runtime, w.tenant)
        replay.redrive(w.runtime, w.tenant, letter, ("operator", "o"))
        w.run(timedelta(minutes=1))

        assert one_delivered(w)["raw"]["padding"] == PADDING
        assert [name[:3] for name in objects(w)] == ["ev/"]

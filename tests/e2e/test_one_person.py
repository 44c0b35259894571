"""A person of several ids stays one person, in the log, for consents and in the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.channels import telegram
from chalicelib.channels.base import Ignored, Inbound
from chalicelib.core.event.event import AlternativeId, Draft
from tests.support.given_consents import cell, give
from tests.support.retained import people, swept
from tests.support.world import START, World, world

__all__ = ["cell"]
OTHERS = {"100+200": "200", "200+100": "100", "100+300": "300"}
"""By the text of a message: the other id of its sender, as the platform tells it."""


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the messenger tell another id of the sender with some messages."""
    original = telegram.normalise

    def marked(request: Inbound) -> Iterator[Draft | Ignored]:
        for item in original(request):
            assert isinstance(item, Draft)
            assert item.sender is not None
            assert item.message is not None
            other = OTHERS.get(item.message.text or "")
            ids = (AlternativeId(kind="user_id", id=other),) if other else ()
            yield item.model_copy(update={"sender": item.sender.model_copy(update={"alt_ids": ids})})

    monkeypatch.setattr(telegram, "normalise", marked)


def refs(w: World) -> list[str]:
    """Return the ref of each event's person, in the order of the events."""
    received = [entry for entry in w.of_kind("decided") if entry["receipt"]["channel"] == "telegram"]
    first = {entry["event"]: entry for entry in sorted(received, key=lambda entry: str(entry["at"]), reverse=True)}
    decided = sorted(first.values(), key=lambda entry: str(entry["receipt"]["received_at"]))
    return [str(entry["receipt"]["subjects"][0]) for entry in decided]


def say(w: World, *messages: tuple[int, str], together: bool = False) -> None:
    for number, (chat, text) in enumerate(messages):
        w.post(len(refs(w)) * 10 + number + 1, text, chat=chat)
        w.clock += timedelta(seconds=1)
        if not together:
            w.settle()
    w.settle()


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    "messages",
    [
        [(100, "100+200"), (200, "by the other id")],
        [(200, "by the other id"), (100, "100+200")],
        [(100, "100+200"), (200, "200+100"), (100, "plain")],
        [(100, "100+200"), (100, "100+300"), (300, "a"), (200, "b")],
        [(100, "first"), (100, "100+200"), (200, "then"), (200, "200+100")],
    ],
)
def test_person_keeps_one_ref_whichever_id_comes(messages: list[tuple[int, str]], together: bool) -> None:
    with world() as w:
        w.connect()

        say(w, *messages, together=together)

        assert len(set(refs(w))) == 1
        assert len(refs(w)) == len(messages)


def test_two_people_who_prove_to_be_one_are_one_from_then_on() -> None:
    with world() as w:
        w.connect()
        say(w, (100, "a"), (200, "b"))
        assert len(set(refs(w))) == 2

        say(w, (100, "100+200"), (200, "c"), (100, "d"))

        assert len(set(refs(w)[2:])) == 1
        assert set(refs(w)[2:]) <= set(refs(w)[:2])


def test_people_without_a_proof_stay_two() -> None:
    with world() as w:
        w.connect()

        say(w, (100, "a"), (200, "b"))

        assert len(set(refs(w))) == 2


def test_consent_counts_for_each_id_of_its_person(cell: World) -> None:
    say(cell, (100, "100+200"))
    give(cell)
    cell.run(timedelta(minutes=3))
    assert cell.receiver.texts() == ["100+200"]

    say(cell, (200, "by the other id"))
    cell.run(timedelta(minutes=3))

    assert cell.receiver.texts() == ["100+200", "by the other id"]


@pytest.mark.parametrize("number", range(4))  # chance decides which of the two rows stands for both
def test_consent_that_two_people_gave_counts_when_they_prove_to_be_one(cell: World, number: int) -> None:
    say(cell, (100, "a"))
    give(cell)
    cell.run(timedelta(minutes=3))
    say(cell, (200, "b"), (200, "200+100"))
    cell.run(timedelta(minutes=3))

    say(cell, (100, "c"), (200, "d"))
    cell.run(timedelta(minutes=3))

    assert cell.receiver.texts() == ["a", "c"]  # the others queue behind "b", which waits for its hour
    received = [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "telegram"]
    last = [e for e in received if e["receipt"]["received_at"] > "2026-11-20T09:06"]
    assert [route["decision"] for entry in last for route in entry["routes"]] == ["allowed", "allowed"]


def test_every_row_of_a_person_ends_with_their_content() -> None:
    with world() as w:
        w.connect(days=2)
        say(w, (100, "100+200"), (200, "b"))
        assert len(people(w)) == 2

        swept(w, START + timedelta(days=4))

        assert people(w) == set()

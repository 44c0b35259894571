"""Chatwoot as a destination, against a stand-in that speaks its API: one contact a person, one conversation, no doubles."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from tests.fixtures.destinations.chatwoot_api import INBOX, Chatwoot
from tests.fixtures.destinations.vendor import Reply, running
from tests.support.chatwoot import PERSON, Remembered, asked, conversation_message, event, messages, send


def test_contact_conversation_and_message_are_made_when_a_person_is_new() -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered())

    [contact] = vendor.contacts.values()
    [conversation] = vendor.conversations.values()
    [message] = messages(vendor)
    assert (contact["identifier"], contact["name"]) == ("telegram:77001", "p-e-r-s-o-n")
    assert contact["phone_number"] == "+3725550100"
    assert conversation["contact_id"] == contact["id"]
    assert (message["content"], message["message_type"], message["private"]) == ("c-o-n-t-e-n-t", "incoming", False)


def test_one_request_is_enough_when_everything_is_remembered() -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        send(vendor, memory)
        before = len(vendor.requests)
        send(vendor, memory, number=2)

    assert asked(vendor)[before:] == ["POST /conversations/1/messages"]
    assert len(messages(vendor)) == 2


def test_contact_and_conversation_are_found_again_when_everything_is_forgotten() -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered())
        send(vendor, Remembered(), number=2)

    assert (len(vendor.contacts), len(vendor.conversations), len(messages(vendor))) == (1, 1, 2)


@pytest.mark.parametrize("part", ["account_id", "url"])
def test_message_goes_to_nobody_else_when_the_destination_is_changed_to_another_account(part: str) -> None:
    memory = Remembered()
    with running(Chatwoot()) as old, running(Chatwoot()) as new:
        send(old, memory)
        stranger = new.add_contact(name="s-t-r-a-n-g-e-r", identifier="telegram:1")
        assert stranger["id"] in old.contacts  # one number, two people
        new.account = {"account_id": 4, "url": 3}[part]
        config = {"account_id": new.account}

        send(new, memory, number=2, config=config)

        (conversation,) = new.conversations.values()
        assert new.contacts[conversation["contact_id"]]["identifier"] == "telegram:77001"


def test_conversation_is_opened_in_the_new_inbox_when_the_destination_is_changed_to_one() -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        send(vendor, memory)
        vendor.inbox = INBOX + 1

        send(vendor, memory, number=2, config={"inbox_id": INBOX + 1})

        assert [len(c["messages"]) for c in vendor.conversations.values()] == [1, 1]
        assert len(vendor.contacts) == 1


def test_conversation_of_another_inbox_is_left_alone_when_it_is_of_the_same_conversation() -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered())
        vendor.conversations[1]["inbox_id"] = INBOX + 1
        send(vendor, Remembered(), number=2)

    assert [c["inbox_id"] for c in vendor.conversations.values()] == [INBOX + 1, INBOX]


def test_another_persons_contact_is_not_taken_when_a_search_finds_it_too() -> None:
    with running(Chatwoot()) as vendor:
        for number in range(20):
            vendor.add_contact(name="telegram:77001", identifier=f"telegram:77001{number}", phone_number=None)
        send(vendor, Remembered(), event({"id": "77001"}))
        send(vendor, Remembered(), event({"id": "77001"}), number=2)

    [ours] = [c for c in vendor.contacts.values() if c["identifier"] == "telegram:77001"]
    assert {c["contact_id"] for c in vendor.conversations.values()} == {ours["id"]}
    assert len(vendor.contacts) == 21


def test_contact_that_an_agent_made_is_taken_when_it_has_the_phone() -> None:
    with running(Chatwoot()) as vendor:
        known = vendor.add_contact(name="Known", identifier=None, phone_number="+3725550100")
        send(vendor, Remembered())

    assert [c["contact_id"] for c in vendor.conversations.values()] == [known["id"]]
    assert len(vendor.contacts) == 1


@pytest.mark.parametrize(
    "values",
    [{"identifier": "telegram:77001", "phone_number": None}, {"identifier": None, "phone_number": "+3725550100"}],
    ids=["identifier", "phone"],
)
def test_contact_is_searched_again_when_somebody_makes_it_meanwhile(values: dict[str, Any]) -> None:
    with running(Chatwoot()) as vendor:
        known = vendor.add_contact(name="Known", **values)
        vendor.blind_searches = 2
        send(vendor, Remembered())

    assert [c["contact_id"] for c in vendor.conversations.values()] == [known["id"]]
    assert "POST /contacts" in asked(vendor)


def test_older_chatwoot_is_understood_when_it_names_no_attributes() -> None:
    with running(Chatwoot()) as vendor:
        known = vendor.add_contact(name="Known", identifier="telegram:77001", phone_number=None)
        nothing = Reply(200, {"payload": []})
        vendor.next_replies += [nothing, nothing, Reply(422, {"message": "Identifier has already been taken"})]
        send(vendor, Remembered())

    assert [c["contact_id"] for c in vendor.conversations.values()] == [known["id"]]
    assert len(vendor.contacts) == 1


def test_phone_is_left_out_when_it_is_not_international() -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered(), event({**PERSON, "phone": "5550100"}))

    assert [c["phone_number"] for c in vendor.contacts.values()] == [None]


def test_contact_is_the_conversations_when_the_person_was_redacted_away() -> None:
    nobody = event({"id": None, "name": None, "phone": None})
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered(), nobody)
        send(vendor, Remembered(), nobody, number=2)
        send(vendor, Remembered(), nobody, number=3, conversation="cnv_2")

    assert [c["identifier"] for c in vendor.contacts.values()] == ["conversation:cnv_1", "conversation:cnv_2"]
    assert [c["name"] for c in vendor.contacts.values()] == ["telegram cnv_1", "telegram cnv_2"]


def test_event_cannot_be_rendered_when_it_tells_neither_of_a_person_nor_of_a_conversation() -> None:
    with pytest.raises(DeliveryError) as error:
        conversation_message("http://127.0.0.1:1", event(None), conversation=None)

    assert (error.value.attempt_code, error.value.sent) == ("render", False)


def test_persons_of_a_group_have_conversations_of_their_own_when_they_write_in_it() -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        send(vendor, memory, event({"id": "1", "name": "One"}))
        send(vendor, memory, event({"id": "2", "name": "Two"}), number=2)
        send(vendor, memory, event({"id": "1", "name": "One"}), number=3, conversation="cnv_2")

    assert len(vendor.contacts) == 2
    assert [c["contact_id"] for c in vendor.conversations.values()] == [100, 101, 100]


@pytest.mark.parametrize(
    ("kind", "sender", "shown"),
    [
        ("message", {"is_self": True, "name": "Shop"}, "Shop wrote on telegram"),
        ("message_edited", PERSON, "p-e-r-s-o-n (+3725550100) edited a message"),
        ("typing", PERSON, "p-e-r-s-o-n (+3725550100) is typing"),
    ],
)
def test_note_is_made_when_an_event_is_not_a_persons_words(kind: str, sender: dict[str, Any], shown: str) -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered(), event(sender), kind=kind)

    [message] = messages(vendor)
    assert (message["message_type"], message["private"]) == ("outgoing", True)
    assert message["content"].startswith(shown)


def test_note_goes_to_the_persons_conversation_when_our_account_answers_in_a_conversation_of_two() -> None:
    memory = Remembered()
    direct = {"conversation": {"direct": True}}
    with running(Chatwoot()) as vendor:
        send(vendor, memory, event(**direct))
        send(vendor, memory, event({"id": "1", "is_self": True}, **direct), number=2)

    assert (len(vendor.contacts), len(vendor.conversations)) == (1, 1)
    assert [m["private"] for m in messages(vendor)] == [False, True]


def test_example_of_ours_is_no_persons_word_when_a_destination_is_tested() -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered(), test=True)

    [message] = messages(vendor)
    assert message["private"] is True
    assert message["content"].startswith("Test: ")

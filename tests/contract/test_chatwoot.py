"""Chatwoot as a destination, against a stand-in that speaks its API: one contact a person, one conversation, no doubles."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import chatwoot
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import Delivery, SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.chatwoot_api import INBOX, TOKEN, Chatwoot
from tests.fixtures.destinations.loopback import LONG_S, Script, hangs, serving
from tests.fixtures.destinations.vendor import Reply, Request, running
from tests.support.races import tries, until_contended

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = Policy(allow_cidrs=("127.0.0.0/8",))
PERSON = {"id": "77001", "name": "p-e-r-s-o-n", "phone": "+3725550100"}
SAID = {"text": "c-o-n-t-e-n-t"}
SECRETS = (TOKEN, "c-o-n-t-e-n-t", "p-e-r-s-o-n", "77001", "3725550100", "a-n-s-w-e-r")


class Remembered:
    """A destination's memory that many threads share."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.claimed: set[str] = set()
        self.lock = threading.Lock()
        self.claims: Callable[[bool], object] = lambda _got: None

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def put(self, name: str, value: str, for_s: int) -> None:
        self.kept[name] = value

    def claim(self, name: str, for_s: int) -> bool:
        with self.lock:
            free = name not in self.claimed
            self.claimed.add(name)
        self.claims(free)
        return free

    def release(self, name: str) -> None:
        self.claimed.discard(name)


def clients(memory: Remembered | None, limits: Limits | None = None) -> SendingClients:
    return SendingClients(policy=POLICY, limits=limits or Limits(LONG_S, LONG_S, LONG_S), memory=memory)


def conversation_message(
    root: str, document: dict[str, Any], number: int = 1, **changes: Any
) -> chatwoot.ConversationMessage:
    config = {"url": root, "token": TOKEN, "account_id": 3, "inbox_id": INBOX} | changes.pop("config", {})
    values: dict[str, Any] = {
        "delivery_id": f"dlv_{number:026d}",
        "transfer_id": "trf_1",
        "event_id": "evt_1",
        "tenant_id": "tnt_1",
        "destination_id": "dst_1",
        "channel": "telegram",
        "conversation": "cnv_1",
        "kind": "message",
        "occurred_at": NOW,
        "attempt": 1,
        "now": NOW,
        "config": chatwoot.Config.model_validate(config),
    }
    return chatwoot.render(document, Delivery(**values | changes))


def event(sender: dict[str, Any] | None = PERSON, message: dict[str, Any] | None = SAID, **rest: Any) -> dict[str, Any]:
    return {"sender": sender, "message": message, "conversation": {"direct": None}, **rest}


def send(
    vendor: Chatwoot, memory: Remembered, document: dict[str, Any] | None = None, number: int = 1, **changes: Any
) -> None:
    made = conversation_message(vendor.url, document or event(), number, **changes)
    receipt = chatwoot.send(made, clients(memory))
    assert receipt.code == "accepted"


def fault(vendor: Chatwoot, memory: Remembered | None, **changes: Any) -> DeliveryError:
    made = conversation_message(vendor.url, event(), **changes)
    with pytest.raises(DeliveryError) as error:
        chatwoot.send(made, clients(memory))
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + error.value.detail
    assert not any(secret in shown for secret in SECRETS)
    return error.value


def messages(vendor: Chatwoot) -> list[dict[str, Any]]:
    return [m for c in vendor.conversations.values() for m in c["messages"]]


def asked(vendor: Chatwoot) -> list[str]:
    """Return the requests, without the account's part of the path."""
    return [f"{r.method} {r.path.removeprefix('/api/v1/accounts/3')}" for r in vendor.requests]


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


def test_message_is_not_doubled_when_the_answer_to_the_first_attempt_was_lost() -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        send(vendor, memory)
        memory.kept.clear()
        send(vendor, memory)

    assert len(messages(vendor)) == 1


@pytest.mark.parametrize("broken", range(5))
def test_one_contact_and_one_message_are_there_when_any_step_failed_and_was_tried_again(broken: int) -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        answer = vendor.answer

        def breaks(request: Request) -> Reply:
            reply = answer(request)  # done, but its answer is lost
            return Reply(503, {}) if len(vendor.requests) == broken + 1 else reply

        vendor.answer = breaks  # type: ignore[method-assign]
        error = fault(vendor, memory)
        send(vendor, memory)

    assert error.attempt_code == "unavailable"
    assert memory.claimed <= {f"attaching:dlv_{1:026d}"}
    assert (len(vendor.contacts), len(vendor.conversations), len(messages(vendor))) == (1, 1, 1)


def test_conversation_is_made_anew_when_it_was_deleted() -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        send(vendor, memory)
        del vendor.conversations[1]
        vendor.conversations[5] = {"id": 5, "contact_id": 0, "inbox_id": 1, "messages": []}
        send(vendor, memory, number=2)
        send(vendor, memory, number=3)

    assert len(vendor.contacts) == 1
    assert [m["source_id"][-1] for m in messages(vendor)] == ["2", "3"]


def test_contact_is_made_anew_when_it_was_deleted() -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        send(vendor, memory)
        vendor.contacts.clear()
        vendor.conversations.clear()
        vendor.add_contact(name="Other", identifier="other", phone_number=None)
        send(vendor, memory, event(), number=2)

    made = [c["id"] for c in vendor.contacts.values() if c["identifier"] == "telegram:77001"]
    assert len(made) == 1
    assert [c["contact_id"] for c in vendor.conversations.values()] == made
    assert len(messages(vendor)) == 1


def test_one_contact_and_conversation_are_made_when_twenty_threads_bring_one_person() -> None:
    memory = Remembered()
    memory.claims = until_contended()
    with running(Chatwoot()) as vendor:

        def bring(number: int) -> int:
            made = conversation_message(vendor.url, event(), number)
            return tries(lambda: chatwoot.send(made, clients(memory)))

        with ThreadPoolExecutor(20) as pool:
            contended = list(pool.map(bring, range(20)))

    assert max(contended) > 0
    assert (len(vendor.contacts), len(vendor.conversations)) == (1, 1)
    assert sorted(m["source_id"] for m in messages(vendor)) == [f"dlv_{n:026d}" for n in range(20)]
    assert asked(vendor).count("POST /contacts") == 1
    assert asked(vendor).count("POST /conversations") == 1


def test_one_contact_is_made_when_twenty_threads_remember_nothing_of_each_other() -> None:
    with running(Chatwoot()) as vendor, ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: send(vendor, Remembered(), number=n), range(20)))

    assert len(vendor.contacts) == 1
    assert len(messages(vendor)) == 20


def test_attempt_fails_and_nothing_is_sent_when_nothing_can_be_remembered() -> None:
    with running(Chatwoot()) as vendor:
        error = fault(vendor, None)

    assert (error.attempt_code, error.sent, vendor.requests) == ("unavailable", False, [])


@pytest.mark.parametrize(
    ("config", "code"),
    [({"token": TOKEN + "x"}, "credentials"), ({"account_id": 4}, "not_found"), ({"inbox_id": 8}, "not_found")],
    ids=["token", "account", "inbox"],
)
def test_code_says_what_to_correct_when_chatwoot_refuses(config: dict[str, Any], code: str) -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        error = fault(vendor, memory, config=config)

    assert error.attempt_code == code
    assert not any(name.startswith(("contact:", "conversation:")) for name in memory.claimed)


@pytest.mark.parametrize(
    ("reply", "code", "wait_s"),
    [
        (Reply(429, b"Retry later\n", {"Retry-After": "17"}), "throttled", 17.0),
        (Reply(403, {}), "denied", None),
        (Reply(422, {"error": "a-n-s-w-e-r"}), "invalid", None),
        (Reply(500, b"<html>a-n-s-w-e-r</html>"), "unavailable", None),
        (Reply(200, {"payload": {"a-n-s-w-e-r": 1}}), "protocol", None),
        (Reply(200, [1]), "protocol", None),
        (Reply(302, b"", {"Location": "https://evil.example"}), "redirect", None),
    ],
)
def test_code_and_wait_are_the_tables_when_chatwoot_has_a_fault(reply: Reply, code: str, wait_s: float | None) -> None:
    with running(Chatwoot()) as vendor:
        vendor.next_replies.append(reply)
        error = fault(vendor, Remembered())

    assert (error.attempt_code, error.retry_after_s) == (code, wait_s)


@pytest.mark.parametrize("at", range(5), ids=["search", "phone", "contact", "list", "open"])
@pytest.mark.parametrize(
    "body",
    [{}, {"id": "x"}, {"payload": None}, {"payload": {"contact": {"id": [1]}}}, {"payload": 7, "id": True}],
    ids=["empty", "text id", "null", "list id", "true id"],
)
def test_attempt_ends_with_a_code_when_an_answer_has_wrong_types(at: int, body: dict[str, Any]) -> None:
    memory = Remembered()
    with running(Chatwoot()) as vendor:
        answer = vendor.answer
        vendor.answer = (  # type: ignore[method-assign]
            lambda request: Reply(200, body) if len(vendor.requests) == at + 1 else answer(request)
        )
        try:
            send(vendor, memory)
        except DeliveryError as error:
            assert error.attempt_code == "protocol"
        else:
            assert at == 3  # a list that holds nothing of ours

    assert memory.claimed <= {f"attaching:dlv_{1:026d}"}


def test_conversation_more_is_opened_when_the_list_is_longer_than_is_read() -> None:
    with running(Chatwoot()) as vendor:
        send(vendor, Remembered())
        vendor.conversations[1]["messages"][0]["content"] = "x" * 100_000
        send(vendor, Remembered(), number=2)

    assert [len(c["messages"]) for c in vendor.conversations.values()] == [1, 1]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n<html>a-n-s-w-e-r</html>", "protocol"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000, "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "broken"),
        (hangs, "timeout"),
    ],
    ids=["html", "huge", "truncated", "hangs"],
)
def test_attempt_ends_with_a_code_when_the_answer_is_hostile(script: Script | bytes, code: str) -> None:
    with serving(script) as server, pytest.raises(DeliveryError) as error:
        made = conversation_message(f"http://127.0.0.1:{server.port}", event())
        chatwoot.send(made, clients(Remembered(), Limits(0.5, 0.5, 0.5) if code == "timeout" else None))

    assert error.value.attempt_code == code
    shown = "".join(traceback.format_exception(error.value)) + repr(made)
    assert not any(secret in shown for secret in SECRETS)

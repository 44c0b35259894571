"""Chatwoot with faults: lost answers, deleted records, races, and answers that are wrong."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import chatwoot
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.chatwoot_api import TOKEN, Chatwoot
from tests.fixtures.destinations.loopback import Script, hangs, serving
from tests.fixtures.destinations.vendor import Reply, Request, running
from tests.support.chatwoot import (
    SECRETS,
    Remembered,
    asked,
    clients,
    conversation_message,
    event,
    fault,
    messages,
    send,
)
from tests.support.races import tries, until_contended


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

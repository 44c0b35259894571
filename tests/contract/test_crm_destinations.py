"""The rules of every CRM kind: one contact for a person, and a message once, with any fault."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.core.delivery.retry import CODES
from chalicelib.core.envelope import TenantKeys
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import of_kind
from chalicelib.store.memory import DestinationMemory
from tests.fixtures.destinations.crm import TOKEN, VENDORS, Vendor, answer
from tests.support.crm import HIDDEN, NOW, PHONE, Crash, Overtaken, Process, Rows, document, fault, send
from tests.support.engines import Engine
from tests.support.races import tries, until_contended
from tests.support.stores import Ticks, new_id, table


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.KIND)
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    with request.param().serving() as one:
        yield one


def test_contact_is_made_with_the_message_when_the_crm_does_not_know_the_person(vendor: Vendor) -> None:
    assert send(vendor, Process(Rows())) == "accepted"

    ((number, contact),) = vendor.contacts.items()
    assert (contact["name"], contact["phone"]) == ("p-e-r-s-o-n", PHONE)
    ((attached_to, text),) = vendor.messages
    assert attached_to == number
    assert "c-o-n-t-e-n-t Привет 👋" in text and "dlv_00000000000000000000000001" in text


def test_remembered_contact_is_used_without_asking_when_the_person_writes_again(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 1)
    before = len(vendor.asked)

    send(vendor, Process(rows), 2)

    assert len(vendor.contacts) == 1 and len(vendor.messages) == 2
    assert len(vendor.asked) - before == 1


def test_contact_is_found_again_when_all_that_was_remembered_is_lost(vendor: Vendor) -> None:
    for number, event in enumerate([document(), document(sender={"phone": None}), document(sender={"id": "78"})]):
        send(vendor, Process(Rows()), number, event=event)

    assert len(vendor.contacts) == 1
    assert [contact for contact, _ in vendor.messages] == list(vendor.contacts) * 3


def test_contact_that_people_made_is_used_when_its_phone_is_the_persons(vendor: Vendor) -> None:
    other = vendor.new(phone="+491700000009")
    first = vendor.new(phone=PHONE)
    vendor.new(phone=PHONE)

    send(vendor, Process(Rows()), event=document(sender={"phone": "+49 170 000-00-01"}))

    assert [contact for contact, _ in vendor.messages] == [first]
    assert first != other and len(vendor.contacts) == 3


def test_contact_is_made_anew_when_the_remembered_one_is_gone(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 1)
    (old,) = vendor.contacts
    vendor.contacts.clear()
    vendor.new(phone="+491700000009")
    vendor.new(phone="+491700000009")

    send(vendor, Process(rows), 2)
    send(vendor, Process(rows), 3)

    new = list(vendor.contacts)[-1]
    assert new != old and len(vendor.contacts) == 3
    assert [contact for contact, _ in vendor.messages] == [old, new, new]


def test_contact_is_made_anew_when_it_went_between_two_attempts(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 1)
    vendor.instead = lambda asked: answer(503)
    assert fault(vendor, Process(rows), 2).attempt_code == "unavailable"
    vendor.instead = lambda asked: None
    vendor.contacts.clear()
    vendor.messages.clear()

    assert send(vendor, Process(rows), 2) == "accepted"

    assert [contact for contact, _ in vendor.messages] == list(vendor.contacts)


def test_it_is_tried_later_when_the_crm_finds_what_it_says_is_gone(vendor: Vendor) -> None:
    send(vendor, Process(Rows()), 1)
    (contact,) = vendor.contacts
    kept = dict(vendor.contacts)
    vendor.contacts.clear()
    vendor.found = lambda **_: [contact]  # type: ignore[method-assign]
    vendor._by_ref = lambda ref: contact  # type: ignore[attr-defined]
    vendor._search = lambda *_: vendor._shown_all(kept)  # type: ignore[attr-defined]
    vendor._shown_all = lambda kept: answer(  # type: ignore[attr-defined]
        200,
        {"_embedded": {"contacts": [vendor._shown(n, c) for n, c in kept.items()]}},  # type: ignore[attr-defined]
    )

    assert fault(vendor, Process(Rows()), 2).attempt_code == "unavailable"
    assert len(vendor.messages) == 1


def test_one_contact_is_made_when_twenty_events_race_in_two_processes(engine: Engine, vendor: Vendor) -> None:
    vendor.lag_s = 0.3
    rows, tenant, destination = table(engine, "data"), new_id("tnt"), new_id("dst")
    keys = TenantKeys(b"m" * 32)
    ticks = Ticks()
    claims = until_contended()

    class Watched(DestinationMemory):
        def claim(self, name: str, for_s: int) -> bool:
            got = super().claim(name, for_s)
            claims(got)
            return got

    processes = [Watched(rows, keys, tenant, destination, lambda: NOW, ticks.random) for _ in range(2)]

    with ThreadPoolExecutor(20) as pool:
        contended = list(pool.map(lambda n: tries(lambda: send(vendor, processes[n % 2], n)), range(20)))

    assert len(vendor.contacts) == 1
    assert sorted(text[-26:] for _, text in vendor.messages) == [f"{n:026d}" for n in range(20)]
    assert max(contended) > 0


def test_contact_is_not_made_again_when_another_made_it_between_the_look_and_the_claim(vendor: Vendor) -> None:
    rows = Rows()
    vendor.lag_s = 60
    vendor.__dict__["_by_ref"] = lambda ref: None  # not even a contact that is read directly

    send(vendor, Overtaken(rows, "contact:", lambda: send(vendor, Process(rows), 1)), 2)

    assert len(vendor.contacts) == 1 and len(vendor.messages) == 2


def test_channels_of_one_phone_are_one_contact_when_their_events_race(vendor: Vendor) -> None:
    rows = Rows()
    vendor.lag_s = 0.3

    def deliver(number: int) -> None:
        event = document(sender={"id": str(number)})
        tries(lambda: send(vendor, Process(rows), number, event=event, conversation=f"cnv_{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(deliver, range(8)))

    assert len(vendor.contacts) == 1 and len(vendor.messages) == 8


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_contact_and_message_are_there_once_when_a_process_dies_at_any_step(vendor: Vendor, after: bool) -> None:
    steps = 0
    while True:
        steps += 1
        vendor.contacts.clear()
        vendor.messages.clear()
        rows = Rows()
        dying = Process(rows, steps, after)
        try:
            send(vendor, dying)
        except Crash:
            rows.now_s += 31
        if not dying.dead:
            break

        send(vendor, Process(rows))

        assert (len(vendor.contacts), len(vendor.messages)) == (1, 1), f"died at step {steps}"
    assert steps > 10


def test_contact_and_message_are_there_once_when_any_answer_is_lost(vendor: Vendor) -> None:
    send(vendor, Process(Rows()))
    asked = len(vendor.asked)
    for lost in range(asked):
        vendor.contacts.clear()
        vendor.messages.clear()
        vendor.asked.clear()
        rows = Rows()
        vendor.lost = lambda _, lost=lost: len(vendor.asked) == lost + 1  # type: ignore[misc]

        assert fault(vendor, Process(rows)).attempt_code in ("broken", "protocol")
        send(vendor, Process(rows))

        assert (len(vendor.contacts), len(vendor.messages)) == (1, 1), f"answer {lost} was lost"
    assert asked >= 4


def test_refused_attempt_leaves_no_claim_when_it_ends(vendor: Vendor) -> None:
    rows = Rows()
    vendor.instead = lambda asked: answer(503)
    assert fault(vendor, Process(rows)).attempt_code == "unavailable"
    assert rows.claims == {}

    vendor.instead = lambda asked: None

    assert send(vendor, Process(rows)) == "accepted"


def test_message_goes_to_nobody_else_when_the_destination_is_changed_to_another_account(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 1)
    ours = next(iter(vendor.contacts))
    with type(vendor)().serving() as other:
        stranger = other.new(name="s-t-r-a-n-g-e-r")
        other.access = "of-another-account"
        own = {"amocrm": {"host": "sud.amocrm.ru"}, "hubspot": {"token": other.access}}.get(vendor.KIND, {})
        config = of_kind(vendor.KIND).Config.model_validate({**other.config(), **own})

        send(other, Process(rows), 2, config=config)

        assert stranger == ours  # one number, two people
        (attached_to,) = {contact for contact, _ in other.messages}
        assert other.contacts[attached_to]["name"] == "p-e-r-s-o-n"


def test_attempt_is_contended_and_nothing_is_sent_when_somebody_is_making_the_contact(vendor: Vendor) -> None:
    rows = Rows()
    account = {"bitrix24": vendor.url.removeprefix("http://"), "amocrm": "nord.amocrm.ru", "hubspot": TOKEN}[
        vendor.KIND
    ]
    Process(rows).claim(f"contact:{account}:telegram:77", 30)

    error = fault(vendor, Process(rows))

    assert (error.attempt_code, error.retryable, error.sent) == ("contended", True, False)
    assert vendor.asked == []


# Answers


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "redirect"), (400, "invalid"), (401, "credentials"), (402, "denied"), (403, "denied"), (413, "too_large"),
        (422, "invalid"), (429, "throttled"), (500, "unavailable"), (503, "unavailable"),
    ],
)  # fmt: skip
def test_code_is_that_of_the_status_when_the_crm_refuses(vendor: Vendor, status: int, code: str) -> None:
    vendor.instead = lambda asked: (status, {"Retry-After": "17", "Location": "/"}, b"s-e-r-v-e-r words")

    error = fault(vendor, Process(Rows()))

    assert error.attempt_code == code
    assert error.retry_after_s == (17 if code in ("throttled", "unavailable") else None)
    assert len(vendor.asked) == 1


HOSTILE = {
    "page": b"<html>s-e-r-v-e-r</html>",
    "cut": b'{"result": {"items": [{"id": 1',
    "nothing": b"",
    "null": b"null",
    "list": b"[1, 2]",
    "text": b'"s-e-r-v-e-r"',
    "wrong types": b'{"result": 7, "_embedded": [], "results": {"id": 1}, "id": {"id": 1}, "error": 5}',
    "wrong ids": b'{"result": {"items": [{"id": "1; DROP"}, {"id": true}, {"id": -1}, 5], "item": {"id": "x"}, "CONTACT": "1"},'
    b'"_embedded": {"contacts": [{"id": null, "custom_fields_values": [5, {"values": 7}]}, 3]}, "results": [{"id": []}], "id": "../1"}',
    "deep": b"[" * 30_000,
    "long": b'{"result": "' + b"x" * 100_000 + b'"}',
}


@pytest.mark.parametrize("status", [200, 400, 404, 409, 429])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_attempt_ends_with_a_code_when_the_answer_is_hostile(vendor: Vendor, body: bytes, status: int) -> None:
    rows = Rows()
    send(vendor, Process(rows), 1)
    for memory in (Process(rows), Process(Rows())):  # attaching at once, and making the contact first
        vendor.instead = lambda asked: (status, {}, body)
        kind = document() if memory.rows is rows else document(sender={"id": "78", "phone": "+491700000002"})
        try:
            assert send(vendor, memory, 2, event=kind) == "accepted"
        except DeliveryError as error:
            shown = "".join(traceback.format_exception(error))
            assert error.attempt_code in CODES and not any(text in shown for text in HIDDEN)
        else:
            assert status == 200


# Whose contact it is


def test_nobody_is_named_when_the_person_was_redacted_away(vendor: Vendor) -> None:
    rows = Rows()
    redacted = document(sender={"id": None, "name": None, "phone": None}, conversation={"id": None})
    for number in (1, 2):
        send(vendor, Process(rows), number, event=redacted)
    send(vendor, Process(rows), 3, event=redacted, conversation="cnv_00000000000000000000000002")

    assert [contact["name"] for contact in vendor.contacts.values()] == [
        "telegram cnv_00000000000000000000000001",
        "telegram cnv_00000000000000000000000002",
    ]
    assert not any(contact["phone"] for contact in vendor.contacts.values())
    assert not any(text in str(vendor.asked) for text in ("p-e-r-s-o-n", "telegram:77", PHONE))


def test_what_our_account_says_is_with_the_person_when_the_conversation_is_of_two(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 1)

    send(vendor, Process(rows), 2, event=document(sender={"id": "1", "name": "Shop", "phone": None, "is_self": True}))

    assert len(vendor.contacts) == 1 and len(vendor.messages) == 2


def test_people_of_a_group_have_contacts_of_their_own(vendor: Vendor) -> None:
    rows = Rows()
    for number in (77, 78):
        event = document(sender={"id": str(number), "phone": None}, conversation={"direct": False})
        send(vendor, Process(rows), number, event=event)

    assert len(vendor.contacts) == 2


@pytest.mark.parametrize("masked", ["*", "****", "1*****7"])
def test_masked_ids_do_not_make_two_people_one(vendor: Vendor, masked: str) -> None:
    rows = Rows()
    for number in (1, 2):
        event = document(sender={"id": masked, "phone": "+4********01"})
        send(vendor, Process(rows), number, event=event, conversation=f"cnv_{number}")

    assert len(vendor.contacts) == 2
    assert not any(contact["phone"] for contact in vendor.contacts.values())


def test_event_of_nobody_is_refused_when_it_is_rendered(vendor: Vendor) -> None:
    nobody = document(sender=None, conversation={"direct": None})

    error = fault(vendor, Process(Rows()), event=nobody, conversation=None)

    assert (error.attempt_code, error.sent) == ("render", False)

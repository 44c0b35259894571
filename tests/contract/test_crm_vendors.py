"""The peculiarities of each CRM: its error messages, its mark-up, its search."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import bitrix24, hubspot
from tests.fixtures.destinations.crm import Amocrm, Bitrix24, Hubspot, Vendor, answer
from tests.support.crm import PHONE, Process, Rows, delivery, document, send


def code_of(vendor: Vendor, **changes: Any) -> tuple[str, float | None]:
    with pytest.raises(DeliveryError) as error:
        send(vendor, Process(Rows()), **changes)
    return error.value.attempt_code, error.value.retry_after_s


@pytest.mark.parametrize(("word", "code"), sorted(bitrix24.CODES.items()))
@pytest.mark.parametrize("status", [200, 400, 401, 403, 503])
def test_bitrix24s_word_decides_when_it_refuses_with_any_status(word: str, code: str, status: int) -> None:
    with Bitrix24().serving() as vendor:
        vendor.instead = lambda asked: answer(status, {"error": word, "error_description": "s-e-r-v-e-r-words"})

        assert code_of(vendor)[0] == code


def test_bitrix24s_status_decides_when_its_word_is_another() -> None:
    with Bitrix24().serving() as vendor:
        vendor.instead = lambda asked: answer(400, {"error": "", "error_description": "s-e-r-v-e-r-words"})
        assert code_of(vendor)[0] == "invalid"

        vendor.instead = lambda asked: answer(200, {"error": "100", "error_description": "s-e-r-v-e-r-words"})
        assert code_of(vendor)[0] == "invalid"


def test_bitrix24s_application_is_denied_when_it_is_not_paid_for() -> None:
    with Bitrix24().serving() as vendor:
        vendor.instead = lambda asked: answer(400, {"error": "PAYMENT_REQUIRED"})

        assert code_of(vendor, app=True)[0] == "denied"


def test_webhooks_token_is_not_renewed_when_bitrix24_calls_it_expired() -> None:
    with Bitrix24().serving() as vendor:
        vendor.instead = lambda asked: answer(401, {"error": "expired_token"})

        assert code_of(vendor)[0] == "credentials"
        assert vendor.renewals == 0 and len(vendor.asked) == 1


def test_no_mark_up_reaches_bitrix24_when_somebody_writes_it() -> None:
    event = document(message={"text": "[USER=1]boss[/USER] [url=https://x.example.com]y[/url]"}, sender={"name": "[b]"})

    text = bitrix24.render(event, delivery(Bitrix24(url="http://127.0.0.1:1"))).text

    assert text.count("[") == text.count("[\u200b") == 5


def test_comment_fits_into_bitrix24_when_a_text_is_long() -> None:
    event = document(message={"text": "Ж[" * 60_000})

    text = bitrix24.render(event, delivery(Bitrix24(url="http://127.0.0.1:1"))).text

    assert len(text.encode()) <= 65_535
    assert "shortened" in text and text.endswith("dlv_00000000000000000000000001")


def test_no_mark_up_reaches_hubspot_when_somebody_writes_it() -> None:
    event = document(message={"text": "<script>alert('1')</script>\n<a href=\"x\">&amp;"}, sender={"name": "<b>"})

    text = hubspot.render(event, delivery(Hubspot(url="http://127.0.0.1:1"))).text

    assert text.replace("<br>", "").count("<") == 0
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;<br>&lt;a href=&quot;x&quot;&gt;&amp;amp;" in text


def test_note_fits_into_hubspot_when_a_text_is_long() -> None:
    text = hubspot.render(document(message={"text": "<" * 60_000}), delivery(Hubspot(url="http://127.0.0.1:1"))).text

    assert len(text) <= hubspot.NOTE_MAX
    assert text.endswith("dlv_00000000000000000000000001")


@pytest.mark.parametrize(
    ("policy", "wait_s"), [*hubspot.WAITS_S.items(), ("SOMETHING", None), (7, None)], ids=lambda value: str(value)
)
def test_hubspots_limit_says_by_its_name_when_to_come_back(policy: object, wait_s: float | None) -> None:
    with Hubspot().serving() as vendor:
        vendor.instead = lambda asked: answer(429, {"policyName": policy, "message": "s-e-r-v-e-r-words"})

        assert code_of(vendor) == ("throttled", wait_s)


@pytest.mark.parametrize(
    "refusal",
    [
        answer(409, {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 999"}),
        answer(400, {"category": "VALIDATION_ERROR", "errors": [{"code": "CONFLICTING_UNIQUE_VALUE"}]}),
    ],
    ids=["conflict", "unique value"],
)
def test_contact_is_looked_up_again_when_hubspot_has_it_already(refusal: Any) -> None:
    with Hubspot().serving() as vendor:

        def made_by_another(asked: Any) -> Any:
            if asked.path != "/crm/v3/objects/contacts":
                return None
            vendor.new(ref="telegram:77")
            return refusal

        vendor.instead = made_by_another

        send(vendor, Process(Rows()))

        assert len(vendor.contacts) == 1
        assert [contact for contact, _ in vendor.messages] == list(vendor.contacts)


def test_it_is_tried_later_when_hubspot_has_a_contact_and_does_not_show_it() -> None:
    with Hubspot().serving() as vendor:
        vendor.instead = lambda asked: answer(409) if asked.path == "/crm/v3/objects/contacts" else None

        assert code_of(vendor)[0] == "unavailable"


def test_amocrms_hit_is_not_taken_when_it_only_looks_like_the_person() -> None:
    with Amocrm().serving() as vendor:
        vendor.new(phone=f"{PHONE}23")
        vendor.new(phone=f"+1 {PHONE}")

        send(vendor, Process(Rows()))

        assert len(vendor.contacts) == 3
        assert vendor.messages[0][0] == list(vendor.contacts)[-1]


@pytest.mark.parametrize("gone", [answer(204), answer(404), answer(200, {"id": 100, "is_deleted": True})])
def test_amocrms_contact_is_gone_when_it_says_so_in_any_way(gone: Any) -> None:
    with Amocrm().serving() as vendor:
        rows = Rows()
        send(vendor, Process(rows), 1)
        vendor.contacts.clear()

        def refuses(asked: Any) -> Any:
            if asked.path == "/api/v4/contacts/100/notes":
                return answer(400, {"title": "Bad Request"})
            return gone if asked.path == "/api/v4/contacts/100" else None

        vendor.instead = refuses

        send(vendor, Process(rows), 2)

        assert [contact for contact, _ in vendor.messages] == ["100", "101"]


@pytest.mark.parametrize("vendor_type", [Amocrm, Hubspot])
def test_note_is_invalid_when_the_contact_is_there_and_the_note_is_refused(vendor_type: type[Vendor]) -> None:
    with vendor_type().serving() as vendor:
        vendor.instead = lambda asked: answer(400) if asked.method == "POST" and asked.path.endswith("notes") else None

        assert code_of(vendor)[0] == "invalid"


@pytest.mark.parametrize("platform_id", ["x" * 300, "Ж" * 101, "a/b?c#d%2F..", "\ud800" * 120])
@pytest.mark.parametrize("vendor_type", [Amocrm, Bitrix24, Hubspot])
def test_person_is_found_again_when_the_platforms_id_is_unusual(vendor_type: type[Vendor], platform_id: str) -> None:
    with vendor_type().serving() as vendor:
        event = document(
            sender={"id": platform_id, "phone": None, "name": "\ud800\x00 p"}, conversation={"direct": False}
        )
        other = document(sender={"id": platform_id + "y", "phone": None}, conversation={"direct": False})
        for number, one in enumerate((event, other, event)):
            send(vendor, Process(Rows()), number, event=one)

        assert len(vendor.contacts) == 2
        assert all(len(contact["ref"]) <= 100 for contact in vendor.contacts.values())

"""The messenger behind a channel: by payload, by declaration, and in what the release before has stored."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.channels import CHANNELS, KINDS
from chalicelib.channels.base import receive
from chalicelib.core.event.event import from_document
from chalicelib.core.event.messengers import (
    BROKERS,
    CARRIERS,
    MESSENGERS,
    messenger_facts,
    messenger_in,
    messenger_named,
    own_messenger,
)
from chalicelib.core.law import facts as reading
from chalicelib.law import installed
from tests.contract.channels.cases import cases

NOW = "2026-11-30T10:00:00.000Z"


def test_every_channel_is_a_messenger_or_carries_some() -> None:
    without = {kind for kind in KINDS if own_messenger(kind) not in MESSENGERS}

    assert without == BROKERS | {"standard_webhooks"}
    assert set(KINDS) >= CARRIERS


@pytest.mark.parametrize(
    ("broker", "messengers"), [("twilio", {"sms", "whatsapp"}), ("vonage", {"messenger", "mms", "sms", "whatsapp"})]
)
def test_event_names_the_messenger_when_the_payload_of_a_broker_does(broker: str, messengers: set[str]) -> None:
    genuine = [case for case in cases(broker) if case.expect["verdict"] == "accepted"]

    drafts = [draft for case in genuine for draft in receive(CHANNELS[broker], case.request(), [case.secret]).drafts]

    named = [draft for draft in drafts if draft.messenger is not None]
    assert {draft.messenger for draft in named} == messengers
    assert all(draft.native_kind.startswith(f"{draft.messenger}.") for draft in named)
    without = {draft.native_kind.partition(".")[0] for draft in drafts if draft.messenger is None}
    assert without <= {"conversations", "unknown"}


@pytest.mark.parametrize(
    ("broker", "messengers"),
    [
        ("bitrix24_openlines", {"telegram", "viber", "web"}),
        ("intercom", {"email", "web", "whatsapp"}),
        ("livechat", set()),
    ],
)
def test_broker_of_support_chats_names_the_messenger_where_the_payload_does(broker: str, messengers: set[str]) -> None:
    genuine = [case for case in cases(broker) if case.expect["verdict"] == "accepted"]

    drafts = [draft for case in genuine for draft in receive(CHANNELS[broker], case.request(), [case.secret]).drafts]

    assert {draft.messenger for draft in drafts} - {None} == messengers <= MESSENGERS


def test_lists_of_the_law_hold_messengers_only() -> None:
    listed = {
        member
        for file in installed().files
        for rows in file.table.values()
        if isinstance(rows, list)
        for row in rows
        if isinstance(row, dict) and "messengers" in row
        for member in row["messengers"].split()
    }

    assert listed and listed <= MESSENGERS
    assert not listed & {"kakaotalk", "zalo", "slack", "google_chat"}


@pytest.mark.parametrize(
    ("document", "messenger"),
    [
        ({"channel": "twilio", "native_kind": "whatsapp.message", "messenger": "whatsapp"}, "whatsapp"),
        ({"channel": "twilio", "native_kind": "whatsapp.message"}, "whatsapp"),
        ({"channel": "twilio", "native_kind": "sms.text"}, "sms"),
        ({"channel": "vonage", "native_kind": "viber_service.text"}, "viber"),
        ({"channel": "vonage", "native_kind": "carrier_pigeon.text"}, None),
        ({"channel": "freshchat", "native_kind": "message_create"}, None),
        ({"channel": "telegram", "native_kind": "message"}, None),
    ],
)
def test_messenger_of_a_stored_event_is_read_when_it_has_the_field_or_not(
    document: dict[str, Any], messenger: str | None
) -> None:
    assert messenger_in(document) == messenger


@pytest.mark.parametrize(
    ("channel", "declared", "named", "facts"),
    [
        ("telegram", (), None, {}),
        ("twilio", ("whatsapp",), "whatsapp", {"messenger": "whatsapp"}),
        ("twilio", ("sms",), "whatsapp", {"messenger": "whatsapp", "messenger_undeclared": True}),
        ("twilio", (), None, {"messenger": None}),
        ("freshchat", ("whatsapp",), None, {"messenger": "whatsapp"}),
        ("freshchat", ("whatsapp", "web"), None, {"messenger": None}),
        ("livechat", ("web",), None, {"messenger": "web"}),
        ("bitrix24_openlines", ("web",), "telegram", {"messenger": "telegram", "messenger_undeclared": True}),
        ("matrix", (), None, {"messenger": "matrix"}),
        ("matrix", ("whatsapp",), None, {"messenger": "whatsapp"}),
    ],
)
def test_facts_name_the_messenger(
    channel: str, declared: tuple[str, ...], named: str | None, facts: dict[str, Any]
) -> None:
    assert messenger_facts(channel, declared, named) == facts


@pytest.mark.parametrize(
    ("channel", "messenger"), [("telegram", "telegram"), ("email_ses", "email"), ("twilio", None), (None, None)]
)
def test_facts_of_the_release_before_are_read_when_they_name_no_messenger(
    channel: str | None, messenger: str | None
) -> None:
    facts, problems = reading.read({"now": NOW, **({"channel": channel} if channel else {})})

    assert problems == []
    assert facts is not None
    assert facts.values.get("messenger") == messenger


@pytest.mark.parametrize(
    ("name", "messenger"),
    [("WhatsApp", "whatsapp"), ("facebook", "messenger"), ("viber_service", "viber"), ("x", None)],
)
def test_names_of_brokers_are_known(name: str, messenger: str | None) -> None:
    assert messenger_named(name) == messenger


def test_event_of_the_release_before_is_read() -> None:
    document = {
        "schema": "waybill.event/1", "channel": "twilio", "kind": "message", "native_kind": "whatsapp.message",
        "dedupe_id": "SM1", "occurred_at": NOW, "conversation": {"id": "1"},
    }  # fmt: skip

    event = from_document(document)

    assert event.messenger is None
    assert "messenger" not in event.document()

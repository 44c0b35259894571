"""A switch on a channel stops the messenger of that name, through whichever channel its messages come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.channels import KINDS
from chalicelib.core.event.messengers import BROKERS, CARRIERS, messenger_facts, own_messenger
from chalicelib.core.tenant.switches import Switch

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def facts_of(channel: str) -> dict[str, Any]:
    recipient = {"id": "rcp_x", "entity_country": "DE", "processing_countries": ["DE"], "onward": []}
    return {"channel": channel, "subject": {"country": "DE"}, "recipient": recipient}


def switch(value: str) -> Switch:
    return Switch(id="swi_x", created_at=NOW, scope="channel", value=value, reason="x")


def stops(value: str, channel: str, declared: tuple[str, ...] = (), named: str | None = None) -> bool:
    facts = {**facts_of(channel), **messenger_facts(channel, declared, named)}
    return switch(value).stops("dst_x", facts, NOW)


@pytest.mark.parametrize("channel", sorted(CARRIERS))
def test_stopped_when_a_carrier_passes_on_the_switchs_messenger(channel: str) -> None:
    assert stops("whatsapp", channel, ("whatsapp", "sms"), "whatsapp")
    assert stops("whatsapp", channel, ("whatsapp",))
    assert stops("whatsapp", channel, (), "whatsapp")
    assert not stops("whatsapp", channel, ("whatsapp", "sms"), "sms")
    assert not stops("whatsapp", channel, ("sms",))


@pytest.mark.parametrize("channel", sorted(BROKERS))
def test_stopped_when_the_messenger_behind_a_broker_is_unknown(channel: str) -> None:
    assert stops("whatsapp", channel)
    assert stops("whatsapp", channel, ("sms", "viber"))


@pytest.mark.parametrize("channel", KINDS)
def test_stopped_by_its_own_channel_and_by_the_messenger_that_it_is(channel: str) -> None:
    assert stops(channel, channel, ("sms",) if channel in CARRIERS else ())
    own = own_messenger(channel)
    assert own is None or stops(own, channel)
    assert channel in BROKERS or not stops("threema", channel)


@pytest.mark.parametrize("channel", sorted(BROKERS))
def test_decided_by_the_channel_alone_when_the_facts_are_of_an_earlier_release(channel: str) -> None:
    facts = facts_of(channel)

    assert switch(channel).stops("dst_x", facts, NOW)
    assert not switch("whatsapp").stops("dst_x", facts, NOW)

"""Events arrive as texts in messengers and in people's Chatwoot conversations: over the whole cell, through crashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.destinations import of_kind
from chalicelib.flow.delivery import deliver
from chalicelib.flow.routing import route
from tests.fixtures.destinations.chatwoot_api import INBOX, TOKEN, Chatwoot
from tests.fixtures.destinations.messengers import DISCORD_TOKEN, SLACK_TOKEN, TELEGRAM_TOKEN, Discord, Slack, Telegram
from tests.fixtures.destinations.vendor import Reply, Vendor, running
from tests.support import deaths
from tests.support.world import World, world

CONFIGS: dict[type[Vendor], tuple[str, dict[str, Any]]] = {
    Slack: ("slack", {"token": SLACK_TOKEN, "channel": "C0000001"}),
    Telegram: ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": -100123}),
    Discord: ("discord", {"token": DISCORD_TOKEN, "channel": "200000000000000000"}),
    Chatwoot: ("chatwoot", {"token": TOKEN, "account_id": 3, "inbox_id": INBOX}),
}


@contextmanager
def connected(vendor: Vendor, *, placed: bool = False) -> Iterator[World]:
    """A world whose destination is of the vendor's kind, in the place that the kind knows or in that of its recipient."""
    kind, usual = CONFIGS[type(vendor)]
    with running(vendor), world() as w:
        w.connect()
        config = {**usual, "url" if kind == "chatwoot" else "api_url": vendor.url}
        place = of_kind(kind).place(of_kind(kind).Config.model_validate(config)) if placed else ()
        row = w.runtime.config.get(w.tenant, w.destination)
        changed = row.record.model_copy(update={"kind": kind, "place": place})
        w.runtime.config.replace(w.tenant, changed, row.version, {"config": config, "signing": []})
        w.effects.clear()
        yield w


def outcomes(w: World) -> list[tuple[str, str]]:
    return [(e["outcome"], e["code"]) for e in w.of_kind("attempted")]


def said(vendor: Chatwoot) -> list[str]:
    return [m["content"] for c in vendor.conversations.values() for m in c["messages"]]


def test_texts_arrive_in_order_when_people_write() -> None:
    slack = Slack()
    with connected(slack) as w:
        for number in range(3):
            w.post(number, text=f"<!channel> {number}")
        w.run(timedelta(minutes=1))

        assert outcomes(w) == [("delivered", "accepted")] * 3
        assert [t.rpartition("\n")[2] for t in slack.channels["C0000001"]] == [
            f"&lt;!channel&gt; {n}" for n in range(3)
        ]


def test_text_waits_as_long_as_telegram_asks() -> None:
    telegram = Telegram()
    telegram.flood_s = 900
    with connected(telegram) as w:
        w.post(1)
        w.run(timedelta(minutes=1))
        assert outcomes(w) == [("failed", "throttled")]
        telegram.flood_s = None

        w.run(timedelta(minutes=13))
        assert telegram.chats[-100123] == []
        w.run(timedelta(minutes=3))

        assert len(telegram.chats[-100123]) == 1


def effects_of_sending(vendor: Vendor) -> range:
    """Return the numbers of the effects that deliver has while it brings one event to a vendor."""
    with connected(vendor) as w:
        w.post(1)
        w.inbox.run(route.handle)
        before = len(w.effects)
        w.outbox.run(deliver.handle)
        return range(before + 1, len(w.effects) + 1)


def die_at(w: World, number: int) -> None:
    """Send one event, with a process that dies at an effect and another that continues."""
    w.post(1)
    w.inbox.run(route.handle)
    w.crash_at = number
    w.run(timedelta(minutes=8))
    assert w.crashes == 1
    assert outcomes(w)[-1] == ("delivered", "accepted")


@deaths.in_parts
def test_message_is_there_once_when_the_process_dies_at_any_effect_of_sending_to_discord(part: int) -> None:
    for number in deaths.at(effects_of_sending(Discord()), 4, part):
        vendor = Discord()
        with connected(vendor) as w:
            die_at(w, number)

            assert len(vendor.messages) == 1, f"died at effect {number}"


@deaths.in_parts
def test_contact_conversation_and_message_are_there_once_when_the_process_dies_at_any_effect(part: int) -> None:
    for number in deaths.at(effects_of_sending(Chatwoot()), 6, part):
        vendor = Chatwoot()
        with connected(vendor) as w:
            die_at(w, number)

            counts = (len(vendor.contacts), len(vendor.conversations), len(said(vendor)))
            assert counts == (1, 1, 1), f"died at effect {number}"


def test_transfer_waits_when_chatwoot_takes_the_token_no_more() -> None:
    vendor = Chatwoot()
    vendor.next_replies += [Reply(401, {"error": "Invalid Access Token"})]
    with connected(vendor) as w:
        w.post(1)
        w.run(timedelta(seconds=50))
        assert outcomes(w) == [("failed", "credentials")]

        w.run(timedelta(minutes=5))
        assert sorted(outcomes(w)) == [("delivered", "accepted"), ("failed", "credentials")]


@pytest.mark.parametrize("vendor", [Slack, Telegram, Discord], ids=["slack", "telegram", "discord"])
def test_nothing_is_sent_when_the_operators_country_needs_a_basis_that_there_is_not(vendor: type[Vendor]) -> None:
    made = vendor()
    with connected(made, placed=True) as w:
        w.post(1)
        w.run(timedelta(minutes=1))

        [decided] = w.of_kind("decided")
        assert [r["decision"] for r in decided["routes"]] == ["held"]
        assert (made.requests, outcomes(w)) == ([], [])

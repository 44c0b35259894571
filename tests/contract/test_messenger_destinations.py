"""Slack, Telegram and Discord as destinations, against stand-ins that speak their APIs with errors and limits."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.delivery.retry import CODES, Outcome
from chalicelib.core.errors import DeliveryError, Invalid
from chalicelib.destinations import of_kind
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import Delivery, DeliveryReceipt, SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.loopback import LONG_S, Script, drips, hangs, serving
from tests.fixtures.destinations.messengers import (
    DISCORD_TOKEN,
    DISCORD_WEBHOOK,
    SLACK_TOKEN,
    TELEGRAM_TOKEN,
    WEBHOOK,
    Discord,
    Slack,
    Telegram,
)
from tests.fixtures.destinations.vendor import Reply, Vendor, running

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CLIENTS = SendingClients(policy=Policy(allow_cidrs=("127.0.0.0/8",)), limits=Limits(LONG_S, LONG_S, LONG_S))
HASTY = SendingClients(policy=CLIENTS.policy, limits=Limits(0.5, 0.5, 0.5))
DOCUMENT = {"sender": {"name": "p-e-r-s-o-n"}, "message": {"text": "c-o-n-t-e-n-t <!channel> @everyone **hi**"}}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "slack webhook": ("slack", {"url": f"https://hooks.slack.com{WEBHOOK}"}),
    "slack bot": ("slack", {"token": SLACK_TOKEN, "channel": "C0000001"}),
    "telegram": ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": -100123}),
    "discord webhook": ("discord", {"url": f"https://discord.com/api/webhooks/{DISCORD_WEBHOOK}"}),
    "discord bot": ("discord", {"token": DISCORD_TOKEN, "channel": "200000000000000000"}),
}
SECRETS = (
    "w-e-b-h-o-o-k", "s-l-a-c-k", "t-e-l-e-g-r-a-m", "d-i-s-c-o-r-d", "c-o-n-t-e-n-t", "p-e-r-s-o-n", "a-n-s-w-e-r",
)  # fmt: skip
ways = pytest.mark.parametrize("way", WAYS)


def request(way: str, root: str, document: dict[str, Any] = DOCUMENT, **config: Any) -> Any:
    kind, usual = WAYS[way]
    module = of_kind(kind)
    delivery = Delivery(
        delivery_id="dlv_00000000000000000000000001",
        transfer_id="trf_1",
        event_id="evt_1",
        tenant_id="tnt_1",
        destination_id="dst_1",
        channel="telegram",
        conversation="cnv_1",
        kind="message",
        occurred_at=NOW,
        attempt=1,
        now=NOW,
        config=module.Config.model_validate({**usual, "api_url": root, **config}),
    )
    return module.render(document, delivery)


def send(way: str, root: str, clients: SendingClients = CLIENTS, **changes: Any) -> DeliveryReceipt:
    receipt = of_kind(WAYS[way][0]).send(request(way, root, **changes), clients)
    assert isinstance(receipt, DeliveryReceipt)
    return receipt


def fault(way: str, root: str, clients: SendingClients = CLIENTS, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        send(way, root, clients, **changes)
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + error.value.detail
    assert not any(secret in shown for secret in SECRETS)
    assert error.value.retryable == (CODES[error.value.attempt_code] is Outcome.FAILED)
    return error.value


def vendor_of(way: str) -> Vendor:
    return {"slack": Slack, "telegram": Telegram, "discord": Discord}[WAYS[way][0]]()


def texts(vendor: Vendor) -> list[str]:
    if isinstance(vendor, Slack):
        return vendor.hooked + [t for channel in vendor.channels.values() for t in channel]
    if isinstance(vendor, Telegram):
        return [t for chat in vendor.chats.values() for t in chat]
    assert isinstance(vendor, Discord)
    return [m["content"] for m in vendor.messages]


@ways
def test_text_arrives_once_when_it_is_sent(way: str) -> None:
    with running(vendor_of(way)) as vendor:
        receipt = send(way, vendor.url)

    assert (receipt.code, receipt.status) == ("accepted", 200)
    [text] = texts(vendor)
    assert text.startswith("p-e-r-s-o-n wrote on telegram, 2026-03-01 12:00 UTC:\nc-o-n-t-e-n-t")
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("way", ["slack webhook", "slack bot"])
def test_nobody_is_called_when_a_text_names_a_whole_channel_of_slack(way: str) -> None:
    with running(Slack()) as slack:
        send(way, slack.url)

    body = slack.requests[0].body
    assert slack.pings == []
    assert (body["mrkdwn"], body["link_names"], body["unfurl_links"], body["unfurl_media"]) == (False,) * 4
    assert body["metadata"]["event_payload"] == {"delivery": "dlv_00000000000000000000000001"}


@pytest.mark.parametrize("way", ["discord webhook", "discord bot"])
def test_nobody_is_called_when_a_text_names_everyone_on_discord(way: str) -> None:
    with running(Discord()) as discord:
        send(way, discord.url)

    [message] = discord.messages
    assert message["allowed_mentions"] == {"parse": []}
    assert message["flags"] == 4
    assert "\\@everyone \\*\\*hi\\*\\*" in message["content"]


def test_nothing_is_mark_up_or_fetched_when_a_text_goes_to_telegram() -> None:
    with running(Telegram()) as telegram:
        send("telegram", telegram.url)

    body = telegram.requests[0].body
    assert set(body) == {"chat_id", "text", "link_preview_options"}
    assert body["link_preview_options"] == {"is_disabled": True}


@ways
def test_text_is_cut_and_taken_when_it_is_longer_than_the_platform_takes(way: str) -> None:
    with running(vendor_of(way)) as vendor:
        send(way, vendor.url, document={"message": {"text": "👋<&*" * 20_000}})

    [text] = texts(vendor)
    assert text.endswith("… (shortened)")


def test_message_is_not_doubled_when_a_bot_sends_it_to_discord_again() -> None:
    with running(Discord()) as discord:
        send("discord bot", discord.url)
        send("discord bot", discord.url)

    assert len(discord.messages) == 1
    assert len(discord.messages[0]["nonce"]) <= 25


def test_text_goes_into_a_thread_when_the_webhook_names_one() -> None:
    url = f"https://canary.discord.com/api/webhooks/{DISCORD_WEBHOOK}?thread_id=500000000000000000"
    with running(Discord()) as discord:
        send("discord webhook", discord.url, url=url)

    assert discord.requests[0].query == {"wait": "true", "thread_id": "500000000000000000"}


def test_text_goes_to_the_new_number_when_a_group_has_become_a_supergroup() -> None:
    with running(Telegram()) as telegram:
        telegram.moved[-5] = -100123
        receipt = send("telegram", telegram.url, chat_id=-5)

    assert receipt.code == "accepted"
    assert [len(telegram.chats[-100123]), len(telegram.requests)] == [1, 2]


def test_moving_is_followed_once_when_groups_point_at_each_other() -> None:
    with running(Telegram()) as telegram:
        telegram.moved.update({-5: -6, -6: -5})
        error = fault("telegram", telegram.url, chat_id=-5)

    assert (error.attempt_code, len(telegram.requests)) == ("invalid", 2)


def test_name_of_a_public_chat_is_taken_when_it_is_given() -> None:
    with running(Telegram()) as telegram:
        send("telegram", telegram.url, chat_id="@support_example")

    assert len(telegram.chats["@support_example"]) == 1


def _archived(slack: Any) -> None:
    slack.archived.add("C0000001")


def _kicked(telegram: Any) -> None:
    telegram.kicked.add(-100123)


def _nothing(vendor: Any) -> None:
    """Leave it as it is."""


OTHER_TOKEN = TELEGRAM_TOKEN[:-1] + "1"


@pytest.mark.parametrize(
    ("way", "given", "config", "code"),
    [
        ("slack webhook", _nothing, {"url": "https://hooks.slack.com/services/T000/B000/other"}, "not_found"),
        ("slack bot", _nothing, {"channel": "C0000002"}, "not_found"),
        ("slack bot", _nothing, {"token": "xoxb-0000000000-other"}, "credentials"),
        ("slack bot", _archived, {}, "not_found"),
        ("telegram", _nothing, {"token": OTHER_TOKEN}, "credentials"),
        ("telegram", _nothing, {"chat_id": -1}, "not_found"),
        ("telegram", _kicked, {}, "denied"),
        ("discord webhook", _nothing, {"url": f"https://discord.com/api/webhooks/{DISCORD_WEBHOOK}1"}, "not_found"),
        ("discord bot", _nothing, {"token": DISCORD_TOKEN + "1"}, "credentials"),
        ("discord bot", _nothing, {"channel": "300000000000000000"}, "denied"),
        ("discord bot", _nothing, {"channel": "400000000000000000"}, "not_found"),
    ],
)
def test_code_says_what_to_correct_when_the_platform_refuses(
    way: str, given: Callable[[Any], None], config: dict[str, Any], code: str
) -> None:
    with running(vendor_of(way)) as vendor:
        given(vendor)
        error = fault(way, vendor.url, **config)

    assert (error.attempt_code, error.sent, texts(vendor)) == (code, True, [])


@pytest.mark.parametrize(
    ("way", "reply", "code", "wait_s"),
    [
        ("slack webhook", Reply(403, b"action_prohibited"), "denied", None),
        ("slack webhook", Reply(403, b"invalid_token"), "credentials", None),
        ("slack webhook", Reply(410, b"channel_is_archived"), "not_found", None),
        ("slack webhook", Reply(400, b"invalid_payload"), "invalid", None),
        ("slack webhook", Reply(500, b"rollup_error"), "unavailable", None),
        ("slack webhook", Reply(429, b"rate_limited", {"Retry-After": "3"}), "throttled", 3.0),
        ("slack webhook", Reply(200, b"not ok"), "protocol", None),
        ("slack bot", Reply(200, {"ok": False, "error": "missing_scope"}), "denied", None),
        ("slack bot", Reply(200, {"ok": False, "error": "msg_too_long"}), "too_large", None),
        ("slack bot", Reply(200, {"ok": False, "error": "internal_error"}), "unavailable", None),
        ("slack bot", Reply(200, {"ok": False, "error": "a_new_word"}), "invalid", None),
        ("slack bot", Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}), "throttled", 30.0),
        ("slack bot", Reply(200, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}), "throttled", 9.0),
        ("slack bot", Reply(200, {"ok": "yes"}), "protocol", None),
        ("slack bot", Reply(200, {"ok": False, "error": ["a-n-s-w-e-r"]}), "protocol", None),
        ("telegram", Reply(404, {"ok": False, "error_code": 404, "description": "Not Found"}), "credentials", None),
        ("telegram", Reply(400, {"ok": False, "description": "Bad Request: message is too long"}), "too_large", None),
        ("telegram", Reply(400, {"ok": False, "description": "Bad Request: not enough rights to…"}), "denied", None),
        ("telegram", Reply(400, {"ok": False, "description": {"a-n-s-w-e-r": 1}}), "invalid", None),
        ("telegram", Reply(429, {"ok": False, "parameters": {"retry_after": 34}}), "throttled", 34.0),
        ("telegram", Reply(429, {"ok": False, "parameters": {"retry_after": "x"}}), "throttled", None),
        ("telegram", Reply(429, {"ok": False, "parameters": 5}, {"Retry-After": "4"}), "throttled", 4.0),
        ("telegram", Reply(502, b"<html>"), "unavailable", None),
        ("telegram", Reply(200, {"ok": False}), "protocol", None),
        ("discord webhook", Reply(429, {"retry_after": 0.65, "global": False}), "throttled", 0.65),
        ("discord bot", Reply(429, {"retry_after": 64.57, "global": True}, {"Retry-After": "65"}), "throttled", 64.57),
        ("discord bot", Reply(429, b"banned", {"Retry-After": "1800"}), "throttled", 1800.0),
        ("discord bot", Reply(429, b'{"retry_after": 1e999}', {"Retry-After": "7"}), "throttled", 7.0),
        ("discord bot", Reply(429, b'{"retry_after": ' + b"9" * 400 + b"}"), "throttled", None),
        ("discord bot", Reply(429, b'{"retry_after": NaN}'), "throttled", None),
        ("discord bot", Reply(400, {"code": 40005}), "too_large", None),
        ("discord bot", Reply(400, {"code": [50035]}), "invalid", None),
        ("discord bot", Reply(413, b""), "too_large", None),
        ("discord bot", Reply(503, b""), "unavailable", None),
        ("discord webhook", Reply(204, b""), "protocol", None),
    ],
)
def test_code_and_wait_are_the_tables_when_the_platform_has_a_fault(
    way: str, reply: Reply, code: str, wait_s: float | None
) -> None:
    with running(vendor_of(way)) as vendor:
        vendor.next_replies.append(reply)
        error = fault(way, vendor.url)

    assert (error.attempt_code, error.retry_after_s) == (code, wait_s)


def raw(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
    return head.encode() + body


@ways
@pytest.mark.parametrize(
    ("script", "codes"),
    [
        (raw("200 OK", b"<html>a-n-s-w-e-r</html>", "Content-Type: text/html"), {"protocol"}),
        (raw("200 OK", b"\xff\xfe{"), {"protocol"}),
        (raw("200 OK", b"[]"), {"protocol"}),
        (raw("200 OK", b"null"), {"protocol"}),
        (raw("200 OK", b"[" * 60_000), {"protocol"}),
        (raw("200 OK", b'{"ok":true,"id":"' + b"x" * 200_000 + b'"}'), {"protocol"}),
        (raw("400 Bad", b"[" * 60_000), {"invalid"}),
        (raw("429 Many", b'"a-n-s-w-e-r"'), {"throttled"}),
        (raw("302 Found", b"", "Location: https://evil.example/a-n-s-w-e-r"), {"redirect"}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", {"broken"}),
        (b"a-n-s-w-e-r\r\n\r\n", {"protocol"}),
        (b"", {"broken", "protocol"}),
        (hangs, {"timeout"}),
        (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b"x", 0.05), {"timeout"}),
    ],
    ids=[
        "html", "no utf-8", "list", "null", "deep", "huge", "deep 400", "text 429", "redirect", "truncated", "no http",
        "nothing", "hangs", "drips",
    ],
)  # fmt: skip
def test_attempt_ends_with_a_code_and_nothing_is_shown_when_the_answer_is_hostile(
    way: str, script: Script | bytes, codes: set[str]
) -> None:
    with serving(script) as server:
        error = fault(way, f"http://127.0.0.1:{server.port}", HASTY if codes == {"timeout"} else CLIENTS)

    assert error.attempt_code in codes
    assert error.response is None or len(error.response) <= 4096
    assert len(server.requests) == 1


@ways
def test_connection_fault_is_told_apart_from_a_refusal_when_nobody_listens(way: str) -> None:
    with serving(b"") as server:
        port = server.port

    error = fault(way, f"http://127.0.0.1:{port}")

    assert (error.attempt_code, error.sent) == ("connect", False)


@ways
@pytest.mark.parametrize("stand_in", ["http://127.0.0.1:1", "https://127.0.0.1", "https://stand-in.example.com"])
def test_stand_in_is_refused_when_the_operator_has_not_opened_its_address(way: str, stand_in: str) -> None:
    kind, usual = WAYS[way]
    module = of_kind(kind)
    config = module.Config.model_validate({**usual, "api_url": stand_in})
    closed = SendingClients(resolver=lambda *_: ["1.1.1.1"])

    with pytest.raises(Invalid) as refusal:
        module.check(config, closed)

    assert refusal.value.errors[0]["code"] == "forbidden_address"


@ways
def test_name_is_no_stand_in_when_the_operator_has_opened_addresses(way: str) -> None:
    kind, usual = WAYS[way]
    module = of_kind(kind)
    config = module.Config.model_validate({**usual, "api_url": "https://stand-in.example.com"})
    opened = SendingClients(policy=CLIENTS.policy, resolver=lambda *_: ["1.1.1.1"])

    with pytest.raises(Invalid):
        module.check(config, opened)


@ways
def test_vendors_own_host_is_asked_when_there_is_no_stand_in(way: str) -> None:
    kind, usual = WAYS[way]
    hosts: list[str] = []

    def resolver(host: str, *_: object) -> list[str]:
        hosts.append(host)
        return []

    module = of_kind(kind)
    module.check(module.Config.model_validate(usual), SendingClients(resolver=resolver))

    assert hosts == [
        {
            "slack webhook": "hooks.slack.com",
            "slack bot": "slack.com",
            "telegram": "api.telegram.org",
            "discord webhook": "discord.com",
            "discord bot": "discord.com",
        }[way]
    ]


@ways
def test_request_shows_no_secret_when_it_is_printed(way: str) -> None:
    made = request(way, "http://127.0.0.1:1")

    assert not any(secret in repr(made) for secret in SECRETS)
    assert json.loads(made.body)

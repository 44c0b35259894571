"""Odd answers of platforms: each field of each answer with another JSON type, and the states that only one platform has."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.core.tenant.subscription import FoundSubscription
from chalicelib.platforms import telegram, vk
from tests.fixtures.destinations.vendor import Reply, Request, running
from tests.fixtures.platforms.base import CANARY, URL, StandIn
from tests.fixtures.platforms.every import STAND_INS
from tests.fixtures.platforms.messengers import LineHooks
from tests.fixtures.platforms.meta import PageHooks, WhatsappHooks
from tests.fixtures.platforms.russian import VkHooks
from tests.fixtures.platforms.services import TwilioNumber, TwilioService, VonageHooks
from tests.fixtures.platforms.telegram import TelegramHooks
from tests.support.subscriber import NOW, Subscriber

OTHERS: tuple[Any, ...] = (None, True, 7, -1.5, "p-l-a-t-f-o-r-m", [], [[]], {}, {"a": []})
each = pytest.mark.parametrize("stand_in", STAND_INS, ids=[one.__name__ for one in STAND_INS])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = other
    return value


class Answers:
    """The answers of a stand-in, from its own function and without a network."""

    def __init__(self, vendor: StandIn) -> None:
        self.vendor = vendor
        self.number = 0
        self.seen: list[Any] = []
        self.change: tuple[int, tuple[Any, ...], Any] | None = None
        take = vendor.answer

        def answer(request: Request) -> Reply:
            reply = take(request)
            self.seen.append(reply.body)
            if self.change is not None and self.change[0] == self.number:
                reply.body = changed(reply.body, self.change[1], self.change[2])
            self.number += 1
            return reply

        vendor.answer = answer  # type: ignore[method-assign]


def acts(source: Subscriber) -> list[FoundSubscription]:
    """Do all that a subscription and a check do."""
    found = [source.find()]
    if source.platform.CAPABILITIES.learn is not None:
        source.platform.CAPABILITIES.learn(source.api, source.credentials, source.webhook)
    source.register()
    return [*found, source.find()]


@each
def test_only_codes_come_when_a_field_of_an_answer_has_another_type(stand_in: type[StandIn]) -> None:
    """The first answers are those of ``find``, the others those of ``register`` and of reading back."""
    with running(stand_in()) as vendor:
        whole = Answers(vendor)
        acts(Subscriber(stand_in, vendor.url))
        seen = [body for body in whole.seen if isinstance(body, dict)]
    chosen = [(n, path) for n, body in enumerate(seen) for path in places(body)]
    tried = 0
    for number, path in chosen:
        vendor = stand_in()
        with running(vendor):
            answers = Answers(vendor)
            for other in OTHERS[tried % 3 :: 3]:
                answers.number, answers.change = 0, (number, path, other)
                try:
                    acts(Subscriber(stand_in, vendor.url))
                except DeliveryError as fault:
                    assert CANARY not in repr(fault) + str(fault) + fault.detail
                tried += 1
    assert tried > 10


@each
def test_only_codes_come_when_a_field_of_a_refusal_has_another_type(stand_in: type[StandIn]) -> None:
    with running(stand_in()) as vendor:
        source = Subscriber(stand_in, vendor.url)
        refusal = vendor.refusal()
        for path in places(refusal.body) if isinstance(refusal.body, dict) else ():
            for other in OTHERS:
                vendor.next_replies = [Reply(refusal.status, changed(refusal.body, path, other))]
                try:
                    assert source.find().state == "absent"
                except DeliveryError as fault:
                    assert CANARY not in repr(fault) + str(fault) + fault.detail


def test_line_tells_when_it_is_switched_off_or_its_test_fails() -> None:
    line = LineHooks()
    with running(line):
        source = Subscriber(LineHooks, line.url)
        source.register()
        line.test = {"success": False, "statusCode": 503, "reason": "ERROR_STATUS_CODE", "detail": CANARY}
        refusing = source.find()
        line.test = {"success": False, "statusCode": 0, "reason": "REQUEST_TIMEOUT", "detail": CANARY}
        silent = source.find()
        for other in OTHERS:
            line.test = {"success": other, "statusCode": other, "reason": other}
            assert source.find().state in ("failing", "active")
        line.active = False
        off = source.find()

    assert refusing == FoundSubscription("failing", "http_503")
    assert silent == FoundSubscription("failing", "timeout")
    assert off == FoundSubscription("failing", "switched_off")


def test_vk_tells_its_string_and_confirms_again_when_the_key_or_the_state_is_wrong() -> None:
    community = VkHooks()
    community.confirms = False
    with running(community):
        source = Subscriber(VkHooks, community.url)
        learnt = vk.learn(source.api, source.credentials, source.webhook)  # type: ignore[arg-type]
        source.register()
        unconfirmed = source.find()
        community.confirms = True
        source.register()
        names = [r.path.rpartition(".")[2] for r in community.requests]
        confirmed = source.find()

    assert learnt == {"confirmation": "c0nf1rm"}
    assert (unconfirmed, confirmed) == (FoundSubscription("failing", "unconfirmed"), FoundSubscription("active"))
    assert (names.count("addCallbackServer"), names.count("editCallbackServer")) == (1, 1)
    assert community.events == dict.fromkeys(vk.EVENTS, "1")


def test_a_page_that_does_not_subscribe_to_the_app_has_no_subscription() -> None:
    page = PageHooks()
    with running(page):
        source = Subscriber(PageHooks, page.url)
        page.set_one(URL)
        alone = source.find().state
        source.register()
        page.active = False
        off = source.find()

    assert alone == "absent"
    assert off == FoundSubscription("failing", "switched_off")


def test_the_address_of_another_app_is_not_taken_for_ours() -> None:
    account = WhatsappHooks()
    with running(account):
        source = Subscriber(WhatsappHooks, account.url)
        answer = account.answer

        def foreign(request: Request) -> Reply:
            reply = answer(request)
            reply.body["data"][0]["override_callback_uri"] = URL
            return reply

        account.answer = foreign  # type: ignore[method-assign]
        found = source.find()

    assert found.state == "absent"


def test_an_update_of_a_vonage_application_keeps_the_rest_of_it() -> None:
    application = VonageHooks()
    rest = copy.deepcopy(application.rest)
    with running(application):
        Subscriber(VonageHooks, application.url).register()

    assert application.rest == rest
    assert application.capabilities["voice"] == application.voice
    assert application.capabilities["messages"]["webhooks"]["status_url"]["address"] == URL


def test_twilio_is_elsewhere_when_something_else_decides_on_the_address() -> None:
    number, service = TwilioNumber(), TwilioService()
    shown = number.shown
    number.shown = lambda: {**shown(), "sms_application_sid": "AP1"}  # type: ignore[method-assign]
    service.by_number = True
    with running(number), running(service):
        found = [Subscriber(kind, v.url).find().state for kind, v in ((TwilioNumber, number), (TwilioService, service))]

    assert found == ["elsewhere", "elsewhere"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Wrong response from the webhook: 503 Service Unavailable", "http_503"),
        ("Connection timed out", "timeout"),
        ("SSL error {error:0A000086:SSL routines::certificate verify failed}", "tls"),
        ("Failed to resolve host: Name or service not known", "dns"),
        ("p-l-a-t-f-o-r-m", "unavailable"),
    ],
)
def test_telegram_s_last_error_becomes_a_code_and_counts_while_updates_wait(words: str, code: str) -> None:
    bot = TelegramHooks()
    at = int(NOW.timestamp())
    with running(bot):
        source = Subscriber(TelegramHooks, bot.url)
        source.register()
        bot.last_error = {"last_error_date": at - 60, "last_error_message": words, "pending_update_count": 2}
        waits = source.find()
        bot.last_error["pending_update_count"] = 0
        over = source.find()
        bot.last_error["last_error_date"] = at - int(telegram.RECENT.total_seconds()) - 1
        old = source.find()

    assert (waits, over) == (FoundSubscription("failing", code), FoundSubscription("active", code))
    assert old == FoundSubscription("active")

"""Every platform that sets webhooks through its API keeps one contract, against a stand-in that speaks that API."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from chalicelib import platforms
from chalicelib.channels import CHANNELS
from chalicelib.core.errors import DeliveryError
from chalicelib.core.tenant.subscription import REFUSALS, FoundSubscription
from tests.fixtures.destinations.loopback import Script, drips, hangs, serving
from tests.fixtures.destinations.vendor import Reply, running
from tests.fixtures.platforms.base import CANARY, ELSEWHERE, URL, StandIn
from tests.fixtures.platforms.every import BY_CHANNEL, STAND_INS
from tests.support.subscriber import HASTY, Subscriber

each = pytest.mark.parametrize("stand_in", STAND_INS, ids=[one.__name__ for one in STAND_INS])


def code_of(call: Callable[[], object]) -> str:
    """Return the code of a call that must fail, and hold its error to the rule that it shows nothing of a credential."""
    with pytest.raises(DeliveryError) as error:
        call()
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + error.value.detail
    assert CANARY not in shown and URL not in shown and ELSEWHERE not in shown
    return error.value.attempt_code


def test_every_platform_has_its_stand_in_and_its_channel() -> None:
    assert set(BY_CHANNEL) == platforms.KINDS
    assert set(CHANNELS) >= platforms.KINDS
    for kind in platforms.KINDS:
        found = platforms.of_channel(kind)
        assert found is not None and kind == found.KIND
        assert found.CAPABILITIES.api.startswith("https://")


def test_a_channel_without_an_api_has_no_platform() -> None:
    assert platforms.of_channel("signal") is None


@each
def test_the_webhook_is_there_when_it_is_set_and_once_when_it_is_set_twice(stand_in: type[StandIn]) -> None:
    with running(stand_in()) as vendor:
        source = Subscriber(stand_in, vendor.url)
        before = source.find()
        source.register()
        once = list(vendor.webhooks)
        source.register()
        after = source.find()

    assert (before.state, after) == ("absent", FoundSubscription("active"))
    assert vendor.webhooks == once
    assert vendor.holds(URL)


@each
def test_another_address_is_seen_and_replaced_only_where_there_is_one_webhook(stand_in: type[StandIn]) -> None:
    vendor = stand_in()
    vendor.webhooks = [ELSEWHERE]
    with running(vendor):
        source = Subscriber(stand_in, vendor.url)
        before = source.find().state
        source.register()
        after = source.find().state

    assert (before, after) == ("elsewhere" if stand_in.single else "absent", "active")
    assert (ELSEWHERE in vendor.webhooks) is not stand_in.single


@each
def test_no_code_but_a_refusal_comes_when_the_credentials_are_refused(stand_in: type[StandIn]) -> None:
    for act in (Subscriber.find, Subscriber.register):
        with running(stand_in()) as vendor:
            source = Subscriber(stand_in, vendor.url)
            vendor.next_replies = [vendor.refusal()] * 9
            assert code_of(lambda act=act, source=source: act(source)) in REFUSALS  # type: ignore[misc]


BROKEN: dict[str, Reply] = {
    "no json": Reply(200, b"<html>p-l-a-t-f-o-r-m</html>"),
    "a list": Reply(200, ["p-l-a-t-f-o-r-m"]),
    "empty object": Reply(200, {}),
    "numbers": Reply(
        200, {"ok": 1, "result": 7, "response": 7, "status": "x", "data": 7, "subscriptions": 7, "success": 7}
    ),
    "an error": Reply(500, {"error": "p-l-a-t-f-o-r-m"}),
    "a gateway": Reply(502, b"bad gateway"),
    "a redirect": Reply(302, b"", {"Location": "https://other.example/"}),
    "a flood": Reply(429, {}, {"Retry-After": "5"}),
}


@each
@pytest.mark.parametrize("name", BROKEN)
def test_no_subscription_is_claimed_when_the_platform_answers_oddly(stand_in: type[StandIn], name: str) -> None:
    with running(stand_in()) as vendor:
        source = Subscriber(stand_in, vendor.url)
        vendor.next_replies = [BROKEN[name]] * 9
        try:
            found = source.find()
        except DeliveryError as fault:
            assert fault.attempt_code not in ("credentials", "denied")
        else:
            assert found.state == "absent"


@each
@pytest.mark.parametrize("script", [hangs, drips(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.05)], ids=["hangs", "drips"])
def test_a_call_ends_at_its_deadline(stand_in: type[StandIn], script: Script) -> None:
    with serving(script) as server:
        source = Subscriber(stand_in, f"http://127.0.0.1:{server.port}", HASTY)
        assert code_of(source.find) in ("timeout", "protocol", "broken")


@each
def test_no_address_but_an_opened_one_stands_in(stand_in: type[StandIn]) -> None:
    source = Subscriber(stand_in, "https://10.0.0.1")

    assert code_of(source.find) == "forbidden_address"

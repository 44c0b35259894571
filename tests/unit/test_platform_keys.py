from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import KeyRequest, receive
from chalicelib.core import times
from chalicelib.core.errors import Unavailable
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import SendingClients
from chalicelib.flow.hooks import key_addresses, platform_keys
from chalicelib.flow.hooks import receive as receive_flow
from chalicelib.flow.hooks.platform_keys import PublishedKeys
from tests.contract.channels.authority import ISSUER_URL, authority
from tests.contract.channels.cases import Case, cases
from tests.contract.channels.signing_services import CERTIFICATE_URL, key_set

URL = "https://login.botframework.com/v1/.well-known/keys"


@dataclass
class Platform:
    """Publishes keys, and counts how often it is asked. ``keys`` of None: it does not answer."""

    keys: Any = None
    asked: list[str] = field(default_factory=list)
    now: float = 1000.0

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.keys is None:
            raise Unavailable("no answer")
        if url == ISSUER_URL:
            return authority().issuer_der
        return self.keys if isinstance(self.keys, bytes) else json.dumps(self.keys).encode()

    def published(self) -> PublishedKeys:
        at = times.parse(case_of("email_ses").fixture["now"])
        return PublishedKeys(self.fetch, lambda: self.now, lambda: at, lambda: [authority().root])


def wanted(name: str | None = "key-1", url: str = URL) -> KeyRequest:
    return KeyRequest("jwks", url, name)


def case_of(kind: str, name: str = "text") -> Case:
    return next(case for case in cases(kind) if case.name == name)


def without_pins(case: Case) -> Any:
    return case.secret.model_copy(update={"signing_cert" if case.kind == "email_ses" else "jwks": None})


# --- what channels ask for


@pytest.mark.parametrize(
    ("kind", "published", "url"),
    [
        ("teams", json.dumps(key_set()).encode(), URL),
        ("google_chat", json.dumps(key_set()).encode(), "/v1/jwk/chat@system.gserviceaccount.com"),
        ("email_ses", authority().signer().encode(), CERTIFICATE_URL),
    ],
)
def test_webhook_is_accepted_when_its_keys_are_fetched(kind: str, published: bytes, url: str) -> None:
    case, platform = case_of(kind), Platform(published)
    channel, request = CHANNELS[kind], case.request()

    secrets = platform.published().complete(channel, request, [without_pins(case)])

    assert receive(channel, request, secrets).verdict == "accepted"
    assert [asked.endswith(url) for asked in platform.asked if asked != ISSUER_URL] == [True]
    assert all(map(key_addresses.is_own, platform.asked))


@pytest.mark.parametrize("kind", ["teams", "google_chat", "email_ses"])
def test_webhook_is_unavailable_and_never_taken_when_keys_cannot_be_had(kind: str) -> None:
    case, platform = case_of(kind), Platform()

    with pytest.raises(Unavailable):
        platform.published().complete(CHANNELS[kind], case.request(), [without_pins(case)])

    assert receive(CHANNELS[kind], case.request(), [without_pins(case)]).verdict == "rejected"


def test_nothing_is_fetched_when_keys_are_pinned_or_not_needed() -> None:
    platform = Platform()
    published = platform.published()

    for case in (case_of("teams"), case_of("teams", "outgoing-webhook"), case_of("email_ses"), case_of("viber")):
        assert published.complete(CHANNELS[case.kind], case.request(), [case.secret]) == [case.secret]

    assert platform.asked == []


def test_nothing_is_fetched_when_a_message_is_of_another_topic_or_names_a_foreign_address() -> None:
    platform = Platform()

    for name in ("rejected-other-topic", "rejected-foreign-certificate", "rejected-certificate-path"):
        case = case_of("email_ses", name)
        platform.published().complete(CHANNELS["email_ses"], case.request(), [without_pins(case)])

    assert platform.asked == []


def test_address_is_asked_for_with_googles_own_keys_when_the_audience_is_an_address() -> None:
    case, platform = case_of("google_chat", "text-for-address"), Platform(key_set())

    platform.published().complete(CHANNELS["google_chat"], case.request(), [without_pins(case)])

    assert platform.asked == ["https://www.googleapis.com/oauth2/v3/certs"]


# --- how long they are kept


def test_keys_are_fetched_once_when_they_are_young() -> None:
    platform = Platform(key_set())
    published = platform.published()

    first = published.get(wanted())
    platform.now += platform_keys.LIFETIME_S - 1
    second = published.get(wanted())

    assert first is second
    assert len(platform.asked) == 1


def test_keys_are_fetched_again_when_their_lifetime_is_over() -> None:
    platform = Platform(key_set())
    published = platform.published()
    published.get(wanted())

    platform.now += platform_keys.LIFETIME_S
    platform.keys = None

    with pytest.raises(Unavailable):
        published.get(wanted())
    assert len(platform.asked) == 2


def test_unknown_name_makes_keys_be_fetched_again_when_a_minute_has_passed() -> None:
    platform = Platform(key_set("old"))
    published = platform.published()
    published.get(wanted("old"))
    platform.keys = key_set("new")

    unknown_at_once = published.get(wanted("new"))
    platform.now += platform_keys.REFRESH_S
    known = published.get(wanted("new"))

    assert unknown_at_once.named("new") is None
    assert known.named("new") is not None
    assert len(platform.asked) == 2


def test_unknown_name_is_unavailable_when_the_last_refresh_failed() -> None:
    platform = Platform(key_set("old"))
    published = platform.published()
    published.get(wanted("old"))
    platform.keys, platform.now = None, platform.now + platform_keys.REFRESH_S

    for _ in range(3):
        with pytest.raises(Unavailable):
            published.get(wanted("new"))

    assert published.get(wanted("old")).named("old") is not None
    assert len(platform.asked) == 2


def test_fetches_are_few_when_addresses_are_made_up() -> None:
    platform = Platform(key_set())
    published = platform.published()

    for number in range(50):
        try:
            published.get(wanted(url=f"{URL}{number}"))
        except Unavailable:
            continue
    asked = len(platform.asked)
    platform.now += 60
    published.get(wanted(url=f"{URL}again"))

    assert asked == platform_keys.FETCHES_A_MINUTE
    assert len(platform.asked) == asked + 1


def test_no_more_than_a_bounded_number_is_kept_when_addresses_are_many() -> None:
    platform = Platform(key_set())
    published = platform.published()
    for number in range(platform_keys.KEPT_MAX + 1):
        platform.now += 61
        published.get(wanted(url=f"{URL}{number}"))

    published.get(wanted(url=f"{URL}{platform_keys.KEPT_MAX}"))
    published.get(wanted(url=f"{URL}0"))

    assert platform.asked[-1] == f"{URL}0"
    assert len(platform.asked) == platform_keys.KEPT_MAX + 2


@pytest.mark.parametrize("content", [b"", b"[]", b"<html>", b'{"keys": []}', b'{"keys": [{"kty": 1}]}', b"[" * 100_000])
def test_keys_are_unavailable_when_what_is_published_is_no_key_set(content: bytes) -> None:
    with pytest.raises(Unavailable):
        Platform(content).published().get(wanted())


def test_certificate_is_unavailable_when_what_is_published_is_none() -> None:
    with pytest.raises(Unavailable):
        Platform(b"<html>").published().get(KeyRequest("signing_cert", CERTIFICATE_URL))


# --- where they are fetched from


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://login.botframework.com/keys",
            "https://login.botframework.com.example/keys",
            "https://127.0.0.1/keys",
        ),
        *("https://login.botframework.com:8443/keys", "https://a@login.botframework.com/keys", "file:///etc/passwd"),
        *(
            "https://sns.eu.amazonaws.com.example/x.pem",
            "https://sns.amazonaws.com/x",
            "https://[login.botframework.com",
        ),
        *("https://x.sns.eu-central-1.amazonaws.com/x", "https://sns.a.b.amazonaws.com/x", "https://evil.example/"),
    ],
)
def test_nothing_is_connected_to_when_the_host_is_not_a_platforms_own(url: str) -> None:
    def resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
        raise AssertionError("a name was looked up")

    with pytest.raises(Unavailable):
        platform_keys.fetch(SendingClients(resolver=resolver), url)


def test_nothing_is_connected_to_when_a_platforms_name_resolves_inside_even_if_the_cell_allows_it() -> None:
    def resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
        return ["127.0.0.1"]

    def tls() -> ssl.SSLContext:
        raise AssertionError("a connection was made")

    clients = SendingClients(policy=Policy(allow_http=True, allow_cidrs=("127.0.0.0/8",)), resolver=resolver, tls=tls)

    with pytest.raises(Unavailable):
        platform_keys.fetch(clients, URL)


# --- confirming a subscription


def test_subscription_is_confirmed_when_its_handshake_is_verified() -> None:
    case, platform = case_of("email_ses", "handshake"), Platform(b"")

    platform.published().confirm(CHANNELS["email_ses"], case.request())

    assert [url.startswith("https://sns.eu-central-1.amazonaws.com/?Action=Confirm") for url in platform.asked] == [
        True
    ]
    assert all(map(key_addresses.is_own, platform.asked))


def test_subscription_is_unavailable_when_its_confirmation_fails() -> None:
    case = case_of("email_ses", "handshake")

    with pytest.raises(Unavailable):
        Platform().published().confirm(CHANNELS["email_ses"], case.request())


def test_nothing_is_called_when_another_channel_shakes_hands() -> None:
    case, platform = case_of("viber", "handshake"), Platform()

    platform.published().confirm(CHANNELS["viber"], replace(case.request()))

    assert platform.asked == []


# --- at the hook's door


def test_platform_is_told_to_post_again_when_its_keys_cannot_be_had() -> None:
    case = case_of("teams")

    def resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
        raise OSError

    door = SimpleNamespace(
        source=SimpleNamespace(channel="teams"),
        secrets=({"secret": {"app_id": case.fixture["secret"]["app_id"]}, "until": None},),
    )
    runtime: Any = SimpleNamespace(
        doors=SimpleNamespace(of=lambda source: door),
        settings=SimpleNamespace(source_rate_per_s=1),
        admit=lambda source, rate: True,
        monotonic=lambda: 0.0,
        destination_clients=SendingClients(resolver=resolver),
    )

    reply = receive_flow.handle(runtime, "src_" + "0" * 26, case.request())

    assert (reply.status, reply.headers["retry-after"]) == (503, "5")

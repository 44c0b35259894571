"""Names are resolved once, every answer is judged, and the system's resolver is held to its time."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import vetted
from chalicelib.destinations.address import ForbiddenAddress, Policy, Target, check_url
from tests.fixtures.destinations.loopback import LONG_S, SOON_S

NAME = Target("https", "hook.example", 443, "/")


def test_address_is_the_one_that_was_judged_when_all_answers_are_public() -> None:
    asked: list[tuple[str, bool, float]] = []

    def resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
        asked.append((host, ipv6, timeout_s))
        return ["1.1.1.1", "8.8.8.8"]

    assert vetted.resolve(NAME, Policy(), resolver, 3.0) == ("1.1.1.1", "8.8.8.8")
    assert asked == [("hook.example", False, 3.0)]


def test_name_is_refused_when_one_answer_is_forbidden() -> None:
    with pytest.raises(ForbiddenAddress):
        vetted.resolve(NAME, Policy(), lambda *_: ["1.1.1.1", "10.0.0.1"], 3.0)


@pytest.mark.parametrize("error", [TimeoutError(), socket.gaierror(-2, "unknown")])
def test_fault_is_dns_when_there_is_no_answer(error: OSError) -> None:
    def resolver(*_: object) -> list[str]:
        raise error

    with pytest.raises(DeliveryError) as raised:
        vetted.resolve(NAME, Policy(), resolver, 3.0)
    assert (raised.value.attempt_code, raised.value.retryable, raised.value.sent) == ("dns", True, False)

    with pytest.raises(DeliveryError):
        vetted.resolve(NAME, Policy(), lambda *_: [], 3.0)


def test_literal_is_never_looked_up_when_it_is_the_host() -> None:
    def resolver(*_: object) -> list[str]:
        raise AssertionError("looked up")

    assert vetted.resolve(check_url("https://8.8.8.8/", Policy()), Policy(), resolver, 3.0) == ("8.8.8.8",)


def test_system_resolver_answers_when_the_name_is_known_to_the_machine() -> None:
    assert "127.0.0.1" in vetted.system_resolver("localhost", False, 3.0)


def test_system_resolver_raises_when_the_name_cannot_exist() -> None:
    with pytest.raises(OSError):
        vetted.system_resolver("a" * 64 + ".invalid", False, 3.0)


def test_system_resolver_gives_up_when_the_machine_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answered.wait(LONG_S) and [])
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        vetted.system_resolver("hook.example", False, 0.2)

    assert time.monotonic() - started < SOON_S
    answered.set()


def test_a_name_with_ipv6_addresses_only_is_refused_with_the_reason_where_the_cell_has_no_ipv6() -> None:
    def resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
        if not ipv6:
            raise socket.gaierror(socket.EAI_NONAME, "no address of this family")
        return ["2606:4700::1111"]

    with pytest.raises(ForbiddenAddress) as refusal:
        vetted.resolve(NAME, Policy(), resolver, 3.0)

    assert refusal.value.reason == "ipv6"
    assert vetted.resolve(NAME, Policy(ipv6=True), resolver, 3.0) == ("2606:4700::1111",)

"""The abuse-protection handshake: its request, and the answers that agree."""

from __future__ import annotations

import pytest

from chalicelib.core.errors import Invalid
from chalicelib.destinations import handshake, http
from chalicelib.destinations.address import ForbiddenAddress, Policy
from chalicelib.destinations.base import SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.loopback import LONG_S, serving

ORIGIN = "hooks.example"
LOOPBACK = SendingClients(policy=Policy(allow_cidrs=("127.0.0.0/8",)), limits=Limits(LONG_S, LONG_S, LONG_S))


def answer(*headers: str, line: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {line}", *headers, "Content-Length: 0", "", ""]).encode()


def agree(response: bytes, rate: float | None = None, **config: object) -> tuple[str | None, list[bytes]]:
    with serving(response) as server:
        made = http.Config.model_validate(
            {"url": f"http://127.0.0.1:{server.port}/in?a=b", "handshake": True, **config}
        )
        return http.agree(made, LOOPBACK, ORIGIN, rate), server.requests


def test_destination_is_asked_at_its_own_address_when_it_wants_to_be() -> None:
    granted, (request,) = agree(
        answer("WebHook-Allowed-Origin: hooks.example", "WebHook-Allowed-Rate: 600"), 10, headers={"X-Api-Key": "k"}
    )

    lines = request.decode().split("\r\n")
    assert granted == ORIGIN
    assert lines[0] == "OPTIONS /in?a=b HTTP/1.1"
    assert {"WebHook-Request-Origin: hooks.example", "WebHook-Request-Rate: 600", "X-Api-Key: k"} <= set(lines)


@pytest.mark.parametrize(
    ("headers", "rate", "line"),
    [
        (["WebHook-Allowed-Origin: *"], None, "200 OK"),
        (["webhook-allowed-origin: HOOKS.example", "WebHook-Allowed-Rate: *"], 5, "204 No Content"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 301"], 5, "405 Method Not Allowed"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 30"], 0.5, "200 OK"),
    ],
)
def test_destination_agrees_when_its_headers_say_so_whatever_its_status(
    headers: list[str], rate: float | None, line: str
) -> None:
    assert agree(answer(*headers, line=line), rate)[0] == ORIGIN


@pytest.mark.parametrize(
    ("headers", "rate", "words"),
    [
        ([], None, "WebHook-Allowed-Origin: hooks.example"),
        (["Allow: POST"], None, "WebHook-Allowed-Origin: hooks.example"),
        (["WebHook-Allowed-Origin: other.example"], None, "WebHook-Allowed-Origin: hooks.example"),
        (["WebHook-Allowed-Origin: *.example"], None, "WebHook-Allowed-Origin: hooks.example"),
        (["WebHook-Allowed-Origin: *"], 5, "WebHook-Allowed-Rate"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: many"], None, "WebHook-Allowed-Rate"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 0"], None, "WebHook-Allowed-Rate"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 299"], 5, "at most 4"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 120"], None, "at most 2"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 59"], 1, "59 requests a minute"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 59"], 1, "at most 0.98"),
        (["WebHook-Allowed-Origin: *", "WebHook-Allowed-Rate: 29"], 0.5, "at most 0.48"),
    ],
)
def test_destination_is_refused_with_the_remedy_when_it_does_not_agree(
    headers: list[str], rate: float | None, words: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        agree(answer(*headers), rate)

    assert words in refusal.value.detail
    assert refusal.value.errors[0]["loc"] == "body.config.handshake"
    assert refusal.value.errors[0]["code"] == "handshake"


def test_destination_is_refused_when_it_does_not_answer() -> None:
    with pytest.raises(Invalid, match=r"did not come \(protocol\)"):
        agree(b"nonsense\r\n\r\n")


def test_nobody_is_asked_when_the_address_is_forbidden() -> None:
    config = http.Config(url="https://10.0.0.1/in", handshake=True)

    with pytest.raises(ForbiddenAddress):
        http.agree(config, LOOPBACK, ORIGIN, None)


def test_nobody_is_asked_when_the_destination_does_not_want_to_be() -> None:
    assert agree(answer(), handshake=False) == (None, [])


def test_question_has_a_rate_only_when_there_is_a_limit() -> None:
    assert handshake.question(ORIGIN, None) == {"WebHook-Request-Origin": ORIGIN}
    assert handshake.question(ORIGIN, 1)["WebHook-Request-Rate"] == "60"

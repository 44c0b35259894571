"""Calls to services: the error for each status, the parts of a request, and whether it was surely sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.delivery.retry import CODES
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import calls
from chalicelib.destinations.address import ForbiddenAddress, Policy
from chalicelib.destinations.base import SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.vendor import Reply, Request, Vendor, running

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPENED = Policy(allow_cidrs=("127.0.0.0/8",))
CLIENTS = SendingClients(policy=OPENED, limits=Limits(60.0, 60.0, 60.0))


class Echo(Vendor):
    """Answers every request alike."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    def answer(self, request: Request) -> Reply:
        return self._reply


def answer(status: int, body: bytes = b"", **headers: str) -> calls.ApiResponse:
    return calls.ApiResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "redirect"), (304, "redirect"), (400, "invalid"), (401, "credentials"), (402, "denied"), (403, "denied"),
        (404, "not_found"), (405, "unavailable"), (408, "unavailable"), (409, "unavailable"), (410, "not_found"),
        (413, "too_large"), (415, "invalid"), (418, "unavailable"), (422, "invalid"), (425, "unavailable"), (429, "throttled"),
        (500, "unavailable"), (501, "invalid"), (503, "unavailable"), (599, "unavailable"), (103, "protocol"), (204, "protocol"),
        (600, "protocol"),
    ],
)  # fmt: skip
def test_code_is_the_tables_when_a_status_is_no_success(status: int, code: str) -> None:
    fault = calls.fault_of(answer(status))

    assert fault.attempt_code == code
    assert code in CODES
    assert (fault.sent, fault.gone) == (True, False)


def test_code_is_the_kinds_own_when_it_says_so_of_a_status() -> None:
    assert calls.fault_of(answer(404), {404: "credentials"}).attempt_code == "credentials"


@pytest.mark.parametrize(
    ("status", "value", "wait_s"),
    [
        (429, "120", 120.0),
        (503, "Sun, 01 Mar 2026 12:10:00 GMT", 600.0),
        (429, "soon", None),
        (403, "120", None),
        (404, "120", None),
    ],
)
def test_patience_is_kept_when_the_code_is_one_that_waits(status: int, value: str, wait_s: float | None) -> None:
    assert calls.fault_of(answer(status, retry_after=value)).retry_after_s == wait_s


def test_beginning_of_the_answer_is_kept_apart_from_the_text_when_a_call_fails() -> None:
    fault = calls.fault_of(answer(400, b"a-n-s-w-e-r" * 1000))

    assert fault.response == (b"a-n-s-w-e-r" * 1000)[:4096]
    assert "a-n-s-w-e-r" not in f"{fault} {fault!r} {fault.detail}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_answer_is_a_fault_when_an_object_is_wanted_and_it_is_none(body: bytes) -> None:
    got = answer(200, body)

    with pytest.raises(DeliveryError) as error:
        got.object()

    assert error.value.attempt_code == "protocol"
    assert got.told() == {}


def test_json_and_the_services_own_headers_arrive_when_a_call_is_made() -> None:
    with running(Echo(Reply(200, {"ok": True}))) as vendor:
        got = calls.call(
            CLIENTS,
            "PUT",
            f"{vendor.url}/a/b?c=1",
            headers={"Accept": "text/plain", "X-Key": "k"},
            body={"text": "Привет \ud83d"},
            at=NOW,
            deadline=calls.deadline_of(CLIENTS),
        )

    [request] = vendor.requests
    assert (request.method, request.path, request.query) == ("PUT", "/a/b", {"c": "1"})
    assert request.body == {"text": "Привет \ud83d"}
    assert request.headers["content-type"] == "application/json"
    assert (request.headers["accept"], request.headers["x-key"]) == ("text/plain", "k")
    assert (got.ok, got.object(), got.at) == (True, {"ok": True}, NOW)


def test_bytes_are_sent_as_they_are_when_a_body_is_some() -> None:
    with running(Echo(Reply(200, {}))) as vendor:
        service = calls.Service(CLIENTS, f"{vendor.url}/below/", {"X-Key": "k"}, NOW)
        service.call("POST", "/token", b"a=1&b=2", {"Content-Type": "application/x-www-form-urlencoded"})

    [request] = vendor.requests
    assert (request.path, request.body) == ("/below/token", b"a=1&b=2")
    assert request.headers["x-key"] == "k"


@pytest.mark.parametrize("content", [{"a": float("nan")}, {"a": {1}}, {"a": b"x"}])
def test_nothing_is_sent_when_a_body_is_no_json(content: dict[str, Any]) -> None:
    with pytest.raises(DeliveryError) as error:
        calls.encode(content)

    assert (error.value.attempt_code, error.value.sent) == ("render", False)


def test_data_may_have_arrived_when_only_a_later_call_finds_nobody() -> None:
    with running(Echo(Reply(200, {}))) as vendor:
        service = calls.Service(CLIENTS, vendor.url, {}, NOW)
        before = service.reached
        service.call("POST", "/first", {})

    with pytest.raises(DeliveryError) as error:
        service.call("POST", "/second", {})

    assert (before, service.reached) == (False, True)
    assert (error.value.attempt_code, error.value.sent) == ("connect", True)


def test_all_calls_end_together_when_an_attempt_makes_many() -> None:
    hasty = SendingClients(policy=OPENED, limits=Limits(0.5, 0.5, 0.0))
    with running(Echo(Reply(200, {}))) as vendor, pytest.raises(DeliveryError) as error:
        calls.Service(hasty, vendor.url, {}, NOW).call("GET", "/")

    assert error.value.attempt_code == "timeout"


@pytest.mark.parametrize(
    ("url", "api_url", "host", "path"),
    [
        ("https://api.example.com/a?b=1", None, "api.example.com", "/a?b=1"),
        ("https://api.example.com/a?b=1", "http://127.0.0.1:81", "127.0.0.1", "/a?b=1"),
        ("https://api.example.com/a", "http://127.0.0.1:81/below/", "127.0.0.1", "/below/a"),
    ],
)
def test_stand_in_gets_the_vendors_path_when_its_address_is_opened(
    url: str, api_url: str | None, host: str, path: str
) -> None:
    target = calls.stand_in(url, api_url, OPENED)

    assert (target.host, target.path) == (host, path)


@pytest.mark.parametrize(
    "api_url", ["https://1.1.1.1", "https://stand-in.example.com", "http://127.0.0.1@1.1.1.1", "http://localhost"]
)
def test_stand_in_is_refused_when_its_address_is_not_opened(api_url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        calls.stand_in("https://api.example.com/a", api_url, OPENED)

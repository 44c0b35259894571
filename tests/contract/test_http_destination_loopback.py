"""The http kind against real servers: the attempt code of each answer, and a new check of the name at each attempt."""

from __future__ import annotations

import dataclasses
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.core.delivery import signature
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import http, vetted
from chalicelib.destinations.address import ForbiddenAddress, Policy, check_url
from chalicelib.destinations.base import Delivery, DeliveryReceipt, SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.loopback import LONG_S, Authority, Script, drips, hangs, serving

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = signature.make_secret(b"\x01" * 24)
LOOPBACK = SendingClients(policy=Policy(allow_cidrs=("127.0.0.0/8",)), limits=Limits(LONG_S, LONG_S, LONG_S))
HASTY = dataclasses.replace(LOOPBACK, limits=Limits(0.5, 0.5, 0.5))


def request(url: str) -> http.SignedRequest:
    delivery = Delivery(
        delivery_id="dlv_1",
        transfer_id="trf_1",
        event_id="evt_1",
        tenant_id="tnt_00000000000000000000000001",
        destination_id="dst_00000000000000000000000001",
        channel="telegram",
        conversation="cnv_00000000000000000000000001",
        kind="message",
        occurred_at=NOW,
        attempt=1,
        now=NOW,
        config=http.Config(url=url, headers={"X-Api-Key": "k"}),
        secrets=(SECRET,),
    )
    return http.render({"id": "evt_1"}, delivery)


def send(script: Script | bytes, clients: SendingClients = LOOPBACK) -> DeliveryReceipt:
    with serving(script) as server:
        return http.send(request(f"http://127.0.0.1:{server.port}/in"), clients)


def fault(script: Script | bytes, clients: SendingClients = LOOPBACK) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        send(script, clients)
    return error.value


def status(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {line}", *headers, "Content-Length: 4", "", "text"]).encode()


def test_receiver_gets_the_request_when_it_is_sent() -> None:
    with serving(status("200 OK")) as server:
        made = request(f"http://127.0.0.1:{server.port}/in")
        http.send(made, LOOPBACK)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert body == made.body
    assert made.headers.items() <= fields.items()
    assert fields["Content-Length"] == str(len(body))


@pytest.mark.parametrize("line", ["200 OK", "201 Created", "202 Accepted", "299 Odd"])
def test_delivery_is_received_when_the_answer_is_2xx(line: str) -> None:
    assert send(status(line)) == DeliveryReceipt(f"http_{line[:3]}", int(line[:3]), b"text")


def test_first_4_kib_are_kept_when_the_answer_is_long() -> None:
    receipt = send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000)

    assert receipt.response == b"x" * 4096


@pytest.mark.parametrize(
    ("script", "code", "retried", "wait_s"),
    [
        (status("301 Moved", "Location: http://127.0.0.1/"), "redirect", True, None),
        (status("304 Same"), "redirect", True, None),
        (status("400 Bad"), "http_400", False, None),
        (status("404 None"), "http_404", True, None),
        (status("408 Slow"), "http_408", True, None),
        (status("410 Gone"), "http_410", True, None),
        (status("425 Early"), "http_425", True, None),
        (status("429 Many"), "http_429", True, None),
        (status("429 Many", "Retry-After: 120"), "http_429", True, 120.0),
        (status("429 Many", "retry-after: Sun, 01 Mar 2026 12:10:00 GMT"), "http_429", True, 600.0),
        (status("429 Many", "Retry-After: 1.5"), "http_429", True, 1.5),
        (status("429 Many", "Retry-After: soon"), "http_429", True, None),
        (status("500 Fault"), "http_500", True, None),
        (status("503 Busy", "Retry-After: 7"), "http_503", True, 7.0),
        (status("101 Switching"), "protocol", True, None),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + status("404 None"), "http_404", True, None),
        (status("700 Odd"), "protocol", True, None),
    ],
    ids=lambda value: value.split(b"\r\n")[0].decode() if isinstance(value, bytes) else None,
)
def test_fault_is_the_tables_when_the_answer_is_not_2xx(
    script: bytes, code: str, retried: bool, wait_s: float | None
) -> None:
    error = fault(script)

    assert (error.attempt_code, error.retryable, error.retry_after_s) == (code, retried, wait_s)
    assert error.gone == (code == "http_410")
    assert error.sent is True


def test_beginning_of_the_answer_is_kept_apart_from_the_text_when_an_attempt_fails() -> None:
    error = fault(status("500 Fault"))

    assert error.response == b"text"
    assert "text" not in str(error)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (hangs, "timeout"),
        (drips(b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\n", b"x", 0.05), "timeout"),
        (b"", "broken"),
        (b"HTTP/1.1 200", "broken"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\nhalf", "broken"),
        (b"SSH-2.0-x\r\n", "protocol"),
    ],
    ids=["hang", "drip", "nothing", "half a line", "half", "no http"],
)
def test_fault_is_retried_when_no_whole_answer_comes(script: Script | bytes, code: str) -> None:
    error = fault(script, HASTY if code == "timeout" else LOOPBACK)

    assert (error.attempt_code, error.retryable, error.sent) == (code, True, True)


HINTS = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "note"),
    [
        (HINTS + status("204 None"), None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS + status("202 Taken"), None),
        (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", 0.05), "answer_late"),
        (drips(b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.05), "answer_late"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nhalf", "answer_cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "answer_cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", "answer_cut"),
    ],
    ids=["hints", "continue and hints", "drip", "headers drip", "half", "half a chunk", "no chunk"],
)
def test_a_2xx_counts_from_its_status_line_on(script: Script | bytes, note: str | None) -> None:
    clients = HASTY if note == "answer_late" else LOOPBACK
    with serving(script) as server:
        receipt = http.send(request(f"http://127.0.0.1:{server.port}/in"), clients)

    assert (receipt.code[:6], receipt.note) == ("http_2", note)
    assert len(server.requests) == 1


def test_the_next_address_is_tried_when_one_takes_no_connection() -> None:
    with serving(status("204 None")) as server:
        there = check_url(f"http://127.0.0.1:{server.port}/in", LOOPBACK.policy)
        addresses = ["127.0.0.77", "127.0.0.78", "127.0.0.1"]
        answer = vetted.request(there, addresses, "POST", {}, b"{}", vetted.deadline_in(5))

    assert answer.status == 204


def test_delivery_goes_over_tls_when_the_certificate_names_the_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context: ssl.SSLContext = authority.client()
    clients = dataclasses.replace(LOOPBACK, tls=lambda: context)

    with serving(status("200 OK"), authority.server("127.0.0.1")) as server:
        receipt = http.send(request(f"https://127.0.0.1:{server.port}/in"), clients)
    with serving(status("200 OK"), authority.server("127.0.0.2")) as server, pytest.raises(DeliveryError) as error:
        http.send(request(f"https://127.0.0.1:{server.port}/in"), clients)

    assert receipt.code == "http_200"
    assert error.value.attempt_code == "tls"


def test_nothing_connects_when_a_name_points_inside_since_its_creation() -> None:
    answers = [["1.1.1.1"], ["127.0.0.1"]]
    clients = dataclasses.replace(LOOPBACK, resolver=lambda *_: answers.pop(0))

    with serving(status("200 OK")) as server:
        policy = Policy(allow_http=True, allow_cidrs=("127.0.0.0/8",), extra_ports=frozenset({server.port}))
        clients = dataclasses.replace(clients, policy=policy)
        made = request(f"http://rebinding.example:{server.port}/in")
        http.check(http.Config(url=made.url), clients)
        with pytest.raises(DeliveryError) as error:
            http.send(made, clients)

    assert error.value.attempt_code == "forbidden_address"
    assert (error.value.retryable, error.value.sent) == (True, False)
    assert server.requests == []
    assert answers == []


def test_name_is_refused_at_creation_when_it_points_inside() -> None:
    clients = dataclasses.replace(LOOPBACK, resolver=lambda *_: ["1.1.1.1", "192.168.1.1"])

    with pytest.raises(ForbiddenAddress) as refusal:
        http.check(http.Config(url="https://crm.example.com/in"), clients)

    assert refusal.value.status == 422
    assert "192.168" not in str(refusal.value)

"""The vetted connection against real servers: its requests, its time limits, the answers it accepts."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import vetted
from chalicelib.destinations.address import Policy, Target, check_url
from chalicelib.destinations.vetted import HttpResponse
from tests.fixtures.destinations.loopback import LONG_S, SOON_S, Authority, Script, drips, hangs, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMIT = vetted.RESPONSE_BYTES_MAX


def target(port: int, host: str = "hook.example", scheme: str = "http") -> Target:
    return check_url(f"{scheme}://{host}:{port}/in?a=b", Policy(allow_http=True, extra_ports=frozenset({port})))


def ask(script: Script | bytes, *, body: bytes | None = b"{}", total_s: float = LONG_S) -> HttpResponse:
    with serving(script) as server:
        deadline = vetted.deadline_in(total_s)
        return vetted.request(target(server.port), ["127.0.0.1"], "POST", {}, body, deadline)


def fault(script: Script | bytes, *, body: bytes | None = b"{}", total_s: float = LONG_S) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        ask(script, body=body, total_s=total_s)
    return error.value


def test_request_is_exactly_what_was_given_when_it_is_sent() -> None:
    with serving(OK) as server:
        vetted.request(
            target(server.port), ["127.0.0.1"], "POST", {"X-Api-Key": "k"}, b'{"a":1}', vetted.deadline_in(LONG_S)
        )

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert line == "POST /in?a=b HTTP/1.1"
    assert sorted(fields) == [
        "Accept-Encoding: identity",
        "Connection: close",
        "Content-Length: 7",
        f"Host: hook.example:{server.port}",
        "X-Api-Key: k",
    ]
    assert body == b'{"a":1}'


def test_get_carries_no_body_when_something_is_fetched() -> None:
    with serving(OK) as server:
        answer = vetted.request(target(server.port), ["127.0.0.1"], "GET", {}, None, vetted.deadline_in(LONG_S))

    assert server.requests[0].startswith(b"GET /in?a=b HTTP/1.1\r\n")
    assert b"Content-Length" not in server.requests[0]
    assert answer == HttpResponse(200, {"content-length": "2"}, b"ok")


def test_proxy_of_the_environment_is_not_used_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer = ask(OK)

    assert answer.body == b"ok"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, b""),
    ],
)
def test_answer_is_returned_whatever_its_status_when_it_is_whole(sent: bytes, status: int, body: bytes) -> None:
    answer = ask(sent)

    assert (answer.status, answer.body, answer.truncated) == (status, body, False)


def test_redirect_is_not_followed_when_a_server_sends_one() -> None:
    with serving(OK) as elsewhere:
        answer = ask(
            b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % elsewhere.port
        )

    assert answer.status == 307
    assert elsewhere.requests == []


def test_body_is_cut_when_it_is_longer_than_the_limit() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"

    exact = ask(whole % LIMIT + b"x" * LIMIT)
    longer = ask(whole % (LIMIT + 1) + b"x" * (LIMIT + 1))
    endless = ask(drips(whole % 10**12, b"x" * 10**6, 0))
    chunked = ask(
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 65_535 + b"\r\n", 0)
    )

    assert (len(exact.body), exact.truncated) == (LIMIT, False)
    for answer in (longer, endless, chunked):
        assert (len(answer.body), answer.truncated) == (LIMIT, True)


def test_body_stays_compressed_when_it_is_a_bomb() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    answer = ask(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)

    assert answer.body == bomb[:LIMIT]


@pytest.mark.parametrize(
    "sent",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"\x16\x03\x01\x00\x02\x01\x00\r\n",
        b"HTTP/1.1 500 No\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 500 No\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 30_000 + OK,
        b"HTTP/1.1 500 No\r\n" + (b"X: " + b"y" * 60_000 + b"\r\n") * 99 + b"\r\n",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 70_000 + b"\r\n",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: t\r\n" * 200_000 + b"\r\n",
    ],
    ids=range(14),
)
def test_fault_is_protocol_when_the_answer_is_not_http_or_has_no_end(sent: bytes) -> None:
    error = fault(sent)

    assert (error.attempt_code, error.retryable, error.sent) == ("protocol", True, True)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    ],
    ids=range(5),
)
def test_fault_is_broken_when_the_connection_ends_before_the_answer(sent: bytes) -> None:
    error = fault(sent)

    assert (error.attempt_code, error.retryable, error.sent) == ("broken", True, True)


GENUINE = [
    OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n2;e=x\r\nok\r\n0\r\nT: t\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 429 Many\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n",
]


@settings(max_examples=200)
@given(st.data())
def test_answer_or_delivery_error_comes_when_a_genuine_answer_is_mutated(data: st.DataObject) -> None:
    sent = bytearray(data.draw(st.sampled_from(GENUINE)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(sent)))
        cut = data.draw(st.integers(0, 4))
        sent[place : place + cut] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"-", b"\r\n", b"9" * 30, b": "])
        )

    with serving(bytes(sent)) as server:
        try:
            answer = vetted.request(target(server.port), ["127.0.0.1"], "POST", {}, b"{}", vetted.deadline_in(LONG_S))
        except DeliveryError as error:
            assert error.attempt_code in ("broken", "protocol")
            return
    assert len(answer.body) <= LIMIT


@pytest.mark.parametrize(
    "script",
    [
        hangs,
        drips(b"", b"H", 0.05),
        drips(b"HTTP/1.1 500 No\r\n", b"X: y\r\n", 0.05),
        drips(b"HTTP/1.1 500 No\r\nContent-Length: 60000\r\n\r\n", b"x", 0.05),
        drips(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.05),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    ],
    ids=["hang", "drip status", "drip headers", "drip body", "drip chunks", "drip continue"],
)
def test_nothing_outlives_the_deadline_when_a_server_hangs_or_drips(script: Script) -> None:
    started = time.monotonic()

    error = fault(script, total_s=0.6)

    assert (error.attempt_code, error.retryable, error.sent) == ("timeout", True, True)
    assert 0.5 < time.monotonic() - started < SOON_S


def test_sending_does_not_outlive_the_deadline_when_a_server_does_not_read() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    started = time.monotonic()

    with listener, pytest.raises(DeliveryError) as error:
        there = target(listener.getsockname()[1])
        vetted.request(there, ["127.0.0.1"], "POST", {}, bytes(50_000_000), vetted.deadline_in(0.5))

    assert error.value.attempt_code == "timeout"
    assert time.monotonic() - started < SOON_S


def test_sending_does_not_outlive_the_deadline_when_a_server_reads_by_and_by() -> None:
    def sips(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            ends = time.monotonic() + LONG_S
            while time.monotonic() < ends and connection.recv(1 << 17):
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=sips, args=(listener,))
        thread.start()
        started = time.monotonic()
        with pytest.raises(DeliveryError) as error:
            there = target(listener.getsockname()[1])
            vetted.request(there, ["127.0.0.1"], "POST", {}, bytes(50_000_000), started + 0.5)
        took_s = time.monotonic() - started
        thread.join()

    assert error.value.attempt_code == "timeout"
    assert took_s < SOON_S


@pytest.mark.parametrize("ends_first", [True, False])
def test_early_answer_counts_when_a_server_does_not_read_to_the_end(ends_first: bool) -> None:
    def early(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
            if ends_first:
                connection.shutdown(socket.SHUT_WR)
            time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=early, args=(listener,))
        thread.start()
        there = target(listener.getsockname()[1])
        answer = vetted.request(there, ["127.0.0.1"], "POST", {}, bytes(20_000_000), vetted.deadline_in(LONG_S))
        thread.join()

    assert answer.status == 413


def test_fault_is_connect_when_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(DeliveryError) as error:
        vetted.request(target(port), ["127.0.0.1"], "POST", {}, b"", vetted.deadline_in(LONG_S))

    assert (error.value.attempt_code, error.value.retryable, error.value.sent) == ("connect", True, False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class TestTls:
    def ask(self, context: ssl.SSLContext, client: ssl.SSLContext, host: str = "hook.example") -> HttpResponse:
        with serving(OK, context) as server:
            there = target(server.port, host, "https")
            deadline = vetted.deadline_in(LONG_S)
            return vetted.request(there, ["127.0.0.1"], "POST", {}, b"{}", deadline, tls=lambda: client)

    def fault(self, context: ssl.SSLContext, client: ssl.SSLContext, host: str = "hook.example") -> DeliveryError:
        with pytest.raises(DeliveryError) as error:
            self.ask(context, client, host)
        return error.value

    def test_certificate_is_that_of_the_name_when_the_address_is_vetted(self, authority: Authority) -> None:
        context = authority.server("hook.example")
        names: list[str | None] = []
        context.sni_callback = lambda _socket, name, _context: names.append(name)

        answer = self.ask(context, authority.client())

        assert answer.body == b"ok"
        assert names == ["hook.example"]

    @pytest.mark.parametrize("names", [("other.example",), ("127.0.0.1",), ("*.example.org",)])
    def test_fault_is_tls_when_the_certificate_is_for_another_name(
        self, authority: Authority, names: tuple[str, ...]
    ) -> None:
        error = self.fault(authority.server(*names), authority.client())

        assert (error.attempt_code, error.retryable, error.sent) == ("tls", True, False)

    def test_fault_is_tls_when_the_certificate_is_over(self, authority: Authority) -> None:
        error = self.fault(authority.server("hook.example", days=-1), authority.client())

        assert error.attempt_code == "tls"

    def test_fault_is_tls_when_the_authority_is_unknown(self, authority: Authority) -> None:
        error = self.fault(authority.server("hook.example"), vetted.tls_context())

        assert error.attempt_code == "tls"

    def test_fault_is_tls_when_the_server_speaks_none(self, authority: Authority) -> None:
        with serving(OK) as server, pytest.raises(DeliveryError) as error:
            there = target(server.port, scheme="https")
            # The plain server waits for the end of a head that a handshake does not have, then goes.
            vetted.request(there, ["127.0.0.1"], "POST", {}, b"", vetted.deadline_in(0.5), tls=authority.client)

        assert error.value.attempt_code in ("tls", "timeout")
        assert error.value.sent is False

    def test_handshake_does_not_outlive_the_connect_time_when_a_server_is_silent(self, authority: Authority) -> None:
        started = time.monotonic()

        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(DeliveryError) as error:
            there = target(listener.getsockname()[1], scheme="https")
            vetted.request(there, ["127.0.0.1"], "POST", {}, b"", started + LONG_S, connect_s=0.4, tls=authority.client)

        assert (error.value.attempt_code, error.value.sent) == ("timeout", False)
        assert time.monotonic() - started < SOON_S

    def test_handshake_does_not_outlive_the_deadline_when_the_connect_time_is_longer(
        self, authority: Authority
    ) -> None:
        started = time.monotonic()

        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(DeliveryError) as error:
            there = target(listener.getsockname()[1], scheme="https")
            vetted.request(there, ["127.0.0.1"], "POST", {}, b"", started + 0.4, connect_s=LONG_S, tls=authority.client)

        assert (error.value.attempt_code, error.value.sent) == ("timeout", False)
        assert time.monotonic() - started < SOON_S

    def test_drip_does_not_outlive_the_deadline_when_it_comes_over_tls(self, authority: Authority) -> None:
        started = time.monotonic()

        with (
            serving(drips(b"HTTP/1.1 500 No\r\n", b"X: y\r\n", 0.05), authority.server("hook.example")) as server,
            pytest.raises(DeliveryError) as error,
        ):
            there = target(server.port, scheme="https")
            vetted.request(there, ["127.0.0.1"], "POST", {}, b"", started + 0.6, tls=authority.client)

        assert error.value.attempt_code == "timeout"
        assert time.monotonic() - started < SOON_S

    def test_context_is_made_once_and_checks_names_when_it_is_asked_for(self) -> None:
        context = vetted.tls_context()

        assert context is vetted.tls_context()
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2

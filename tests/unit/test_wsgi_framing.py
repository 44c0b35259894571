"""One view of a request: the server refuses each one that a proxy in front of it could understand otherwise.

``waybill local`` and ``waybill serve`` both run on this server.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

import app
from chalicelib import runtime as shells
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.region import Clients
from infra.cell import wsgi

END = b"\r\nHost: cell.example\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[wsgi.Server]:
    settings = Settings(cell="ru1", region="ru-home1", country="RU")
    shells.install(Runtime(settings, Clients("ru-home1", endpoints={"s3": "https://objects.example"})))
    running = wsgi.Server(wsgi.App(app.app), "127.0.0.1", 0, threads=2, body_bytes=100_000)
    running.start()
    yield running
    running.stop()
    shells.install(None)


def said(server: wsgi.Server, request: bytes) -> bytes:
    """Return everything that the server says until it closes the connection, or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
        return answer


def post(*headers: bytes, body: bytes = b"0\r\n\r\n", version: bytes = b"1.1") -> bytes:
    lines = (b"POST /hooks/src_x HTTP/" + version, b"Host: cell.example", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


AMBIGUOUS = {
    "both": post(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "both the other way round": post(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "both in other letters": post(b"content-length: 5", b"TRANSFER-ENCODING: Chunked"),
    "two lengths": post(b"Content-Length: 5", b"Content-Length: 0"),
    "two equal lengths": post(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths in one": post(b"Content-Length: 5, 5"),
    "length with a sign": post(b"Content-Length: +5"),
    "negative length": post(b"Content-Length: -1"),
    "length with an underscore": post(b"Content-Length: 0_5"),
    "hexadecimal length": post(b"Content-Length: 0x5"),
    "empty length": post(b"Content-Length:"),
    "two encodings": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "encoding of HTTP 1.0": post(b"Transfer-Encoding: chunked", version=b"1.0"),
    "space before the colon": post(b"Content-Length : 5"),
    "folded header": post(b"X: a", b" Content-Length: 5", b"Content-Length : 5"),
    "chunk size with a sign": post(b"Transfer-Encoding: chunked", body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "hexadecimal prefix": post(b"Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with an underscore": post(b"Transfer-Encoding: chunked", body=b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk size of nothing": post(b"Transfer-Encoding: chunked", body=b"\r\n\r\n"),
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a.example" + END,
    "two slashes": b"GET //hooks/v1/tenants HTTP/1.1" + END,
    "two slashes and nothing": b"GET // HTTP/1.1" + END,
    "absolute form": b"GET http://cell.example/v1/tenants HTTP/1.1" + END,
    "absolute form without a host": b"GET http:///v1/tenants HTTP/1.1" + END,
    "authority form": b"CONNECT cell.example:443 HTTP/1.1" + END,
    "asterisk": b"OPTIONS * HTTP/1.1" + END,
    "broken address": b"GET //[x/v1 HTTP/1.1" + END,
    "fragment": b"GET /v1/tenants#/healthz HTTP/1.1" + END,
    "backslash": b"GET /\\v1/tenants HTTP/1.1" + END,
    "no version": b"GET /healthz" + END,
    "another version": b"GET /healthz HTTP/1.2" + END,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_request_is_refused_once_and_the_connection_closed_when_it_can_be_read_in_two_ways(
    server: wsgi.Server, name: str
) -> None:
    answer = said(server, AMBIGUOUS[name] + b"GET /healthz HTTP/1.1\r\nHost: smuggled.example\r\n\r\n")

    assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 ")), answer[:80]
    assert answer.count(b"HTTP/1.") == 1


@pytest.mark.parametrize("encoding", [b"xchunked", b"gzip, chunked", b"chunked, identity", b"identity"])
def test_request_is_refused_when_its_encoding_is_not_known(server: wsgi.Server, encoding: bytes) -> None:
    answer = said(server, post(b"Transfer-Encoding: " + encoding) + b"GET /healthz HTTP/1.1" + END)

    assert answer.split(b" ")[1] in (b"400", b"501")
    assert answer.count(b"HTTP/1.") == 1


def test_chunk_is_refused_before_it_is_read_when_it_is_over_the_limit(server: wsgi.Server) -> None:
    answer = said(server, post(b"Transfer-Encoding: chunked", body=b"100000000\r\n" + b"0" * 99_990))

    assert answer.split(b" ")[1] == b"413"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /hooks/src_x?a=//b HTTP/1.1" + END,
        b"GET /healthz HTTP/1.0\r\n\r\n",
        post(b"Content-Length: 5", body=b"hello"),
        post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_request_is_answered_when_it_can_be_read_in_one_way(server: wsgi.Server, request_bytes: bytes) -> None:
    assert said(server, request_bytes).split(b" ")[1] in (b"200", b"404")

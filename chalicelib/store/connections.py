"""Kept connections to one address: a request is bytes, and so is its answer.

This reads as much of HTTP/1.1 as services of AWS and their stand-ins send. Errors are those of botocore, so that a call
over such a connection fails as any other does.

Source: https://www.rfc-editor.org/rfc/rfc9112 (read 2026-11-30).
"""

from __future__ import annotations

import select
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

KEPT = 320
"""Idle connections that are kept. They are as many as the threads of ``waybill serve`` and its calls at once need."""
LINE_BYTES = 65_536
HEADERS = 100
BODY_BYTES = 64 * 1024 * 1024
"""The largest answer of a call is 16 MB (``BatchGetItem``)."""


@dataclass(frozen=True)
class Answer:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connection:
    """One open connection."""

    def __init__(self, to: socket.socket) -> None:
        self.socket = to
        self.reader = cast(BinaryIO, to.makefile("rb", LINE_BYTES))
        self._poll = select.poll()
        self._poll.register(to, select.POLLIN)

    @property
    def usable(self) -> bool:
        """Whether the other side has neither closed it nor sent bytes that no request asked for."""
        return not self._poll.poll(0)

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def answer(self) -> tuple[Answer, bool]:
        """Read an answer, and whether the connection can be used again.

        Raises:
            ValueError: it is not HTTP/1.1, or is too large.
            EOFError: the connection ended before the answer did.
        """
        while True:
            version, status = self._status()
            headers = self._headers()
            if status >= 200 or status == 101:
                break
        keep = version == b"HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return Answer(status, headers, self._chunks()), keep
        length = headers.get("content-length")
        if length is None:
            if status in (204, 304):
                return Answer(status, headers, b""), keep
            return Answer(status, headers, self.reader.read(BODY_BYTES)), False
        return Answer(status, headers, self._exactly(_size(length, 10))), keep

    def _line(self) -> bytes:
        line = self.reader.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            raise EOFError if len(line) < LINE_BYTES else ValueError("a line is too long")
        return line.rstrip(b"\r\n")

    def _status(self) -> tuple[bytes, int]:
        version, _, rest = self._line().partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError("not HTTP/1.1")
        return version, int(rest[:3])

    def _headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for _ in range(HEADERS):
            line = self._line()
            if not line:
                return found
            name, _, value = line.decode("latin-1").partition(":")
            found[name.lower()] = value.strip()
        raise ValueError("too many headers")

    def _exactly(self, size: int) -> bytes:
        body = self.reader.read(size)
        if len(body) < size:
            raise EOFError
        return body

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        total = 0
        while size := _size(self._line().partition(b";")[0].decode("latin-1"), 16):
            total += size
            if total > BODY_BYTES:
                raise ValueError("an answer is too large")
            parts.append(self._exactly(size))
            self._line()
        self._headers()
        return b"".join(parts)


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= BODY_BYTES:
        raise ValueError("an answer is too large")
    return size


class Connections:
    """Connections to one address, which threads share: each request has one of its own until it is answered.

    Args:
        url: of the address; only its scheme, host and port count.
        connect_s: the time for connecting; ``read_s``: for each wait for bytes.
        ca: the file with the certificates to trust.
    """

    def __init__(self, url: str, connect_s: float, read_s: float, ca: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host, tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if tls else 80)
        self._tls = ssl.create_default_context(cafile=ca) if tls else None
        self._connect_s, self._read_s = connect_s, read_s
        self._idle: deque[_Connection] = deque()
        weakref.finalize(self, _close, self._idle)

    def exchange(self, request: bytes) -> Answer:
        """Send a request and read its answer.

        Raises:
            HTTPClientError, EndpointConnectionError: botocore's errors of connections.
        """
        connection = self.start(request)
        return self.finish(connection)

    def start(self, request: bytes) -> _Connection:
        """Send a request. Its answer MUST be read with ``finish``. Raises as ``exchange``."""
        connection = self._take()
        try:
            connection.socket.sendall(request)
        except OSError as error:
            connection.close()
            raise self._error(error) from error
        return connection

    def finish(self, connection: _Connection) -> Answer:
        """Read the answer to a request. Raises as ``exchange``."""
        try:
            answer, keep = connection.answer()
        except (OSError, EOFError, ValueError) as error:
            connection.close()
            raise self._error(error) from error
        if keep and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _take(self) -> _Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._open()
            if connection.usable:
                return connection
            connection.close()

    def _open(self) -> _Connection:
        made = None
        try:
            made = socket.create_connection((self._host, self._port), self._connect_s)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                made = self._tls.wrap_socket(made, server_hostname=self._host)
            made.settimeout(self._read_s)
        except OSError as error:
            if made is not None:
                made.close()
            if isinstance(error, TimeoutError):
                raise ConnectTimeoutError(endpoint_url=self._url) from error
            raise EndpointConnectionError(endpoint_url=self._url) from error
        return _Connection(made)

    def _error(self, error: Exception) -> HTTPClientError:
        if isinstance(error, TimeoutError):
            return ReadTimeoutError(endpoint_url=self._url)
        return ConnectionClosedError(endpoint_url=self._url)


def _close(idle: deque[_Connection]) -> None:
    while idle:
        idle.pop().close()

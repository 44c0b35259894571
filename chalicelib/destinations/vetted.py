"""The vetted connection: one HTTP request to an address that was judged first.

The procedure of every request, at each attempt:

    1 judge the URL           ``address.check_url``
    2 resolve once, judge all ``resolve``: any forbidden answer refuses
    3 connect to that address ``request``: SNI, certificate name and ``Host`` are the URL's, never looked up again
    4 send, read the answer   one deadline, bounded bytes, no redirect, no retry, no proxy, no decompression

Built on ``http.client``, which does none of what 4 forbids; urllib3 would add only what has to be switched off again.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.delivery import retry
from ..core.delivery.retry import Outcome
from ..core.errors import DeliveryError
from .address import Policy, Target, check_answers

RESPONSE_BYTES_MAX = 65_536
WIRE_BYTES_MAX = 8 * RESPONSE_BYTES_MAX  # head, and a whole answer in chunks of one byte
_BLOCK = 16_384

Resolver = Callable[[str, bool, float], list[str]]
"""Takes a name, whether IPv6 is wanted too, and seconds; returns addresses, or raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take. ``total_s`` bounds all of it, ``resolve_s`` and ``connect_s`` their parts.

    Connecting includes the TLS handshake.
    """

    resolve_s: float = 3.0
    connect_s: float = 5.0
    total_s: float = 15.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back. ``headers`` have lower-case names; ``truncated`` says that the body was longer than 64 KiB."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool = False


def failure(
    code: str, *, sent: bool = True, retry_after_s: float | None = None, response: bytes | None = None
) -> DeliveryError:
    """Make the error of an attempt code; the table of codes decides whether it is retried.

    Raises:
        KeyError: the code is not one of ``core.delivery.retry.CODES``.
    """
    return DeliveryError(
        code,
        retryable=retry.CODES[code] is Outcome.FAILED,
        retry_after_s=retry_after_s,
        gone=code == retry.GONE,
        sent=sent,
        response=response,
    )


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the one TLS context of this process: the system's authorities, names checked, TLS 1.2 or later."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def system_resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
    """Ask the system's resolver, in a thread of its own, because ``getaddrinfo`` knows no timeout.

    Raises:
        OSError: no answer, or none within the time.
    """
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()
    family = socket.AF_UNSPEC if ipv6 else socket.AF_INET

    def ask() -> None:
        try:
            # Bytes, so that Python's own IDNA codec does not read the name once more.
            found = socket.getaddrinfo(host.encode("ascii"), None, family, socket.SOCK_STREAM)
            answers.put([str(entry[4][0]) for entry in found])
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def resolve(target: Target, policy: Policy, resolver: Resolver, timeout_s: float) -> str:
    """Return the one address to connect to: the target's own, or what its name resolves to now.

    Raises:
        ForbiddenAddress: any answer is forbidden.
        DeliveryError: ``dns``, where there is no usable answer in time.
    """
    if target.address is not None:
        return str(target.address)
    try:
        answers = resolver(target.host, policy.ipv6, timeout_s)
    except OSError:
        raise failure("dns", sent=False) from None
    address = check_answers(answers, policy)
    if address is None:
        raise failure("dns", sent=False)
    return address


def deadline_in(seconds: float) -> float:
    """Return the deadline of a request that has so many seconds from now, on the clock of ``time.monotonic``."""
    return time.monotonic() + seconds


def request(
    target: Target,
    address: str,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
    *,
    connect_s: float = 5.0,
    tls: Callable[[], ssl.SSLContext] = tls_context,
) -> HttpResponse:
    """Send one request to a vetted address and read the answer, whatever its status.

    Args:
        address: what ``resolve`` returned for this target.
        headers: without ``Host``, which is the target's.
        deadline: from ``deadline_in``; nothing outlives it, however slowly the other side drips.

    Raises:
        DeliveryError: ``timeout``, ``connect``, ``tls``, ``broken`` or ``protocol``.
    """
    connection = _connect(target, address, min(deadline, time.monotonic() + connect_s), tls)
    with contextlib.closing(connection):
        try:
            return _exchange(_VettedSocket(connection, deadline), target, method, headers, body)
        except TimeoutError:
            raise failure("timeout") from None
        except ssl.SSLError:
            raise failure("tls") from None
        except (OSError, http.client.IncompleteRead):
            raise failure("broken") from None
        except (http.client.HTTPException, ValueError):
            raise failure("protocol") from None


def _connect(
    target: Target, address: str, deadline: float, tls: Callable[[], ssl.SSLContext]
) -> socket.socket | ssl.SSLSocket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    context = tls() if target.scheme == "https" else None
    code = "connect"
    plain = socket.socket(family, socket.SOCK_STREAM)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(_left(deadline))
        plain.connect((address, target.port))
        if context is None:
            return plain
        code = "tls"
        plain.settimeout(_left(deadline))  # OpenSSL's handshake takes this for the whole of it
        return context.wrap_socket(plain, server_hostname=target.host)
    except TimeoutError:
        plain.close()
        raise failure("timeout", sent=False) from None
    except (OSError, ValueError):  # ssl.SSLError is an OSError; ValueError: a name that TLS cannot carry
        plain.close()
        raise failure(code, sent=False) from None


def _exchange(
    wire: _VettedSocket, target: Target, method: str, headers: Mapping[str, str], body: bytes | None
) -> HttpResponse:
    connection = http.client.HTTPConnection(target.host)
    connection.sock = wire  # all that it uses of a socket
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # A receiver may answer and close before it has read everything: then the answer counts.
        connection.request(method, target.path, body, {"Host": target.host_header, "Connection": "close", **headers})
    with connection.getresponse() as response:
        content = response.read(RESPONSE_BYTES_MAX + 1)
        # read() with a size takes an early end for the end.
        if len(content) <= RESPONSE_BYTES_MAX and response.length:
            raise http.client.IncompleteRead(b"")
        fields = {name.lower(): value for name, value in response.getheaders()}
    return HttpResponse(response.status, fields, content[:RESPONSE_BYTES_MAX], len(content) > RESPONSE_BYTES_MAX)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _VettedSocket:
    """A connected socket as ``http.client`` uses it: one deadline over every read and write, and a bound on reads."""

    def __init__(self, connection: socket.socket | ssl.SSLSocket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            self._connection.settimeout(_left(self._deadline))
            view = view[self._connection.send(view[:_BLOCK]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._connection, self._deadline), _BLOCK)

    def close(self) -> None:
        """Leave the socket open: ``http.client`` closes its own before the answer is read; ``request`` closes ours."""


class _Reader(io.RawIOBase):
    def __init__(self, connection: socket.socket | ssl.SSLSocket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._taken >= WIRE_BYTES_MAX:
            raise http.client.HTTPException("more than an answer may hold")
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self._taken += count
        return count

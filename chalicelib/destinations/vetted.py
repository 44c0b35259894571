"""The vetted connection: one HTTP request to an address that was judged first.

The procedure of every request, at each attempt:

    1 judge the URL           ``address.check_url``
    2 resolve once, judge all ``resolve``: any forbidden answer refuses
    3 connect to one of these ``request``: each in turn; SNI, certificate name and ``Host`` are the URL's
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from ..core.delivery import retry
from ..core.delivery.retry import Outcome
from ..core.errors import DeliveryError
from .address import ForbiddenAddress, Policy, Target, check_answers

RESPONSE_BYTES_MAX = 65_536
WIRE_BYTES_MAX = 8 * RESPONSE_BYTES_MAX  # head, and a whole answer in chunks of one byte
GRACE_S = 2.0
"""How long the rest of a 2xx is waited for by a kind that needs nothing but its status."""
NOTES: Mapping[str, str] = {
    "timeout": "answer_late",
    "broken": "answer_cut",
    "tls": "answer_cut",
    "protocol": "answer_invalid",
}
"""What went wrong behind the status line of a 2xx, by the attempt code that it would else have."""
FAULTS: Mapping[str, str] = {"answer_late": "timeout", "answer_cut": "broken", "answer_invalid": "protocol"}
"""The attempt code of a note, for a kind that needs the rest of the answer."""
CONNECT_LEAST_S = 0.25
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
    """What came back. ``headers`` have lower-case names; ``truncated`` says that the body is not whole.

    ``note`` is a word of ``NOTES`` where a 2xx did not come whole. Then headers may be missing, too.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool = False
    note: str | None = None


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


def resolve(target: Target, policy: Policy, resolver: Resolver, timeout_s: float) -> tuple[str, ...]:
    """Return the addresses to try: the target's own, or those that its name resolves to now.

    Raises:
        ForbiddenAddress: any answer is forbidden, or the name has IPv6 addresses only and the cell has no IPv6.
        DeliveryError: ``dns``, where there is no usable answer in time.
    """
    if target.address is not None:
        return (str(target.address),)
    until = deadline_in(timeout_s)
    try:
        answers = resolver(target.host, policy.ipv6, timeout_s)
    except socket.gaierror:
        if not policy.ipv6 and _has_ipv6(target.host, resolver, until - time.monotonic()):
            raise ForbiddenAddress("ipv6") from None
        raise failure("dns", sent=False) from None
    except OSError:
        raise failure("dns", sent=False) from None
    addresses = check_answers(answers, policy)
    if not addresses:
        raise failure("dns", sent=False)
    return addresses


def _has_ipv6(host: str, resolver: Resolver, timeout_s: float) -> bool:
    """Say whether a name that has no IPv4 address has an IPv6 one."""
    try:
        return timeout_s > 0 and any(":" in answer for answer in resolver(host, True, timeout_s))
    except OSError:
        return False


@functools.cache
def host_has_ipv6() -> bool:
    """Return whether this host has a route to the IPv6 internet. Connecting a datagram socket sends nothing."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:4860:4860::8888", 53))
            return not ip_address(probe.getsockname()[0]).is_private
    except (OSError, ValueError):
        return False


def deadline_in(seconds: float) -> float:
    """Return the deadline of a request that has so many seconds from now, on the clock of ``time.monotonic``."""
    return time.monotonic() + seconds


def request(
    target: Target,
    addresses: Sequence[str],
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
    *,
    connect_s: float = 5.0,
    grace_s: float | None = None,
    tls: Callable[[], ssl.SSLContext] = tls_context,
) -> HttpResponse:
    """Send one request to a vetted address and read the answer, whatever its status.

    A 2xx counts from its status line on: a rest that comes late, cut or unreadable becomes a ``note``.

    Args:
        addresses: what ``resolve`` returned for this target.
        headers: without ``Host``, which is the target's.
        deadline: from ``deadline_in``; nothing outlives it, however slowly the other side drips.
        grace_s: how long the rest of a 2xx is waited for; until the deadline unless given.

    Raises:
        DeliveryError: ``timeout``, ``connect``, ``tls``, ``broken`` or ``protocol``.
    """
    connection = _connect(target, addresses, min(deadline, time.monotonic() + connect_s), tls)
    with contextlib.closing(connection):
        wire = _VettedSocket(connection, deadline)
        answer = _Answer()
        try:
            _exchange(wire, target, method, headers, body, answer, grace_s)
        except TimeoutError:
            code = "timeout"
        except ssl.SSLError:
            code = "tls"
        except (OSError, http.client.IncompleteRead):
            code = "broken"
        except (http.client.HTTPException, ValueError):
            code = "protocol"
        else:
            return answer.response(None)
    if 200 <= answer.status <= 299:
        return answer.response(NOTES[code])
    raise failure(code)


def _connect(
    target: Target, addresses: Sequence[str], deadline: float, tls: Callable[[], ssl.SSLContext]
) -> socket.socket | ssl.SSLSocket:
    """Connect to the first address that takes the connection. Each has an equal share of the time that is left."""
    context = tls() if target.scheme == "https" else None
    last = failure("timeout", sent=False)
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        share = max(left / (len(addresses) - number), CONNECT_LEAST_S)
        try:
            return _connected(target, address, min(share, left), deadline, context)
        except DeliveryError as fault:
            last = fault
    raise last


def _connected(
    target: Target, address: str, connect_s: float, deadline: float, context: ssl.SSLContext | None
) -> socket.socket | ssl.SSLSocket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    code = "connect"
    plain: socket.socket | None = None
    try:
        plain = socket.socket(family, socket.SOCK_STREAM)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(connect_s)
        plain.connect((address, target.port))
        if context is None:
            return plain
        code = "tls"
        plain.settimeout(_left(deadline))  # OpenSSL's handshake takes this for the whole of it
        return context.wrap_socket(plain, server_hostname=target.host)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a name that TLS cannot carry
        if plain is not None:
            plain.close()
        raise failure("timeout" if isinstance(error, TimeoutError) else code, sent=False) from None


@dataclass(slots=True)
class _Answer:
    """An answer as far as it has been read."""

    status: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def response(self, note: str | None) -> HttpResponse:
        body = self.body[:RESPONSE_BYTES_MAX]
        return HttpResponse(
            self.status, self.fields, body, note is not None or len(self.body) > RESPONSE_BYTES_MAX, note
        )


class _Response(http.client.HTTPResponse):
    """A response that tells its status line before it reads the headers, and reads any informational one through.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-15.2 (read 2026-11-30): a client parses one or more 1xx answers
    before the final one. ``http.client`` does so with 100 only.
    """

    on_status: Callable[[int], None]

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 101 < status < 200:
                if version.startswith("HTTP/1."):
                    self.on_status(status)
                return version, status, reason
            http.client.parse_headers(self.fp)


def _exchange(
    wire: _VettedSocket,
    target: Target,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    answer: _Answer,
    grace_s: float | None,
) -> None:
    connection = http.client.HTTPConnection(target.host)
    connection.sock = wire  # all that it uses of a socket
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # A receiver may answer and close before it has read everything: then the answer counts.
        connection.request(method, target.path, body, {"Host": target.host_header, "Connection": "close", **headers})

    def on_status(status: int) -> None:
        if not wire.has_line:
            raise http.client.IncompleteRead(b"")
        answer.status = status
        if 200 <= status <= 299 and grace_s is not None:
            wire.end_by(time.monotonic() + grace_s)

    response = _Response(wire, method=method)  # type: ignore[arg-type]
    response.on_status = on_status
    with response:
        response.begin()
        answer.fields = {name.lower(): value for name, value in response.getheaders()}
        answer.body = response.read(RESPONSE_BYTES_MAX + 1)
        # read() with a size takes an early end for the end.
        if len(answer.body) <= RESPONSE_BYTES_MAX and response.length:
            raise http.client.IncompleteRead(b"")


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
        self.has_line = False

    def end_by(self, deadline: float) -> None:
        """Bring the deadline forward."""
        self._deadline = min(self._deadline, deadline)

    def sendall(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            self._connection.settimeout(_left(self._deadline))
            view = view[self._connection.send(view[:_BLOCK]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self), _BLOCK)

    def receive(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self.has_line = self.has_line or b"\n" in bytes(buffer[:count])
        return count

    def close(self) -> None:
        """Leave the socket open: ``http.client`` closes its own before the answer is read; ``request`` closes ours."""


class _Reader(io.RawIOBase):
    def __init__(self, wire: _VettedSocket) -> None:
        self._wire = wire
        self._taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._taken >= WIRE_BYTES_MAX:
            raise http.client.HTTPException("more than an answer may hold")
        count = self._wire.receive(buffer)
        self._taken += count
        return count

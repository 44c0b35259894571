"""A receiver on this machine: it verifies the signature of each delivery, prints a line, and may forward the delivery.

A delivery that it cannot verify is refused with 401 and goes no further. No line holds content, unless it is asked for.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from chalicelib.channels import standard_webhooks
from chalicelib.channels.base import Inbound
from chalicelib.channels.standard_webhooks import Secret
from chalicelib.core import times
from chalicelib.core.errors import NotGenuine

from . import connection

STOPPED: Final = 0
CANNOT_LISTEN: Final = 1
WRONG: Final = 3
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
FORWARD_S: Final = 15
"""How long the other server may take. A cell waits as long for the whole answer."""
# RFC 9110, 7.6.1 (read 2026-11-30): these are about one connection. http.client and http.server write their own.
HOP_HEADERS: Final = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade host "
    "content-length date server".split()
)

Say = Callable[[str], None]


class BadOption(Exception):
    """An option cannot be used; the text says which and why."""


@dataclass(frozen=True)
class ReceiverAnswer:
    """What the sender is answered with."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def secrets_in(file: Path) -> tuple[Secret, ...]:
    """Read signing secrets, one a line: ``whsec_…``, or ``whpk_…`` of a key pair.

    Raises:
        BadOption: there is no such file, no secret in it, or a line that is none.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
        found = tuple(Secret(secret=line) for line in lines)
    except (OSError, UnicodeDecodeError):
        raise BadOption(f"--secret-file {file} cannot be read") from None
    except ValidationError:
        raise BadOption(f"--secret-file {file} has a line that is no whsec_… or whpk_…") from None
    if not found:
        raise BadOption(f"--secret-file {file} is empty: put the destination's signing secret into it")
    return found


def forward_target(url: str) -> str:
    """Return the address that deliveries are forwarded to.

    Raises:
        BadOption: neither https, nor http on this machine.
    """
    if not connection.is_safe(url):
        raise BadOption("--forward is an address on this machine, such as http://127.0.0.1:3000/webhooks, or https")
    return url


class Receiver:
    """An HTTP server on 127.0.0.1 that takes deliveries.

    Args:
        port: 0 for a free one.
        secrets: a delivery is verified if one of them signed it.
        forward: where verified deliveries go; without it they are answered with 204.
        content: print the body, too.
    """

    def __init__(
        self, port: int, secrets: Sequence[Secret], say: Say, *, forward: str | None = None, content: bool = False
    ) -> None:
        self._secrets, self._say, self._forward, self._content = tuple(secrets), say, forward, content
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._answer(receiver.take(self._body(), self.headers.items()))

            def do_OPTIONS(self) -> None:
                origin = self.headers.get("WebHook-Request-Origin")
                allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}
                self._answer(ReceiverAnswer(204, allowed))

            def _body(self) -> bytes | None:
                length = self.headers.get("Content-Length", "")
                if not (length.isascii() and length.isdigit() and int(length) <= BODY_BYTES_MAX):
                    self.close_connection = True
                    return None
                return self.rfile.read(int(length))

            def _answer(self, answer: ReceiverAnswer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status not in (204, 304):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing: a path may hold a secret."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def start(self) -> None:
        """Serve in a thread, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes | None, headers: Iterable[tuple[str, str]]) -> ReceiverAnswer:
        """Verify a delivery, forward it, and print a line.

        Args:
            body: None if its length is missing or too large.
        """
        sent = list(headers)
        named = {name.lower(): value for name, value in sent}
        if body is None:
            return self._told(named, 0, "refused", ReceiverAnswer(413))
        request = Inbound(method="POST", url="", headers=named, query={}, body=body, now=datetime.now(UTC))
        if not any(_signed(request, secret) for secret in self._secrets):
            return self._told(named, len(body), "not verified", ReceiverAnswer(401))
        answer = ReceiverAnswer(204) if self._forward is None else _forwarded(self._forward, body, sent)
        self._told(named, len(body), "verified", answer)
        if self._content:
            self._say(json.dumps(body.decode("utf-8", "replace"), ensure_ascii=False))
        return answer

    def _told(self, headers: Mapping[str, str], size: int, verdict: str, answer: ReceiverAnswer) -> ReceiverAnswer:
        name = headers.get("webhook-id", "")
        shown = name if name.isascii() and name.isprintable() and 0 < len(name) <= 64 else "-"
        self._say(f"{times.text(datetime.now(UTC))}  {shown}  {verdict}  {size} bytes  answered {answer.status}")
        return answer


def _signed(request: Inbound, secret: Secret) -> bool:
    try:
        standard_webhooks.verify(request, secret)
    except NotGenuine:
        return False
    return True


def _forwarded(url: str, body: bytes, headers: Iterable[tuple[str, str]]) -> ReceiverAnswer:
    """Pass a delivery on, and return the answer; 502 where there is none."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    passed = {name: value for name, value in headers if name.lower() not in HOP_HEADERS}
    other = kind(parts.hostname or "", parts.port, timeout=FORWARD_S)
    try:
        other.request("POST", path, body, passed)
        answer = other.getresponse()
        content = answer.read(BODY_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        return ReceiverAnswer(502)
    finally:
        other.close()
    kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_HEADERS}
    return ReceiverAnswer(answer.status, kept, content)


def run(port: int, secret_files: Sequence[Path], forward: str | None, *, content: bool) -> int:
    """Receive deliveries until SIGINT or SIGTERM. Return the exit code."""

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        secrets = [secret for file in secret_files for secret in secrets_in(file)]
        target = forward_target(forward) if forward is not None else None
    except BadOption as fault:
        print(f"waybill listen: {fault}", file=sys.stderr)
        return WRONG
    try:
        receiver = Receiver(port, secrets, say, forward=target, content=content)
    except OSError as fault:
        print(f"waybill listen: port {port} cannot be used: {fault.strerror}", file=sys.stderr)
        return CANNOT_LISTEN
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    receiver.start()
    say(json.dumps({"ready": True, "url": receiver.url}))
    while not stop.wait(0.5):
        pass
    receiver.stop()
    return STOPPED

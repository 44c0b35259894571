"""The local cell's HTTP door: what both APIs' gateways do, in one process.

It reads a body that is too large away before it answers, so that the client sees the answer, and logs nothing of its own.
"""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

BODY_MAX_BYTES = 6 * 1024 * 1024
DRAIN_MAX_BYTES = 64 * 1024 * 1024


class RequestHandler(BaseHTTPRequestHandler):
    """Hand each request to the hooks lambda or to the API, as API Gateway would."""

    protocol_version = "HTTP/1.1"
    server: LocalServer
    timeout = 30

    def _read_body(self) -> bytes | None:
        """Return the exact body; None where it is too large, after reading it away so that the client sees the answer."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body, size = bytearray(), -1
            while size:
                size = _length(self.rfile.readline(20).split(b";")[0].decode("ascii", "replace"), 16)
                body += self.rfile.read(size)
                self.rfile.readline(4)
                if len(body) > DRAIN_MAX_BYTES:
                    self.close_connection = True
                    return None
            return bytes(body) if len(body) <= BODY_MAX_BYTES else None
        length = _length(self.headers.get("Content-Length") or "0", 10)
        if length <= BODY_MAX_BYTES:
            return self.rfile.read(length)
        left = min(length, DRAIN_MAX_BYTES)
        self.close_connection = left < length
        while left > 0:
            block = self.rfile.read(min(left, 65536))
            if not block:
                break
            left -= len(block)
        return None

    def _handle(self) -> None:
        try:
            urlsplit(self.path)
            body = self._read_body()
        except (ValueError, OSError):
            self.close_connection = True
            self._answer(400, {"content-type": "text/plain"}, b"the request cannot be read")
            return
        try:
            status, headers, answer = self.server.answer_request(
                self.command, self.path, list(self.headers.items()), body
            )
        except Exception:
            logging.getLogger("waybill.local").exception("door")
            status, headers, answer = 500, {"content-type": "text/plain"}, b"internal error"
        self._answer(status, headers, answer)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status >= 200 and status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _handle  # noqa: N815  (their names)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the handlers log what happened, without addresses and paths."""


def _length(text: str, base: int) -> int:
    """Read a length; a negative one would make the server read until the client closes the connection."""
    length = int(text.strip() or "0", base)
    if length < 0:
        raise ValueError("a length is never negative")
    return length


class LocalServer(ThreadingHTTPServer):
    """The cell's two APIs behind one address."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], app: Any) -> None:
        super().__init__(address, RequestHandler)
        self.app = app
        self.export: Callable[[str], bytes] | None = None
        """Reads a result of a job by its key."""
        self._link_key = secrets.token_bytes(32)
        # Chalice keeps the current request on the app: one API request at a time.
        self.one_api_request = threading.Lock()

    def server_bind(self) -> None:
        """Answer at once: no Nagle."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().server_bind()

    def link(self, key: str, name: str, for_s: int) -> str:
        """Return an address of this door that needs no key and gives a result of a job for some seconds."""
        expires = str(int(time.time()) + for_s)
        query = urlencode({"key": key, "expires": expires, "mac": self._mac(key, name, expires)})
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/exports/{quote(name)}?{query}"

    def _mac(self, *parts: str) -> str:
        return hmac.digest(self._link_key, "\n".join(parts).encode(), "sha256").hex()

    def _exported(self, name: str, query: str) -> tuple[int, dict[str, str], bytes]:
        asked = dict(parse_qsl(query))
        key, expires = asked.get("key", ""), asked.get("expires", "")
        genuine = hmac.compare_digest(asked.get("mac", "").encode(), self._mac(key, name, expires).encode())
        if self.export is None or not genuine or int(expires) < time.time():
            return 403, {"content-type": "text/plain"}, b"this link is not, or no longer, good; ask for the job again"
        saved = {"content-type": "application/x-tar", "content-disposition": f'attachment; filename="{name}"'}
        return 200, saved, self.export(key)

    def answer_request(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request; ``body`` is None if it was too large to keep."""
        parts = urlsplit(target)
        if parts.path.startswith("/exports/") and method == "GET":
            return self._exported(parts.path.removeprefix("/exports/"), parts.query)
        return answer_request(method, target, headers, body, lambda e: self.app_module.hooks(e, None), self._api)

    def _api(
        self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> Mapping[str, Any]:
        from chalicelib.api import gateway

        with self.one_api_request:
            return gateway.handle(self.app, method, path, query, headers, body)

    @property
    def app_module(self) -> Any:
        """The module whose handlers are fed."""
        import app

        return app


def answer_request(
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes | None,
    hooks: Callable[[dict[str, Any]], Mapping[str, Any]],
    api: Callable[[str, str, str, list[tuple[str, str]], bytes | None], Mapping[str, Any]],
) -> tuple[int, dict[str, str], bytes]:
    """Answer one request by the API that its path belongs to.

    Args:
        target: path and query as on the wire.
        body: None where it was too large to keep.
    """
    parts = urlsplit(target)
    if parts.path.startswith("/hooks/"):
        event = http_api_event(
            method, parts.path, parts.query, headers, body if body is not None else b"0" * (BODY_MAX_BYTES + 1)
        )
        return _read_answer(hooks(event))
    return _read_answer(api(method, parts.path, parts.query, headers, body))


def http_api_event(method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """Build the event of API Gateway's HTTP API, payload 2.0."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name.lower()] = f"{joined[name.lower()]},{value}" if name.lower() in joined else value
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined,
        "queryStringParameters": dict(parse_qsl(query)),
        "requestContext": {"http": {"method": method, "path": path}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def _read_answer(answer: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else str(body).encode()
    return int(answer["statusCode"]), dict(answer.get("headers") or {}), content

"""The HTTP server of a cell without API Gateway: webhooks and the tenant API as one WSGI application, served by waitress.

``waybill local`` and ``waybill serve`` use it. Webhooks pass no framework.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import responses
from typing import Any

from chalice import Chalice
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server

from chalicelib.api import gateway
from chalicelib.flow.hooks import http_event, receive
from chalicelib.observe import error
from chalicelib.runtime import runtime

from .local_server import BODY_MAX_BYTES, ExportLinks, Response, answer_request

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
NEVER = 1 << 62
_PLAIN = {"content-type": "text/plain; charset=utf-8"}


def hooks(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take a webhook."""
    cell = runtime()
    source, request = http_event.request(event, cell.now(), cell.settings.hooks_url)
    return http_event.reply(receive.handle(cell, source, request))


class App:
    """Answers requests, in as many threads as there are. Once ``stopping`` is set it answers 503 to each new one.

    Args:
        api: the tenant API, a ``ThreadedApp``.
        pages: the answers about this process itself, by path.
    """

    def __init__(self, api: Chalice, pages: Mapping[str, Callable[[], Response]] | None = None) -> None:
        self.stopping = threading.Event()
        self._pages = dict(pages or {})
        self.exports: ExportLinks | None = None
        self._app = api
        self._in_hand = 0
        self._changed = threading.Condition()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        with self._changed:
            self._in_hand += 1
        try:
            status, headers, body = self._answer(environ)
        except Exception as fault:  # noqa: BLE001  (the server's edge: every fault is logged and answered)
            error("request_failed", fault)
            status, headers, body = 500, _PLAIN, b"internal error"
        finally:
            with self._changed:
                self._in_hand -= 1
                self._changed.notify_all()
        if status >= 200 and status not in (204, 304):
            headers = {**headers, "content-length": str(len(body))}
        start_response(f"{status} {responses.get(status, 'Status')}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" or status in (204, 304) else [body]

    def _answer(self, environ: Environ) -> tuple[int, Mapping[str, str], bytes]:
        if self.stopping.is_set():
            return 503, {**_PLAIN, "retry-after": "5"}, b"stopping; ask again"
        path, _, query = environ["REQUEST_URI"].partition("?")
        if path in self._pages and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._pages[path]()
        if self.exports is not None and path.startswith("/exports/") and environ["REQUEST_METHOD"] == "GET":
            return self.exports.answer(path.removeprefix("/exports/"), query)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        # waitress has read the body before it calls us; a body over the limit is left unread.
        body = environ["wsgi.input"].read(length) if length <= BODY_MAX_BYTES else None
        return answer_request(
            environ["REQUEST_METHOD"], environ["REQUEST_URI"], list(_headers(environ)), body, hooks, self._api
        )

    def _api(
        self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> Mapping[str, Any]:
        return gateway.handle(self._app, method, path, query, headers, body)

    def finish(self, within_s: float) -> bool:
        """Wait for the requests in hand. Return False if some are still there when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_hand == 0, within_s)


def _headers(environ: Environ) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").title(), value
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            yield name.replace("_", "-").title(), environ[name]


_TARGET = re.compile(r"/(?!/)[\x21-\x22\x24-\x5b\x5d-\x7e]*\Z")
_ONCE = frozenset({b"content-length", b"transfer-encoding", b"host"})


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses each request that a proxy in front of it could understand otherwise: 400, and the connection is closed.

    Source: https://www.rfc-editor.org/rfc/rfc9112, 3.2 and 6.1 to 6.3 (read 2026-11-30).
    """

    def parse_header(self, header_plus: bytes) -> None:
        names = [line.partition(b":")[0].strip().lower() for line in header_plus.split(b"\r\n")[1:]]
        if any(names.count(name) > 1 for name in _ONCE):
            raise ParsingError("a header that says where a request ends, or for whom it is, stands there twice")
        chunked = b"transfer-encoding" in names
        if chunked and b"content-length" in names:
            raise ParsingError("a request has a length or is in chunks, not both")
        try:
            super().parse_header(header_plus)
        except ValueError as fault:  # an invalid address; waitress would close the connection without an answer
            raise ParsingError("the address cannot be read") from fault
        if self.version not in ("1.0", "1.1") or (chunked and self.version == "1.0"):
            raise ParsingError("the version of HTTP does not have this")
        if _TARGET.match(self.request_uri) is None:
            raise ParsingError("the address is a path that begins with one slash")


class _Log(logging.LoggerAdapter[logging.Logger]):
    """Leaves out the path that a request is of: it may hold a secret."""

    def process(self, msg: str, kwargs: Any) -> tuple[str, Any]:
        return msg.partition(" while serving ")[0], kwargs


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    logger = _Log(HTTPChannel.logger)


class Server:
    """waitress around an application. It logs no request.

    Args:
        port: 0 for a free one.
        body_bytes: how much of a body is read, in memory only. A larger body is answered before it is read.
    """

    def __init__(self, app: App, host: str, port: int, *, threads: int, body_bytes: int) -> None:
        self._sockets: dict[int, Any] = {}
        self._server: Any = create_server(
            app,
            map=self._sockets,
            host=host,
            port=port,
            threads=threads,
            ident=None,
            max_request_body_size=body_bytes,
            inbuf_overflow=NEVER,  # no body is written to a disk, and no answer
            outbuf_overflow=NEVER,
            clear_untrusted_proxy_headers=True,
        )
        self._server.channel_class = _Channel
        self._thread = threading.Thread(target=self._server.run, name="server", daemon=True)
        self.url = f"http://{host}:{self._server.effective_port}"

    def start(self) -> None:
        """Serve in a thread, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and the address."""
        # By the thread that waits for them: it would stumble over sockets that another one closes.
        self._server.trigger.pull_trigger(functools.partial(wasyncore.close_all, self._sockets))
        self._thread.join()
        self._server.task_dispatcher.shutdown()

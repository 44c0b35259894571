"""The door of ``waybill serve``: webhooks and the tenant API as one WSGI application, without a framework around webhooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import responses
from typing import Any

from chalice import Chalice

from chalicelib.api import gateway
from chalicelib.flow.hooks import http_event, receive
from chalicelib.observe import error
from chalicelib.runtime import runtime

from .local_server import BODY_MAX_BYTES, answer_request

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
_PLAIN = {"content-type": "text/plain; charset=utf-8"}


def hooks(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take a webhook."""
    cell = runtime()
    source, request = http_event.request(event, cell.now(), cell.settings.hooks_url)
    return http_event.reply(receive.handle(cell, source, request))


class App:
    """Answers requests, in as many threads as there are. Once ``stopping`` is set it takes nothing any more: 503.

    Args:
        app: the tenant API; where threads share the door, one that threads can share.
    """

    def __init__(self, app: Chalice) -> None:
        self.stopping = threading.Event()
        self._app = app
        self._in_hand = 0
        self._changed = threading.Condition()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        with self._changed:
            self._in_hand += 1
        try:
            status, headers, body = self._answer(environ)
        except Exception as fault:  # noqa: BLE001  (the door's edge: every fault is logged and answered)
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
        length = int(environ.get("CONTENT_LENGTH") or 0)
        # The server has read the body before it asks us; one that is too large is left where it is.
        body = environ["wsgi.input"].read(length) if length <= BODY_MAX_BYTES else None
        return answer_request(
            environ["REQUEST_METHOD"], environ["REQUEST_URI"], list(_headers(environ)), body, hooks, self._api
        )

    def _api(
        self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> Mapping[str, Any]:
        return gateway.handle(self._app, method, path, query, headers, body)

    def finish(self, within_s: float) -> bool:
        """Wait for the requests in hand. Return False if some are still there when the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_hand == 0, within_s)


def _headers(environ: Environ) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").title(), value
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            yield name.replace("_", "-").title(), environ[name]

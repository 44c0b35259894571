"""API Gateway's work for a cell without one: which API answers a request, in which form, and links to jobs' results."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""
BODY_MAX_BYTES = 6 * 1024 * 1024


class ExportLinks:
    """Links to results of jobs, for a cell whose bucket no client can reach.

    Args:
        url: the address of the server that answers them.
        read: reads a result by its key.
    """

    def __init__(self, url: str, read: Callable[[str], bytes]) -> None:
        self._url, self._read = url, read
        self._key = secrets.token_bytes(32)

    def link(self, key: str, name: str, for_s: int) -> str:
        """Return an address that gives a result for some seconds and needs no key."""
        expires = str(int(time.time()) + for_s)
        query = urlencode({"key": key, "expires": expires, "mac": self._mac(key, name, expires)})
        return f"{self._url}/exports/{quote(name)}?{query}"

    def _mac(self, *parts: str) -> str:
        return hmac.digest(self._key, "\n".join(parts).encode(), "sha256").hex()

    def answer(self, name: str, query: str) -> Response:
        """Answer a request for a link: with the result, or 403 if the link is altered or too old."""
        given = dict(parse_qsl(query))
        key, expires = given.get("key", ""), given.get("expires", "")
        genuine = hmac.compare_digest(given.get("mac", "").encode(), self._mac(key, name, expires).encode())
        if not genuine or int(expires) < time.time():
            return 403, {"content-type": "text/plain"}, b"this link is not, or no longer, good; ask for the job again"
        saved = {"content-type": "application/x-tar", "content-disposition": f'attachment; filename="{name}"'}
        return 200, saved, self._read(key)


def answer_request(
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes | None,
    hooks: Callable[[dict[str, Any]], Mapping[str, Any]],
    api: Callable[[str, str, str, list[tuple[str, str]], bytes | None], Mapping[str, Any]],
) -> Response:
    """Answer one request by the API that its path belongs to.

    Args:
        target: path and query as on the wire.
        body: None if it is too large to keep.
    """
    path, _, query = target.partition("?")  # what begins with "//" or a scheme names no host here
    if path.startswith("/hooks/"):
        whole = body if body is not None else b"0" * (BODY_MAX_BYTES + 1)
        return _read_answer(hooks(http_api_event(method, path, query, headers, whole)))
    return _read_answer(api(method, path, query, headers, body))


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


def _read_answer(answer: Mapping[str, Any]) -> Response:
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else str(body).encode()
    return int(answer["statusCode"]), dict(answer.get("headers") or {}), content

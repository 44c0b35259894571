"""Call a cell's gateways as a client does: one request, a tenant's request, a list page by page."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .messengers import Json


class JourneyError(Exception):
    """Something is not as it should be."""


@dataclass(frozen=True)
class Gateway:
    """A base address, and its ``Host`` header if that differs."""

    url: str
    host: str | None = None

    def call(
        self, method: str, path: str, body: bytes | Json | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Make one request. Return status, body (JSON where it is) and headers."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
        sent |= {"Host": self.host} if self.host else {}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={**sent, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, _read(answer.read()), _lower(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, _read(error.read()), _lower(error.headers)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


class Tenant:
    """A tenant's key on the cell's API."""

    def __init__(self, api: Gateway, key: str) -> None:
        self.api = api
        self.key = key

    def __call__(self, method: str, path: str, body: Json | None = None, expect: tuple[int, ...] = (200, 201)) -> Any:
        """Make one request of the tenant API and return its JSON.

        Raises:
            JourneyError: the status is not one of ``expect``.
        """
        status, answer, _ = self.api.call(method, path, body, {"Authorization": f"Bearer {self.key}"})
        if status not in expect:
            detail = answer.get("detail") if isinstance(answer, dict) else ""
            raise JourneyError(f"{method} {path.partition('?')[0]} answered {status}: {detail}")
        return answer

    def all(self, path: str) -> Iterator[Json]:
        """Yield a list's items, page by page."""
        cursor = ""
        while True:
            joint = "&" if "?" in path else "?"
            page = self("GET", f"{path}{joint}limit=50{cursor}")
            yield from page["data"]
            if not page["next"]:
                return
            cursor = "&cursor=" + urllib.parse.quote(page["next"])

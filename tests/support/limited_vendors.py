"""CRMs that limit their calls as their vendors document it, called in simulated time without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest

from chalicelib.destinations import vetted
from chalicelib.destinations.vetted import HttpResponse
from tests.fixtures.destinations import crm, vendor
from tests.fixtures.destinations.chatwoot_api import INBOX, TOKEN, Chatwoot
from tests.support.simultaneous import Simultaneous

HERE = "http://127.0.0.1:9"
CALL_S = 0.05
"""How long each call takes."""


@dataclass
class Window:
    """At most ``most`` calls in any ``seconds``."""

    most: float
    seconds: float
    taken: list[float] = field(default_factory=list)

    def takes(self, now_s: float) -> bool:
        self.taken = [at for at in self.taken if at > now_s - self.seconds]
        self.taken += [now_s] if len(self.taken) < self.most else []
        return bool(self.taken) and self.taken[-1] == now_s


@dataclass
class Bucket:
    """A bucket that each call fills by one, and that loses ``per_s`` a second. It is as good as full at the beginning."""

    most: float
    per_s: float
    full: float = 0.0
    at_s: float = 0.0

    def takes(self, now_s: float) -> bool:
        self.full, self.at_s = max(0.0, self.full - (now_s - self.at_s) * self.per_s), now_s
        if self.full + 1 > self.most:
            return False
        self.full += 1
        return True


@dataclass
class LimitedVendor:
    """A vendor behind its limits.

    Args:
        limits: each with the part of a path that it counts; empty for all.
        refusal: the answer to a call over a limit.
        blocks_at: at this call the vendor asks for less, and then blocks the account for 90 s; 0 for none.
    """

    kind: str
    config: dict[str, Any]
    answer: Callable[[str, str, Mapping[str, str], bytes], tuple[int, dict[str, str], bytes]]
    messages: Callable[[], int]
    limits: list[tuple[str, Window | Bucket]]
    refusal: tuple[int, dict[str, Any]]
    blocks_at: int = 0
    calls: int = 0
    refused: list[float] = field(default_factory=list)
    blocked: int = 0
    blocked_until_s: float = 0.0

    def respond(self, now_s: float, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        self.calls += 1
        if now_s < self.blocked_until_s:
            self.blocked += 1
            return HttpResponse(403, {"content-type": "text/html"}, b"<html>403 Forbidden</html>")
        taken = [limit.takes(now_s) for part, limit in self.limits if part in path]
        blocks = self.calls == self.blocks_at
        if blocks or not all(taken):
            self.refused.append(now_s)
            self.blocked_until_s = now_s + 90 if blocks else 0.0
            status, content = self.refusal
            return HttpResponse(status, {}, json.dumps(content).encode())
        status, fields, content_bytes = self.answer(method, path, headers, body)
        return HttpResponse(status, {name.lower(): value for name, value in fields.items()}, content_bytes)


def _crm(made: crm.Vendor, limits: list[tuple[str, Window | Bucket]], refusal: tuple[int, Any]) -> LimitedVendor:
    made.url = HERE

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> crm.Answer:
        parts = urlsplit(path)
        form = "urlencoded" in headers.get("Content-Type", "")
        content = dict(parse_qsl(body.decode())) if form else json.loads(body) if body else None
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        lower = {name.lower(): value for name, value in headers.items()}
        return made.handle(crm.Asked(method, unquote(parts.path), query, lower, content))

    return LimitedVendor(made.KIND, made.config(), answer, lambda: len(made.messages), limits, refusal)


def _chatwoot(limits: list[tuple[str, Window | Bucket]], refusal: tuple[int, Any]) -> LimitedVendor:
    made = Chatwoot()

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> crm.Answer:
        parts = urlsplit(path)
        lower = {name.lower(): value for name, value in headers.items()}
        content = json.loads(body) if body else None
        reply = made.take(vendor.Request(method, parts.path, dict(parse_qsl(parts.query)), lower, content))
        return reply.status, dict(reply.headers), json.dumps(reply.body).encode()

    def messages() -> int:
        return sum(len(c["messages"]) for c in made.conversations.values())

    config = {"url": HERE, "token": TOKEN, "account_id": made.account, "inbox_id": INBOX}
    return LimitedVendor("chatwoot", config, answer, messages, limits, refusal)


def limited(kind: str, share: float) -> LimitedVendor:
    """Return a vendor of a kind.

    Args:
        share: the share of the documented limits that other integrations leave.
    """
    if kind == "amocrm":
        return _crm(crm.Amocrm(), [("", Window(7 * share, 1))], (429, {"title": "Too many requests"}))
    if kind == "bitrix24":
        words = {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
        return _crm(crm.Bitrix24(), [("", Bucket(50 * share, 2 * share))], (503, words))
    if kind == "hubspot":
        limits: list[tuple[str, Window | Bucket]] = [("", Window(100 * share, 10)), ("/search", Window(4 * share, 1))]
        return _crm(crm.Hubspot(), limits, (429, {"policyName": "SECONDLY"}))
    limits = [("", Window(3000 * share, 60)), ("/contacts/search", Window(100 * share, 60))]
    return _chatwoot(limits, (429, {"error": "Retry later"}))


KINDS = ("amocrm", "bitrix24", "hubspot", "chatwoot")


@contextmanager
def serving(made: LimitedVendor, w: Simultaneous) -> Iterator[LimitedVendor]:
    """Answer all calls of a world's destinations by a vendor until the block ends."""

    def request(
        target: Any, address: Any, method: str, headers: Mapping[str, str], body: bytes | None, *_: Any, **__: Any
    ) -> HttpResponse:
        w.scheduler.pause(CALL_S)
        return made.respond(w.scheduler.now_s, method, target.path, headers, body or b"")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vetted, "request", request)
        yield made

"""Destinations: their answers, and the requests that they got. They replace the vetted connection.

Connections themselves, real ones that hang, break and lie, are tested in ``tests/contract/test_vetted_connection.py``.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from chalicelib.destinations import vetted
from chalicelib.destinations.address import Target

if TYPE_CHECKING:
    from .world import World

TIMEOUT_S = 15.0
HOST = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Request:
    """One request that reached a destination. ``began`` is the tick at which the invocation that sent it began."""

    tick: int
    at: datetime
    began: int
    process_at: datetime
    overlapped: bool
    headers: Mapping[str, str]
    body: bytes
    status: int | None
    """None if it was received but no answer came back."""

    @property
    def transfer(self) -> str:
        """The transfer that it is about."""
        return self.headers["waybill-transfer"]


@dataclass
class Receiver:
    """One destination's server. ``secrets`` are its signing secrets: each with the times from and until which it counts."""

    name: str
    lane: bool = True
    limit_per_s: int | None = None
    outages: list[tuple[float, float, str]] = field(default_factory=list)
    gone_at_s: float | None = None
    secrets: list[tuple[str, datetime, datetime | None]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{HOST}/{self.name}"

    def rotate(self, secret: str, now: datetime) -> None:
        """Note a new secret; the one before counts for its grace."""
        if self.secrets and self.secrets[-1][0] == secret:
            return
        if self.secrets:
            last, since, _ = self.secrets[-1]
            self.secrets[-1] = (last, since, now + timedelta(hours=24))
        self.secrets.append((secret, now, None))


def signed(receiver: Receiver, request: Request) -> bool:
    """Say whether a request bears a signature by a secret that counts at its time."""
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    given = request.headers["webhook-signature"].split()
    slack = timedelta(minutes=5)
    for secret, since, until in receiver.secrets:
        if since - slack <= request.at and (until is None or request.at <= until + slack):
            key = base64.b64decode(secret.removeprefix("whsec_"))
            if f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" in given:
                return True
    return False


OUTAGES = ("http_503", "hang", "connect", "http_500", "retry_after", "broken")
FAULTS = (
    "http_500", "http_502", "http_503", "http_504", "http_408", "http_425", "http_429", "retry_after", "retry_date",
    "hang", "hang_taken", "slow", "slow", "broken", "broken_taken", "connect", "tls", "protocol",
)  # fmt: skip
REFUSALS = ("http_400", "http_404", "http_422", "http_301", "http_413")


class Receivers:
    """Every destination of a world, by the path of its address. ``heard`` is called with each accepted request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = random.Random(world.random.random())
        self.all: dict[str, Receiver] = {}
        self.heard: Callable[[Request], None] = lambda _request: None

    def make(self, lane: bool, limit_per_s: int | None) -> Receiver:
        """Set up a destination's server."""
        made = Receiver(f"d{len(self.all)}", lane, limit_per_s)
        self.all[made.name] = made
        return made

    def _behaviour(self, receiver: Receiver) -> str:
        now_s = self.world.scheduler.now_s
        if receiver.gone_at_s is not None and now_s >= receiver.gone_at_s:
            receiver.gone_at_s = None
            return "http_410"
        for since, until, kind in receiver.outages:
            if since <= now_s < until:
                return kind
        if not self.world.faults.draws("answer_fault"):
            return "ok"
        return self.random.choice(REFUSALS if self.random.random() < 0.05 else FAULTS)

    def _taken(self, receiver: Receiver, headers: Mapping[str, str], body: bytes, status: int | None) -> None:
        world, process = self.world, self.world.process
        began = process.began if process is not None else 0
        at = process.runtime.now() if process is not None else world.now()
        lower = {name.lower(): value for name, value in headers.items()}
        request = Request(world.tick, world.now(), began, at, False, lower, body, status)
        receiver.requests.append(request)
        self.heard(request)

    def request(
        self,
        target: Target,
        addresses: Sequence[str],
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        **_: Any,
    ) -> vetted.HttpResponse:
        """Answer a request, or do not: in place of ``vetted.request``.

        Raises:
            DeliveryError: no answer came.
        """
        world = self.world
        receiver = self.all[target.path.strip("/")]
        world.arrive("before send")
        kind = self._behaviour(receiver)
        if kind != "ok":
            world.faults.note(world.tick, world.scheduler.now_s, f"answer {kind}", receiver.name)
        answer = self._answer(kind, receiver, headers, body or b"")
        world.arrive("after send")
        return answer

    def _answer(self, kind: str, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> vetted.HttpResponse:
        pause = self.world.scheduler.pause
        if kind in ("connect", "tls"):
            pause(self.random.uniform(0.001, 4))
            raise vetted.failure(kind, sent=False)
        pause(self.random.uniform(0.001, 0.1))
        if kind.endswith("_taken"):
            self._taken(receiver, headers, body, None)
        if kind.startswith("hang"):
            pause(TIMEOUT_S)
            raise vetted.failure("timeout")
        if kind.startswith("broken") or kind == "protocol":
            raise vetted.failure(kind.partition("_")[0])
        if kind in ("ok", "slow"):
            status = self.random.choice((200, 201, 202, 204))
            self._taken(receiver, headers, body, status)
            pause(self.random.uniform(1, 14) if kind == "slow" else self.random.uniform(0.001, 0.2))
            return vetted.HttpResponse(status, {}, b"thank you")
        pause(self.random.uniform(0.001, 1))
        if kind.startswith("retry"):
            wait_s = self.random.choice((1, 7, 60, 900))
            after = str(wait_s)
            if kind == "retry_date":
                after = format_datetime(self.world.now() + timedelta(seconds=wait_s), usegmt=True)
            return vetted.HttpResponse(self.random.choice((429, 503)), {"retry-after": after}, b"")
        return vetted.HttpResponse(int(kind[5:]), {}, b"no")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Be where every vetted connection leads."""
        real = vetted.request
        vetted.request = self.request
        try:
            yield
        finally:
            vetted.request = real

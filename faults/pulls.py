"""Recipients of routes that restrict: they are sent links, and pull what these lead to, once, twice, late, two at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.core import times
from chalicelib.core.delivery.links import PATH

from .evidence import Evidence, Transfer
from .platforms import DIGITS, WORD
from .receivers import Request
from .story import Broken
from .tenants import LINK_HOURS
from .world import SKEW_S, Context, World

HABITS = ((0.5,), (0.5, 40.0), (0.5, 0.5), (5.0, 5.0), (900.0,), (3000.0, 3000.0), (LINK_HOURS * 3600 + 600.0,), ())
"""When a link is pulled, in seconds after it came."""
TRIES = 3


@dataclass(frozen=True)
class Pull:
    """One request for a link's content, from tick to tick; ``sent_at`` is when the link came."""

    transfer: str
    sent_at: datetime
    at: datetime
    began: int
    ended: int
    status: int
    event: str | None

    @property
    def given(self) -> bool:
        """Whether the content was given."""
        return self.status == 200


class Pulls:
    """Pulls the links that come."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = random.Random(world.random.random())
        self.all: list[Pull] = []

    def told(self, request: Request) -> None:
        """Pull the link of a request, if it holds one."""
        data = json.loads(request.body)["data"]
        if "pull_url" in data:
            path = data["pull_url"].partition(PATH)
            for after_s in self.random.choice(HABITS):
                self._later(request, f"{path[1]}{path[2]}", after_s)

    def _later(self, request: Request, path: str, after_s: float) -> None:
        self.world.scheduler.spawn(lambda: self._pull(request, path), context=Context(), after_s=after_s)

    def _pull(self, request: Request, path: str) -> None:
        world = self.world
        for _ in range(TRIES):
            at, began = world.now(), world.tick
            status, answer = world.api(None, "GET", path)
            event = answer["id"] if status == 200 else None
            self.all.append(Pull(request.transfer, request.at, at, began, world.tick, status, event))
            if status < 500 and status != 429:
                return
            world.scheduler.pause(self.random.uniform(1, 60))


def judged(evidence: Evidence, made: Iterable[Pull]) -> Iterator[Broken]:
    """Content is given at most once a transfer, in time, with a right to it, and as the log says; none was sent before."""
    pulls: dict[str, list[Pull]] = {}
    for pull in made:
        pulls.setdefault(pull.transfer, []).append(pull)
    for transfer in evidence.transfers.values():
        destination = evidence.destinations.get(transfer.destination)
        if destination is None or not destination.restricts:
            continue
        for detail in (*_sent(transfer), *_pulled(evidence, transfer, pulls.get(transfer.id, []))):
            yield evidence.broken("pulled", transfer, detail)


def _sent(transfer: Transfer) -> Iterator[str]:
    """Nothing but which event there is leaves."""
    for request in transfer.requests:
        data = json.loads(request.body)["data"]
        text = request.body.decode()
        if data.keys() != {"id", "kind", "pull_url"} or data["id"] != transfer.event or WORD in text or DIGITS in text:
            yield "was sent with more than a link"
    if any(set(a["classes"]) - {"technical"} for a in transfer.attempts):
        yield "was sent with more classes than technical by the log"


def _pulled(evidence: Evidence, transfer: Transfer, pulls: list[Pull]) -> Iterator[str]:
    given = [p for p in pulls if p.given]
    looks = [a for a in transfer.acts if a["kind"] == "viewed" and a["object"] is not None]
    if len(given) > 1 or len(looks) > 1:
        yield f"was given {len(given)} times, with {len(looks)} entries"
    for look in looks:
        during = [p for p in pulls if p.began <= evidence.tick(look) <= p.ended]
        if not any(p.given or p.status >= 500 or _unanswered(evidence, p) for p in during):
            yield "has an entry of a look that did not happen"
    for pull in given:
        if not any(evidence.tick(look) <= pull.ended for look in looks):
            yield "was given and has no entry of it"
        if pull.event != transfer.event:
            yield "was pulled and gave another event"
        yield from _unlawful(evidence, transfer, pull)


def _unanswered(evidence: Evidence, pull: Pull) -> bool:
    """Say whether a write during a pull was done but not answered: a repeated pull finds it and cannot tell whose it is."""
    told = (f for f in evidence.world.faults.told if f.kind == "lost_answer" and f.where.startswith("api "))
    return any(pull.began <= fault.tick <= pull.ended for fault in told)


def _unlawful(evidence: Evidence, transfer: Transfer, pull: Pull) -> Iterator[str]:
    slack = timedelta(seconds=2 * SKEW_S)
    if pull.at > pull.sent_at + timedelta(hours=LINK_HOURS) + slack:
        yield "was given after its link's time"
    if pull.at > max(times.parse(d["expires_at"]) for d in transfer.decisions) + slack:
        yield "was given after its event's life"
    erased = evidence.tenants[transfer.tenant].erased.get(transfer.event)
    if erased is not None and pull.began > erased:
        yield "was given after its event was erased"
    for span in evidence.destinations[transfer.destination].barred:
        if span.since < pull.began and (span.until is None or pull.ended < span.until):
            yield "was given though the tenant had forbidden it"

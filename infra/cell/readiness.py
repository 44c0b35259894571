"""``GET /readyz``: whether this process can take and bring events now. ``/healthz`` beside it says only that it runs.

A thread looks every few seconds, so that a request never waits for an engine that does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from chalicelib.core.errors import WaybillError
from chalicelib.observe import warning
from chalicelib.runtime import Runtime
from chalicelib.store.items import FAILED_CALLS, cause_of
from chalicelib.store.runs import JobRun

from .feeders import FEEDERS, runs_of
from .local_server import Response

LOOK_S: Final = 5.0
STALE_S: Final = 30.0
"""After this time without a finished look a process is not ready: an engine holds the look up."""
CLOCK_MAX: Final = timedelta(seconds=10)
"""The largest difference between the clocks of this machine and of an engine. Signatures bear five minutes, the log's
partitions a minute."""
GOOD: Final = "ok"
_HALF_SECOND: Final = timedelta(seconds=0.5)
DEPTHS: Final = {
    "waiting": "ApproximateNumberOfMessages",
    "in_hand": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
"""The states of a queue's messages, and the attributes that count them."""


@dataclass
class Readiness:
    """The last look at the queues, the store and the clock of a served cell.

    ``depths`` counts the messages of each queue by their state, ``runs`` are the last runs of the periodic jobs.
    """

    cell: Runtime
    parts: Mapping[str, str] = field(default_factory=dict)
    depths: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    runs: Sequence[JobRun] = ()
    _looked_at: float | None = None
    _urls: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Ask each queue and the store, and compare the clocks."""
        dates: list[timedelta] = []
        depths: dict[str, Mapping[str, int]] = {}
        parts = {"queues": _tried(lambda: self._queues(depths, dates)), "store": _tried(lambda: self._store(dates))}
        parts["clock"] = _clock(dates)
        if parts != self.parts and set(parts.values()) != {GOOD}:
            warning("not_ready", **parts)
        self.parts, self.depths, self._looked_at = parts, depths, self.cell.monotonic()

    @property
    def ready(self) -> bool:
        """Whether the last look is recent and found all well."""
        fresh = self._looked_at is not None and self.cell.monotonic() - self._looked_at <= STALE_S
        return fresh and set(self.parts.values()) == {GOOD}

    def answer(self) -> Response:
        """Answer a request: 200 if ready, else 503 with the reason of each part."""
        ready = self.ready
        told = {"status": "ready" if ready else "not ready", **self.parts}
        if not ready and set(self.parts.values()) == {GOOD}:
            told["look"] = f"an engine has not answered for {STALE_S:.0f} s"
        return 200 if ready else 503, {"content-type": "application/json"}, json.dumps(told).encode()

    def _queues(self, depths: dict[str, Mapping[str, int]], dates: list[timedelta]) -> None:
        sqs, prefix = self.cell.clients.get("sqs"), self.cell.settings.prefix
        for name in (*(f"{feeder}.fifo" for feeder in FEEDERS), "seal-requests"):
            if name not in self._urls:
                self._urls[name] = sqs.get_queue_url(QueueName=f"{prefix}-{name}")["QueueUrl"]
            began = self.cell.now()
            found = sqs.get_queue_attributes(QueueUrl=self._urls[name], AttributeNames=["All"])
            dates += _ahead(found, began, self.cell.now())
            counts = {state: int(found["Attributes"].get(attribute, 0)) for state, attribute in DEPTHS.items()}
            depths[name.removesuffix(".fifo")] = counts

    def _store(self, dates: list[timedelta]) -> None:
        began = self.cell.now()
        key = {"pk": {"S": "check#ready"}, "sk": {"S": "check"}}
        table = self.cell.settings.table("data")
        found = self.cell.clients.get("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
        dates += _ahead(found, began, self.cell.now())
        self.runs = runs_of(self.cell).all()


def _tried(look: Callable[[], None]) -> str:
    try:
        look()
    except FAILED_CALLS as fault:
        return f"unreachable ({cause_of(fault)})"
    except WaybillError as fault:
        return f"unreachable ({fault.code})"
    return GOOD


def _ahead(answer: Mapping[str, Any], began: datetime, ended: datetime) -> list[timedelta]:
    """Return how far an engine's clock is ahead of this machine's; nothing where its answer has no date.

    A date has whole seconds. An engine whose clock is right may have written it at any time between the two given ones.
    """
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if text is None:
        return []
    try:
        date = parsedate_to_datetime(text) + _HALF_SECOND
    except ValueError:
        return []
    if date.tzinfo is None:  # "-0000", which RFC 5322 has for UTC
        date = date.replace(tzinfo=began.tzinfo)
    return [min(date - began, date - ended, key=abs)]


def _clock(dates: list[timedelta]) -> str:
    worst = max(dates, key=abs, default=timedelta(0))
    if abs(worst) <= CLOCK_MAX:
        return GOOD
    return f"{abs(worst).total_seconds():.0f} s {'behind' if worst > timedelta(0) else 'ahead of'} an engine's: use NTP"

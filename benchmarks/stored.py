"""The cost of an event with few and with many stored events: calls, key lookups, write units and our own CPU.

The stores are filled through their own methods, with rows of the form that the flow has just written there. Then a
thousand events go through receive, route and deliver, and are counted. The engine is ``memory``, which knows gets and
inserts by key and nothing else: a query or a scan on an event's way would end the run.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.core import ids, times
from chalicelib.core.log import audit
from chalicelib.core.log.entry_types import Entry
from chalicelib.core.log.leaf import inflate
from chalicelib.core.log.transfers import transfer_id
from chalicelib.store.event_rows import EventRow
from simulation import memory

from . import calls, warm

SIZES = (1_000, 10_000, 100_000)
EVENTS = 1_000
CHUNK = 500
SPREAD = timedelta(days=20)
"""Stored events are spread over this much time, most of the thirty days that they live."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cost:
    """The cost of one event with so many stored."""

    stored: int
    calls: float
    lookups: float
    units: float
    cpu_ms: float
    own_ms: dict[str, float]
    operations: frozenset[str]


class Filled:
    """A warm cell on dicts, into which events, their decisions and their attempts are put by the stores' own methods."""

    def __init__(self) -> None:
        self._memory = memory.Memory(warm.REGION)
        self.cell = warm.Warm(self._memory.client)
        self.stored = 0
        with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
            for _ in range(3):
                self.cell.batch()
        runtime = self.cell.runtime
        tables = self._memory.client("dynamodb", warm.REGION).tables
        entries = [e for e in (_entry(i) for t in tables.values() for i in t.values()) if e is not None]
        self._decided = next(e for e in entries if e["kind"] == "decided")
        self._attempted = next(e for e in entries if e["event"] == self._decided["event"] and e["kind"] == "attempted")
        found = runtime.data.event(self._decided["tenant"], self._decided["event"], self.cell.at)
        if found is None:
            raise LookupError("the event that the others are like is not stored")
        self._row: EventRow = found
        self.tenant, self.log = str(self._decided["tenant"]), str(self._decided["log"])

    def fill(self, size: int) -> None:
        """Store events until there are ``size``.

        Raises:
            RuntimeError: a store did not take one.
        """
        runtime, at = self.cell.runtime, self.cell.at
        self.cell.meter.stage = "fill"
        while self.stored < size:
            numbers = range(self.stored, min(size, self.stored + CHUNK))
            rows, entries = zip(*(self._like(n, at - SPREAD * ((n % 9973) / 9973)) for n in numbers), strict=True)
            outcomes = [
                *runtime.data.insert_events(rows),
                *runtime.audit.append_many([decided for decided, _ in entries]),
                *runtime.audit.append_many([attempted for _, attempted in entries]),
            ]
            runtime.audit.take_touched()
            self.cell.meter.calls.clear()
            if any(isinstance(outcome, Exception) for outcome in outcomes):
                raise RuntimeError("a store did not take what it was to be filled with")
            self.stored += len(numbers)
        gc.collect()
        gc.freeze()  # in a process of ours the collector does not have to walk through the engine's dicts

    def _like(self, number: int, at: datetime) -> tuple[EventRow, tuple[Entry, Entry]]:
        """Make another event like the one that the flow stored, with its decision and its attempt."""
        event, at = ids.derived("evt", str(number)), at.replace(microsecond=0)
        minute = int(at.timestamp()) // 60
        first, then = self._decided, self._attempted
        route = {**first["routes"][0], "transfer": transfer_id(minute, event, first["routes"][0]["route"])}
        told = {
            "tenant": first["tenant"], "minute": minute, "at": at, "event": event, "facts": first["facts"],
            "receipt": {**first["receipt"], "received_at": times.text(at)},
            "expires_at": times.parse(first["expires_at"]),
            "rules_hash": first["rules_hash"], "config_hash": first["config_hash"], "routes": [route],
        }  # fmt: skip
        decided = audit.decided(**told)
        tried = ("destination", "attempt", "outcome", "code", "took_ms", "classes", "size_bytes")
        attempted = audit.attempted(
            tenant=first["tenant"], at=at, decided=decided["id"], log=decided["log"], event=event,
            transfer=route["transfer"], **{name: then[name] for name in tried},
        )  # fmt: skip
        key = self._row.key._replace(event=event)
        return replace(self._row, key=key, received_at=at, minute=minute), (decided, attempted)

    def measure(self, events: int) -> Cost:
        """Send events through the flow, and count. CPU is that of the batch at the lower quartile: slower ones met the machine."""
        cell, meter = self.cell, self.cell.meter
        took: dict[str, list[float]] = {stage: [] for stage in warm.STAGES}

        def timed(stage: str, act: Callable[[], Any]) -> None:
            clients_s, began = meter.cpu_s, time.process_time()
            act()
            took[stage].append(time.process_time() - began - (meter.cpu_s - clients_s))

        batches = max(1, events // warm.BATCH)
        meter.calls.clear()
        with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
            for _ in range(batches):
                cell.batch(timed)
        made = [call for call in meter.calls if call.stage in warm.STAGES]
        meter.calls.clear()
        self.stored += batches * warm.BATCH
        number = batches * warm.BATCH
        units = calls.units_of(made, calls.tables(), number)
        own = {stage: sorted(values)[len(values) // 4] / warm.BATCH * 1000 for stage, values in took.items()}
        return Cost(
            stored=self.stored - number,
            calls=len(made) / number,
            lookups=sum(map(calls.read_units, made)) / number,
            units=sum(units.values()),
            cpu_ms=sum(own.values()),
            own_ms=own,
            operations=frozenset(Counter(call.operation for call in made)),
        )


def _entry(item: Any) -> Entry | None:
    if "leaf" not in item:
        return None
    entry: Entry = json.loads(inflate(bytes(item["leaf"]["B"])))
    return entry


def costs(sizes: Sequence[int], events: int, say: Say) -> list[Cost]:
    """Measure at each size, from the smallest on. ``say`` gets progress messages."""
    filled, found = Filled(), []
    for size in sorted(sizes):
        began = time.monotonic()
        filled.fill(size)
        say(f"{size:,} events stored ({time.monotonic() - began:.0f} s); {events:,} more go through")
        found.append(filled.measure(events))
    return found


def table(found: Sequence[Cost]) -> str:
    """Lay the costs out."""
    heads = ("stored", "calls/event", "keys read", "write units", "own CPU", *warm.STAGES)
    lines = ["".join(f"{head:>13}" for head in heads)]
    for cost in found:
        own = "".join(f"{cost.own_ms[stage]:>10.2f} ms" for stage in warm.STAGES)
        figures = f"{cost.stored:>13,}{cost.calls:>13.2f}{cost.lookups:>13.2f}{cost.units:>13.2f}"
        lines.append(f"{figures}{cost.cpu_ms:>10.2f} ms{own}")
    return "\n".join(lines)

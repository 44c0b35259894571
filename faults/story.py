"""The report of a broken promise: ids, times and codes only, never content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FAULTS_SHOWN = 25
NEAR_TICKS = 25


@dataclass(frozen=True)
class Broken:
    """A promise broken for one object, and the object's story."""

    promise: str
    thing: str
    detail: str
    story: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((f"{self.promise}: {self.thing} {self.detail}", *(f"    {line}" for line in self.story)))


@dataclass(frozen=True)
class Line:
    """One line of a story, at its tick."""

    tick: int
    text: str


def of_entry(entry: Mapping[str, Any], tick: int) -> Line:
    """Describe an entry."""
    kind, at = entry["kind"], entry["at"]
    if kind == "attempted":
        what = f"attempt {entry['attempt']}.{entry['take']} {entry['outcome']} {entry['code']}"
    elif kind == "decided":
        routes = ", ".join(f"{r['transfer'][-6:]} {r['decision']}" for r in entry["routes"])
        what = f"decided ({entry['cause']}): {routes or 'no route'}"
    else:
        what = f"{kind} {entry['reason']} {(entry['object'] or {}).get('kind', '')}"
    return Line(tick, f"entry {at[11:23]} {what}")


def of_request(tick: int, at: datetime, status: int | None, began: int) -> Line:
    """Describe a request that reached a destination."""
    return Line(tick, f"request {at:%H:%M:%S.%f}"[:-3] + f" answered {status} (invocation began at tick {began})")


def told(lines: Iterable[Line], faults: Iterable[Any]) -> tuple[str, ...]:
    """Lay a story out in order, with the faults that came in between."""
    lines = list(lines)
    around = [f for f in faults if any(abs(f.tick - line.tick) <= NEAR_TICKS for line in lines)]
    shown = around[-FAULTS_SHOWN:]
    every = [*lines, *(Line(f.tick, f"  fault {f.kind} at {f.where} ({f.at_s:.1f} s)") for f in shown)]
    return tuple(f"tick {line.tick:>8} {line.text}" for line in sorted(every, key=lambda line: line.tick))

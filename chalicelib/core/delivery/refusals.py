"""The refusals of a destination: how many there were lately, and when its tenant must be told. Pure.

A refusal is an attempt that the destination did not accept and that no outage explains (``retry.is_refusal``). The tenant is
told when the destination refuses five in a row, or half of at least ten answers within ten minutes, or at once when it no
longer lets us in.

A destination that refuses nothing has no record. While answers are counted, more and more of them stand for several others,
so that a busy destination's row is written some hundred times in ten minutes at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from .. import times

IN_A_ROW = 5
LEAST = 10
"""Of fewer answers no share is taken."""
SHARE = 50
"""Per cent of the answers of a window."""
WINDOW = timedelta(minutes=10)
AGAIN = timedelta(hours=24)
"""How long the tenant is not told again of the same code while the refusals go on."""
EXACT = 100
"""Up to so many answers of a window, each is counted."""


@dataclass(frozen=True)
class Refusals:
    """The refusals of a destination.

    ``code`` and ``transfer`` are those of the latest refusal. ``window_at`` is the start of the current window, and
    ``refused`` and ``taken`` count its answers. ``told`` holds the codes that the tenant was told of, each with its time.
    """

    in_a_row: int = 0
    window_at: datetime | None = None
    refused: int = 0
    taken: int = 0
    last_at: datetime | None = None
    code: str = ""
    transfer: str = ""
    told: tuple[tuple[str, datetime], ...] = ()

    def lately(self, now: datetime) -> tuple[int, int]:
        """Return how many answers of the current window refused an event, and how many took one."""
        return (self.refused, self.taken) if self._is_open(now) else (0, 0)

    def _is_open(self, now: datetime) -> bool:
        return self.window_at is not None and now - self.window_at < WINDOW


def weight(seen: Refusals, transfer: str, now: datetime) -> int:
    """Return for how many answers this one counts; 0 where it is not counted. The same transfer has the same weight."""
    every = 1 + sum(seen.lately(now)) // EXACT
    draw = int.from_bytes(hashlib.sha256(f"refusals\n{transfer}".encode()).digest()[:4], "big")
    return every if draw % every == 0 else 0


def refused(
    seen: Refusals, code: str, transfer: str, now: datetime, counts: int, *, at_once: bool = False
) -> tuple[Refusals, bool]:
    """Return the record after a refusal, and whether the tenant must be told of it now.

    Args:
        counts: the ``weight`` of this answer.
        at_once: one such refusal is enough.
    """
    counted = _counted(seen, now, refused=counts)
    exact = sum(seen.lately(now)) < EXACT
    counted = replace(counted, in_a_row=seen.in_a_row + exact, last_at=now, code=code, transfer=transfer)
    told = tuple((one, at) for one, at in seen.told if now - at < AGAIN)
    due = at_once or counted.in_a_row >= IN_A_ROW or _is_half(counted)
    if not due or any(one == code for one, _ in told):
        return replace(counted, told=told), False
    return replace(counted, told=(*told, (code, now))), True


def taken(seen: Refusals, now: datetime, counts: int) -> Refusals:
    """Return the record after a delivery; the same object where nothing changes."""
    if not counts:
        return seen
    after = replace(seen, in_a_row=0) if seen.in_a_row else seen
    if sum(seen.lately(now)):
        after = _counted(after, now, taken=counts)
    if after.told and after.last_at is not None and now - after.last_at >= WINDOW:
        after = replace(after, told=())
    return after


def _counted(seen: Refusals, now: datetime, refused: int = 0, taken: int = 0) -> Refusals:
    before = seen.lately(now)
    start = seen.window_at if sum(before) else now
    return replace(seen, window_at=start, refused=before[0] + refused, taken=before[1] + taken)


def _is_half(seen: Refusals) -> bool:
    answers = seen.refused + seen.taken
    return answers >= LEAST and seen.refused * 100 >= answers * SHARE


# How it is stored


def document(seen: Refusals) -> dict[str, Any]:
    """Return a record as JSON values, without the defaults of ``Refusals()``; times in milliseconds since 1970."""
    clean = Refusals()
    values: dict[str, Any] = {name: value for name, value in vars(seen).items() if value != getattr(clean, name)}
    for name in _TIMES & values.keys():
        values[name] = times.millis(values[name])
    if "told" in values:
        values["told"] = [[code, times.millis(at)] for code, at in values["told"]]
    return values


_TIMES = frozenset({"window_at", "last_at"})


def from_document(values: Mapping[str, Any]) -> Refusals:
    """Read what ``document`` wrote. Fields of a later release are dropped."""
    known = {name: value for name, value in values.items() if name in Refusals.__dataclass_fields__}
    for name in _TIMES & known.keys():
        known[name] = times.from_millis(known[name])
    if "told" in known:
        known["told"] = tuple((code, times.from_millis(at)) for code, at in known["told"])
    return Refusals(**known)

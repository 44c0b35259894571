"""The cost of a decision, fresh and cached, over the facts of the commonest flow."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from chalicelib.core.law.residency import Decider, decide
from simulation import memory

from . import matching, warm
from .results import Result


def facts() -> list[dict[str, Any]]:
    """Return the facts that route asks about for one event: storing it, and delivering it."""
    asked: list[dict[str, Any]] = []
    cell = warm.Warm(memory.Memory(warm.REGION).client)
    cell.runtime.decider = _Noting(cell.runtime.decider, asked)  # type: ignore[assignment]
    with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
        cell.batch()
    return asked[:2]


class _Noting:
    def __init__(self, decider: Decider, asked: list[dict[str, Any]]) -> None:
        self._decider, self._asked = decider, asked

    def decide(self, document: dict[str, Any]) -> Any:
        self._asked.append(document)
        return self._decider.decide(document)


def run(quick: bool = False) -> list[Result]:
    """Measure."""
    cell = warm.Warm(memory.Memory(warm.REGION).client)
    law, repeat = cell.runtime.law, 3 if quick else 15
    results = []
    for name, document in zip(("store", "deliver"), facts(), strict=True):
        decider = Decider(law)
        floor = matching.best_us(lambda d=document: json.dumps(d), repeat, 200)  # type: ignore[misc]
        fresh = matching.best_us(lambda d=document: decide(d, law), repeat, 50)  # type: ignore[misc]
        kept = matching.best_us(lambda d=document, k=decider: k.decide(d), repeat, 200)  # type: ignore[misc]
        results.append(Result(f"residency: {name}, fresh", fresh, "us/decision", None, floor))
        results.append(Result(f"residency: {name}, kept", kept, "us/decision", None, floor))
    return results

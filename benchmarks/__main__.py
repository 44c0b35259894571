"""``python -m benchmarks``: measure the costs of a cell, print them, and write ``benchmarks/out.json``."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import (
    calls,
    channels,
    coldstart,
    counters,
    cpu,
    decisions,
    expiry,
    hot,
    instructions,
    leaf,
    matching,
    prices,
    sealing,
    sealing_scale,
)
from .results import Result, from_document, table

OUT = Path(__file__).with_name("out.json")


@functools.cache
def _counts() -> tuple[calls.Counted, float]:
    return calls.count(), calls.minute_rows()


def _quietly(run: Callable[[], list[dict[str, object]]]) -> list[Result]:
    with contextlib.redirect_stdout(io.StringIO()):
        return [from_document(row) for row in run()]


def _silent(run: Callable[[bool], list[Result]], quick: bool) -> list[Result]:
    """Run a group whose handlers write metrics."""
    with contextlib.redirect_stdout(io.StringIO()):
        return run(quick)


GROUPS: dict[str, Callable[[bool], list[Result]]] = {
    "calls": lambda quick: calls.results_of(*_counts()),
    "cpu": cpu.run,
    "instructions": instructions.run,
    "coldstart": coldstart.run,
    "matching": lambda quick: _quietly(matching.run),
    "leaf": lambda quick: _quietly(leaf.run),
    "sealing": sealing.run,
    "sealing at scale": lambda quick: _silent(sealing_scale.run, quick),
    "hot": hot.run,
    "expiry": expiry.run,
    "counters": counters.run,
    "channels": channels.run,
    "decisions": decisions.run,
    "prices": lambda quick: prices.run(*_counts()),
}
"""Every group of rows, in the order of the table."""


def main(arguments: list[str] | None = None) -> int:
    """Run the groups that are asked for. Return 1 if a budget is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(GROUPS), metavar="NAME", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs, not to compare")
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures are written as JSON")
    given = parser.parse_args(arguments)
    results: list[Result] = []
    for name in given.only or GROUPS:
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        began = time.monotonic()
        results += GROUPS[name](given.quick)
        print(f"{time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    given.out.write_text(json.dumps({"results": [r.document() for r in results]}, indent=1) + "\n", "utf-8")
    print(table(results))
    over = [result.name for result in results if result.kept is False]
    print(
        f"\n{len(over)} of {sum(r.budget is not None for r in results)} budgets exceeded"
        if over
        else "\nall budgets kept"
    )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())

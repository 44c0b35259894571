"""The main job, end to end, on the local cell: ``make demo``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path

from ..cell import local
from ..cell.local_options import Options
from . import journey, proving
from .gateway import Gateway, JourneyError

MARKS = {"allowed": "✓", "redacted": "◐", "held": "…", "refused": "✗"}
COLOURS = {"allowed": 32, "redacted": 36, "held": 33, "refused": 31}


def table(lines: list[journey.Line], colour: bool) -> str:
    """Lay the rows out for a person."""
    heads = ("tenant", "messenger", "recipient", "mode", "decision", "outcome", "why")
    rows = []
    for line in lines:
        why = "; ".join(dict.fromkeys(line.articles))
        if line.missing:
            why += f"  (missing: {', '.join(m.rsplit(':rcp_', 1)[0] for m in line.missing)})"
        recipient = f"{line.recipient.name} ({line.recipient.country})"
        rows.append(
            (
                line.tenant,
                line.channel,
                recipient,
                line.recipient.mode,
                f"{MARKS[line.decision]} {line.decision}",
                line.outcome,
                why,
            )
        )
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads) - 1)]

    def laid_out(row: tuple[str, ...], code: int | None = None) -> str:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        if colour and code:
            cells[4] = f"\033[{code}m{cells[4]}\033[0m"
        return "  ".join((*cells, row[-1]))

    body = [laid_out(row, COLOURS[line.decision]) for row, line in zip(rows, lines, strict=True)]
    return "\n".join((laid_out(heads), laid_out(tuple("─" * width for width in (*widths, 40))), *body))


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 0 only if everything is as it should be."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--engine", default="moto", help="moto, ministack or the URL of an engine (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show the cell's log lines, on standard error")
    parser.add_argument("--logcheck", type=Path, help="the program built from tools/logcheck, to follow the logs with")
    options = parser.parse_args(arguments)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    if options.verbose:
        os.dup2(2, 1)
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        logging.disable(logging.CRITICAL)
    started = time.monotonic()
    prove = partial(proving.run, logcheck=options.logcheck)

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {text}", file=out)

    try:
        say(f"Starting a cell in eu-central-1 (DE) on {options.engine}")
        with local.running(Options(engine=options.engine, pump_s=1, seal_s=1)) as cell:
            gateway = Gateway(cell.url)
            lines = journey.run(gateway, gateway, cell.operator_key, say, prove)
    except (JourneyError, OSError, RuntimeError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"\n{table(lines, out.isatty())}\n", file=out)
    print(
        "Held events wait, encrypted, at most 72 hours for their basis; refused events never leave. Every line is in the log.\n"
        "Two programs have verified the log: they detect a change of any byte.",
        file=out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

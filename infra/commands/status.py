"""``waybill status``: show how a served cell does."""

from __future__ import annotations

import argparse

from chalicelib.commands.parser import CommandParser

from .numbers import seconds


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = 3
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the process of the cell (default: %(default)s)")
    parser.add_argument("--watch", type=seconds, metavar="S", help="show the table again every S seconds")
    parser.explain(
        "Standard input is not read. Standard output gets a table of counts and ages: queues, lanes, breakers, last jobs. "
        "It names no tenant. A cell on AWS shows only where it is.",
        "waybill status --url http://127.0.0.1:8080 --watch 5",
        {
            0: "the cell is ready",
            1: "the cell answers and is not ready; the table says why",
            2: "the cell did not answer",
            3: "wrong usage",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    # Imported late: it needs the packages of an extra, which the help does not.
    from ..client import status

    return status.run(arguments.url, arguments.watch)

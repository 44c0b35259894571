"""``waybill consents import``: send a file of consents to a cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.commands.parser import CommandParser

from ..client import consents


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = consents.WRONG
    parser.add_argument("action", choices=("import",), help="the task: import a file")
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON lines: a consent or a withdrawal each")
    parser.add_argument("--url", required=True, help="the cell's API: https, or http on this machine")
    parser.add_argument(
        "--key-file", required=True, type=Path, metavar="FILE", help="a file with an API key of scope write"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where refused lines are listed (default: standard output)"
    )
    parser.add_argument("--from-line", type=_line, default=1, metavar="N", help="begin with this line (default: 1)")
    parser.explain(
        "A file of JSON lines. Each line is a consent as POST /v1/consents takes it, or a withdrawal. Lines that the "
        "cell has already are stored once, so that a file may be sent again.",
        '{"withdraws": "cns_...", "method": "message"}',
        {
            0: "every line is stored, now or before",
            1: "some lines are refused",
            2: "the cell refused or did not answer; the message names the next line",
            3: "a file or the usage is wrong",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    return consents.run(arguments.file, arguments.url, arguments.key_file, arguments.report, arguments.from_line)


def _line(text: str) -> int:
    line = int(text)
    if line < 1:
        raise argparse.ArgumentTypeError("lines are counted from 1")
    return line

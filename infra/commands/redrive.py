"""``waybill redrive``: list dead letters, or send them again, by the API of a cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.commands.parser import CommandParser

from ..client import redrive
from ..client.report.asking import WRONG


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = WRONG
    parser.add_argument("tenant", nargs="?", help="the tenant's id, tnt_... (default: all tenants)")
    parser.add_argument("--url", required=True, help="the cell's API: https, or http on this machine")
    parser.add_argument("--key-file", required=True, type=Path, metavar="FILE", help="a file with the operator's key")
    parser.add_argument("--thing", metavar="ID", help="only the letter about this event or transfer")
    parser.add_argument(
        "--send", action="store_true", help="send them again: each is an act in the log and a new decision"
    )
    parser.add_argument(
        "--operator", default="operator", metavar="NAME", help="your name for the log (default: %(default)s)"
    )
    parser.explain(
        "Standard input is not read. Standard output gets one line for each letter, or with --send one line for each "
        "tenant. A letter is sent once, however often the command runs.",
        "waybill redrive --send --url https://api.example --key-file operator.key",
        {
            0: "listed, or all sent again",
            1: "some letters stay: their event is gone, or their route or destination was removed",
            2: "the cell refused or did not answer",
            3: "a file or the usage is wrong",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if not arguments.send:
        return redrive.listed(arguments.url, arguments.key_file, arguments.tenant, arguments.thing)
    asked = {"tenant": arguments.tenant, "thing": arguments.thing, "operator": arguments.operator}
    return redrive.sent(arguments.url, arguments.key_file, {name: value for name, value in asked.items() if value})

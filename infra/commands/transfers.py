"""``waybill transfers``: list what did not reach a destination, or have it replayed, by the API of a cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.commands.parser import CommandParser

from ..client import transfers
from ..client.report.asking import WRONG


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = WRONG
    parser.add_argument("--url", required=True, help="the cell's API: https, or http on this machine")
    parser.add_argument("--key-file", required=True, type=Path, metavar="FILE", help="a file with a key of the tenant")
    parser.add_argument("--destination", required=True, metavar="ID", help="the destination, dst_...")
    parser.add_argument(
        "--outcome", choices=transfers.OUTCOMES, default="rejected", help="how they ended (default: %(default)s)"
    )
    parser.add_argument(
        "--after", metavar="TIME", help="events received at this time or later, as 2026-11-30T09:00:00Z"
    )
    parser.add_argument("--before", metavar="TIME", help="events received before this time")
    parser.add_argument(
        "--replay", action="store_true", help="replay them: each gets a new decision and a new delivery"
    )
    parser.add_argument("--json", action="store_true", help="print the objects of the API, one on a line")
    parser.explain(
        "Standard input is not read. Standard output gets one line for each transfer that no replay has taken up, or "
        "with --replay one line for the job. A transfer is replayed once, however often the command runs.",
        "waybill transfers --destination dst_... --url https://api.example --key-file tenant.key",
        {
            0: "listed, or all replayed",
            1: "the replay left some out: their event is gone, or their route was removed, or the law said no",
            2: "the cell refused or did not answer, or the job failed",
            3: "a file or the usage is wrong",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    asked = transfers.Asked(arguments.destination, arguments.outcome, arguments.after, arguments.before)
    if arguments.replay:
        return transfers.replayed(arguments.url, arguments.key_file, asked, as_json=arguments.json)
    return transfers.listed(arguments.url, arguments.key_file, asked, as_json=arguments.json)

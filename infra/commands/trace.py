"""``waybill trace``: show the whole way of one event, by the API of a cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.commands.parser import CommandParser

from ..client import trace


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = trace.WRONG
    parser.add_argument("thing", metavar="EVENT|TRANSFER|SOURCE", help="evt_..., trf_..., or src_... with MESSAGE")
    parser.add_argument("message", nargs="?", metavar="MESSAGE", help="the platform's id, with a source")
    parser.add_argument("--url", required=True, help="the cell's API: https, or http on this machine")
    parser.add_argument(
        "--key-file", required=True, type=Path, metavar="FILE", help="a file with an API key of scope read"
    )
    parser.add_argument("--tenant", metavar="ID", help="the tenant's id, tnt_..., with the operator's key")
    parser.add_argument("--json", action="store_true", help="print the answer of the API")
    parser.explain(
        "Standard input is not read. Standard output gets one line for each step and each transfer: ids, times and "
        "codes, and no content.",
        "waybill trace trf_... --url https://api.example --key-file tenant.key",
        {
            0: "the way is shown",
            2: "there is no such event, or the cell refused or did not answer",
            3: "a file or the usage is wrong",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    return trace.run(
        arguments.url, arguments.key_file, arguments.tenant, arguments.thing, arguments.message, arguments.json
    )

"""``waybill listen``: receive deliveries on this machine, verify their signatures, and forward them to a local server."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.commands.parser import CommandParser

from .numbers import port


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = 3
    parser.add_argument("--port", type=port, default=0, help="the port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--secret-file",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="signing secrets, one a line: whsec_..., or whpk_... of a key pair; may be repeated",
    )
    parser.add_argument("--forward", metavar="URL", help="pass each verified delivery on, and its answer back")
    parser.add_argument("--content", action="store_true", help="print the body of each verified delivery, too")
    parser.explain(
        "Deliveries of a destination of kind http, in the format of Standard Webhooks, on any path of 127.0.0.1. Standard "
        "output gets one line of JSON with `url`, and a line for each delivery: time, id, verdict, size and answer, and "
        "no content.",
        "waybill listen --port 9000 --secret-file shop.secret --forward http://127.0.0.1:3000/webhooks",
        {
            0: "stopped by SIGINT or SIGTERM",
            1: "the port cannot be used",
            3: "a file or the usage is wrong",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..client import listen  # loads pydantic, which the help does not need

    return listen.run(arguments.port, arguments.secret_file, arguments.forward, content=arguments.content)

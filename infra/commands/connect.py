"""``waybill connect``: make a source, set its webhook at the platform, and show the result."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.channels import KINDS
from chalicelib.commands.parser import CommandParser

from .numbers import seconds


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = 3
    parser.add_argument("channel", choices=KINDS, metavar="CHANNEL", help=f"one of {', '.join(KINDS)}")
    parser.add_argument("--url", required=True, help="the cell's API: https, or http on this machine")
    parser.add_argument(
        "--key-file", required=True, type=Path, metavar="FILE", help="a file with an API key of scopes read and write"
    )
    parser.add_argument("--name", help="a name of the source for people (default: the channel)")
    parser.add_argument("--country", metavar="CC", help="the country of the people who write (default: unknown)")
    parser.add_argument(
        "--special",
        metavar="WORDS",
        help="special categories of data, with commas between; none declares that there are none (default: unknown)",
    )
    parser.add_argument("--values", metavar="FILE", help="a JSON object with the secret values; - is standard input")
    parser.add_argument("--source", metavar="ID", help="subscribe this source, in place of a new one")
    parser.add_argument(
        "--keep", action="store_true", help="store the platform's credentials, encrypted, for a daily check"
    )
    parser.add_argument("--replace", action="store_true", help="take the webhook from another address")
    parser.add_argument("--api-url", metavar="URL", help="a stand-in for the platform, for local cells only")
    parser.add_argument("--wait", type=seconds, metavar="S", help="wait so many seconds for the first webhook")
    parser.add_json()
    parser.explain(
        "The secret values of the channel: a JSON object with the fields of its secret and of the credentials of its "
        "platform's API. At a terminal the command asks for each that is missing. Values that you may choose yourself, "
        "such as a verify token, are made. No secret goes on the command line.",
        "waybill connect telegram --url https://api.cell.example --key-file key --country DE \\\n"
        "    --special none --wait 60",
        {
            0: "the source is connected, or the steps are shown",
            1: "no webhook came in the time of --wait",
            2: "the cell or the platform refused or did not answer",
            3: "a file, a value or the usage is wrong",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..client import connect  # loads pydantic, which the help does not need

    special = arguments.special
    wanted = connect.ConnectRequest(
        channel=arguments.channel,
        name=arguments.name or arguments.channel,
        country=arguments.country,
        special=None if special is None else tuple(w for w in special.split(",") if w and w != "none"),
        values=arguments.values,
        source=arguments.source,
        keep=arguments.keep,
        replace=arguments.replace,
        api_url=arguments.api_url,
        wait_s=arguments.wait or 0,
        as_json=arguments.json,
    )
    return connect.run(arguments.url, arguments.key_file, wanted)

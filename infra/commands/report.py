"""``waybill report``: ask a cell for an accountability report and write it as a page or as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from chalicelib.commands.parser import CommandParser


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.add_argument("--url", required=True, help="the cell's API: https, or http on this machine")
    parser.add_argument(
        "--key-file", required=True, type=Path, metavar="FILE", help="a file with an API key of scope audit"
    )
    parser.add_argument("--subject", metavar="ID", help="the events of one person, sub_...")
    parser.add_argument(
        "--event", metavar="ID", help="one event, evt_...; if it is no longer stored, with --after and --before"
    )
    parser.add_argument("--after", metavar="TIME", help="from this time on (RFC 3339)")
    parser.add_argument("--before", metavar="TIME", help="before this time; a period needs both")
    parser.add_argument("--lang", choices=("en", "ru"), default="en", help="the page's language (default: %(default)s)")
    parser.add_argument(
        "--format", choices=("html", "json"), default="html", help="a page, or JSON (default: %(default)s)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the file to write (default: standard output)"
    )
    parser.add_argument("--vkey", action="append", default=[], help="trust this key of the log; may be repeated")
    parser.explain(
        "The answers of a cell's API, over HTTP. The key file holds one line, the API key. Standard input is not read; "
        "standard error shows the progress.",
        "waybill report --url https://cell.example/api --key-file key.txt --event evt_... -o answer.html",
        {
            0: "written",
            1: "the cell refused or did not answer, or the file cannot be written",
            2: "wrong usage, or the packages of waybill[report] are not installed",
            3: "written, but a proof is bad; the page says which",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    # Imported late: it needs the packages of an extra, which the help does not.
    from ..client.report import command

    return command.run(
        arguments.url,
        arguments.key_file,
        {name: getattr(arguments, name) for name in ("subject", "event", "after", "before")},
        lang=arguments.lang,
        form=arguments.format,
        output=arguments.output,
        vkeys=arguments.vkey,
    )

"""``waybill what-if``: take bundles from a file or from a cell, decide their transfers again by a draft, and report."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from chalicelib.commands import what_if
from chalicelib.commands.parser import CommandParser
from chalicelib.commands.terminal import escaped
from chalicelib.core.errors import WaybillError
from chalicelib.core.explain import what_if as periods

from ..client import fetch


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.add_argument("--law", type=Path, metavar="DIR", required=True, help="the draft's rule files")
    parser.add_argument(
        "--since", metavar="P30D", default="P30D", help="how far back: PT24H, P30D, P3M, P1Y (default: %(default)s)"
    )
    parser.add_argument("--bundle", type=Path, metavar="FILE", help="an evidence bundle, the command's only input")
    parser.add_argument("--url", metavar="URL", help="in place of a bundle: a cell, which makes one of each year's log")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="a file with an API key of scope audit, for the cell"
    )
    parser.add_json()
    parser.explain(
        "A folder of rule files (the draft), and either an evidence bundle, offline, or the address of a cell with a "
        "key file. Standard input is not read.",
        "waybill what-if --law draft --since P30D --bundle evidence.tar",
        {
            0: "nothing would change",
            1: "a decision would change",
            2: "wrong usage, or a file or the cell cannot be read",
        },
    )
    parser.set_defaults(run=run, refuse=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if (arguments.bundle is None) == (arguments.url is None) or (arguments.url is None) != (arguments.key_file is None):
        arguments.refuse("give --bundle, or --url and --key-file")
    try:
        law, until = what_if.draft(arguments.law), datetime.now(UTC)
        with tempfile.TemporaryDirectory(prefix="waybill-") as folder:
            files = [arguments.bundle]
            if arguments.url is not None:
                key = arguments.key_file.read_text(encoding="utf-8").strip()
                after = periods.since(arguments.since, until)
                files = list(fetch.bundles(arguments.url, key, after, until, Path(folder)))
            report = what_if.of_files(files, law, arguments.since, until if arguments.url is not None else None)
    except (WaybillError, what_if.BadBundle, fetch.NotFetched, OSError, ValueError) as error:
        print(f"waybill what-if: {escaped(str(error))}", file=sys.stderr)
        return 2
    print(json.dumps(report, ensure_ascii=True, indent=2) if arguments.json else what_if.as_text(report))
    return 1 if report["changed"] else 0

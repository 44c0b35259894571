"""``waybill redrive``: list a tenant's dead letters, or send them again."""

from __future__ import annotations

import argparse
import sys

from chalicelib.commands.parser import CommandParser
from chalicelib.core.errors import WaybillError
from chalicelib.core.ids import is_id

WRONG_USAGE = 2


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.add_argument("tenant", help="the tenant's id, tnt_...")
    parser.add_argument("--thing", metavar="ID", help="only the letter about this event or transfer")
    parser.add_argument(
        "--send", action="store_true", help="send them again: each is an act in the log and a new decision"
    )
    parser.add_argument(
        "--operator", default="operator", metavar="ID", help="your name for the log (default: %(default)s)"
    )
    parser.explain(
        "The cell's tables, with your AWS credentials and the settings WAYBILL_CELL, AWS_REGION and WAYBILL_COUNTRY. "
        "Standard input is not read. Standard output gets one line for each letter.",
        "WAYBILL_CELL=eu1 AWS_REGION=eu-central-1 WAYBILL_COUNTRY=DE waybill redrive tnt_...",
        {
            0: "listed, or all sent again",
            1: "a letter could not be sent again, or the cell cannot be read",
            2: "wrong usage, or the packages of waybill[cell] are not installed",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if not is_id(arguments.tenant, "tnt"):
        print("waybill redrive: a tenant's id is tnt_ and 26 characters", file=sys.stderr)
        return WRONG_USAGE
    # Imported late: they need the packages of an extra, which the help does not.
    from chalicelib.flow.jobs import replay
    from chalicelib.runtime import runtime

    try:
        cell, failed = runtime(), 0
        for letter in list(replay.letters(cell, arguments.tenant)):
            if arguments.thing not in (None, letter["thing"]):
                continue
            if arguments.send:
                try:
                    replay.redrive(cell, arguments.tenant, letter, ("operator", arguments.operator))
                    state = "sent again"
                except WaybillError as error:
                    state, failed = f"stays: {error.detail}", 1
            else:
                state = "parked"
            print(f"{letter['parked_at']}  {letter['queue']:7}{letter['thing']}  {state}")
    except WaybillError as error:
        print(f"waybill redrive: {error.detail}", file=sys.stderr)
        return 1
    return failed

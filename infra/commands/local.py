"""``waybill local``: run a whole cell in one process, on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from chalicelib.commands.parser import CommandParser

from ..cell.local_options import REGION, Options, engine_misfit, misfit, tunnel_misfit
from .numbers import port, seconds


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.add_argument("--port", type=port, default=0, help="the port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--engine", default="moto", help="moto, ministack or the URL of a running engine (%(default)s)")
    parser.add_argument("--region", help="home region, one of AWS's (default: eu-central-1)")
    parser.add_argument("--country", help="country of the home, where it has no AWS region (default: the region's)")
    parser.add_argument("--state", type=Path, metavar="DIR", help="where ministack keeps its state (default: nowhere)")
    parser.add_argument(
        "--pump-s", type=seconds, default=5, help="seconds between looks at waiting lanes (default: %(default)s)"
    )
    parser.add_argument(
        "--seal-s", type=seconds, default=5, help="longest wait of an entry until it is sealed (default: %(default)s s)"
    )
    parser.explain(
        "HTTP requests on 127.0.0.1: webhooks and the tenant API. WAYBILL_HOOKS_URL is the public address of a tunnel "
        "to it. Standard input is not read. When the cell serves, standard output gets one line of JSON with `url` and "
        "`operator_key`; logs go to standard error.",
        "waybill local --port 8080",
        {
            0: "stopped by SIGINT or SIGTERM",
            1: "the cell cannot start; standard error says why",
            2: "wrong usage, or the packages of waybill[local] are not installed",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    hooks_url = os.environ.get("WAYBILL_HOOKS_URL", "").rstrip("/")
    fault = (
        engine_misfit(arguments.engine, arguments.state)
        or misfit(arguments.engine, arguments.region, arguments.country)
        or tunnel_misfit(hooks_url)
    )
    if fault is not None:
        print(f"waybill local: {fault}", file=sys.stderr)
        return 1
    # Imported late: it needs the packages of an extra, which the help does not, and takes seconds.
    from ..cell import local

    return local.serve(
        Options(
            port=arguments.port,
            engine=arguments.engine,
            region=arguments.region or REGION,
            country=arguments.country,
            state=arguments.state,
            pump_s=arguments.pump_s,
            seal_s=arguments.seal_s,
            hooks_url=hooks_url,
        )
    )

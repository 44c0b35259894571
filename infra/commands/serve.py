"""``waybill serve``: serve a cell at a home without an AWS region."""

from __future__ import annotations

import argparse
import os
import sys

from chalicelib.commands.parser import CommandParser

from .numbers import port, seconds, threads


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.add_argument("--host", default="127.0.0.1", help="the address; a proxy ends TLS (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8080, help="the port; 0 is a free one (default: %(default)s)")
    parser.add_argument(
        "--threads", type=threads, default=16, help="threads that answer requests (default: %(default)s)"
    )
    parser.add_argument(
        "--clock-s",
        type=seconds,
        default=10,
        help="seconds between looks at lanes, jobs and logs (default: %(default)s)",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="only check settings, operator, engine, queues and buckets")
    only.add_argument("--init", action="store_true", help="only create tables, queues and buckets that are missing")
    parser.add_argument(
        "--lock",
        choices=("COMPLIANCE", "GOVERNANCE"),
        default="COMPLIANCE",
        help="how --init locks the evidence bucket; no one can undo COMPLIANCE (default: %(default)s)",
    )
    parser.explain(
        "HTTP requests: webhooks and the tenant API. The settings are environment variables (docs/settings.md). "
        "Standard input is not read; logs are JSON lines on standard output. At SIGTERM the process finishes its work.",
        "waybill serve --check && waybill serve --port 8080",
        {
            0: "stopped by SIGTERM or SIGINT, with all open work done",
            1: "settings, engine, queues or bucket do not fit, or the open work took over 90 s",
            2: "wrong usage, or the packages of waybill[serve] are not installed",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    import waitress  # noqa: F401  (an extra that is missing is named before settings are)

    from chalicelib.core.errors import Misconfigured
    from chalicelib.settings import from_environment
    from chalicelib.store import engines

    try:  # before the cell is loaded, which takes seconds
        settings = from_environment(os.environ)
        engines.check(engines.profile(settings.engine), settings)
    except Misconfigured as fault:
        print(f"waybill serve: {fault.detail}", file=sys.stderr)
        return 1
    # Imported late: it needs the packages of an extra, which the help does not.
    from ..cell import serve

    if arguments.init:
        return serve.init(arguments.lock)
    if arguments.check:
        return serve.check()
    return serve.serve(serve.Options(arguments.host, arguments.port, arguments.threads, arguments.clock_s))

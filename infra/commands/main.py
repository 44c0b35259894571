"""The ``waybill`` command: a table of commands, and the entry point that loads the chosen one.

Only the chosen command's module is imported: the offline commands need neither the AWS SDK nor the network, and start in a
fraction of the time that loading everything takes. A module has one function for this file, ``arguments(parser)``. It adds
the command's options and help, and sets ``run``, which gets the parsed arguments and returns the exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from chalicelib.commands.parser import CommandParser

READER_GONE: Final = 141
"""The exit status that a shell shows for a process that a closed pipe ended."""
NOT_INSTALLED: Final = 2


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: the module, the help line, and the extra whose packages the command needs."""

    module: str
    help: str
    extra: str | None = None


COMMANDS: Final = {
    "normalise": Command("chalicelib.commands.normalise", "verify webhook requests and turn them into canonical events"),
    "match": Command("chalicelib.commands.match", "say whether events match event patterns"),
    "decide": Command("chalicelib.commands.decide", "decide transfers by law"),
    "explain": Command("chalicelib.commands.explain", "decide transfers by law and say why"),
    "preflight": Command("chalicelib.commands.preflight", "list the legal gaps of planned flows, before any data is sent"),
    "what-if": Command("infra.commands.what_if", "show the effect of a draft law on past transfers"),
    "selfcheck": Command("chalicelib.commands.selfcheck", "list the rules to check again, and the rules of unsure reading"),
    "verify": Command("chalicelib.commands.verify", "verify an evidence bundle"),
    "report": Command("infra.commands.report", "report the holders, the recipients and the accountable parties of data", "report"),
    "connect": Command("infra.commands.connect", "connect a channel, and set the webhook at its platform"),
    "consents": Command("infra.commands.consents", "send a file of consents to a cell"),
    "local": Command("infra.commands.local", "run a whole cell in one process, on this machine", "local"),
    "serve": Command("infra.commands.serve", "serve a cell at a home without an AWS region", "serve"),
    "listen": Command("infra.commands.listen", "receive deliveries on this machine, and verify their signatures"),
    "status": Command("infra.commands.status", "show queues, lanes, breakers and last jobs of a served cell", "serve"),
    "trace": Command("infra.commands.trace", "show the whole way of one event"),
    "transfers": Command("infra.commands.transfers", "list what did not reach a destination, or replay it"),
    "redrive": Command("infra.commands.redrive", "list dead letters of a cell, or send them again"),
}  # fmt: skip
_OURS: Final = ("app", "chalicelib", "infra")


def command_parser(name: str) -> CommandParser:
    """Make the parser of one command; this imports the command's module."""
    command = COMMANDS[name]
    made = CommandParser(prog=f"waybill {name}", description=f"{command.help[0].upper()}{command.help[1:]}.")
    import_module(command.module).arguments(made)
    return made


def overview() -> CommandParser:
    """Make the parser that lists the commands; this imports none of them."""
    made = CommandParser(prog="waybill", description="A webhook router that can answer a regulator.")
    made.add_argument("--version", action="version", version=f"waybill {_version()}")
    listed = made.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Listed)
    for name, command in COMMANDS.items():
        listed.add_parser(name, help=command.help)
    made.epilog = "waybill COMMAND --help shows a command's options, input and exit codes."
    return made


class _Listed(CommandParser):
    """A command as the overview lists it: a name and a help line."""

    def __init__(self, *, prog: str) -> None:
        super().__init__(prog=prog, description="")


def _version() -> str:
    # Imported late: they take longer to load than a small command takes to run.
    import tomllib
    from importlib.metadata import version
    from pathlib import Path

    checkout = Path(__file__).parents[2] / "pyproject.toml"
    if checkout.exists():
        return str(tomllib.loads(checkout.read_text("utf-8"))["project"]["version"])
    return version("waybill")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in COMMANDS:
        listing = overview()
        listing.parse_args(given)
        listing.error("the command comes first")
    name, *rest = given
    try:
        parsed = command_parser(name).parse_args(rest)
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output stopped, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except ModuleNotFoundError as missing:
        package, extra = (missing.name or "").split(".")[0], COMMANDS[name].extra
        if extra is None or package in _OURS:
            raise
        print(f"waybill {name}: {package} is not installed; install waybill[{extra}]", file=sys.stderr)
        return NOT_INSTALLED
    return code

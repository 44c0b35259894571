"""The parser of one command, and the help that every command gives: input, example, exit codes."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

WIDTH = 78
RULES_DO_NOT_LOAD = 2
"""The exit code of a command whose rule files cannot be read or do not load."""


class CommandParser(argparse.ArgumentParser):
    """Parse the arguments of one command; wrong usage ends the process with the exit code that the command documents."""

    usage_code = 2

    def __init__(self, *, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the fault, and end the process."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_code, f"{self.prog}: error: {message}\n")

    def explain(self, reads: str, example: str, exits: Mapping[int, str]) -> None:
        """Add to the help: what the command reads, one example of it, and the exit codes."""
        codes = [textwrap.fill(f"{code:>4}  {text}", WIDTH, subsequent_indent=" " * 6) for code, text in exits.items()]
        self.epilog = "\n".join([
            "input:", textwrap.indent(textwrap.fill(reads, WIDTH - 2), "  "), "",
            "example:", textwrap.indent(example, "  "), "",
            "exit codes:", *codes,
        ])  # fmt: skip

    def add_law(self) -> None:
        """Add ``--law``, for rule files other than the installed ones."""
        self.add_argument(
            "--law",
            type=Path,
            metavar="DIR",
            help="rule files to use instead of the installed ones (default: installed)",
        )

    def add_json(self) -> None:
        """Add ``--json``, for a report that a program reads."""
        self.add_argument("--json", action="store_true", help="write the report as JSON")

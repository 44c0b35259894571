"""Answer JSON lines: one line of standard output for each line of standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

EXITS: Final[Mapping[int, str]] = {
    0: "the input ended; a line that cannot be read also gets an answer",
    2: "wrong usage",
    141: "the reader of the output stopped",
}
"""The exit codes of a command that answers lines."""


def write_line(document: dict[str, Any]) -> str:
    """Write an answer as one line of ASCII, without its end."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"))


def answer_lines(answer: Callable[[str], dict[str, Any]], write: Callable[[dict[str, Any]], str] = write_line) -> int:
    """Answer standard input line by line; flush each answer before the next line is read. Return the exit code."""
    for raw in sys.stdin.buffer:
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
        sys.stdout.write(write(answer(line)) + "\n")
        sys.stdout.flush()
    return 0

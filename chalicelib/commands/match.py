"""``waybill match``: one pattern and one event a line, one answer a line."""

from __future__ import annotations

import argparse
import json
import sys
from decimal import Decimal
from typing import Any

from ..core.errors import InvalidPattern
from ..core.pattern.compiler import Pattern
from .json_lines import EXITS, answer_lines
from .parser import CommandParser

_EXAMPLE = """{"pattern": {"kind": ["message"]}, "event": {"kind": "message"}}"""


def arguments(parser: CommandParser) -> None:
    """Add the command's help."""
    parser.explain(
        "JSON lines on standard input. Each line is an object with `pattern` and `event`. Each gets one JSON line on "
        'standard output: {"match": true}, {"match": false}, or {"error": {"path", "reason"}}. No network, no store.',
        _EXAMPLE,
        EXITS,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    return answer_lines(answer)


def answer(line: str) -> dict[str, Any]:
    """Answer ``{"pattern": …, "event": …}`` with ``{"match": …}`` or ``{"error": {"path", "reason"}}``.

    The path is ``$…`` for a place in the pattern, ``$event`` for an event that is no object, ``$line`` for a line that
    is not a JSON object with both or is nested deeper than can be read. Of duplicate keys the last wins. Never raises.
    """
    try:
        values = json.loads(line, parse_int=_integer, parse_constant=_refuse)
    except RecursionError:
        return _error("$line", "nested too deeply")
    except ValueError:
        return _error("$line", "not JSON")
    if not isinstance(values, dict) or "pattern" not in values or "event" not in values:
        return _error("$line", "not an object with a pattern and an event")
    try:
        pattern = Pattern.compile(values["pattern"])
    except InvalidPattern as error:
        return _error(error.path, error.reason)
    if not isinstance(values["event"], dict):
        return _error("$event", "an event is an object")
    return {"match": pattern.matches(values["event"])}


def _integer(digits: str) -> int | Decimal:
    """Read an integer exactly, also one with more digits than Python converts (its guard against quadratic time)."""
    limit = sys.get_int_max_str_digits()
    return Decimal(digits) if limit and len(digits) > limit else int(digits)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _error(path: str, reason: str) -> dict[str, Any]:
    return {"error": {"path": path, "reason": reason}}

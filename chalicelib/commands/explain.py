"""``waybill explain``: one line of facts in, one decision and its explanation out; no network, no store, no credentials."""

from __future__ import annotations

import argparse
from typing import Any

from ..core.explain.explanation import explain
from ..core.law.loader import Law
from .decide import NOT_JSON, add_arguments, answer_facts, read_facts
from .parser import CommandParser


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    add_arguments(parser, "the decision as `decide` writes it, with `why`, `unsettled`, `answers` and `not_applicable`")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    return answer_facts("explain", explained, arguments)


def explained(line: str, law: Law, strict: bool = False) -> dict[str, Any]:
    """Decide one line as ``waybill decide`` does, and explain the decision."""
    try:
        facts = read_facts(line)
    except (ValueError, RecursionError):
        return {**explain(None, law), "error": NOT_JSON}
    return explain(facts, law, strict=strict)

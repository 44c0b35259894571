"""``waybill decide``: one line of facts in, one decision out; no network, no store, no credentials."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import law as laws
from ..core.errors import WaybillError
from ..core.law.fines import FINES
from ..core.law.loader import Law, load_law
from ..core.law.residency import decide, refuse
from .json_lines import EXITS, answer_lines
from .parser import RULES_DO_NOT_LOAD, CommandParser

EXAMPLE = """{"id": "1", "op": "deliver", "channel": "telegram", "purpose": "customer_support",
 "subject": {"signal": "tenant_declared", "confidence": "declared", "country": "DE"}, ...}
  (in one line; docs/facts.md has every field)"""
NOT_JSON = "not a line of JSON with every key once"


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    add_arguments(parser, "the decision, with its rules, their articles and the facts that are missing")
    parser.set_defaults(run=run)


def add_arguments(parser: CommandParser, written: str) -> None:
    """Add the options and the help of a command that answers lines of facts.

    Args:
        written: the content of a line of output.
    """
    parser.add_law()
    parser.add_argument("--strict", action="store_true", help="hold a transfer that rests on a rule of unsure reading")
    parser.explain(
        "JSON lines on standard input. Each line is one object of facts about a transfer. Each gets one JSON line on "
        f"standard output: {written}. No network, no store.",
        EXAMPLE,
        {**EXITS, RULES_DO_NOT_LOAD: "wrong usage, or the rule files do not load; standard error names each fault"},
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    return answer_facts("decide", answer, arguments)


def answer_facts(
    command: str, answer: Callable[[str, Law, bool], dict[str, Any]], arguments: argparse.Namespace
) -> int:
    """Load the law and answer each line of facts. Return the exit code."""
    law = load_or_report(command, arguments.law)
    return RULES_DO_NOT_LOAD if law is None else answer_lines(lambda line: answer(line, law, arguments.strict))


def load_or_report(command: str, folder: Path | None) -> Law | None:
    """Load the law; where that fails, name each fault on standard error and return None."""
    try:
        return load(folder)
    except (WaybillError, OSError, UnicodeDecodeError) as error:
        print(f"waybill {command}: {error}", file=sys.stderr)
        return None


def load(folder: str | Path | None) -> Law:
    """Load the law files of a folder, or the installed ones.

    ``any.toml`` and ``fines.toml`` are the installed ones where the folder has none: the guardrails always apply. Folders
    below, such as drafts, are not looked into.

    Raises:
        LawRefused: with every fault.
        OSError: the folder cannot be read.
        UnicodeDecodeError: a file is not UTF-8.
    """
    if folder is None:
        return laws.installed()
    installed = {name: text for name, text in laws.texts().items() if name in ("any.toml", FINES)}
    given = {path.name: path.read_text(encoding="utf-8") for path in Path(folder).iterdir() if path.suffix == ".toml"}
    return load_law({**installed, **given})


def answer(line: str, law: Law, strict: bool = False) -> dict[str, Any]:
    """Decide one line. A line that is not a facts object is denied, with ``error`` saying why."""
    try:
        facts = read_facts(line)
    except (ValueError, RecursionError):
        return refuse(law, NOT_JSON).document()
    return decide(facts, law, strict=strict).document()


def read_facts(line: str) -> Any:
    """Read a line of facts.

    Raises:
        ValueError: the line is not JSON with every key once.
        RecursionError: it is nested too deeply.
    """
    return json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("not a number of JSON")

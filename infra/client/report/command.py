"""The command: ask, write, and say by the exit code whether what was written is proved."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import note

from .asking import Cell, NotAnswered, ask
from .page import write

NOT_ANSWERED: Final = 1
WRONG_USAGE: Final = 2
NOT_PROVED: Final = 3


def run(
    url: str,
    key_file: Path,
    question: Mapping[str, str | None],
    *,
    lang: str,
    form: str,
    output: Path | None,
    vkeys: Sequence[str],
) -> int:
    """Write a report to a file, or to standard output. Return the exit code."""

    def say(line: str) -> None:
        print(f"waybill report: {line}", file=sys.stderr, flush=True)

    asked = {name: value for name, value in question.items() if value is not None}
    if sorted(asked) not in (["subject"], ["event"], ["after", "before"], ["after", "before", "event"]):
        say("give one of --subject, --event (with --after and --before if it is old), or --after and --before")
        return WRONG_USAGE
    try:
        trusted = [note.parse_vkey(text) for text in vkeys]
        key = key_file.read_text("utf-8").strip()
    except AuditBroken as fault:
        say(f"--vkey: {fault.detail}")
        return WRONG_USAGE
    except (OSError, ValueError):
        say("--key-file: the file cannot be read")
        return WRONG_USAGE
    try:
        report = ask(Cell(url, key), asked, trusted, say)
    except NotAnswered as fault:
        say(str(fault))
        return NOT_ANSWERED
    text = write(report, lang) if form == "html" else json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    try:
        if output is None:
            sys.stdout.write(text)
        else:
            output.write_text(text, "utf-8")
    except OSError:
        say("--output: the file cannot be written")
        return NOT_ANSWERED
    if report["proved"]["bad"]:
        say(f"{report['proved']['bad']} proofs do not hold: do not rely on this report")
        return NOT_PROVED
    return 0

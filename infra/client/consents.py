"""Send a file of consents to a cell, a few lines at a time. It is safe to send a file again, or from any line on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from chalicelib.core.tenant.consent_lines import LINES_MAX

from .report.asking import Cell, NotAnswered, opened

ALL_TAKEN: Final = 0
SOME_REFUSED: Final = 1
NOT_ANSWERED: Final = 2
WRONG: Final = 3
BYTES_MAX: Final = 1024 * 1024
"""What the API takes in one body."""
TELL_EVERY_S: Final = 2.0
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """Lines of one request, their numbers in the file, and the numbers of lines that are too long to send."""

    lines: list[bytes]
    numbers: list[int]
    too_long: list[int]
    last: int


def pieces(file: IO[bytes], from_line: int) -> Iterator[Piece]:
    """Yield the file's lines in pieces that a request takes. Empty lines are counted and not sent."""
    lines: list[bytes] = []
    numbers: list[int] = []
    too_long: list[int] = []
    size = number = 0
    while raw := file.readline(BYTES_MAX + 1):
        number += 1
        whole = len(raw) <= BYTES_MAX
        rest = raw
        while len(rest) > BYTES_MAX and not rest.endswith(b"\n"):  # the rest of a line that is too long
            rest = file.readline(BYTES_MAX + 1)
        line = raw.removeprefix(_BOM if number == 1 else b"").strip()
        if number < from_line or (whole and not line):
            continue
        if not whole:
            too_long.append(number)
            continue
        if len(lines) == LINES_MAX or (lines and size + len(line) + 1 > BYTES_MAX):
            yield Piece(lines, numbers, too_long, numbers[-1])
            lines, numbers, too_long, size = [], [], [], 0
        lines.append(line)
        numbers.append(number)
        size += len(line) + 1
    if lines or too_long:
        yield Piece(lines, numbers, too_long, number)


def run(
    file: Path,
    url: str,
    key_file: Path,
    report: Path | None,
    from_line: int,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Send a file. Write refused lines to ``report``, or to standard output. Return the exit code."""
    try:
        cell = opened(url, key_file, sleep)
        with file.open("rb") as given:
            total = sum(1 for _ in given)
            given.seek(0)
            if report is None:
                return _sent(cell, given, total, from_line, sys.stdout, monotonic)
            with report.open("a" if from_line > 1 else "w", encoding="utf-8") as refused:
                return _sent(cell, given, total, from_line, refused, monotonic)
    except NotAnswered as fault:
        _say(str(fault))
        return WRONG
    except OSError as fault:
        _say(f"{fault.filename or file}: {fault.strerror or 'cannot be read'}")
        return WRONG


def _sent(
    cell: Cell, file: IO[bytes], total: int, from_line: int, report: IO[str], monotonic: Callable[[], float]
) -> int:
    taken = already = refused = 0
    began = told = monotonic()
    done = from_line - 1
    for piece in pieces(file, from_line):
        answer: dict[str, Any] = {"taken": 0, "already": 0, "refused": []}
        if piece.lines:
            try:
                answer = cell.post("/v1/consents/import", b"\n".join(piece.lines), "application/x-ndjson")
            except (NotAnswered, KeyboardInterrupt) as fault:
                _say(str(fault) or "stopped")
                _say(f"lines up to {done} are done: go on with --from-line {done + 1}")
                return NOT_ANSWERED
        found = [{**one, "line": piece.numbers[one["line"] - 1]} for one in answer["refused"]]
        found += [{"line": number, "code": "too_large", "loc": "line"} for number in piece.too_long]
        for one in sorted(found, key=lambda one: int(one["line"])):
            report.write(json.dumps(one) + "\n")
        report.flush()
        taken, already, refused = taken + answer["taken"], already + answer["already"], refused + len(found)
        done, now = piece.last, monotonic()
        if now - told >= TELL_EVERY_S and done < total:
            told = now
            left_s = (now - began) / max(1, done - from_line + 1) * (total - done)
            _say(f"{done} of {total} lines, {_time(left_s)} left")
    _say(f"{taken} taken, {already} had been taken before, {refused} refused")
    return SOME_REFUSED if refused else ALL_TAKEN


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _say(line: str) -> None:
    print(f"waybill consents import: {line}", file=sys.stderr, flush=True)

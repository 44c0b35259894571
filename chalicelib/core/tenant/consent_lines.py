"""Many consents at once: what a line may be, and what becomes of lines."""

from __future__ import annotations

from pydantic import Field

from .consents import Method
from .records import Record

LINES_MAX = 250
"""Of one request: some four calls of the store a line, one after another, are to be answered in 29 seconds on a bad day."""


class WithdrawalLine(Record):
    """The end of a consent, as a line."""

    withdraws: str
    method: Method


class RefusedLine(Record):
    """A line that was not taken: its number from 1, why, and where in it; never what it says."""

    line: int
    code: str
    loc: str


class Imported(Record):
    """What became of the lines: how many were taken, how many had been before, and those that are refused."""

    taken: int = 0
    already: int = 0
    refused: list[RefusedLine] = Field(default_factory=list)

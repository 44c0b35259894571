"""Consent imports: the form of a line, and the result of each line."""

from __future__ import annotations

from pydantic import Field

from .consents import Method
from .records import Record

LINES_MAX = 250
"""The most lines of one request: some four store calls a line, one after another, must fit in 29 seconds on a bad day."""


class WithdrawalLine(Record):
    """The end of a consent, as a line."""

    withdraws: str
    method: Method


class RefusedLine(Record):
    """A refused line: its number from 1, the reason, and the field; never its values."""

    line: int
    code: str
    loc: str


class ImportResult(Record):
    """What became of the lines: how many were taken, how many had been before, and those that are refused."""

    taken: int = 0
    already: int = 0
    refused: list[RefusedLine] = Field(default_factory=list)

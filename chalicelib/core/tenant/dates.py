"""Dates, instants and lists of words in declared records, read as the facts of a decision read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from .. import times
from ..event.event import Time

STORED: Mapping[str, bool] = {"stored": True}
"""The context in which a stored record is read. An earlier release took dates that no decision can read: such a record is
shown, withdrawn and replaced like any other, and counts for nothing (``Configuration.unreadable``)."""


def _is_stored(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("stored"))


def _day(value: object, info: ValidationInfo) -> object:
    if _is_stored(info):
        return value
    try:
        return times.day(value.isoformat() if isinstance(value, date) else value)
    except ValueError as fault:
        raise ValueError(f"{fault}; leave it out, or null, where there is no such date") from None


def _instant(value: datetime, info: ValidationInfo) -> datetime:
    if not _is_stored(info):
        times.instant(times.text(value))
    return value


def _once(values: tuple[_Word, ...], info: ValidationInfo) -> tuple[_Word, ...]:
    return values if _is_stored(info) else tuple(dict.fromkeys(values))


_Word = TypeVar("_Word")
Day = Annotated[date, BeforeValidator(_day)]
"""A date of a record, as the facts of a decision read it."""
Instant = Annotated[Time, AfterValidator(_instant)]
"""An instant of a record, as the facts of a decision read it."""
Once = AfterValidator(_once)
"""Of a list of words: each counts once, so that no list is longer than its words are many."""

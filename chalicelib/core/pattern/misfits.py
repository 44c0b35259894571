"""The fields and values of a pattern that no event can ever have: typing errors, which would otherwise match nothing. Pure.

The table of an event's fields follows from its model. Below ``raw`` everything is possible: it is the platform's own object.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from ..errors import InvalidPattern
from ..event.event import Event
from ..validation import nearest
from .compiler import Pattern
from .operators import NUMBER, parse_leaf

RAW = "raw"
_TEXT_OPERATORS = frozenset({"prefix", "suffix", "equals-ignore-case", "wildcard", "cidr"})
_NAMES: Mapping[str, str] = {"text": "a text", "number": "a number", "flag": "true or false", "object": "an object"}


class _FieldForm(NamedTuple):
    """The values of one field: their types, its closed list of words if it has one, and whether it can be null."""

    types: frozenset[str]
    words: tuple[str, ...] = ()
    nullable: bool = False


class PatternFault(NamedTuple):
    """A place in a pattern that no event can match, and the reason with the nearest right word."""

    place: str
    reason: str


def compile_fitting(document: object, channels: Collection[str]) -> Pattern:
    """Compile the pattern of a route, and refuse one with a field or value that no event can have.

    Args:
        channels: the kinds of channels that events can come from.

    Raises:
        InvalidPattern: as ``Pattern.compile``; or ``errors`` names every place that can never match.
    """
    pattern = Pattern.compile(document)
    found = list(dict.fromkeys(misfits(pattern, channels)))
    if found:
        refusal = InvalidPattern(*found[0])
        refusal.errors = [{"loc": m.place, "code": refusal.code, "msg": m.reason} for m in found]
        raise refusal
    return pattern


def misfits(pattern: Pattern, channels: Collection[str]) -> Iterator[PatternFault]:
    """Yield every field and value of a pattern that no event can have."""
    forms = _forms()
    for branch in pattern.branches:
        for path, place, leaf in branch:
            if path == RAW or path.startswith(f"{RAW}."):
                continue
            form = forms.get(path)
            if form is None:
                yield PatternFault(place, f"an event has no field {path}{nearest(path, forms)}")
                continue
            if path == "channel":
                form = form._replace(words=tuple(sorted(channels)))
            for position, alternative in enumerate(leaf.wanted):
                reason = _never(alternative, form, place)
                if reason is not None:
                    yield PatternFault(f"{place}[{position}]", f"never matches: {path} {reason}")


def _never(alternative: Any, form: _FieldForm, place: str) -> str | None:
    """Say why an alternative accepts no value of a field; None where it may accept one."""
    operator, operand = next(iter(alternative.items())) if isinstance(alternative, dict) else ("", alternative)
    if operator == "exists":
        return None
    if operator == "anything-but":
        if not form.words:
            return None
        others = operand if isinstance(operand, list) else [operand]
        return next((r for o in others if not isinstance(o, dict) and (r := _no_value(o, form))), None)
    if not operator:
        return _no_value(operand, form)
    wanted = "text" if operator in _TEXT_OPERATORS else "number"
    if wanted not in form.types:
        return f"is {_said(form)}"
    if form.words and not any(parse_leaf([alternative], place).accepts(word) for word in form.words):
        return f"is one of {', '.join(form.words)}"
    return None


def _no_value(value: Any, form: _FieldForm) -> str | None:
    if value is None:
        return None if form.nullable else "is never null"
    kind = "flag" if isinstance(value, bool) else "number" if isinstance(value, NUMBER) else "text"
    if kind not in form.types:
        return f"is {_said(form)}"
    if form.words and value not in form.words:
        return f"is never {value}{nearest(str(value), form.words)}" if len(str(value)) <= 40 else "has other words"
    return None


def _said(form: _FieldForm) -> str:
    names = [_NAMES[one] for one in sorted(form.types)] + (["null"] if form.nullable else [])
    return " or ".join(names) + ("; name a field inside it" if "object" in form.types else "")


@cache
def _forms() -> Mapping[str, _FieldForm]:
    """Return the form of every field of an event by its path, objects included."""
    return dict(_of_model(Event, ""))


def _of_model(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, _FieldForm]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name.rstrip('_')}"
        if path == RAW:
            continue
        parts = list(_parts(field.annotation))
        models = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        kinds = {kind for part in parts if (kind := _kind(part)) is not None}
        words = tuple(sorted({word for part in parts for word in _words(part)}))
        yield path, _FieldForm(frozenset(kinds), words, types.NoneType in parts)
        for inner in models:
            yield from _of_model(inner, f"{path}.")


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the plain types of an annotation: without unions, lists and marks."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _parts(arguments[0])
    elif origin in (typing.Union, types.UnionType, tuple, list):
        for argument in arguments:
            if argument is not Ellipsis:
                yield from _parts(argument)
    else:
        yield annotation


def _words(part: Any) -> Iterator[str]:
    if typing.get_origin(part) is typing.Literal:
        yield from (str(word) for word in typing.get_args(part))
    elif isinstance(part, type) and issubclass(part, Enum):
        yield from (str(word.value) for word in part)


def _kind(part: Any) -> str | None:
    if any(True for _ in _words(part)) or part in (str, datetime):
        return "text"
    if part is bool:
        return "flag"
    if part in (int, float):
        return "number"
    return "object" if isinstance(part, type) and issubclass(part, BaseModel) else None

"""Hypothesis strategies for stored records, made from the fields of their models."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal

from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from chalicelib.core.countries import COUNTRIES
from chalicelib.core.tenant.consents import Consent, Withdrawal
from chalicelib.core.tenant.intervals import Interval
from chalicelib.core.tenant.legal_holds import HoldPeriod, LegalHold
from chalicelib.core.tenant.records import Tenant
from chalicelib.store.records import RECORDS

_MODELS: tuple[type[BaseModel], ...] = (Tenant, *RECORDS.values(), Consent, Withdrawal, LegalHold, Interval)
STORED: Mapping[str, type[BaseModel]] = {model.__name__: model for model in _MODELS}
"""Every model that the store keeps as a text, by name."""
_LATE = datetime(2041, 1, 1, tzinfo=UTC)
_DATES = st.dates(date(2020, 1, 1), date(2040, 1, 1))
_TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
_TEXTS = st.from_regex(r"[a-z]{1,6}(é|😀)?", fullmatch=True)
_REFS = st.from_regex(r"(cnv|sub)_[0-9a-hjkmnp-tv-z]{26}", fullmatch=True)
_OWN: Mapping[tuple[str, str], st.SearchStrategy[Any]] = {
    ("RouteSettings", "pattern"): st.sampled_from([{}, {"kind": ["message"]}]),
    ("DestinationSettings", "rate_limit_per_s"): st.none() | st.integers(1, 1000),
    ("SourceSettings", "channel"): st.sampled_from(["telegram", "twilio", "email"]),
    ("LegalHoldSettings", "value"): st.one_of(
        _REFS, st.builds(lambda day: HoldPeriod(after=day, before=_LATE), _TIMES)
    ),
}


def records(model: type[BaseModel], known: Collection[str] | None = None) -> st.SearchStrategy[Any]:
    """Return a strategy for a record, with each optional field given or left out.

    Args:
        known: names of models and fields, ``Model.field``, that may differ from their defaults; None for all.
    """

    @st.composite
    def made(draw: st.DrawFn) -> Any:
        given: dict[str, Any] = {}
        optional = []
        for name, field in model.model_fields.items():
            if not field.is_required() and known is not None and f"{model.__name__}.{name}" not in known:
                continue
            if field.is_required() or draw(st.booleans()):
                given[field.alias or name] = draw(_field(model, name, field, known))
            if not field.is_required():
                optional.append(field.alias or name)
        # Fields exclude each other: optional ones are left out until the rest fits.
        for name in (*draw(st.permutations(optional)), ""):
            try:
                return model(**given)
            except ValidationError:
                given.pop(name, None)
        return _unfit()

    return made().filter(lambda one: one is not None)


def _unfit() -> None:
    return None


def _field(
    model: type[BaseModel], name: str, field: FieldInfo, known: Collection[str] | None
) -> st.SearchStrategy[Any]:
    for owner in model.__mro__:
        if (owner.__name__, name) in _OWN:
            return _OWN[owner.__name__, name]
    return _of(field.annotation, list(field.metadata), str(field), known)


def _of(kind: Any, metadata: list[Any], said: str, known: Collection[str] | None) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _of(arguments[0], [*metadata, *arguments[1:]], said, known)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(_of(each, metadata, said, known) for each in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        least = 1 if "min_length=1" in said or "MinLen" in str(metadata) else 0
        return st.lists(_of(arguments[0], [], said, known), min_size=least, max_size=3).map(_distinct)
    if origin is tuple:
        return st.tuples(*(_of(each, [], said, known) for each in arguments))
    if origin is dict:
        key, value = (_of(each, [], said, known) for each in arguments)
        return st.dictionaries(key, value, max_size=2)
    if kind is str:
        return _text(metadata)
    if kind is int:
        return st.integers(*_bounds(metadata))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return records(kind, known)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return _SIMPLE[kind]


_SIMPLE: Mapping[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    datetime: _TIMES,
    date: _DATES,
    type(None): st.none(),
}


def _text(metadata: list[Any]) -> st.SearchStrategy[str]:
    patterns = [mark.pattern for mark in metadata if getattr(mark, "pattern", None)]
    checks: list[Callable[..., Any]] = [mark.func for mark in metadata if hasattr(mark, "func")]
    if any(check.__name__ == "_country" for check in checks):
        return st.sampled_from(sorted(COUNTRIES))
    # A label's pattern only excludes control characters: any short text will do.
    special = [p for p in patterns if not p.startswith("^[^") and "[^" not in p]
    return st.from_regex(special[0], fullmatch=True).filter(lambda text: len(text) <= 64) if special else _TEXTS


def _bounds(metadata: list[Any]) -> tuple[int, int]:
    least = [mark.ge for mark in metadata if hasattr(mark, "ge")]
    most = [mark.le for mark in metadata if hasattr(mark, "le")]
    return (*least, 1)[0], (*most, 1000)[0]


def _distinct(values: list[Any]) -> tuple[Any, ...]:
    """Leave out values that repeat: lists of a record hold each once."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)

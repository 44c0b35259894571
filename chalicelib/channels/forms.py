"""The values of a form that a person filled in, where a platform sends them as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.errors import MalformedPayload
from ..core.event.event import FormField
from .fields import Json, compact, parse_json, text


def embedded(value: Any) -> Json:
    """Return an object, or the one that a text holds as JSON. Anything else is empty."""
    if not isinstance(value, str):
        return value if isinstance(value, dict) else {}
    try:
        return parse_json(value)
    except MalformedPayload:  # a text of the person's that is no form
        return {}


def filled_in(form: Json) -> tuple[FormField, ...]:
    """Return the fields of a form. A field with several values is there once for each."""
    return tuple(_fields(form))


def _fields(form: Json) -> Iterator[FormField]:
    for name, value in form.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield FormField(name=name, value=text(one) if isinstance(one, str) else compact(one))

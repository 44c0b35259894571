"""Say where a value breaks its model, and how, without ever showing the value. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from .errors import Invalid

FAULTS_MAX = 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}\Z")
_TAG = re.compile(r"\([a-z]+\)\Z")


def place(loc: Iterable[Any], under: str) -> str:
    """Write a place as dotted names; a name from the request is shown only where it looks like a field's.

    A step in parentheses is no step: it tags the form of a value that may have several. An event's ``schema_`` is sent as
    ``schema``, which is Pydantic's own word.
    """
    names = ("schema" if s == "schema_" else s for s in loc if not _TAG.match(str(s)))
    steps = (s if isinstance(s, int) or _NAME.match(s) else "?" for s in names)
    return ".".join([under, *(str(s) for s in steps)])


def of_validation(error: ValueError, under: str) -> Invalid:
    """Turn a model's refusal into ours.

    Args:
        under: where the value stood, such as ``body`` or ``query``.
    """
    if not isinstance(error, ValidationError):
        return Invalid("the value cannot be read", [{"loc": under, "code": "unreadable", "msg": "cannot be read"}])
    faults, every = [], error.errors(include_url=False, include_input=False, include_context=False)
    for fault in every[:FAULTS_MAX]:
        message = fault["msg"].removeprefix("Value error, ")
        faults.append({"loc": place(fault["loc"], under), "code": fault["type"], "msg": message})
    return of_faults(faults, len(every))


def of_faults(faults: Sequence[Mapping[str, Any]], count: int) -> Invalid:
    """Refuse values, naming their number and the first of them.

    Args:
        count: how many values are wrong, which may be more than ``faults`` names.
    """
    first = f"{faults[0]['loc']}: {faults[0]['msg']}"
    return Invalid(f"1 value is wrong, {first}" if count == 1 else f"{count} values are wrong, first {first}", faults)

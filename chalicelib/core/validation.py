"""Say where a value breaks its model, and how, without ever showing the value. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
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


def unknown_fields(error: ValueError, under: str) -> Invalid | None:
    """Turn those parts of a model's refusal into ours that name unknown fields; None where there are none."""
    every = error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []
    found = [fault for fault in every if fault["type"] == "extra_forbidden"]
    return _told(found, under) if found else None


def of_validation(error: ValueError, under: str) -> Invalid:
    """Turn a model's refusal into ours.

    Args:
        under: where the value stood, such as ``body`` or ``query``.
    """
    if not isinstance(error, ValidationError):
        return Invalid("the value cannot be read", [{"loc": under, "code": "unreadable", "msg": "cannot be read"}])
    return _told(error.errors(include_url=False, include_input=False, include_context=False), under)


def _told(every: Sequence[Any], under: str) -> Invalid:
    faults = [
        {"loc": place(fault["loc"], under), "code": fault["type"], "msg": fault["msg"].removeprefix("Value error, ")}
        for fault in every[:FAULTS_MAX]
    ]
    return of_faults(faults, len(every))


def of_faults(faults: Sequence[Mapping[str, Any]], count: int) -> Invalid:
    """Refuse values, naming their number and the first of them.

    Args:
        count: how many values are wrong, which may be more than ``faults`` names.
    """
    first = f"{faults[0]['loc']}: {faults[0]['msg']}"
    return Invalid(f"1 value is wrong, {first}" if count == 1 else f"{count} values are wrong, first {first}", faults)


def nearest(word: str, known: Collection[str]) -> str:
    """Return the nearest right word as the end of a sentence; of a path, one with the same last step comes first."""
    ends = [path for path in known if "." in path and path.rpartition(".")[2] == word.rpartition(".")[2]]
    near = ends[:1] or get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def check_word(word: str, known: Collection[str], loc: str, code: str) -> None:
    """Refuse a word that is not among the known ones.

    Raises:
        Invalid: with the known words and the nearest of them.
    """
    if word not in known:
        text = f"use one of: {', '.join(sorted(known))}{nearest(word, known)}"
        raise of_faults([{"loc": loc, "code": code, "msg": text}], 1)

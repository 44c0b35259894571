"""Fields that a later release has written into a record, kept when this release changes the record. Pure."""

from __future__ import annotations

from typing import Any

_IDENTITY = ("id", "prefix", "since")
"""The fields that name a nested value. Where one of them differs, it is another value."""


def with_unknown(new: Any, whole: Any, stored: Any, known: Any) -> Any:
    """Return a changed JSON value with the unknown fields of the stored one. Unchanged parts stay as they are stored.

    Args:
        new: the changed value without defaults; ``whole``: with them.
        stored: the stored value; ``known``: the same as this release reads it, with defaults and without unknown fields.
    """
    if whole == known:
        return stored
    every = (new, whole, stored, known)
    if all(isinstance(value, dict) for value in every) and _identity(whole) == _identity(known):
        return _object(*every)
    if all(isinstance(value, list) for value in every) and len(stored) == len(known):
        return [_element(*of, stored, known) for of in zip(new, whole, strict=True)]
    return new


def _object(new: dict[str, Any], whole: dict[str, Any], stored: dict[str, Any], known: dict[str, Any]) -> Any:
    kept = {name: value for name, value in stored.items() if name not in known}
    for name, value in whole.items():
        if name in stored and name in known and value == known[name]:
            kept[name] = stored[name]
        elif name in new:
            kept[name] = with_unknown(new[name], value, stored.get(name), known.get(name))
    return kept


def _element(new: Any, whole: Any, stored: list[Any], known: list[Any]) -> Any:
    named = _identity(whole)
    for before, value in zip(stored, known, strict=True):
        if value == whole or (named and _identity(value) == named):
            return with_unknown(new, whole, before, value)
    return new


def _identity(value: Any) -> dict[str, Any]:
    return {name: value[name] for name in _IDENTITY if name in value} if isinstance(value, dict) else {}

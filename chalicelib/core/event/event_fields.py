"""The leaves of an event with their data classes, read off the model.

Redaction, the audit log's ``classes`` and the records of processing read them from ``FIELDS``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from .event import BEHAVIOUR_KINDS, OPERATIONAL, DataClass, Event


class EventField(NamedTuple):
    """A leaf of the event: its path (``"*"`` steps into a list), its data class, and whether it is a list of values."""

    path: tuple[str, ...]
    data_class: DataClass
    many: bool


def _fields(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[EventField]:
    for name, info in model.model_fields.items():
        path = (*prefix, name.rstrip("_"))
        declared = next((m for m in info.metadata if isinstance(m, DataClass)), None)
        if declared is not None:
            yield EventField(path, declared, typing.get_origin(info.annotation) is tuple)
            continue
        for inner in _models(info.annotation):
            yield from _fields(inner[0], path + inner[1])


def _models(annotation: Any) -> Iterator[tuple[type[BaseModel], tuple[str, ...]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ()
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    step = ("*",) if origin is tuple else ()
    if origin in (tuple, typing.Union, types.UnionType):
        for argument in arguments:
            for model, path in _models(argument):
                yield model, step + path


FIELDS: tuple[EventField, ...] = tuple(_fields(Event, ()))
"""Every leaf of an event with its data class, in the order of the model."""


def _tree(fields: tuple[EventField, ...]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, data_class, _ in fields:
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = data_class.value
    return tree


_TREE = _tree(tuple(field for field in FIELDS if field.data_class is not DataClass.TECHNICAL))
"""The same leaves as they are nested in a document, but for the technical ones; ``"*"`` is any item of a list."""


def _collect(value: Any, node: dict[str, Any], found: set[str]) -> None:
    # One walk over the document, since every event needs this twice.
    if "*" in node:
        for item in value if isinstance(value, (list, tuple)) else ():
            _collect(item, node["*"], found)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            below = node.get(key)
            if below is None or inner is None or inner is False or inner == []:
                continue
            if isinstance(below, str):
                found.add(below)
            else:
                _collect(inner, below, found)


def classes_of(document: Mapping[str, Any]) -> list[str]:
    """Return the data classes that an event (as a document) holds, sorted. ``technical`` is always there.

    An operational event has no subject: its ids are those of records, and its content is the cell's own.
    """
    found = {DataClass.TECHNICAL.value}
    if document.get("channel") == OPERATIONAL:
        return sorted(found)
    if document.get("kind") in BEHAVIOUR_KINDS:
        found.add(DataClass.BEHAVIOUR.value)
    _collect(document, _TREE, found)
    return sorted(found)

"""Remove from an event the fields that may not leave: by data class or by path; dropped, masked or pseudonymised.

Everything here works on event documents (``core.event.Event.document``) and returns new ones. ``raw`` goes whenever any
redaction applies, since its content is unknown; technical fields stay as they are.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from ..event.event import DataClass
from ..event.event_fields import FIELDS
from ..ids import BITS, encode, first_bits
from ..law.fact_fields import ACTIONS, CLASSES, PATH_FORM

Place = tuple[str | int, ...]

_STRENGTH = {"mask": 1, "pseudonymise": 2, "drop": 3}
_MAX_REDACTIONS = 100
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\*)\]")
_PHONE = re.compile(r"\+?[\d\s()./-]+\Z")

_CLASS_OF: Mapping[tuple[str, ...], DataClass] = {field.path: field.data_class for field in FIELDS}
_LISTS = frozenset(field.path for field in FIELDS if field.many)
_NODES = frozenset(path[:n] for path in _CLASS_OF for n in range(1, len(path) + 1))


def check_redactions(redactions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the problems of a tenant's redactions, each with its place; none for valid ones."""
    if len(redactions) > _MAX_REDACTIONS:
        return [f"at most {_MAX_REDACTIONS} redactions"]
    return [f"[{n}].{problem}" for n, item in enumerate(redactions) for problem in _problems(item)]


def _problems(item: Mapping[str, Any]) -> Iterator[str]:
    given = {key for key, value in item.items() if value is not None}
    if given - {"class", "path", "action"}:
        yield "a redaction has an action, and a class or a path"
    if item.get("action") not in ACTIONS:
        yield "action: must be one of " + " ".join(sorted(ACTIONS))
    if ("class" in given) == ("path" in given):
        yield "class: must be given, or path; not both"
    elif "class" in given:
        if item["class"] not in CLASSES or item["class"] == "technical":
            yield "class: must be one of " + " ".join(sorted(CLASSES - {"technical"}))
    else:
        yield from _path_problems(item["path"])


def _path_problems(path: object) -> Iterator[str]:
    if not isinstance(path, str) or len(path) > 200 or not PATH_FORM.match(path):
        yield "path: must be made of $ .name [n] [*]"
        return
    steps = tuple(step if isinstance(step, str) else "*" for step in _steps(path))
    if not steps:
        yield "path: the whole event cannot be redacted"
    elif steps[0] == "raw":
        return
    elif steps not in _NODES and not (steps[-1] == "*" and steps[:-1] in _LISTS):
        yield "path: no event has such a field"
    elif _CLASS_OF.get(steps) is DataClass.TECHNICAL:
        yield "path: technical fields cannot be redacted"


def _steps(path: str) -> list[str | int]:
    return [name or ("*" if index == "*" else int(index)) for name, index in _STEP.findall(path)]


def redact(
    document: Mapping[str, Any], redactions: Sequence[Mapping[str, Any]], pseudonym_key: bytes
) -> dict[str, Any]:
    """Return an event document with redactions applied; of several on one field the strongest counts.

    Places of a path are those of the original event, regardless of dropped fields.

    Args:
        redactions: ``{class | path, action}`` as in ``Decision.redact``.
        pseudonym_key: derived for this tenant and this recipient, so that pseudonyms of two recipients cannot be joined.
    """
    event: dict[str, Any] = deepcopy(dict(document))
    if not redactions:
        return event
    event.pop("raw", None)
    todo: dict[Place, str] = {}
    for item in redactions:
        action = item["action"]
        for place in _places(event, item):
            if action != "drop" or _leaf_class(place) is not None:
                for leaf in _leaves(event, place):
                    _note(todo, leaf, action)
            else:
                _note(todo, place, action)
    # Deepest and last places first: a dropped list item must not shift those that are still to come.
    for place in sorted(todo, key=_order, reverse=True):
        _apply(event, place, todo[place], pseudonym_key)
    return event


def _note(todo: dict[Place, str], place: Place, action: str) -> None:
    if _STRENGTH[action] > _STRENGTH.get(todo.get(place, ""), 0):
        todo[place] = action


def _order(place: Place) -> tuple[int, tuple[tuple[int, int | str], ...]]:
    return len(place), tuple((0, step) if isinstance(step, int) else (1, step) for step in place)


def _pattern(place: Place) -> tuple[str, ...]:
    return tuple("*" if isinstance(step, int) else step for step in place)


def _leaf_class(place: Place) -> DataClass | None:
    """Return the data class of a place in an event; an item of a leaf that is a list has the leaf's."""
    pattern = _pattern(place)
    return _CLASS_OF.get(pattern) or (_CLASS_OF.get(pattern[:-1]) if pattern[-1:] == ("*",) else None)


def _places(event: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of an event that a redaction speaks of."""
    if item.get("class") is not None:
        for path, data_class in _CLASS_OF.items():
            if data_class == item["class"]:
                yield from _find(event, list(path), ())
    else:
        steps = _steps(item["path"])
        if steps:
            yield from _find(event, steps, ())


def _find(value: Any, steps: Sequence[str | int], place: Place) -> Iterator[Place]:
    if not steps:
        yield place
        return
    step, rest = steps[0], steps[1:]
    if step == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _find(item, rest, (*place, index))
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from _find(value[step], rest, (*place, step))
    elif isinstance(value, dict) and step in value:
        yield from _find(value[step], rest, (*place, step))


def _leaves(event: Mapping[str, Any], place: Place) -> Iterator[Place]:
    """Yield the fields at and below a place that are not technical."""
    value = _get(event, place)
    data_class = _leaf_class(place)
    if data_class is not None:
        if data_class is not DataClass.TECHNICAL and value is not None:
            yield place
        return
    if isinstance(value, dict):
        for name in value:
            yield from _leaves(event, (*place, name))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _leaves(event, (*place, index))


def _get(event: Any, place: Place) -> Any:
    for step in place:
        event = event[step]
    return event


def _apply(event: dict[str, Any], place: Place, action: str, key: bytes) -> None:
    holder, last = _get(event, place[:-1]), place[-1]
    if action == "drop":
        if isinstance(last, int):
            del holder[last]
        else:
            holder[last] = None
        return
    data_class = _leaf_class(place)
    value = holder[last]
    if data_class is None or value is None:
        return
    change = _masked if action == "mask" else lambda v, c: pseudonym(key, c, v)
    holder[last] = [change(v, data_class) for v in value] if isinstance(value, list) else change(value, data_class)


def pseudonym(key: bytes, data_class: DataClass, value: Any) -> str:
    """Return the name by which one recipient knows a value: the same each time, another for each recipient."""
    text = value if isinstance(value, str) else json.dumps(value)
    digest = hmac.digest(key, data_class.value.encode() + b"\0" + text.encode("utf-8", "surrogatepass"), "sha256")
    return "psn_" + encode(first_bits(digest, BITS))


def _masked(value: Any, data_class: DataClass) -> str | None:
    """Mask a text: its length stays; of a phone the last two digits, of a longer text its first and last character.

    A number, such as a coordinate, has no masked form and goes.
    """
    if not isinstance(value, str):
        return None
    if data_class is DataClass.CONTACT and _PHONE.match(value) and sum(c.isdigit() for c in value) > 4:
        keep = [i for i, c in enumerate(value) if c.isdigit()][-2:]
        return "".join("*" if c.isdigit() and i not in keep else c for i, c in enumerate(value))
    if len(value) > 4:
        return value[0] + "*" * (len(value) - 2) + value[-1]
    return "*" * len(value)

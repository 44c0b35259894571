"""Genuine requests in which one field is missing, null, or of another type: every place of every document."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from .cases import Case, raw_body

Path = tuple[str | int, ...]
REMOVED = object()
"""Stands for a field that is not there."""
OTHERS: tuple[Any, ...] = ("odd", 7, True, [], {}, -1.5, "")
"""Values of other types. Each place gets one of them, and the next place the next."""

_ELEMENT = re.compile(r"<(\w+)>((?:<!\[CDATA\[.*?\]\]>|[^<])*)</\1>", re.DOTALL)


class DamagedBody(NamedTuple):
    """A body with one damaged place, and the list element that the place is in, if any."""

    path: Path
    body: bytes
    element: Path | None = None


def damaged_bodies(case: Case) -> Iterator[DamagedBody]:
    """Yield a case's body with each place damaged in three ways. None for a form that is not known here."""
    body = raw_body(case.fixture)
    document = _json(body)
    if isinstance(document, dict):
        yield from _in_json(document, lambda changed: json.dumps(changed).encode())
    elif body[:1] == b"<":
        yield from _in_xml(body.decode())
    elif body and b"=" in body and body[:2] != b"--":
        yield from _in_form(dict(parse_qsl(body.decode(), keep_blank_values=True)))


def without(case: Case, element: Path) -> bytes:
    """Return a case's body without one element of a list."""
    document = copy.deepcopy(_json(raw_body(case.fixture)))
    return json.dumps(_changed(document, element, REMOVED)).encode()


def _json(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _in_json(document: Mapping[str, Any], write: Callable[[Any], bytes]) -> Iterator[DamagedBody]:
    for number, path in enumerate(_paths(document, ())):
        element = next((path[:n] for n in range(len(path), 0, -1) if isinstance(path[n - 1], int)), None)
        for value in (REMOVED, None, OTHERS[number % len(OTHERS)]):
            yield DamagedBody(path, write(_changed(document, path, value)), element)


def _paths(value: Any, path: Path) -> Iterator[Path]:
    inner = _json(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
    steps: Any = inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
    for step, item in steps:
        yield (*path, step)
        yield from _paths(item, (*path, step))


def _changed(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of a document with one place changed; a text that holds JSON is stepped into."""
    if isinstance(value, str):
        return json.dumps(_changed(json.loads(value), path, new))
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        assert isinstance(step, int)
        after = [] if not rest and new is REMOVED else [_changed(value[step], rest, new) if rest else new]
        return [*value[:step], *after, *value[step + 1 :]]
    if not rest and new is REMOVED:
        return {name: item for name, item in value.items() if name != step}
    return {
        name: (_changed(item, rest, new) if rest else new) if name == step else item for name, item in value.items()
    }


def _in_form(form: Mapping[str, str]) -> Iterator[DamagedBody]:
    for number, (name, value) in enumerate(form.items()):
        inner = _json(value)
        if isinstance(inner, dict):
            for one in _in_json(inner, partial(_form_with, form, name)):
                yield one._replace(path=(name, *one.path), element=None)
        rest = {other: text for other, text in form.items() if other != name}
        odd = OTHERS[number % len(OTHERS)]
        for changed in (rest, {**form, name: ""}, {**form, name: json.dumps(odd)}):
            yield DamagedBody((name,), urlencode(changed).encode())


def _form_with(form: Mapping[str, str], name: str, value: Any) -> bytes:
    return urlencode({**form, name: json.dumps(value)}).encode()


def _in_xml(document: str) -> Iterator[DamagedBody]:
    for number, found in enumerate(_ELEMENT.finditer(document)):
        odd = str(OTHERS[number % len(OTHERS)])
        for value in ("", f"<{found[1]}/>", f"<{found[1]}>{odd}</{found[1]}>", f"<{found[1]}><x>1</x></{found[1]}>"):
            changed = document[: found.start()] + value + document[found.end() :]
            yield DamagedBody((found[1],), changed.encode())

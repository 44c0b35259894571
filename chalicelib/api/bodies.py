"""Read JSON bodies strictly: what another reader might understand differently, or not at all, is refused. Pure."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from pydantic import BaseModel

from ..core.errors import RequestError, TooLarge
from ..core.validation import of_validation, unknown_fields

BODY_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 50


class NotJson(RequestError):
    """The body is not JSON as this door takes it."""

    code = "not_json"


def _constant(_: str) -> NoReturn:
    raise NotJson("NaN and Infinity are not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJson("an object names a field twice")
    return value


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        if depth == 0:
            raise NotJson(f"the body is nested deeper than {DEPTH_MAX}")
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth - 1)
        if isinstance(value, dict):
            for name in value:
                name.encode()


def parse(raw: bytes) -> dict[str, Any]:
    """Read a body as a JSON object.

    Raises:
        TooLarge: over 1 MiB.
        NotJson: no JSON object in UTF-8; a field twice, NaN, half a surrogate pair, too deep, a number too long.
    """
    if len(raw) > BODY_BYTES_MAX:
        raise TooLarge("the body is over 1 MiB")
    try:
        value = json.loads(raw.decode(), parse_constant=_constant, object_pairs_hook=_object)
        _check(value, DEPTH_MAX)
    except (ValueError, RecursionError):  # UnicodeError and JSONDecodeError are among these
        raise NotJson("the body is not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise NotJson("the body must be a JSON object")
    return value


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch: null clears a field.

    Source: https://www.rfc-editor.org/rfc/rfc7396 section 2 (read 2026-11-22).
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def checked(model: type[BaseModel], raw: bytes) -> Any:
    """Validate a body strictly: no text becomes a number, no field goes unnoticed.

    Raises:
        Invalid: naming each place, without its value.
    """
    try:
        return model.model_validate_json(raw, strict=True)
    except ValueError as fault:
        raise of_validation(fault, "body") from None


def check_names(model: type[BaseModel], patch: Any, under: str) -> None:
    """Refuse a merge patch that names an unknown field, also where it clears that field. Values are validated once merged.

    Raises:
        Invalid: naming each such field.
    """
    try:
        model.model_validate_json(json.dumps(patch), strict=True)
    except ValueError as fault:
        unknown = unknown_fields(fault, under)
        if unknown is not None:
            raise unknown from None


def checked_value(model: type[BaseModel], document: Any) -> Any:
    """Validate what a merge patch has made, as strictly as a body.

    Raises:
        Invalid: naming each place, without its value.
    """
    return checked(model, json.dumps(document).encode())

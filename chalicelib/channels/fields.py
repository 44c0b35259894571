"""Readers that turn untrusted JSON and form values into what an event wants.

``parse_json`` and ``parse_form`` raise ``MalformedPayload`` for a body that is no document; its text repeats no value. The
readers of values never raise. A value that is missing, or of another type than the platform documents, is None or empty: it
costs the field and not the message, as the platform has no way to send another one.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qsl

from ..core import times
from ..core.errors import MalformedPayload, NotGenuine

Json = dict[str, Any]

MAX_DEPTH = 64  # the deepest genuine payload known (Slack's blocks) nests about 15 levels
MAX_CONTAINERS = 50_000
"""Objects and lists in one document. Each takes 100 times the memory of its two brackets; a genuine batch of 1 MB has 20,000."""
MAX_ITEMS = 200_000
MAX_ID_CHARACTERS = 512
MAX_FORM_FIELDS = 1000
MAX_INTEGER = 2**63 - 1

# An escaped pair of surrogates, or an escaped half of one, behind an even number of backslashes: those are no escape of it.
_SURROGATES = re.compile(
    r"((?<!\\)(?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# A text without an end goes on to the end, so that no search begins twice at the same place.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
_INSTANT = re.compile(r"([0-9]{1,17})(?:\.([0-9]{1,9}))?\Z")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./\-]*\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?\Z")


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return value


_DECODER = json.JSONDecoder(parse_float=_float, parse_constant=_refuse)


def parse_json(body: bytes | str) -> Json:
    """Parse a JSON object. Integers are exact; lone surrogates become U+FFFD, so that the result can be encoded.

    Raises:
        MalformedPayload: not UTF-8, not JSON, not an object, NaN or infinite numbers, deeper than ``MAX_DEPTH``, or more
            than ``MAX_CONTAINERS`` or ``MAX_ITEMS``.
    """
    try:
        text = body.decode("utf-8-sig") if isinstance(body, bytes) else clean(body)
        if _is_too_wide(text) and _is_too_wide(_STRING.sub("", text)):  # the brackets of an e-mail's text do not count
            raise ValueError
        if "\\ud" in text or "\\uD" in text:
            text = _SURROGATES.sub(lambda found: found[1] + (found[2] or "\\ufffd"), text)
        document = _DECODER.decode(text)
        if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(document):
            raise ValueError
    except (ValueError, RecursionError):  # ValueError: bad UTF-8, bad JSON, an integer of more than 4,300 digits
        raise MalformedPayload("the body is not a JSON document of this platform") from None
    if not isinstance(document, dict):
        raise MalformedPayload("the body is not a JSON object")
    return document


def _is_too_wide(text: str) -> bool:
    return text.count("{") + text.count("[") > MAX_CONTAINERS or text.count(",") > MAX_ITEMS


def _is_too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def clean(value: str) -> str:
    """Replace lone surrogates, which no encoding takes, by U+FFFD."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def parse_form(body: bytes, *, errors: str = "replace", max_fields: int = MAX_FORM_FIELDS) -> dict[str, str]:
    """Parse a URL-encoded form; of a repeated field the first counts.

    Args:
        errors: the handler of bytes that are not UTF-8, as for ``bytes.decode``.

    Raises:
        MalformedPayload: more than ``max_fields`` fields.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8", errors), keep_blank_values=True, errors=errors, max_num_fields=max_fields
        )
    except ValueError:
        raise MalformedPayload("the form has too many fields") from None
    form: dict[str, str] = {}
    for name, value in pairs:
        form.setdefault(name, value)
    return form


def parse_bracketed_form(body: bytes) -> Json:
    """Parse a URL-encoded form whose names are paths, ``data[message][id]``, as PHP's ``http_build_query`` writes them.

    Returns objects of texts; a list is an object whose keys are its positions. Of two names that contradict each other the
    first counts.

    Raises:
        MalformedPayload: more than ``MAX_FORM_FIELDS`` fields, or deeper than ``MAX_DEPTH``.
    """
    document: Json = {}
    for name, value in parse_form(body).items():
        first, *rest = name.replace("]", "").split("[", MAX_DEPTH + 1)
        if len(rest) > MAX_DEPTH:
            raise MalformedPayload("the form nests too deep")
        path, place = [first, *rest], document
        for step in path[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place.setdefault(path[-1], value)
    return document


def mapping(value: Any) -> Json:
    """Return an object; anything else is empty."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """Return a list; anything else is empty."""
    return value if isinstance(value, list) else []


ODD = "odd"
"""The key under which ``items`` keeps a value that is no object."""


def items(value: Any) -> list[Json]:
    """Return a list of objects, in which no item is lost: a value that is no object becomes ``{ODD: value}``."""
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    return [item if isinstance(item, dict) else {ODD: item} for item in found]


def text(value: Any) -> str | None:
    """Return a text exactly as sent, a number in decimal. An empty text and any other type are None."""
    if isinstance(value, str):
        return value or None
    return None if isinstance(value, bool) or not isinstance(value, int | float) else _decimal(value)


def _decimal(value: float) -> str | None:
    return str(value) if abs(value) < 10**MAX_ID_CHARACTERS else None  # Python writes integers of 4,300 digits at most


def joined(*parts: Any) -> str | None:
    """Join the texts that are there by spaces: a first and a last name."""
    return " ".join(part for part in map(text, parts) if part) or None


def optional_id(value: Any) -> str | None:
    """Return an id as text, integers exactly. An absent, empty, too long or impossible one is None."""
    if isinstance(value, str):
        return value if 0 < len(value) <= MAX_ID_CHARACTERS else None
    if value is None or isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INTEGER * 2:
        return None
    return str(value)


def occurrence(about: str | None, *parts: Any) -> str:
    """Name an occurrence by an id and what sets it apart: ``mid:edited:1772443800``.

    Returns the empty name where there is no id, so that the platform's own object names the occurrence. Parts that are
    None are left out.
    """
    return "" if about is None else ":".join([about, *(str(part) for part in parts if part is not None)])


def word(value: Any) -> str:
    """Return a platform's word for a kind of thing, or ``unknown`` if it does not look like a word."""
    return value if isinstance(value, str) and _WORD.match(value) else "unknown"


def integer(value: Any) -> int | None:
    """Return a whole number from 0 to 2^63 - 1, given as a number or as digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        return None
    return value


def number(value: Any) -> float | None:
    """Return a finite number, given as a number or as decimal text (Viber's coordinates); None for anything else."""
    if isinstance(value, str) and _DECIMAL.match(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MAX_INTEGER:
        return None
    return float(value)


def _at(value: Any, per_second: Literal[1, 1000]) -> datetime | None:
    if isinstance(value, str):
        match = _INSTANT.match(value)
        if match is None:
            return None
        whole, fraction = int(match[1]), match[2]
        millis = whole if per_second == 1000 else whole * 1000 + int((fraction or "0")[:3].ljust(3, "0"))
    elif isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_INTEGER:
        return None  # a value that is no number compares with none
    else:
        millis = int(value) if per_second == 1000 else int(value * 1000)
    try:
        return times.from_millis(millis)
    except ValueError:
        return None


def seconds(value: Any) -> datetime | None:
    """Read seconds since 1970: a number, or digits with or without a fraction (Slack's ``ts``).

    None where it is absent, not a time, or outside 1970 to 2100: then the receipt's time stands for it.
    """
    return _at(value, 1)


def millis(value: Any) -> datetime | None:
    """Read milliseconds since 1970, a number or digits; None as for ``seconds``."""
    return _at(value, 1000)


def instant(value: Any) -> datetime | None:
    """Read a time of ISO 8601; one without an offset is in UTC. None as for ``seconds``."""
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return at if times.EARLIEST <= at < times.LATEST else None


def phone(value: Any, *, international: bool = False) -> str | None:
    """Return E.164 with ``+`` for an international number, anything else as given.

    Args:
        international: the platform gives international numbers without ``+``.
    """
    given = text(value)
    if given is None or not _PHONE.match(given):
        return given
    digits = re.sub(r"[^0-9]", "", given)
    if 7 <= len(digits) <= 15 and (given.startswith("+") or (international and digits == given)):
        return "+" + digits
    return given


def compact(value: Any) -> str:
    """Write a JSON value as one short line, for a payload that the platform sends as an object."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def same(given: Any, expected: str) -> bool:
    """Compare a proof with what is expected, in constant time. Nothing equals an empty expectation."""
    if not isinstance(given, str) or not expected:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


def require_header(headers: Mapping[str, str], name: str, expected: str) -> None:
    """Raise unless a header equals what is expected.

    Raises:
        NotGenuine: it does not, or it is missing.
    """
    if not same(headers.get(name), expected):
        raise NotGenuine("the proof of origin is missing or wrong")


def hmac_sha256(key: str, *parts: bytes) -> str:
    """Return the HMAC-SHA-256 of the parts, in lower-case hexadecimal."""
    return hmac.digest(key.encode(), b"".join(parts), "sha256").hex()
